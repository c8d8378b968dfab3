"""Samples that belong together (photographs of a person), never on two sides of a split."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..exceptions import GroupsWarning, LargeUnitWarning
from ..groups import Cells, check_same_order, hint_at_units

__all__ = [
    "Units",
    "check_units",
    "divide_units",
    "encode_units",
    "refuse_single_unit",
    "units_in_each_cell",
    "warn_of_units_as_groups",
]

#: how many times its share of the samples a part may have before the unit in it is reported
_LARGE = 1.5


@dataclass(frozen=True)
class Units:
    """Which samples belong together.

    Attributes
    ----------
    codes : ndarray of shape (n_samples,), dtype int64
        The unit of each sample, numbered in order of appearance.
    values : sequence of length n_units
        What the units are called.
    """

    codes: np.ndarray
    values: Sequence[Any]

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def counts(self) -> np.ndarray:
        """Samples in each unit, shape (n_units,)."""
        return np.bincount(self.codes, minlength=len(self))

    def take(self, indices: np.ndarray) -> Units:
        """Restrict to a part of the samples; units without any are gone."""
        codes, present = pd.factorize(self.codes[indices])
        return Units(codes.astype(np.int64), [self.values[unit] for unit in present])

    @property
    def largest(self) -> str:
        """Name and size of the unit with the most samples."""
        unit = int(self.counts.argmax())
        return f"{self.values[unit]!r} ({self.counts[unit]:,} of {len(self.codes):,} samples)"


def encode_units(
    keep_together: Any,
    n_samples: int,
    *,
    beside: Mapping[str, Any] | None = None,
    name: str = "keep_together",
    of: str = "X",
) -> Units:
    """Encode which samples belong together.

    Parameters
    ----------
    keep_together : array-like of shape (n_samples,)
        For each sample a value of any type; equal values belong together.
    n_samples : int
        The number of samples there must be.
    beside : mapping of str to object, default=None
        What the samples were given as, by name, whose index must not be that of `keep_together` in
        another order.
    name, of : str
        What messages call the units and the data that they belong to.

    Returns
    -------
    Units
        Codes and names of the units.

    Raises
    ------
    ValueError
        If the length is not `n_samples`, a value is missing, there are several columns, or the
        index is a permutation.
    TypeError
        If `keep_together` is no array-like.

    Examples
    --------
    >>> encode_units(["p7", "p2", "p7"], 3).codes
    array([0, 1, 0])
    """
    column = _as_column(keep_together, name)
    if len(column) != n_samples:
        raise ValueError(
            f"{name} has {len(column)} entries for {n_samples} samples; give one for each row of "
            f"{of}, equal where samples belong together"
        )
    check_same_order(**(beside or {}), **{name: keep_together})
    missing = np.flatnonzero(column.isna().to_numpy())
    if len(missing):
        raise ValueError(
            f"{name} has {len(missing)} missing value(s), the first at row {missing[0]}; give a "
            "sample that belongs to no other a value of its own (such as the number of its row), "
            "or drop such rows"
        )
    codes, values = pd.factorize(column)
    # as Python's own values, which messages show as their users wrote them
    return Units(codes.astype(np.int64), np.asarray(values, dtype=object).tolist())


def _as_column(keep_together: Any, name: str) -> pd.Series:
    if isinstance(keep_together, pd.DataFrame):
        shape: tuple[int, ...] = keep_together.shape
        column = keep_together.iloc[:, 0] if shape[1] == 1 else None
    elif isinstance(keep_together, pd.Series | pd.Index | pd.Categorical):
        shape, column = np.shape(keep_together), pd.Series(keep_together)
    elif isinstance(keep_together, str | bytes | dict) or not hasattr(keep_together, "__len__"):
        raise TypeError(
            f"{name} must be an array or Series with one value for each sample, "
            f"got {type(keep_together).__name__}"
        )
    else:
        array = np.asarray(keep_together)
        if not isinstance(keep_together, np.ndarray) and array.dtype.kind in "US":
            # a list such as ["a", 1, None] would become text: keep its values as they are
            array = np.array(keep_together, dtype=object)
        shape = array.shape
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        column = pd.Series(array) if array.ndim == 1 else None
    if column is None:
        raise ValueError(
            f"{name} must be 1-D, got shape {shape}: give one column, in which samples have equal "
            "values where they belong together in any way"
        )
    return column


def check_units(
    units: Units, cells: Cells, shares: Sequence[float], *, purpose: str, stacklevel: int
) -> None:
    """Check that units can be divided, and say where one is too large for its part.

    Parameters
    ----------
    units : Units
        What is kept whole.
    cells : Cells
        The cells of the same samples.
    shares : sequence of float
        Shares of the parts, with sum 1.
    purpose : str
        What the parts are for, such as ``"n_splits=5 folds"``.
    stacklevel : int
        Where warnings point, seen from the caller.

    Raises
    ------
    ValueError
        If there are fewer units than parts, or none of the cells has samples of two units.

    Warns
    -----
    LargeUnitWarning
        If a unit has far more samples than any part should.
    """
    if len(units) < len(shares):
        raise ValueError(
            f"keep_together has {len(units)} unit(s) for {purpose}, and every part needs one; the "
            f"largest is {units.largest}. Use fewer parts, or finer units if these hold samples "
            "that need not stay together"
        )
    if (units_in_each_cell(cells, units)[cells.present] < 2).all():
        raise ValueError(
            "every cell (class x group) has all its samples in a single unit of keep_together, so "
            f"that none can be on both sides; the largest unit is {units.largest}. Samples belong "
            "together where they show the same person or thing; a class or a group is no unit"
        )
    if units.counts.max() > _LARGE * max(shares) * len(units.codes):
        warnings.warn(
            f"the unit {units.largest} of keep_together is larger than a part should be for "
            f"{purpose}, and stays whole: sizes are uneven. If it stands for unknown units, give "
            "each such sample a value of its own",
            LargeUnitWarning,
            stacklevel=stacklevel + 1,
        )


def refuse_single_unit(units: Units) -> None:
    """Refuse units of which none can be held out.

    Raises
    ------
    ValueError
        If there is only one.
    """
    if len(units) < 2:
        raise ValueError(
            f"keep_together has a single unit, {units.largest}, so that nothing can be held out to "
            "judge a fit: give samples that belong to no other a value of their own, or leave "
            "keep_together out"
        )


def units_in_each_cell(cells: Cells, units: Units) -> np.ndarray:
    """Count the units that have samples in each cell, shape (n_cells,)."""
    pairs = np.unique(cells.codes * len(units) + units.codes)
    return np.bincount(pairs // max(len(units), 1), minlength=cells.n_cells)


def warn_of_units_as_groups(cells: Cells, *, stacklevel: int) -> None:
    """Warn where the groups look like persons or other units."""
    if hint := hint_at_units(cells):
        warnings.warn(hint, GroupsWarning, stacklevel=stacklevel + 1)


def divide_units(
    cell_codes: np.ndarray,
    unit_codes: np.ndarray,
    shares: Sequence[float] | np.ndarray,
    rng: Any = None,
    *,
    keeps: int | None = None,
) -> np.ndarray:
    """Divide samples into parts, each with its share of every cell and with whole units only.

    Parameters
    ----------
    cell_codes : ndarray of shape (n_samples,), dtype int
        Cell of each sample, counted from 0.
    unit_codes : ndarray of shape (n_samples,), dtype int
        Unit of each sample.
    shares : sequence of float
        Share of each part, above 0, with sum 1.
    rng : numpy Generator or RandomState, default=None
        Decides among units that are alike. None takes them in the order of their codes.
    keeps : int, default=None
        The part that comes first where a cell has fewer units than there are parts, such as that
        of the training data.

    Returns
    -------
    ndarray of shape (n_samples,), dtype int64
        Number of each sample's part.

    Notes
    -----
    Units are placed one by one, those first that hold the largest share of a cell, each where it
    leaves the least squared distance to the shares of cells and of the whole; distances are
    relative to the sizes of cells, so that rare cells weigh most. A cell that has as many units
    left as there are parts without it goes to these parts, whatever the distances are.

    Examples
    --------
    >>> person = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    >>> divide_units(np.array([0, 1] * 4), person, [0.5, 0.5])
    array([0, 0, 1, 1, 0, 0, 1, 1])
    """
    shares = np.asarray(shares, dtype=float)
    unit_codes = np.unique(unit_codes, return_inverse=True)[1]  # of a part of the samples, say
    starts, members, counts = _contents(np.asarray(cell_codes), unit_codes)
    n_units = len(starts) - 1
    # equal shares stay equal to the last bit whatever the sum is, so that ties are ties
    filling = _Filling(members, counts, shares / shares.sum(), keeps)
    size = np.add.reduceat(filling.weights[members] * counts**2, starts[:-1])
    shuffled = np.arange(n_units) if rng is None else rng.permutation(n_units)
    order = shuffled[np.argsort(-size[shuffled], kind="stable")]
    part = np.empty(n_units, dtype=np.int64)
    for unit in order:
        inside = slice(starts[unit], starts[unit + 1])
        part[unit] = filling.put(members[inside], counts[inside])
    return part[unit_codes]


def _contents(
    cell_codes: np.ndarray, unit_codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each unit the cells in it and their samples, one unit after the other.

    The whole is a last cell of its own, so that sizes of parts are evened out as cells are.

    Returns
    -------
    starts : ndarray of shape (n_units + 1,)
        Where each unit begins in the others.
    members, counts : ndarray
        Cells, and samples in them.
    """
    n_cells = int(cell_codes.max()) + 1
    pairs, counts = np.unique(
        np.concatenate(
            [
                unit_codes * (n_cells + 1) + cell_codes,
                unit_codes * (n_cells + 1) + n_cells,
            ]
        ),
        return_counts=True,
    )
    unit, members = np.divmod(pairs, n_cells + 1)
    starts = np.searchsorted(unit, np.arange(int(unit_codes.max()) + 2))
    return starts, members, counts


