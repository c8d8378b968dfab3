"""Accuracy by cell (class x sensitive attribute), and the scores that sum it up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..groups import order_of_attributes
from ._inputs import check_scored

__all__ = [
    "adjusted_average_accuracy_score",
    "cell_accuracies",
    "mean_group_accuracy_score",
    "robust_gap_score",
    "worst_group_accuracy_score",
]


def cell_accuracies(
    y_true: Any, y_pred: Any, *, groups: Any, sample_weight: Any = None
) -> pd.DataFrame:
    """Accuracy of each cell, the combination of a class and a value of the sensitive attribute.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of any kind.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    groups : array-like of shape (n_samples,) or (n_samples, n_attributes)
        Sensitive attributes; several columns stand for their combinations.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples; None weighs all the same.

    Returns
    -------
    DataFrame
        A row for each cell that has samples, indexed by its class and attribute values, with the
        columns ``accuracy``, ``count`` (samples) and ``share`` (of the samples, or of their
        weight where `sample_weight` is given).

    Raises
    ------
    MissingGroupsError
        If `groups` is None.
    GroupsError
        If `groups` has another length than `y_true`, or missing values.
    ValueError
        If the labels are missing, empty, not 1-D, of different lengths or of different types, if
        truth and prediction share none of them, if an index has the same rows in another order, or
        if the weights are negative, not finite, or zero for a whole cell.

    Warns
    -----
    DisjointLabelsWarning
        If truth or prediction has a single label, which the other lacks.
    GroupsWarning
        If the groups look like the classes, or like units.

    See Also
    --------
    group_report : The same as a table to read, with the scores that sum it up.

    Examples
    --------
    >>> from gbmix_sklearn.metrics import cell_accuracies
    >>> y_true = ["cat", "cat", "cat", "dog", "dog"]
    >>> y_pred = ["cat", "cat", "dog", "dog", "dog"]
    >>> groups = ["indoor", "indoor", "outdoor", "outdoor", "outdoor"]
    >>> cell_accuracies(y_true, y_pred, groups=groups)
                    accuracy  count  share
    target group
    cat    indoor        1.0      2    0.4
           outdoor       0.0      1    0.2
    dog    outdoor       1.0      2    0.4
    """
    scored = check_scored(y_true, y_pred, groups, sample_weight)
    cells = scored.cells
    hit = np.asarray(scored.truth == scored.predicted, dtype=bool)
    total = np.bincount(cells.codes, scored.weight, minlength=cells.n_cells)[cells.present]
    right = np.bincount(cells.codes, scored.weight * hit, minlength=cells.n_cells)[cells.present]
    return pd.DataFrame(
        {
            "accuracy": right / total,
            "count": cells.counts[cells.present],
            "share": total / total.sum(),
        },
        index=cells.index[cells.present].remove_unused_levels(),
    )


def worst_group_accuracy_score(
    y_true: Any, y_pred: Any, *, groups: Any, sample_weight: Any = None
) -> float:
    """Accuracy of the worst cell: the minimum over all cells that have samples.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of any kind.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    groups : array-like of shape (n_samples,) or (n_samples, n_attributes)
        Sensitive attributes. The cells are their values combined with the classes of `y_true`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples within their cell.

    Returns
    -------
    float
        The smallest accuracy, between 0 and 1; larger is better.

    Raises
    ------
    MissingGroupsError
        If `groups` is None.
    GroupsError
        If `groups` has another length than `y_true`, or missing values.
    ValueError
        If labels or weights cannot be scored, see :func:`cell_accuracies`.

    See Also
    --------
    robust_gap_score : Difference between the best and the worst cell.
    worst_group_accuracy_scorer : The scorer for searches.

    References
    ----------
    .. [1] S. Sagawa, P. W. Koh, T. B. Hashimoto, P. Liang, "Distributionally robust neural
       networks for group shifts", ICLR 2020. https://arxiv.org/abs/1911.08731

    Examples
    --------
    >>> from gbmix_sklearn.metrics import worst_group_accuracy_score
    >>> y_true = [0, 0, 0, 1, 1, 1]
    >>> y_pred = [0, 0, 1, 1, 1, 1]
    >>> worst_group_accuracy_score(y_true, y_pred, groups=list("aabaab"))
    0.0
    >>> worst_group_accuracy_score(y_true, y_pred, groups=list("abbaab"))
    0.5
    """
    table = cell_accuracies(y_true, y_pred, groups=groups, sample_weight=sample_weight)
    return float(table["accuracy"].min())


def robust_gap_score(y_true: Any, y_pred: Any, *, groups: Any, sample_weight: Any = None) -> float:
    """Difference between the accuracies of the best and of the worst cell.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of any kind.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    groups : array-like of shape (n_samples,) or (n_samples, n_attributes)
        Sensitive attributes. The cells are their values combined with the classes of `y_true`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples within their cell.

    Returns
    -------
    float
        The gap, between 0 and 1; smaller is better.

    Raises
    ------
    MissingGroupsError
        If `groups` is None.
    GroupsError
        If `groups` has another length than `y_true`, or missing values.
    ValueError
        If labels or weights cannot be scored, see :func:`cell_accuracies`.

    See Also
    --------
    worst_group_accuracy_score : Accuracy of the worst cell.
    robust_gap_scorer : The scorer for searches, negated.

    Notes
    -----
    A model that is equally bad everywhere has no gap; read this score beside
    :func:`worst_group_accuracy_score`.

    Examples
    --------
    >>> from gbmix_sklearn.metrics import robust_gap_score
    >>> robust_gap_score([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1], groups=list("abbaab"))
    0.5
    """
    table = cell_accuracies(y_true, y_pred, groups=groups, sample_weight=sample_weight)
    return float(table["accuracy"].max() - table["accuracy"].min())


def mean_group_accuracy_score(
    y_true: Any, y_pred: Any, *, groups: Any, sample_weight: Any = None
) -> float:
    """Mean of the accuracies of all cells that have samples, each counting the same.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of any kind.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    groups : array-like of shape (n_samples,) or (n_samples, n_attributes)
        Sensitive attributes. The cells are their values combined with the classes of `y_true`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples within their cell.

    Returns
    -------
    float
        The mean, between 0 and 1; larger is better.

    Raises
    ------
    MissingGroupsError
        If `groups` is None.
    GroupsError
        If `groups` has another length than `y_true`, or missing values.
    ValueError
        If labels or weights cannot be scored, see :func:`cell_accuracies`.

    See Also
    --------
    adjusted_average_accuracy_score : Cells weighted by their share of the training set.
    mean_group_accuracy_scorer : The scorer for searches.

    Examples
    --------
    >>> from gbmix_sklearn.metrics import mean_group_accuracy_score
    >>> mean_group_accuracy_score([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1], groups=list("abbaab"))
    0.875
    """
    table = cell_accuracies(y_true, y_pred, groups=groups, sample_weight=sample_weight)
    return float(table["accuracy"].mean())


def adjusted_average_accuracy_score(
    y_true: Any, y_pred: Any, *, groups: Any, cell_weights: Any, sample_weight: Any = None
) -> float:
    """Accuracies of the cells, weighted by the share that each cell has of the training set.

    Test sets of group-shift benchmarks are often balanced while the training set is not. This is
    the average accuracy to expect on data that are distributed as the training set is.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of any kind.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    groups : array-like of shape (n_samples,) or (n_samples, n_attributes)
        Sensitive attributes. The cells are their values combined with the classes of `y_true`.
    cell_weights : mapping, Series or DataFrame
        Weight of each cell in the training set: a mapping or Series from tuples
        ``(class, attribute value, ...)`` to weights (counts or shares), or the ``group_table_``
        of a fitted model. The weights are rescaled over the cells that `y_true` has. Attributes
        with names are matched by name.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples within their cell.

    Returns
    -------
    float
        The weighted average, between 0 and 1; larger is better.

    Raises
    ------
    MissingGroupsError
        If `groups` is None.
    GroupsError
        If `groups` has another length than `y_true`, or missing values, or if `cell_weights` has
        the names of other attributes.
    ValueError
        If `cell_weights` is None, lacks a cell of `y_true`, or has a weight that is negative or
        not finite, if all weights are zero, or if labels or sample weights cannot be scored, see
        :func:`cell_accuracies`.
    TypeError
        If `cell_weights` is neither a mapping nor a Series or DataFrame.

    See Also
    --------
    mean_group_accuracy_score : All cells count the same.
    make_group_scorer : Scorer for searches, with ``cell_weights=``.

    Notes
    -----
    A cell that the training set did not have, but that is listed with a weight of zero (as
    ``group_table_`` lists absent cells), does not count. A cell that is not listed is an error.

    References
    ----------
    .. [1] S. Sagawa, P. W. Koh, T. B. Hashimoto, P. Liang, "Distributionally robust neural
       networks for group shifts", ICLR 2020. https://arxiv.org/abs/1911.08731

    Examples
    --------
    >>> from gbmix_sklearn.metrics import adjusted_average_accuracy_score
    >>> y_true, y_pred, groups = [0, 0, 1, 1], [0, 1, 1, 1], list("abab")
    >>> weights = {(0, "a"): 70, (0, "b"): 10, (1, "a"): 10, (1, "b"): 10}
    >>> adjusted_average_accuracy_score(y_true, y_pred, groups=groups, cell_weights=weights)
    0.9
    """
    table = cell_accuracies(y_true, y_pred, groups=groups, sample_weight=sample_weight)
    return adjusted_average(table, cell_weights)


def adjusted_average(table: pd.DataFrame, cell_weights: Any) -> float:
    """Average of a table of cell accuracies, weighted by `cell_weights`."""
    weights = _cell_weights(cell_weights, table.index.names)
    missing = [cell for cell in table.index if cell not in weights]
    if missing:
        raise ValueError(
            f"cell_weights has no weight for {_listed(missing)}, which y_true has; "
            f"its cells are {_listed(weights)}"
        )
    weight = np.array([weights[cell] for cell in table.index], dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(weight) | (weight < 0))
    if len(wrong):
        raise ValueError(
            "cell_weights must be finite and not negative; "
            f"got {weight[wrong[0]]} for {plain_cell(table.index[wrong[0]])!r}"
        )
    if weight.sum() == 0:
        raise ValueError("cell_weights is zero for every cell that y_true has")
    return float(np.average(table["accuracy"].to_numpy(), weights=weight))


def plain_cell(cell: tuple) -> tuple:
    """Return a row of the index with Python's own values, which read better."""
    return tuple(value.item() if isinstance(value, np.generic) else value for value in cell)


