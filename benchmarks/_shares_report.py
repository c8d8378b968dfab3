"""The study of rare groups as tables for its page."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ._frozen_methods import BASELINE
from ._frozen_report import interval, score
from ._markdown import pipes
from ._packed import unpack_codes, unpack_flags
from ._shares_data import PROBLEMS, RATIOS
from .shares import STUDY

__all__ = ["block"]

#: differences that are shown
SHOWN = (("GBMix", BASELINE), *STUDY.pairs)


def block(results: dict[str, Any], source: str) -> str:
    """Everything, for the page of the study."""
    frame = pd.DataFrame(results["records"])
    frame["ratio"] = frame["problem"].map(lambda name: PROBLEMS[name].ratio)
    frame["of"] = frame["problem"].map(_kind)
    differences = pd.DataFrame(results["comparisons"]).set_index(["problem", "method", "against"])
    parts = []
    for kind in dict.fromkeys(_kind(name) for name in PROBLEMS):
        of_kind = frame[frame["of"] == kind]
        if len(of_kind):
            parts += [f"### {kind}", _scores(of_kind), _differences(of_kind, differences)]
            parts.append(_tested(results, kind))
    n_seeds = frame["seed"].nunique()
    seeds = f"mean ± std of {n_seeds} seeds, each with" if n_seeds > 1 else "one seed, with"
    parts.append(
        f"Worst group on test data, per cent, {seeds} a division of its own. "
        "Below it differences of worst groups on the same divisions, in points, with "
        f"paired 95 % intervals over samples{' and seeds' if n_seeds > 1 else ''}. {source}"
    )
    return "\n\n".join(parts)


def _kind(problem: str) -> str:
    """A problem without its ratio."""
    return problem.rpartition(", 1:")[0]


def _header(first: str) -> list[str]:
    return [first, *(f"1:{ratio}" for ratio in RATIOS)]


def _scores(frame: pd.DataFrame) -> str:
    rows = []
    for method in dict.fromkeys(frame["method"]):
        of_method = frame[frame["method"] == method].set_index("ratio")["worst_group_accuracy"]
        rows.append([method, *(_or_dash(of_method, ratio) for ratio in RATIOS)])
    return pipes(_header("method"), rows)


def _or_dash(scores: pd.Series, ratio: int) -> str:
    return score(scores.loc[[ratio]]) if ratio in scores.index else "–"


def _differences(frame: pd.DataFrame, differences: pd.DataFrame) -> str:
    problems = dict(zip(frame["ratio"], frame["problem"], strict=True))
    rows = []
    for method, against in SHOWN:
        cells = [
            interval(differences.loc[key])
            if (key := (problems.get(ratio, ""), method, against)) in differences.index
            else "–"
            for ratio in RATIOS
        ]
        rows.append([f"{method}, to {against}", *cells])
    return pipes(_header("difference"), rows)


def _tested(results: dict[str, Any], kind: str) -> str:
    about = next(d for d in results["data"] if _kind(d["problem"]) == kind)
    division = next(d for d in results["divisions"] if d["problem"] == about["problem"])
    codes = unpack_codes(about["cells"])
    counts = np.bincount(codes[unpack_flags(division["in_test"], len(codes))])
    sizes = division["samples"]
    return (
        f"{sizes['train']:,} samples train, {sizes['valid']:,} choose; the smallest test cell has "
        f"{counts[counts > 0].min():,}."
    )
