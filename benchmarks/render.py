"""Writes the results into the README and the documentation: ``python -m benchmarks.render``.

Each table stands between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->``, and is written from
``benchmarks/results/NAME.json`` or another that `SOURCES` names, that of all methods from the
registry. ``--check`` changes nothing and fails where a page is out of date.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from gbmix_sklearn.estimators import METHODS

from ._frozen_report import block as frozen_block
from ._gains_report import block as gains_block
from ._markdown import pipes, spread
from ._networks_report import block as networks_block
from ._records import RESULTS, read
from ._shares_report import block as shares_block
from ._tabular_report import block as tabular_block
from ._tabular_report import each_table
from ._tuned_report import block as tuned_block
from .paper.report import block as paper
from .refit import table as refit_table

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"(<!-- begin: (\w+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)


def _source(results: dict[str, Any]) -> str:
    m = results["machine"]
    versions = ", ".join(f"{name} {v}" for name, v in m["versions"].items() if name != "skorch")
    device = m["gpu"] or f"{m['cores']} cores, {m['processor']}"
    return f"Run on {m['date']} on {device}, with Python {m['python']}, {versions}."


def demo(results: dict[str, Any]) -> str:
    frame = pd.DataFrame(results["records"])
    metrics = ["worst_group_accuracy", "robust_gap", "average_accuracy"]
    rows = [
        [dataset, method, *(spread(part[name]) for name in metrics)]
        for (dataset, method), part in frame.groupby(["dataset", "method"], sort=False)
    ]
    n_seeds = frame["seed"].nunique()
    table = pipes(["data", "method", "worst group ↑", "gap ↓", "average ↑"], rows)
    return f"{table}\n\nTest data, per cent, mean ± std of {n_seeds} seeds. {_source(results)}"


def speed(results: dict[str, Any]) -> str:
    """Write a table for each part that was measured; parts of one machine and day say so once."""
    writers = {
        "matrices": _matrices,
        "images": _records,
        "memory-of-files": _records,
        "refit": _records,
        "defaults": _records,
    }
    parts = [(results[name], writer) for name, writer in writers.items() if name in results]
    blocks = []
    for source, alike in groupby(parts, key=lambda part: _source(part[0])):
        blocks += [*(writer(part) for part, writer in alike), source]
    return "\n\n".join(blocks)


def lines(results: dict[str, Any]) -> str:
    rows = []
    for r in results["records"]:
        total = r["estimator"] + r["criterion"]
        rows.append([r["method"], str(r["estimator"]), str(r["criterion"]), str(total)])
    return pipes(["method", "estimator", "criterion of its own", "lines"], rows)


def refit(results: dict[str, Any]) -> str:
    return f"{refit_table(results)} {_source(results)}"


def audit_speed(results: dict[str, Any]) -> str:
    return f"{_records(results)}\n\n{_source(results)}"


def frozen(results: dict[str, Any]) -> str:
    return frozen_block(results, _source(results))


def gains(results: dict[str, Any]) -> str:
    return gains_block(results, _source(results))


def shares(results: dict[str, Any]) -> str:
    return shares_block(results, _source(results))


def networks(results: dict[str, Any]) -> str:
    return networks_block(results, _source(results))


def tabular(results: dict[str, Any]) -> str:
    return tabular_block(results, _source(results))


def tabular_each(results: dict[str, Any]) -> str:
    return each_table(results, _source(results))


def tuned(results: dict[str, Any]) -> str:
    return tuned_block(results, _source(results))


_NEEDS = {"require": "required", "warn": "used, warns without", "optional": "not used"}


def registry() -> str:
    """Write what each method is, from the package itself."""
    rows = []
    for name, method in METHODS.items():
        summary = inspect.getdoc(method).split("\n\n")[0].replace("\n", " ")
        needs = _NEEDS[method()._groups_policy]
        rows.append([name, f"`{method.__name__}`", needs, summary])
    return pipes(["method", "classifier", "groups in training", "what it does"], rows)


def _matrices(results: dict[str, Any]) -> str:
    def ratio(part: str, name: str) -> str:
        return _range(results[part]["ratios"][name])

    training = [
        [f"`{name}`, per step, to a bare ERM step", ratio("training", name)]
        for name in results["training"]["ratios"]
    ]
    prediction = [
        [f"`{name}`, {results['prediction']['rows']:,} rows, to one product and softmax", value]
        for name in results["prediction"]["ratios"]
        for value in [ratio("prediction", name)]
    ]
    memory = [
        [f"`{name}`, peak memory, to the input matrix", f"{peak:.2f}"]
        for name, peak in results["peak_memory"].items()
    ]
    return pipes(["what", "ratio, median (range)"], [*training, *prediction, *memory])


def _range(r: dict[str, float]) -> str:
    return f"{r['median']:.2f} ({r['min']:.2f} to {r['max']:.2f})"


def _records(results: dict[str, Any]) -> str:
    rows = []
    for record in results["records"]:
        value = record["value"]
        shown = _range(value) if isinstance(value, dict) else f"{value:.3g}"
        rows.append([record["what"], shown, _target(record)])
    return pipes(["what", "median (range)", "target"], rows)


def _target(record: dict[str, Any]) -> str:
    """The target of a measurement, and whether its median misses it."""
    value = record["value"]
    value = value["median"] if isinstance(value, dict) else value
    least, most = record.get("at_least"), record.get("at_most")
    if least is not None:
        return f"≥ {least}" + ("" if value >= least else ", missed")
    if most is not None:
        return f"≤ {most}" + ("" if value <= most else ", missed")
    return ""


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "demo": demo,
    "speed": speed,
    "lines": lines,
    "refit": refit,
    "paper": paper,
    "tabular": tabular,
    "tabular_each": tabular_each,
    "audit_speed": audit_speed,
    "frozen": frozen,
    "gains": gains,
    "shares": shares,
    "networks": networks,
    "tuned": tuned,
}

#: tables of results that have another one's name
SOURCES = {"gains": "frozen", "tabular_each": "tabular"}


def results_of(table: str) -> dict[str, Any]:
    """The results that a table is written from."""
    return read(f"{SOURCES.get(table, table)}.json")


def render(text: str) -> str:
    """Fill every block of a page."""

    def fill(match: re.Match[str]) -> str:
        name = match[2]
        table = registry() if name == "registry" else TABLES[name](results_of(name))
        return f"{match[1]}{table}\n{match[3]}"

    return _BLOCK.sub(fill, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    outdated = []
    for page in pages:
        text = page.read_text()
        new = render(text)
        if new != text:
            outdated.append(str(page.relative_to(ROOT)))
            if not arguments.check:
                page.write_text(new)
    if arguments.check and outdated:
        sys.exit(f"out of date with {RESULTS.name}/: {', '.join(outdated)}")


if __name__ == "__main__":
    main()
