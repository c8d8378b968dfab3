"""The figures: what each part of GBMix is worth, and average against worst group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .results import select

__all__ = ["draw"]

#: Okabe and Ito, told apart with any colour vision; the shapes tell methods apart without colour
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#CC79A7", "#999999",
           "#FFFFFF")  # fmt: skip
OURS = "#D55E00"
MARKERS = "osvD^P>X<"
CHANGES = {"average": "average accuracy", "worst": "worst group accuracy", "gap": "robust gap"}


def draw(
    results: dict[str, Any], config: dict[str, Any], preset: dict[str, Any], path: Path
) -> bool:
    """Draw a table or figure to a file; whether there was something to draw."""
    frame = select(results, config, preset)
    if frame.empty or "ranked" in config:
        return False
    figure = (_ablation if config["kind"] == "ablation" else _tradeoff)(frame, config)
    if figure is None:
        return False
    figure.suptitle(f"{config['title']} (preset {preset['name']}, {len(set(frame['seed']))} seeds)")
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return True


def changes(frame: pd.DataFrame, config: dict[str, Any]) -> pd.DataFrame:
    """What each ablation changes, seed by seed: rows (method, dataset, seed), columns metrics."""
    whole, *others = config["methods"]
    scores = frame.set_index(["method", "dataset", "seed"])[list(CHANGES)].astype(float)
    if whole not in scores.index.unique("method"):
        return scores.iloc[:0]
    full = scores.loc[whole]
    parts = {m: scores.loc[m] - full for m in others if m in scores.index.unique("method")}
    return pd.concat(parts, names=["method"]).dropna() if parts else scores.iloc[:0]


def _ablation(frame: pd.DataFrame, config: dict[str, Any]) -> Figure | None:
    gains = changes(frame, config)
    if gains.empty:
        return None
    datasets = [name for name in config["datasets"] if name in gains.index.unique("dataset")]
    methods = [name for name in config["methods"] if name in gains.index.unique("method")]
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
    width = 0.8 / len(methods)
    for panel, (metric, title) in zip(panels, CHANGES.items(), strict=True):
        for place, method in enumerate(methods):
            by_seed = [gains.loc[(method, dataset), metric] for dataset in datasets]
            panel.bar(
                np.arange(len(datasets)) + width * (place - (len(methods) - 1) / 2),
                [values.mean() for values in by_seed],
                0.92 * width,
                yerr=[values.std(ddof=0) for values in by_seed],
                color=("#56B4E9", "#E69F00", "#009E73")[place % 3],
                hatch=("", "///", "...")[place % 3],
                edgecolor="#333333",
                linewidth=0.6,
                ecolor="#333333",
                capsize=2,
                label=method.removeprefix(f"{config['methods'][0]} "),
            )
        panel.axhline(0, color="#333333", linewidth=0.8)
        panel.set_xticks(np.arange(len(datasets)), datasets)
        panel.set_title(title)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(f"change against {config['methods'][0]}, points")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _tradeoff(frame: pd.DataFrame, config: dict[str, Any]) -> Figure:
    datasets = [name for name in config["datasets"] if name in set(frame["dataset"])]
    methods = [name for name in config["methods"] if name in set(frame["method"])]
    size = (max(4.6 * len(datasets), 7), 4.6)
    figure, panels = plt.subplots(
        1, len(datasets), figsize=size, layout="constrained", squeeze=False
    )
    for panel, dataset in zip(panels[0], datasets, strict=True):
        for place, method in enumerate(methods):
            runs = frame[(frame["dataset"] == dataset) & (frame["method"] == method)]
            if runs.empty:
                continue
            whole = method == "GBMix"
            colour = OURS if whole else COLOURS[place % len(COLOURS)]
            panel.errorbar(
                runs["worst"].mean(),
                runs["average"].mean(),
                xerr=runs["worst"].std(ddof=0),
                yerr=runs["average"].std(ddof=0),
                marker="*" if whole else MARKERS[place % len(MARKERS)],
                color=colour,
                ecolor="#666666" if colour == "#FFFFFF" else colour,
                markersize=15 if whole else 8,
                markeredgecolor="#333333",
                markeredgewidth=0.6,
                elinewidth=1,
                linestyle="none",
                zorder=3 if whole else 2,
                label=method,
            )
        panel.set_title(dataset)
        panel.set_xlabel("worst group accuracy, %")
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0][0].set_ylabel("average accuracy, %")
    handles: dict[str, Any] = {}
    for panel in panels[0]:
        handles |= dict(zip(*panel.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=5)
    return figure
