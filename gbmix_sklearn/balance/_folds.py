"""Which samples each of several fits does not see."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
from sklearn.model_selection import check_cv

from ..exceptions import SmallCellWarning
from ..groups import FEW_SAMPLES, Cells
from ..model_selection import SubgroupStratifiedKFold

__all__ = ["FEW_SAMPLES", "held_out_splits", "warn_of_few_samples"]

Splits = list[tuple[np.ndarray, np.ndarray]]


def held_out_splits(
    cv: Any, X: Any, y: Any, groups: Any, cells: Cells, *, keep_together: Any = None, seed: int = 0
) -> Splits:
    """Split training data so that each part is predicted by a fit that has not seen it.

    Parameters
    ----------
    cv : int, splitter, iterable of splits or None
        The number of folds stratified by cell (None is 5), or other splits.
    X, y, groups : array-like
        The training data.
    cells : Cells
        Their cells.
    keep_together : array-like of shape (n_samples,), default=None
        Samples with the same value stay on the same side of each split.
    seed : int, default=0
        Seed of the folds.

    Returns
    -------
    list of (train, test)
        Indices, the same in every use.

    Raises
    ------
    ValueError
        If there are fewer samples than folds, no cell has two samples, or the splitter does not
        know `keep_together`.
    """
    if cv is None or isinstance(cv, int | np.integer):
        cv = _folds_by_cell(5 if cv is None else int(cv), cells, keep_together is not None, seed)
    else:
        cv = check_cv(cv, y, classifier=True)
    together = {} if keep_together is None else {"keep_together": keep_together}
    if together and "keep_together" not in inspect.signature(cv.split).parameters:
        raise ValueError(
            f"cv={cv!r} does not know keep_together: give a number of folds, or a splitter or "
            "splits that keep samples together themselves"
        )
    with warnings.catch_warnings():
        # a small cell is told of once, in its own words
        warnings.simplefilter("ignore", SmallCellWarning)
        # scikit-learn's splitters that have no use for groups
        warnings.filterwarnings("ignore", "The groups parameter is ignored")
        # and those that stratify by class, of tiny classes
        warnings.filterwarnings("ignore", "The least populated class")
        splits = list(cv.split(X, y, groups, **together))
    splits = [(_as_indices(train), _as_indices(test)) for train, test in splits]
    if not sum(len(test) for _, test in splits):
        raise ValueError(f"cv={cv!r} holds no samples out")
    return splits


def _folds_by_cell(n_splits: int, cells: Cells, of_units: bool, seed: int) -> Any:
    n_samples = len(cells.y)
    if n_samples < n_splits:
        raise ValueError(
            f"cv={n_splits} folds need as many samples, and n_samples={n_samples}: "
            "give more data, or a smaller cv"
        )
    if not of_units:  # of a few samples: no more folds than the largest cell can fill
        largest = int(cells.counts.max())
        if largest < 2:
            raise ValueError(
                "no cell (class x group) has two samples, so that none can be learned from some "
                "and judged by others: give more data, or groups with fewer values"
            )
        n_splits = min(n_splits, largest)
    return SubgroupStratifiedKFold(n_splits, shuffle=True, random_state=seed)


def _as_indices(part: Any) -> np.ndarray:
    part = np.asarray(part)
    return np.flatnonzero(part) if part.dtype == bool else part


def warn_of_few_samples(held_out: Cells, *, stacklevel: int) -> None:
    """Say which cells have too few samples to show an error of their own.

    Warns
    -----
    SmallCellWarning
        If a cell has fewer than 10 samples.
    """
    few = [cell for cell in held_out.present if held_out.counts[cell] < FEW_SAMPLES]
    if not few:
        return
    named = "; ".join(f"{held_out.labels[cell]} ({held_out.counts[cell]})" for cell in few[:5])
    rest = f"; and {len(few) - 5} more" if len(few) > 5 else ""
    warnings.warn(
        f"These cells have fewer than {FEW_SAMPLES} samples to judge them by, so that mostly the "
        f"error of their class stands for them: {named}{rest}",
        SmallCellWarning,
        stacklevel=stacklevel + 1,
    )
