"""Deep feature reweighting: a new last layer from group-balanced data.

Kirichenko et al., "Last Layer Re-Training is Sufficient for Robustness to Spurious Correlations",
ICLR 2023, https://arxiv.org/abs/2204.02937
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import sklearn
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.fixes import parse_version

from ._linear import linear_decision, set_weights

__all__ = ["DFR_C", "check_refit_classes", "refit_head"]

#: the grid of the paper's code, in the order in which ties are decided
DFR_C = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)

#: the intercept of a class without refit samples: never predicted, and finite
_NEVER = -1e9


def check_refit_classes(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the class codes that are present, of which there must be two.

    Raises
    ------
    ValueError
        If fewer than two classes have samples.
    """
    present = np.unique(y)
    if len(present) < 2:
        raise ValueError(
            "the refit needs samples of at least two classes, and the set-aside part has "
            f"{classes[present].tolist() or 'none'}: give more data, lower validation_fraction, "
            "or use refit=None"
        )
    return present


def refit_head(
    z: np.ndarray,
    y: np.ndarray,
    cells: np.ndarray,
    classes: np.ndarray,
    *,
    estimator: Any = "logistic",
    validation: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    n_draws: int = 20,
    rng: np.random.Generator,
) -> Any:
    """Fit a linear classifier on balanced draws of embeddings.

    The embeddings are standardised; every draw takes the same number from each cell, that of the
    smallest; the coefficients are the mean over `n_draws` draws, with the scaling folded back.

    Parameters
    ----------
    z : ndarray of shape (n_samples, n_features)
        Embeddings of held-out samples.
    y, cells : ndarray of shape (n_samples,)
        Class codes and cell numbers.
    classes : ndarray of shape (n_classes,)
        The labels that the codes stand for.
    estimator : "logistic" or estimator, default="logistic"
        "logistic" is the paper's recipe: L1-penalised logistic regression, C by worst-group
        accuracy. Anything else is a linear scikit-learn classifier, fitted as it is.
    validation : tuple of (z, y, cells), default=None
        Data that choose C; None takes one half of each cell to fit and the other to choose. The
        final fits use all of `z` in either case.
    n_draws : int, default=20
        Balanced draws to average.
    rng : numpy.random.Generator
        Draws the samples.

    Returns
    -------
    estimator
        A fitted linear classifier for unscaled embeddings.

    Raises
    ------
    ValueError
        If fewer than two classes have samples.
    TypeError
        If `estimator` is not linear (has no `coef_` after fitting).
    """
    present = check_refit_classes(y, classes)
    mean = z.mean(axis=0, dtype=np.float64).astype(z.dtype)
    scale = z.std(axis=0, dtype=np.float64).astype(z.dtype)
    scale[scale == 0] = 1
    everyone = np.arange(len(z))

    def fit(model: Any, pool: np.ndarray) -> Any:
        draw = _balanced_draw(pool, cells, rng)
        with warnings.catch_warnings():  # a mean of many fits: none has to be exact
            warnings.simplefilter("ignore", ConvergenceWarning)
            return clone(model).fit((z[draw] - mean) / scale, y[draw])

    if not isinstance(estimator, str) and estimator.get_params().get("random_state", 0) is None:
        estimator = clone(estimator).set_params(random_state=int(rng.integers(2**31)))
    if isinstance(estimator, str):
        pool = everyone
        if validation is None:
            pool, other = _halves(cells, rng)
            validation = (z[other], y[other], cells[other])
        z_val = (validation[0] - mean) / scale
        best = (-1.0, 0.0)
        for c in DFR_C:
            candidate = _logistic(c, len(present))
            accuracy = _worst_group(fit(candidate, pool), z_val, *validation[1:])
            if accuracy > best[0]:
                best = (accuracy, c)
        estimator = _logistic(best[1], len(present))

    fitted = [fit(estimator, everyone) for _ in range(n_draws)]
    head = fitted[-1]
    if not (hasattr(head, "coef_") and hasattr(head, "intercept_")):
        raise TypeError(
            f"refit must be a linear classifier with coef_ and intercept_, got {head!r}"
        )
    # some keep the one row of two classes without its dimension
    coef = np.atleast_2d(np.mean([model.coef_ for model in fitted], axis=0)) / scale
    intercept = np.mean([model.intercept_ for model in fitted], axis=0) - coef @ mean
    if len(present) < len(classes):
        coef, intercept = _with_absent_classes(coef, intercept, present, len(classes))
    if len(classes) > 2 and getattr(head, "solver", None) == "liblinear":
        # which has no softmax over classes, and that is what the rows stand for
        head = LogisticRegression(C=getattr(head, "C", 1.0))
        head.n_iter_ = fitted[-1].n_iter_
    return set_weights(head, coef, intercept, classes)


def _balanced_draw(pool: np.ndarray, cells: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many samples of the pool from each present cell as the smallest has."""
    shuffled = rng.permutation(pool)
    order = shuffled[np.argsort(cells[shuffled], kind="stable")]
    _, start, counts = np.unique(cells[order], return_index=True, return_counts=True)
    return order[(start[:, None] + np.arange(counts.min())).ravel()]


def _halves(cells: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two halves of each cell; a cell of one sample is in both."""
    shuffled = rng.permutation(len(cells))
    order = shuffled[np.argsort(cells[shuffled], kind="stable")]
    _, start, counts = np.unique(cells[order], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(start, counts)
    size = np.repeat(counts, counts)
    return order[place < (size + 1) // 2], order[(place >= size // 2) | (size == 1)]


def _worst_group(model: Any, z: np.ndarray, y: np.ndarray, cells: np.ndarray) -> float:
    decision = linear_decision(model, z)
    codes = decision.argmax(1) if decision.ndim == 2 else (decision > 0).astype(int)
    hits = np.bincount(cells, weights=model.classes_[codes] == y)
    counts = np.bincount(cells)
    return float((hits[counts > 0] / counts[counts > 0]).min())


def _with_absent_classes(
    coef: np.ndarray, intercept: np.ndarray, present: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    if len(present) == 2:  # one row stands for both classes: give each half of it
        coef, intercept = np.vstack([-coef, coef]) / 2, np.hstack([-intercept, intercept]) / 2
    rows = np.zeros((n_classes, coef.shape[1]))
    biases = np.full(n_classes, _NEVER)
    rows[present], biases[present] = coef, intercept
    return rows, biases


def _l1_logistic(c: float) -> LogisticRegression:
    if parse_version(sklearn.__version__) >= parse_version("1.8"):
        return LogisticRegression(C=c, solver="liblinear", l1_ratio=1.0, random_state=0)
    return LogisticRegression(C=c, solver="liblinear", penalty="l1", random_state=0)


class _OneVsRestLogistic(LogisticRegression):
    """The paper's L1 logistic regression for more than two classes, which liblinear refuses."""

    def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: Any = None) -> Any:
        self.classes_ = np.unique(y)
        rows = [_l1_logistic(self.C).fit(X, y == label, sample_weight) for label in self.classes_]
        self.coef_ = np.vstack([row.coef_ for row in rows])
        self.intercept_ = np.hstack([row.intercept_ for row in rows])
        self.n_iter_ = np.hstack([row.n_iter_ for row in rows])
        return self


def _logistic(c: float, n_classes: int) -> LogisticRegression:
    return _l1_logistic(c) if n_classes == 2 else _OneVsRestLogistic(C=c, solver="liblinear")