class _Filling:
    """Parts while they are filled with units.

    Parameters
    ----------
    members, counts : ndarray
        Contents of all units, see :func:`_contents`.
    shares : ndarray of shape (n_parts,)
        Shares of the parts, with sum 1.
    keeps : int or None
        The part that comes first where a cell has few units.
    """

    def __init__(
        self, members: np.ndarray, counts: np.ndarray, shares: np.ndarray, keeps: int | None
    ):
        total = np.bincount(members, weights=counts)
        self.weights = 1 / np.maximum(total, 1) ** 2
        self._shares = shares
        self._keeps = keeps
        self._excess = -np.outer(total, shares)  # samples beyond the share of each part
        self._lacks = np.ones((len(total), len(shares)), dtype=bool)
        self._n_lacking = np.full(len(total), len(shares))
        self._left = np.bincount(members)  # units that are still to come

    def put(self, members: np.ndarray, counts: np.ndarray) -> int:
        """Put a unit where it fits best, and say where that is."""
        part = self._best(members, counts)
        self._excess[members, part] += counts
        self._n_lacking[members] -= self._lacks[members, part]
        self._lacks[members, part] = False
        self._left[members] -= 1
        return part

    def _best(self, members: np.ndarray, counts: np.ndarray) -> int:
        # what the weighted squared distances grow by, of each part relative to its share
        growth = 2 * self._excess[members] + counts[:, None]
        cost = ((self.weights[members] * counts)[:, None] * growth).sum(axis=0) / self._shares
        lacking = self._n_lacking[members]
        urgent = (lacking > 0) & (self._left[members] <= lacking)
        if urgent.any():
            lacks = self._lacks[members[urgent]]
            needed = lacks.sum(axis=0)
            if urgent[-1]:  # the whole, which no part may lack in the end
                needed[~lacks[-1]] = 0
            if self._keeps is not None and needed[self._keeps]:
                return self._keeps
            cost[needed < needed.max()] = np.inf
        return int(cost.argmin())
