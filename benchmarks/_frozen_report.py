"""The study of frozen features as tables for its page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from ._frozen_data import PROBLEMS
from ._frozen_methods import BASELINE
from ._markdown import pipes, spread
from ._packed import unpack_codes, unpack_flags

__all__ = ["COLUMNS", "block", "data_table", "interval", "score"]

#: what is held against all others
SUBJECT = "GBMix"
COLUMNS = {
    "worst_group_accuracy": "worst group ↑",
    "robust_gap": "gap ↓",
    "average_accuracy": "average ↑",
}
FIRST, LEVEL = "first", "level"


def block(results: dict[str, Any], source: str) -> str:
    """Everything, for the page of the study."""
    frame = pd.DataFrame(results["records"])
    differences = pd.DataFrame(results["comparisons"]).set_index(["problem", "method", "against"])
    problems = [name for name in PROBLEMS if name in set(frame["problem"])]
    n_seeds = frame["seed"].nunique()
    seeds = f"mean ± std of {n_seeds} seeds" if n_seeds > 1 else "one seed"
    parts = [
        data_table(results, problems),
        f"#### {SUBJECT} in all of them",
        _overview(frame, differences, problems),
        _verdict(differences, problems),
    ]
    for problem in problems:
        of_problem = frame[frame["problem"] == problem]
        parts += [f"#### {problem}", _problem_table(of_problem, differences.loc[problem])]
    parts.append(
        f"Test data, per cent, {seeds}; methods that were run with fewer say so. Differences are "
        "of worst groups, in points, with paired 95 % intervals over samples and seeds. "
        f'"{LEVEL}": the interval of the difference to the first contains 0. Seconds are those of '
        f"a fit with all that it chooses among, medians, on one shared core. {source}"
    )
    return "\n\n".join(parts)


def _first(differences: pd.DataFrame, problem: str) -> str:
    """The method with the best worst group; all are held against it."""
    of_problem = differences.loc[problem]
    return str(of_problem[of_problem["is_first"]].index.unique("against").item())


def interval(row: pd.Series) -> str:
    """A difference in points, with its interval."""
    low, high = (f"{100 * row[end]:+.1f}" for end in ("low", "high"))
    return f"{100 * row['difference']:+.1f} ({low} to {high})"


def score(values: pd.Series) -> str:
    """Mean ± std in per cent; a single value alone."""
    return spread(values) if len(values) > 1 else f"{100 * values.item():.1f}"


def data_table(results: dict[str, Any], problems: list[str]) -> str:
    """What is told, of how many, and how small the smallest cell is."""
    rows = []
    for problem in problems:
        about = next(d for d in results["data"] if d["problem"] == problem)
        division = next(d for d in results["divisions"] if d["problem"] == problem)
        codes = unpack_codes(about["cells"])
        tested = codes[unpack_flags(division["in_test"], len(codes))]
        counts = np.bincount(tested, minlength=len(about["labels"]))
        smallest = int(np.where(counts > 0, counts, len(codes)).argmin())
        rows.append(
            [
                problem,
                " / ".join(f"{n:,}" for n in division["samples"].values()),
                f"{about['features']:,}",
                str(np.count_nonzero(counts)),
                f"{about['labels'][smallest]}: {counts[smallest]:,}",
            ]
        )
    header = ["problem", "train / valid / test", "features", "cells", "smallest in the test part"]
    return pipes(header, rows)


def _overview(frame: pd.DataFrame, differences: pd.DataFrame, problems: list[str]) -> str:
    worst = frame.groupby(["problem", "method"])["worst_group_accuracy"].mean()
    rows = []
    for problem in problems:
        if (problem, SUBJECT, BASELINE) not in differences.index:
            continue
        first = _first(differences, problem)
        rank = int((worst[problem] > worst[problem][SUBJECT]).sum()) + 1
        rows.append(
            [
                problem,
                f"{100 * worst[problem, BASELINE]:.1f}",
                f"{100 * worst[problem, SUBJECT]:.1f}",
                interval(differences.loc[(problem, SUBJECT, BASELINE)]),
                f"{rank} of {len(worst[problem])}",
                f"{first}: {100 * worst[problem, first]:.1f}",
                interval(differences.loc[(problem, SUBJECT, first)]),
            ]
        )
    header = ["problem", BASELINE, SUBJECT, "difference", "place", "first", "to the first"]
    return pipes(header, rows)


def _verdict(differences: pd.DataFrame, problems: list[str]) -> str:
    """How often the method is above and below, from the same intervals."""

    def count(pairs: Iterable[tuple[str, str]]) -> tuple[int, int, int, int, int]:
        found = [differences.loc[(problem, SUBJECT, against)] for problem, against in pairs]
        return (
            len(found),
            sum(row["difference"] > 0 for row in found),
            sum(row["low"] > 0 for row in found),
            sum(row["difference"] < 0 for row in found),
            sum(row["high"] < 0 for row in found),
        )

    ran = [p for p in problems if (p, SUBJECT, BASELINE) in differences.index]
    n, above, surely, below, surely_below = count((p, BASELINE) for p in ran)
    *_, behind = count((p, _first(differences, p)) for p in ran)
    return (
        f"Against {BASELINE} with C chosen on the validation part, {SUBJECT} has the better worst "
        f"group on {above} of {n} problems, on {surely} of them beyond the interval, and the worse "
        f"one on {below}, on {surely_below} beyond the interval. It is the first, or cannot be "
        f"told from the first of all, on {n - behind} of {n}."
    )


def _problem_table(frame: pd.DataFrame, differences: pd.DataFrame) -> str:
    means = frame.groupby("method")["worst_group_accuracy"].mean()
    first = str(differences[differences["is_first"]].index.unique("against").item())
    n_seeds = frame["seed"].nunique()
    rows = []
    for method in means.sort_values(ascending=False, kind="stable").index:
        part = frame[frame["method"] == method]
        to_first = differences.loc[(method, first)]
        mark = FIRST if method == first else LEVEL if to_first["high"] >= 0 else ""
        seeds = part["seed"].nunique()
        rows.append(
            [
                method + (f" ({seeds} seed{'s' * (seeds > 1)})" if seeds < n_seeds else ""),
                *(score(part[column]) for column in COLUMNS),
                "" if method == BASELINE else interval(differences.loc[(method, BASELINE)]),
                mark,
                f"{part['seconds'].median():.0f}",
            ]
        )
    header = ["method", *COLUMNS.values(), f"worst group, to {BASELINE}", "", "s"]
    return pipes(header, rows)
