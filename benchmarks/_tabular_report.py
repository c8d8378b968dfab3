"""The tabular study as tables for its page."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ._frozen_methods import BASELINE, BOOSTED, BOTH_PARTS
from ._frozen_report import COLUMNS, data_table, interval, score
from ._markdown import pipes
from ._tabular_data import PROBLEMS
from ._tabular_methods import OURS, RIVALS, methods_of

__all__ = ["block", "each_table"]

#: what people may hold against the package: libraries' own, and weights without it
OF_RIVALS = {method for family in RIVALS for method in methods_of(family)}
OF_OURS = {method for family in OURS for method in methods_of(family)} - {
    BASELINE,
    BOTH_PARTS,
    BOOSTED,
}
#: one line of scikit-learn each, which everything is held against
PLAIN = (BASELINE, BOOSTED)
KNOWS = "(knows the group)"


def block(results: dict[str, Any], source: str) -> str:
    """What was divided, and all tables together."""
    frame, differences, ran = _read(results)
    parts = [data_table(results, [name for name in ran if not PROBLEMS[name].is_visible])]
    for is_visible in (False, True):
        some = [name for name in ran if PROBLEMS[name].is_visible == is_visible]
        if some:
            seen = "seen" if is_visible else "hidden"
            parts += [f"### Tables with the attribute {seen}: {len(some)}"]
            parts += [_overview(frame, differences, some)]
    parts += ["### The best of the package and the best rival", _rivals(frame, ran)]
    fewest, most = frame.groupby("problem")["seed"].nunique().agg(["min", "max"])
    divisions = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    parts.append(
        f"Test data, per cent, means of {divisions} divisions. "
        '"+3.1; +4, −0": worst group in points, mean over the tables, and on how many of them '
        "better and worse beyond a paired 95 % interval over samples and divisions. Seconds are "
        "those of a fit with all that it chooses among, encoding included, medians, on one shared "
        f"core. {source}"
    )
    return "\n\n".join(parts)


def each_table(results: dict[str, Any], source: str) -> str:
    """The appendix of the page."""
    frame, differences, ran = _read(results)
    parts = []
    for problem in ran:
        of_problem = frame[frame["problem"] == problem]
        parts += [f"### {problem}", _table(of_problem, differences.loc[problem])]
    parts.append(
        "Test data, per cent, mean ± std of the divisions; where a method has fewer than others, "
        "their number is behind its name. Differences are of worst groups, in points, with paired "
        f"95 % intervals. {source}"
    )
    return "\n\n".join(parts)


def _read(results: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Records, comparisons, and problems in the order of the study."""
    frame = pd.DataFrame(results["records"])
    differences = pd.DataFrame(results["comparisons"]).set_index(["problem", "method", "against"])
    return frame, differences, [name for name in PROBLEMS if name in set(frame["problem"])]


def _overview(frame: pd.DataFrame, differences: pd.DataFrame, problems: list[str]) -> str:
    """Means over tables, of the methods that ran on all of them."""
    frame = frame[frame["problem"].isin(problems)]
    means = frame.groupby(["method", "problem"])[list(COLUMNS)].mean()
    complete = means.groupby("method").size() == len(problems)
    scores = 100 * means.groupby("method").mean()[complete]
    rows = []
    for method in scores.sort_values("worst_group_accuracy", ascending=False).index:
        part = frame[frame["method"] == method]
        rows.append(
            [
                method,
                *(f"{scores.loc[method, column]:.1f}" for column in COLUMNS),
                *(_ahead(differences, problems, method, plain) for plain in PLAIN),
                f"{part['seconds'].median():.0f}",
            ]
        )
    header = ["method", *COLUMNS.values(), *(f"against {plain}" for plain in PLAIN), "s"]
    return pipes(header, rows)


def _ahead(differences: pd.DataFrame, problems: list[str], method: str, other: str) -> str:
    """On how many tables better, and worse, beyond the interval."""
    places = [(problem, method, other) for problem in problems]
    if method == other or not set(places) <= set(differences.index):
        return ""
    found = differences.loc[places]
    better, worse = (found["low"] > 0).sum(), (found["high"] < 0).sum()
    return f"{100 * found['difference'].mean():+.1f}; +{better}, −{worse}"


def _rivals(frame: pd.DataFrame, problems: list[str]) -> str:
    """The best of either side by table, among those that predict without the group."""
    worst = frame.groupby(["problem", "method"])["worst_group_accuracy"].mean()
    average = frame.groupby(["problem", "method"])["average_accuracy"].mean()
    rows = []
    for problem in problems:
        of_problem = worst.loc[problem]
        blind = [method for method in of_problem.index if KNOWS not in method]
        row = [problem]
        for side in (OF_OURS, OF_RIVALS):
            there = of_problem[[method for method in blind if method in side]]
            if not len(there):
                return "Rivals have not been run yet."
            best = str(there.idxmax())
            row.append(f"{best}: {100 * there[best]:.1f}, {100 * average[problem, best]:.1f}")
        rows.append(row)
    header = ["table", "package: worst group, average", "rival: worst group, average"]
    return pipes(header, rows)


def _table(frame: pd.DataFrame, differences: pd.DataFrame) -> str:
    means = frame.groupby("method")["worst_group_accuracy"].mean()
    n_seeds = frame["seed"].nunique()
    rows = []
    for method in means.sort_values(ascending=False, kind="stable").index:
        part = frame[frame["method"] == method]
        seeds = part["seed"].nunique()
        to_plain = (
            interval(differences.loc[(method, plain)])
            if method != plain and (method, plain) in differences.index
            else ""
            for plain in PLAIN
        )
        rows.append(
            [
                method + (f" ({seeds})" if seeds < n_seeds else ""),
                *(score(part[column]) for column in COLUMNS),
                *to_plain,
                f"{part['seconds'].median():.0f}",
            ]
        )
    header = ["method", *COLUMNS.values(), *(f"to {plain}" for plain in PLAIN), "s"]
    return pipes(header, rows)
