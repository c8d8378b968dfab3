"""Ages and races of faces, as bands and as the groups that the paper makes of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from ._adult import age_groups

__all__ = ["age_bands", "check_age_bins", "check_races", "race_groups"]

OTHERS = "Others"


def check_age_bins(age_bins: Any, starts: Collection[int]) -> list[int]:
    """Check the first ages of all age bands but the youngest.

    Parameters
    ----------
    age_bins : iterable of int
        To be checked.
    starts : collection of int
        Ages at which a band can start, ascending.

    Returns
    -------
    list of int
        The ages.

    Raises
    ------
    ValueError
        If they do not rise, or a band cannot start there.
    """
    edges = list(age_bins) if np.ndim(age_bins) == 1 else []
    rising = all(low < high for low, high in pairwise(edges))
    known = all(isinstance(edge, int | np.integer) and edge in starts for edge in edges)
    if not edges or not rising or not known:
        allowed = starts if len(starts) < 20 else f"{min(starts)} to {max(starts)}"
        raise ValueError(
            f"age_bins must be increasing whole numbers out of {allowed}; got {age_bins!r}"
        )
    return [int(edge) for edge in edges]


def age_bands(ages: Any, edges: list[int]) -> pd.Categorical:
    """Age bands, youngest first.

    Examples
    --------
    >>> age_bands([5, 20, 61], [20, 60]).tolist()
    ['<20', '20-59', '60+']
    """
    one_of_each = pd.Series([edges[0] - 1, *edges])
    names = age_groups(one_of_each, edges).tolist()
    return pd.Categorical(age_groups(pd.Series(ages), edges), categories=names)


def check_races(races: Any, known: Iterable[str]) -> list[str] | None:
    """Check the races that are to be groups of their own.

    Returns
    -------
    list of str or None
        Their names; None for all.

    Raises
    ------
    ValueError
        If one is unknown or given twice, or there is none.
    """
    known = list(known)
    if races is None:
        return None
    names = list(races) if np.ndim(races) == 1 else []
    if not names or len(set(names)) < len(names) or not all(name in known for name in names):
        raise ValueError(f"races must be different ones of {known}, or None for all; got {races!r}")
    return names


def race_groups(races: Any, known: Iterable[str], kept: list[str] | None) -> pd.Categorical:
    """Races, with all but a few merged to others.

    Examples
    --------
    >>> race_groups(["Asian", "White"], ["White", "Black", "Asian"], ["White"]).tolist()
    ['Others', 'White']
    """
    races, known = pd.Series(races, dtype=object), list(known)
    if kept is None or set(kept) == set(known):
        return pd.Categorical(races, categories=kept or known)
    names = [*kept, *([] if OTHERS in kept else [OTHERS])]
    return pd.Categorical(races.where(races.isin(kept), OTHERS), categories=names)
