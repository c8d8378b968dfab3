"""Fits of copies of any classifier, and predictions of what they have not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sklearn
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import has_fit_parameter

__all__ = ["fit_parameter", "fitted_copy", "generator", "last_step", "part_of", "seeds_for"]


def last_step(estimator: Any) -> Any:
    """Return the classifier itself, which a Pipeline has at its end."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def fit_parameter(estimator: Any, name: str) -> str | None:
    """Name under which `fit` hands something to the classifier; None where it takes no such thing.

    Parameters
    ----------
    estimator : estimator
        A classifier, or a Pipeline that ends in one.
    name : str
        What the classifier calls it, such as ``"sample_weight"``.

    Returns
    -------
    str or None
        For a Pipeline with the name of the step in front.
    """
    if isinstance(estimator, Pipeline):
        step, last = estimator.steps[-1]
        inner = fit_parameter(last, name)
        return None if inner is None else f"{step}__{inner}"
    return name if has_fit_parameter(estimator, name) else None


def generator(random_state: Any) -> np.random.Generator:
    """Make a generator that leaves NumPy's global state alone."""
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31 - 1)
    return np.random.default_rng(random_state)


def seeds_for(estimator: Any, rng: np.random.Generator) -> dict[str, int]:
    """Seeds for all that has none: each fit draws the same, so that only the weights differ."""
    return {
        name: int(rng.integers(2**31 - 1))
        for name, value in sorted(estimator.get_params().items())
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    }


def fitted_copy(
    estimator: Any, seeds: Mapping[str, int], X: Any, y: np.ndarray, extra: Mapping[str, Any]
) -> Any:
    """Fit a copy of the classifier; `extra` are named arguments of its fit.

    They are named as with metadata routing off, which needs no requests of anybody.
    """
    copy = clone(estimator)
    if seeds:
        copy.set_params(**seeds)
    with sklearn.config_context(enable_metadata_routing=False):
        return copy.fit(X, y, **{name: value for name, value in extra.items() if value is not None})


def part_of(estimator: Any, X: Any, rows: np.ndarray, train: np.ndarray | None = None) -> Any:
    """Take some rows of X; of a matrix of pairs the columns of the training rows as well."""
    return _safe_split(estimator, X, None, rows, train)[0]
