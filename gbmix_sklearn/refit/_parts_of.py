"""Fitted models taken apart: what comes before the last layer, however they are wrapped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.pipeline import Pipeline

from ..balance._meta import GroupMetaClassifier

__all__ = ["embeddings_of", "last_of", "unwrapped"]


def unwrapped(estimator: Any) -> Any:
    """Return what a search has found, or what stays fitted inside of a frozen estimator."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif type(estimator).__name__ == "FrozenEstimator":  # new in scikit-learn 1.6
            estimator = estimator.estimator
        elif _moves_a_threshold(estimator):
            estimator = estimator.estimator_
        else:
            return estimator


def _moves_a_threshold(estimator: Any) -> bool:
    names = ("TunedThresholdClassifierCV", "FixedThresholdClassifier")
    return type(estimator).__name__ in names and hasattr(estimator, "estimator_")


def last_of(estimator: Any) -> Any:
    """Return the classifier at the end of pipelines, searches and what else is around it."""
    estimator = unwrapped(estimator)
    while isinstance(estimator, Pipeline | GroupMetaClassifier):
        is_pipeline = isinstance(estimator, Pipeline)
        estimator = unwrapped(estimator.steps[-1][1] if is_pipeline else estimator.estimator_)
    return estimator


def embeddings_of(estimator: Any) -> Callable[[Any], Any] | None:
    """Find what computes the embeddings that the last layer works on.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier, however it is wrapped.

    Returns
    -------
    callable or None
        The `transform` of the classifier after the steps before it. Of a classifier without that
        these steps alone, and of a linear one without any step X as it is; None of others.
    """
    estimator = unwrapped(estimator)
    if isinstance(estimator, GroupMetaClassifier):
        inner, taken_out = embeddings_of(estimator.estimator_), estimator._without_group_columns
        return None if inner is None else lambda X: inner(taken_out(X))
    if isinstance(estimator, Pipeline):
        before = estimator[:-1].transform if len(estimator) > 1 else _as_it_is
        last = unwrapped(estimator.steps[-1][1])
        if isinstance(last, Pipeline | GroupMetaClassifier) or hasattr(last, "transform"):
            after = embeddings_of(last)
        else:
            after = _as_it_is if len(estimator) > 1 else embeddings_of(last)
        return None if after is None else lambda X: after(before(X))
    if hasattr(estimator, "transform"):
        return estimator.transform
    return _as_it_is if hasattr(estimator, "coef_") else None


def _as_it_is(X: Any) -> Any:
    return X
