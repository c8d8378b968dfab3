"""Choosing a setting by validation data alone, and ranking methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["SIGNS", "choose", "mean_ranks"]

#: metrics of the paper by their names in its tables, and whether more is better
SIGNS = {"worst": 1, "gap": -1, "average": 1}


def choose(outcomes: Iterable[tuple[Mapping[str, Any], Mapping[str, float] | None]]) -> Any:
    """The setting with the best worst-group accuracy on validation data, on average of its seeds.

    Parameters
    ----------
    outcomes : iterable of (setting, validation scores)
        One for each cell; None for scores of one that diverged, which rules its setting out.

    Returns
    -------
    dict or None
        Ties go to the better mean of the groups, then to the setting that comes first. None where
        every setting diverged with some seed.
    """
    scores: dict[tuple, list[Any]] = {}
    for setting, validation in outcomes:
        scores.setdefault(tuple(setting.items()), []).append(validation)
    best, best_score = None, (-1.0, -1.0)
    for setting, seeds in scores.items():
        if None in seeds:
            continue
        names = ("worst_group_accuracy", "mean_group_accuracy")
        # rounded: a tie must not be decided by the order of a sum
        score = tuple(round(float(np.mean([seed[n] for seed in seeds])), 9) for n in names)
        if score > best_score:
            best, best_score = dict(setting), score
    return best


def mean_ranks(scores: pd.DataFrame) -> pd.Series:
    """Mean rank of each method, as in Table 6.

    Parameters
    ----------
    scores : DataFrame
        A row for each method; columns are pairs of a data set and one of "worst", "gap" and
        "average". NaN where there is none: it is left out of the ranks of its column, and the
        column out of the method's mean.

    Returns
    -------
    Series
        1 is best; ties get the mean of their ranks.
    """
    signs = [SIGNS[metric] for _, metric in scores.columns]
    return (scores * signs).rank(ascending=False, method="average").mean(axis=1)
