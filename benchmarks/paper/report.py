"""Tables beside the paper's numbers: Markdown and LaTeX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .._markdown import pipes
from .choice import SIGNS, mean_ranks
from .config import describe, preset, table, tables, value
from .results import select, shown, spread

__all__ = ["block", "latex", "markdown"]

HEADS = {"worst": "worst group ↑", "gap": "gap ↓", "average": "average ↑"}


def printed(config: dict[str, Any], column: str, method: str, metric: str) -> str:
    """What the paper prints, exactly; empty where it prints no such row."""
    name = config.get("printed_as", {}).get(method, method)
    text = config.get("published", {}).get(column, {}).get(name, {}).get(metric, "")
    return text.replace("±", " ± ").replace("-", "–")


def ranks(config: dict[str, Any], frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Mean ranks of the methods in each collection of data sets that is there in full."""
    found = {}
    for name, datasets in config["ranked"].items():
        part = frame[frame["dataset"].isin(datasets)]
        # a rank among fewer methods would be another number
        if len(part.groupby(["method", "dataset"])) < len(datasets) * len(config["methods"]):
            continue
        means = part.groupby(["method", "dataset"])[list(SIGNS)].mean().unstack("dataset")
        means.columns = [(dataset, metric) for metric, dataset in means.columns]
        found[name] = mean_ranks(means)
    return found


def published_scores(*configs: dict[str, Any]) -> pd.DataFrame:
    """The paper's means of tables, as `mean_ranks` takes them."""
    columns = {
        (dataset, metric): {method: value(row[metric])[0] for method, row in rows.items()}
        for config in configs
        for dataset, rows in config["published"].items()
        for metric in SIGNS
    }
    frame = pd.DataFrame({str(i): column for i, column in enumerate(columns.values())})
    frame.columns = list(columns)
    return frame


def _setting(settings: pd.Series) -> str:
    return describe(settings.iloc[0]) if len(settings) else ""


def _cells(config: dict[str, Any], frame: pd.DataFrame) -> list[tuple[str, list, list[list]]]:
    """Title, header and rows of each part of a table."""
    if "ranked" in config:
        found = ranks(config, frame)
        header = ["method"]
        for name in config["ranked"]:
            header += [f"{name} ↓", "paper"]
        rows = []
        for method in config["methods"]:
            row = [method]
            for name in config["ranked"]:
                rank = found.get(name, pd.Series(dtype=float)).get(method, np.nan)
                row += ["–" if np.isnan(rank) else f"{rank:.1f}"]
                row += [printed(config, name, method, "rank")]
            rows.append(row)
        return [("", header, rows)] if found else []
    parts = []
    metrics = config["metrics"]
    for dataset in config["datasets"]:
        of_dataset = frame[frame["dataset"] == dataset]
        compared = dataset in config.get("published", {})
        if of_dataset["method"].nunique() < (1 if compared else 2):  # nothing to hold it against
            continue
        header = ["method"]
        for metric in metrics:
            header += [HEADS[metric], "paper"] if compared else [HEADS[metric]]
        header += ["adjusted average ↑", "chosen"]
        rows = []
        for method in shown(config):
            runs = of_dataset[of_dataset["method"] == method]
            if runs.empty and method not in config["methods"]:
                continue
            row = [method]
            for metric in metrics:
                row.append(spread(runs[metric]))
                if compared:
                    row.append(printed(config, dataset, method, metric))
            rows.append([*row, spread(runs["adjusted"]), _setting(runs["setting"])])
        parts.append((dataset, header, rows))
    return parts


def markdown(results: dict[str, Any], config: dict[str, Any], preset: dict[str, Any]) -> str:
    """A table under a preset; empty where nothing of it was run."""
    frame = select(results, config, preset)
    parts = _cells(config, frame)
    if not parts:
        return ""
    blocks = [f"**{config['title']}** (preset `{preset['name']}`)"]
    for title, header, rows in parts:
        blocks += [title, pipes(header, rows)] if title else [pipes(header, rows)]
    absent = [name for name in config["datasets"] if name not in set(frame["dataset"])]
    foot = []
    if "ranked" not in config:
        n_seeds = frame["seed"].nunique()
        seeds = "one seed" if n_seeds == 1 else f"mean ± std of {n_seeds} seeds"
        foot.append(f"Test data, per cent, {seeds}.")
    if absent:
        foot.append(f"Not run: {', '.join(absent)}.")
    return "\n\n".join([*blocks, " ".join([*foot, *config["notes"]])]).rstrip()


_ESCAPES = str.maketrans(
    {"±": r"$\pm$", "–": "--", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "_": r"\_", "%": r"\%"}
)


def latex(results: dict[str, Any], config: dict[str, Any], preset: dict[str, Any]) -> str:
    """The same as tables for LaTeX, which need no package."""
    frame = select(results, config, preset)
    tables = []
    for title, header, rows in _cells(config, frame):
        lines = [" & ".join(line).translate(_ESCAPES) + r" \\" for line in (header, *rows)]
        caption = ", ".join(filter(None, [config["title"], title, f"preset {preset['name']}"]))
        tables.append(
            "\n".join(
                [
                    r"\begin{table}",
                    rf"\caption{{{caption.translate(_ESCAPES)}.}}",
                    rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
                    r"\hline",
                    lines[0],
                    r"\hline",
                    *lines[1:],
                    r"\hline",
                    r"\end{tabular}",
                    r"\end{table}",
                ]
            )
        )
    return "\n\n".join(tables)


def block(results: dict[str, Any]) -> str:
    """All tables of all presets in results, with what was run and where, for a page."""
    blocks = []
    for name in dict.fromkeys(record["preset"] for record in results["records"]):
        config = preset(name)
        configs = [table(t) for t in tables()]
        if "backbone" in config:  # one for all: figures of other backbones would repeat the tables
            configs = [c for c in configs if c["kind"] != "tradeoff"]
        shown = [markdown(results, c, config) for c in configs]
        used = {r["machine"] for r in results["records"] if r["preset"] == name}
        machines = [results["machines"][machine] for machine in sorted(used)]
        blocks += [f"Preset `{name}`: {config['about']}.", *filter(None, shown)]
        blocks.append(" ".join(map(_source, machines)))
    return "\n\n".join(blocks) or "Nothing was run yet."


def _source(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {v}" for name, v in machine["versions"].items())
    device = machine["gpu"] or f"{machine['cores']} cores, {machine['processor']}"
    return f"Run on {machine['date']} on {device}, with Python {machine['python']}, {versions}."
