"""Folds and splits stratified by cell (class x sensitive attribute)."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import _safe_indexing, check_random_state, indexable

from ..exceptions import MissingGroupsError, SmallCellWarning
from ..groups import Cells, check_same_order, hint_at_units, make_cells, take_groups
from ._units import (
    Units,
    check_units,
    divide_units,
    encode_units,
    units_in_each_cell,
    warn_of_units_as_groups,
)

__all__ = [
    "SubgroupStratifiedKFold",
    "allocate_per_cell",
    "draw_per_cell",
    "subgroup_train_test_split",
]


def allocate_per_cell(counts: Any, size: int) -> np.ndarray:
    """How many of `size` samples to take from each cell, by the largest remainder.

    Parameters
    ----------
    counts : array-like of shape (n_cells,), dtype int
        Samples in each cell.
    size : int
        Samples to take in all.

    Returns
    -------
    ndarray of shape (n_cells,), dtype int64
        In proportion to `counts`, as nearly as whole numbers can be. A cell of one sample is left
        where it is. A larger one gives at least one sample and keeps at least one, unless `size`
        is too small for the first or too large for the second. The sum is `size`, unless that is
        more than the cells of two samples or more have together.

    Examples
    --------
    >>> allocate_per_cell([90, 8, 2, 1], 25)
    array([22,  2,  1,  0])
    """
    counts = np.asarray(counts, dtype=np.int64)
    lower = (counts >= 2).astype(np.int64)
    upper = np.where(counts >= 2, counts - 1, 0)
    if size < lower.sum():
        lower[:] = 0
    if size > upper.sum():
        upper = np.where(counts >= 2, counts, 0)
    size = min(int(size), int(upper.sum()))
    total = max(int(counts.sum()), 1)
    part = np.clip(counts * size // total, lower, upper)
    while short := size - int(part.sum()):
        step = 1 if short > 0 else -1
        movable = part < upper if step > 0 else part > lower
        # distance from the exact share, times the total to stay with whole numbers
        distance = step * (counts * size - part * total)
        part[np.argmax(np.where(movable, distance, np.iinfo(np.int64).min))] += step
    return part


def draw_per_cell(codes: np.ndarray, sizes: np.ndarray, rng: Any) -> np.ndarray:
    """Draw ``sizes[cell]`` samples of each cell without replacement.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), dtype int
        Cell of each sample.
    sizes : ndarray of shape (n_cells,), dtype int
        Samples to draw from each cell.
    rng : numpy Generator or RandomState
        Source of the randomness.

    Returns
    -------
    ndarray of shape (n_samples,), dtype bool
        True for the samples drawn.
    """
    order = np.lexsort((rng.random(len(codes)), codes))  # by cell, at random within
    counts = np.bincount(codes, minlength=len(sizes))
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    drawn = np.zeros(len(codes), dtype=bool)
    drawn[order] = rank < np.repeat(sizes, counts)
    return drawn


def _generator(random_state: Any) -> Any:
    # scikit-learn reads None as NumPy's global state; a fresh one leaves that untouched
    return np.random.default_rng() if random_state is None else check_random_state(random_state)


def _name_cells(
    cells: Cells, mask: np.ndarray, most: int = 5, *, sizes: np.ndarray | None = None
) -> str:
    """Names and sizes of the cells in a mask over all cells, the first few of many."""
    sizes = cells.counts if sizes is None else sizes
    numbers_ = np.flatnonzero(mask)
    names = [f"{cells.labels[cell]} ({sizes[cell]})" for cell in numbers_[:most]]
    rest = len(numbers_) - len(names)
    return "; ".join(names) + (f"; and {rest} more" if rest else "")


class SubgroupStratifiedKFold(BaseCrossValidator):
    """K folds, each with its share of every cell (class x sensitive attribute).

    The samples of each cell are spread evenly over the folds, so that every group is on both
    sides of every split. This is the opposite of ``GroupKFold``, which keeps groups apart. What
    must be kept apart, such as the photographs of one person, is named by ``keep_together`` of
    :meth:`split`.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=False
        Whether to shuffle the samples of each cell first. Otherwise each fold takes a block of
        consecutive samples of each cell.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffle; an int gives the same folds at each call. Only with `shuffle`.
    group_columns : column name or list of them, default=None
        Columns of the DataFrame `X` that hold the sensitive attributes. None takes the `groups`
        that are passed.

    Raises
    ------
    ValueError
        If `n_splits` is no integer of 2 or more, or `random_state` is set without `shuffle`.
    TypeError
        If `shuffle` is no bool.

    See Also
    --------
    subgroup_train_test_split : A single split.
    sklearn.model_selection.StratifiedKFold : Folds stratified by class only.

    Notes
    -----
    Searches hand their ``groups`` to the splitter with metadata routing on (groups are requested
    by default) and off alike. ``cross_validate`` and its like take them as
    ``params={"groups": groups}`` with routing on, as ``groups=groups`` with routing off.

    The sizes of the folds differ by at most one sample, and so do the parts of each cell. With
    ``keep_together`` they are as even as placing one unit after the other makes them, large units
    and those of rare cells first.

    Searches hand ``keep_together`` on with metadata routing on. With routing off only ``groups``
    reach the splitter: give the search the splits themselves, as
    ``cv=list(SubgroupStratifiedKFold(5).split(X, y, groups, keep_together))``.

    Examples
    --------
    >>> import numpy as np
    >>> from gbmix_sklearn.model_selection import SubgroupStratifiedKFold
    >>> X = np.zeros((8, 1))
    >>> y = [0, 0, 0, 0, 1, 1, 1, 1]
    >>> groups = ["a", "a", "b", "b", "a", "a", "b", "b"]
    >>> folds = SubgroupStratifiedKFold(2)
    >>> for train, test in folds.split(X, y, groups):
    ...     print(train, test)
    [1 3 5 7] [0 2 4 6]
    [0 2 4 6] [1 3 5 7]
    >>> folds
    SubgroupStratifiedKFold(group_columns=None, n_splits=2, random_state=None, shuffle=False)

    Two photographs of each person, which stay together:

    >>> person = ["p", "q", "p", "q", "r", "s", "r", "s"]
    >>> for train, test in folds.split(X, y, ["a"] * 8, keep_together=person):
    ...     print([person[row] for row in test])
    ['p', 'p', 'r', 'r']
    ['q', 'q', 's', 's']
    """

    # as scikit-learn's own group splitters: these are routed here without being asked for
    __metadata_request__split = {"groups": True, "keep_together": True}

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = False,
        random_state: Any = None,
        group_columns: Any = None,
    ):
        if not _is_integer(n_splits) or n_splits < 2:
            raise ValueError(f"n_splits must be an integer of 2 or more, got {n_splits!r}")
        if not isinstance(shuffle, bool):
            raise TypeError(f"shuffle must be True or False, got {shuffle!r}")
        if random_state is not None and not shuffle:
            raise ValueError("random_state has no effect without shuffle=True; leave it out")
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state
        self.group_columns = group_columns

    def get_n_splits(
        self, X: Any = None, y: Any = None, groups: Any = None, keep_together: Any = None
    ) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups, keep_together : object
            Not used, present for compatibility.

        Returns
        -------
        int
            The number of folds.
        """
        return self.n_splits

    def split(
        self, X: Any, y: Any = None, groups: Any = None, keep_together: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate indices of the training and test part of each fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples; only their number counts, unless `group_columns` is set.
        y : array-like of shape (n_samples,)
            Class labels.
        groups : array-like of shape (n_samples,) or (n_samples, n_attributes), default=None
            Sensitive attributes; required unless `group_columns` is set.
        keep_together : array-like of shape (n_samples,), default=None
            What samples belong to, such as the person or the lesion that a photograph shows:
            samples of equal values are in the same fold. A unit may have samples of several cells.

        Yields
        ------
        train, test : ndarray
            Indices of the two parts, ascending.

        Raises
        ------
        MissingGroupsError
            If there are no groups.
        GroupsError
            If groups and `group_columns` are both given, or the groups do not fit `y`.
        ValueError
            If `y` is missing or does not fit `X`, or every cell has fewer samples than folds; if
            `keep_together` does not fit `X`, has missing values or fewer units than folds, or
            holds each cell in a single unit.

        Warns
        -----
        SmallCellWarning
            If some cell has fewer samples, or units, than there are folds.
        LargeUnitWarning
            If a unit is far larger than a fold should be.
        GroupsWarning
            If the groups look like units: many values of few samples.
        """
        folds = self._fold_of_each_sample(X, y, groups, keep_together)
        for fold in range(self.n_splits):
            yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)

    def _fold_of_each_sample(self, X: Any, y: Any, groups: Any, keep_together: Any) -> np.ndarray:
        groups = take_groups(X, groups, self.group_columns)
        if groups is None:
            raise MissingGroupsError(
                f"{type(self).__name__} needs groups and got none. Pass groups=... to the search "
                "(with sklearn.set_config(enable_metadata_routing=True) they reach the scorer as "
                "well), or name the columns of the DataFrame X that hold them: "
                f"{type(self).__name__}(group_columns='column')"
            )
        if y is None:
            raise ValueError(f"{type(self).__name__} needs y, it stratifies by class and group")
        indexable(X, y)
        check_same_order(X=X, y=y, groups=groups)
        cells = make_cells(y, groups)
        if keep_together is not None:
            units = encode_units(keep_together, len(cells.y), beside={"X": X, "y": y})
            return self._folds_of_units(cells, units)
        self._check_cell_sizes(cells)
        warn_of_units_as_groups(cells, stacklevel=3)
        # cells in order of appearance: the folds do not depend on what labels are called
        _, first, cell = np.unique(cells.codes, return_index=True, return_inverse=True)
        cell = np.argsort(np.argsort(first))[cell]
        within = np.arange(len(cell))
        if self.shuffle:
            within = _generator(self.random_state).random(len(cell))
        order = np.lexsort((within, cell))
        # dealing the sorted samples out in turn evens out the cells and the folds at once;
        # sorting within the cell then makes blocks of it
        dealt = np.arange(len(cell)) % self.n_splits
        folds = np.empty(len(cell), dtype=np.int64)
        folds[order] = dealt[np.lexsort((dealt, cell[order]))]
        return folds

    def _folds_of_units(self, cells: Cells, units: Units) -> np.ndarray:
        shares = [1 / self.n_splits] * self.n_splits
        check_units(units, cells, shares, purpose=f"n_splits={self.n_splits} folds", stacklevel=4)
        n_units = units_in_each_cell(cells, units)
        few = (n_units > 0) & (n_units < self.n_splits)
        if few.any():
            warnings.warn(
                f"These cells are in fewer units of keep_together than n_splits={self.n_splits}, "
                "so that some folds do not test them (or, of a single unit, do not train on "
                f"them): {_name_cells(cells, few, sizes=n_units)}",
                SmallCellWarning,
                stacklevel=5,
            )
        warn_of_units_as_groups(cells, stacklevel=4)
        rng = _generator(self.random_state) if self.shuffle else None
        return divide_units(cells.codes, units.codes, shares, rng)

    def _check_cell_sizes(self, cells: Cells) -> None:
        small = (cells.counts > 0) & (cells.counts < self.n_splits)
        if small[cells.present].all():
            raise ValueError(
                f"n_splits={self.n_splits} is more than the samples of any cell (class x group): "
                f"{_name_cells(cells, small)}{_after_stop(hint_at_units(cells))}"
            )
        if small.any():
            warnings.warn(
                f"These cells have fewer samples than n_splits={self.n_splits}, so that some "
                f"folds do not test them: {_name_cells(cells, small)}",
                SmallCellWarning,
                stacklevel=4,
            )


def subgroup_train_test_split(
    X: Any,
    y: Any,
    groups: Any,
    *,
    keep_together: Any = None,
    test_size: float = 0.25,
    random_state: Any = None,
) -> tuple[Any, ...]:
    """Split into training and test data, with every cell on both sides.

    Parameters
    ----------
    X : array-like, DataFrame, sparse matrix, memory map or list
        Samples.
    y : array-like of shape (n_samples,)
        Class labels.
    groups : array-like of shape (n_samples,) or (n_samples, n_attributes)
        Sensitive attributes.
    keep_together : array-like of shape (n_samples,), default=None
        What samples belong to, such as the person or the lesion that a photograph shows: samples
        of equal values are on the same side. A unit may have samples of several cells.
    test_size : float or int, default=0.25
        Share of the samples in the test part, between 0 and 1 and rounded up, or their number.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw; an int gives the same split at each call. NumPy's global random state
        is neither read nor changed.

    Returns
    -------
    X_train, X_test, y_train, y_test, groups_train, groups_test
        Parts of the same types as what was given, their rows in the original order. Parts of a
        memory map are arrays in memory, which is how NumPy selects rows. With `keep_together` its
        two parts follow, so that there are eight.

    Raises
    ------
    MissingGroupsError
        If `groups` is None.
    GroupsError
        If `groups` has another length than `y`, or missing values.
    ValueError
        If `test_size` leaves one of the parts empty, if `X` and `y` differ in length, or if no
        cell has two samples; if `keep_together` does not fit `X`, has missing values, or holds
        each cell in a single unit.
    TypeError
        If `test_size` is no number.

    Warns
    -----
    SmallCellWarning
        If a cell is on one side only: a cell of a single sample stays in the training part, and
        a very small or very large test part may not have room for all cells.
    LargeUnitWarning
        If a unit is far larger than the larger part should be.
    GroupsWarning
        If the groups look like units: many values of few samples.

    See Also
    --------
    SubgroupStratifiedKFold : Several splits, for cross-validation.
    sklearn.model_selection.train_test_split : Can stratify by class, not by class and group.

    Notes
    -----
    The test part has the size asked for, with each cell's part in proportion to its size (largest
    remainder). It is smaller only if all cells of more than one sample together are. With
    `keep_together` sizes are as near to that as whole units come; a cell of a single unit is
    trained on.

    Examples
    --------
    >>> import numpy as np
    >>> from gbmix_sklearn.model_selection import subgroup_train_test_split
    >>> X = np.arange(8).reshape(8, 1)
    >>> y = ["cat"] * 4 + ["dog"] * 4
    >>> groups = ["indoor", "outdoor"] * 4
    >>> X_train, X_test, y_train, y_test, groups_train, groups_test = subgroup_train_test_split(
    ...     X, y, groups, test_size=0.5, random_state=0
    ... )
    >>> list(zip(y_test, groups_test))
    [('cat', 'indoor'), ('cat', 'outdoor'), ('dog', 'indoor'), ('dog', 'outdoor')]

    Photographs of the same animal stay together:

    >>> animal = ["Tom", "Tom", "Kit", "Kit", "Rex", "Rex", "Bob", "Bob"]
    >>> *_, animal_train, animal_test = subgroup_train_test_split(
    ...     X, y, groups, keep_together=animal, test_size=0.5, random_state=0
    ... )
    >>> animal_train, animal_test
    (['Kit', 'Kit', 'Rex', 'Rex'], ['Tom', 'Tom', 'Bob', 'Bob'])
    """
    if groups is None:
        raise MissingGroupsError(
            "groups is required: give the value of the sensitive attribute of each sample; "
            "sklearn.model_selection.train_test_split splits without groups"
        )
    X, y, groups = indexable(X, y, groups)
    check_same_order(X=X, y=y, groups=groups)
    cells = make_cells(y, groups)
    n_test = _n_test(test_size, len(cells.y))
    arrays = [X, y, groups]
    if keep_together is None:
        drawn = _draw_samples(cells, n_test, _generator(random_state))
    else:
        units = encode_units(keep_together, len(cells.y), beside={"X": X, "y": y})
        arrays += indexable(keep_together)
        drawn = _draw_units(cells, units, n_test, _generator(random_state))
    warn_of_units_as_groups(cells, stacklevel=2)
    train, test = np.flatnonzero(~drawn), np.flatnonzero(drawn)
    return tuple(_safe_indexing(array, side) for array in arrays for side in (train, test))


def _draw_samples(cells: Cells, n_test: int, rng: Any) -> np.ndarray:
    """Draw the test part sample by sample."""
    sizes = allocate_per_cell(cells.counts, n_test)
    if sizes.sum() == 0:
        raise ValueError(
            "no cell (class x group) has two samples, so that none can be on both sides: "
            f"{_name_cells(cells, cells.counts > 0)}{_after_stop(hint_at_units(cells))}"
        )
    one_sided = (cells.counts > 0) & ((sizes == 0) | (sizes == cells.counts))
    if one_sided.any():
        warnings.warn(
            "These cells have too few samples for both parts of the split and are in one of them "
            f"only, those of a single sample in the training part: {_name_cells(cells, one_sided)}",
            SmallCellWarning,
            stacklevel=3,
        )
    return draw_per_cell(cells.codes, sizes, rng)


def _draw_units(cells: Cells, units: Units, n_test: int, rng: Any) -> np.ndarray:
    """Draw the test part unit by unit."""
    share = n_test / len(cells.y)
    shares = [1 - share, share]
    check_units(units, cells, shares, purpose="the two parts of the split", stacklevel=3)
    drawn = divide_units(cells.codes, units.codes, shares, rng, keeps=0) == 1
    tested = np.bincount(cells.codes[drawn], minlength=cells.n_cells)
    one_sided = (cells.counts > 0) & ((tested == 0) | (tested == cells.counts))
    if one_sided.any():
        n_units = units_in_each_cell(cells, units)
        warnings.warn(
            "These cells are in too few units of keep_together for both parts of the split and "
            "are in one of them only, those of a single unit in the training part: "
            f"{_name_cells(cells, one_sided, sizes=n_units)}",
            SmallCellWarning,
            stacklevel=3,
        )
    return drawn


def _after_stop(sentence: str) -> str:
    return f". {sentence}" if sentence else ""


def _is_integer(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_)


def _n_test(test_size: Any, n_samples: int) -> int:
    if _is_integer(test_size):
        size = int(test_size)
    elif isinstance(test_size, bool | np.bool_) or not isinstance(test_size, float | np.floating):
        raise TypeError(f"test_size must be a float or an int, got {test_size!r}")
    elif 0 < test_size < 1:
        size = math.ceil(test_size * n_samples)
    else:
        raise ValueError(f"test_size must be an int, or a float between 0 and 1, got {test_size}")
    if not 0 < size < n_samples:
        raise ValueError(
            f"test_size={test_size} of {n_samples} samples leaves one of the two parts empty"
        )
    return size