def _listed(cells: Iterable[tuple]) -> str:
    return ", ".join(repr(plain_cell(cell)) for cell in cells)


def _cell_weights(cell_weights: Any, names: Sequence[Any]) -> dict[tuple, float]:
    """Weights by class and attribute values, these in the order of the names."""
    if cell_weights is None:
        raise ValueError(
            "cell_weights is required: give the weight of each cell in the training set, as a "
            "mapping {(class, group value): weight} or the group_table_ of a fitted model"
        )
    if isinstance(cell_weights, pd.DataFrame):
        for column in ("share", "count"):
            if column in cell_weights:
                cell_weights = cell_weights[column]
                break
        else:
            raise ValueError(
                "cell_weights has neither a column 'share' nor 'count'; "
                f"its columns are {list(cell_weights.columns)}"
            )
    if not isinstance(cell_weights, Mapping | pd.Series):
        raise TypeError(
            "cell_weights must be a mapping {(class, group value): weight}, a Series or the "
            f"group_table_ of a fitted model, got {type(cell_weights).__name__}"
        )
    if isinstance(cell_weights, pd.Series) and isinstance(cell_weights.index, pd.MultiIndex):
        theirs = cell_weights.index.names
        order = order_of_attributes(theirs[1:], names[1:], name="cell_weights", of="groups")
        cell_weights = cell_weights.reorder_levels([0, *(1 + place for place in order)])
    return dict(cell_weights.items())
