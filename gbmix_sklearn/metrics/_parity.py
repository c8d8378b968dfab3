"""Demographic parity and equalized odds of labels of any kind, on top of fairlearn."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._inputs import Scored, check_scored

__all__ = ["demographic_parity_difference", "equalized_odds_difference"]


def demographic_parity_difference(
    y_true: Any,
    y_pred: Any,
    *,
    groups: Any,
    pos_label: Any = None,
    sample_weight: Any = None,
) -> float:
    """Largest difference between two groups in the rate of a predicted class.

    fairlearn's metric of the same name reads labels as 0 and 1, and gives 0 for text without a
    word. Here labels of any kind are encoded first.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of any kind. Rates do not depend on them, but the classes do.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    groups : array-like of shape (n_samples,) or (n_samples, n_attributes)
        Sensitive attributes; several columns stand for their combinations.
    pos_label : label, default=None
        The class whose rate is compared. None takes the last of two classes, and the maximum
        over each class against the rest where there are more.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.

    Returns
    -------
    float
        The difference, between 0 and 1; smaller is better.

    Raises
    ------
    MissingGroupsError
        If `groups` is None.
    GroupsError
        If `groups` has another length than `y_true`, or missing values.
    ValueError
        If `pos_label` is no label of `y_true` or `y_pred`, or if labels or weights cannot be
        scored, see :func:`cell_accuracies`.

    See Also
    --------
    equalized_odds_difference : The same within each true class.
    demographic_parity_scorer : The scorer for searches, negated.

    References
    ----------
    .. [1] A. Agarwal, A. Beygelzimer, M. Dudík, J. Langford, H. Wallach, "A reductions approach
       to fair classification", ICML 2018. https://arxiv.org/abs/1803.02453

    Examples
    --------
    >>> from gbmix_sklearn.metrics import demographic_parity_difference
    >>> y_true = ["no", "yes", "no", "yes"]
    >>> y_pred = ["no", "yes", "yes", "yes"]
    >>> demographic_parity_difference(y_true, y_pred, groups=["f", "f", "m", "m"])
    0.5
    """
    scored = check_scored(y_true, y_pred, groups, sample_weight)
    everyone = np.ones(len(scored.truth), dtype=bool)
    return max(
        _rate_difference(scored, label, everyone) for label in _positive_labels(scored, pos_label)
    )


def equalized_odds_difference(
    y_true: Any,
    y_pred: Any,
    *,
    groups: Any,
    pos_label: Any = None,
    sample_weight: Any = None,
) -> float:
    """Largest difference between two groups in the true or false positive rate of a class.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of any kind.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    groups : array-like of shape (n_samples,) or (n_samples, n_attributes)
        Sensitive attributes; several columns stand for their combinations.
    pos_label : label, default=None
        The class whose rates are compared. None takes the last of two classes, and the maximum
        over each class against the rest where there are more.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.

    Returns
    -------
    float
        The difference, between 0 and 1; smaller is better.

    Raises
    ------
    MissingGroupsError
        If `groups` is None.
    GroupsError
        If `groups` has another length than `y_true`, or missing values.
    ValueError
        If `pos_label` is no label of `y_true` or `y_pred`, or if labels or weights cannot be
        scored, see :func:`cell_accuracies`.

    See Also
    --------
    demographic_parity_difference : Rates that do not depend on the true class.
    equalized_odds_scorer : The scorer for searches, negated.

    Notes
    -----
    fairlearn's metric of the same name counts the rate of a group without positives (or without
    negatives) as 0, so that a perfect prediction can have the worst possible difference. Here
    such a group is left out of that rate, as absent cells are everywhere in this package. Where
    every group has both, the two agree.

    References
    ----------
    .. [1] M. Hardt, E. Price, N. Srebro, "Equality of opportunity in supervised learning",
       NeurIPS 2016. https://arxiv.org/abs/1610.02413

    Examples
    --------
    >>> from gbmix_sklearn.metrics import equalized_odds_difference
    >>> y_true = ["no", "yes", "no", "yes"]
    >>> y_pred = ["no", "yes", "yes", "yes"]
    >>> equalized_odds_difference(y_true, y_pred, groups=["f", "f", "m", "m"])
    1.0
    """
    scored = check_scored(y_true, y_pred, groups, sample_weight)
    return max(
        _rate_difference(scored, label, truth)
        for label in _positive_labels(scored, pos_label)
        for truth in (_equals(scored.truth, label), ~_equals(scored.truth, label))
        if truth.any()
    )


def _equals(labels: np.ndarray, label: Any) -> np.ndarray:
    return np.fromiter((value == label for value in labels), dtype=bool, count=len(labels))


def _positive_labels(scored: Scored, pos_label: Any) -> list[Any]:
    """List the labels to take as positive, one after another."""
    known = set(scored.cells.classes)
    labels = [*scored.cells.classes, *sorted(set(scored.predicted) - known, key=str)]
    if pos_label is None:
        # for two classes the differences are the same whichever of them is positive
        return labels[-1:] if len(labels) <= 2 else labels
    if pos_label not in labels:
        raise ValueError(f"pos_label={pos_label!r} is no label of y_true or y_pred: {labels}")
    return [pos_label]


def _rate_difference(scored: Scored, label: Any, among: np.ndarray) -> float:
    """Difference between groups in how often `label` is predicted among some samples."""
    # imported on use: slow to import, and the other metrics do without it
    from fairlearn.metrics import demographic_parity_difference as fairlearn_difference

    # Each sample counts twice, which changes no rate: older versions of fairlearn fail on a group
    # of a single sample, whose weights they squeeze to a scalar.
    samples = np.repeat(np.flatnonzero(among), 2)
    predicted = _equals(scored.predicted[samples], label).astype(int)
    return float(
        fairlearn_difference(
            predicted,  # rates of predictions do not depend on the first argument
            predicted,
            sensitive_features=scored.cells.s[samples],
            sample_weight=scored.weight[samples],
        )
    )
