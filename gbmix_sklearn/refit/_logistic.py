"""Weighted logistic regressions on the same samples, all fitted at once."""

from __future__ import annotations

import math
from copy import copy
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import expit, softmax

__all__ = ["LogisticFits", "Weights", "predict_codes"]

#: features up to which their second moment is factorised
_MAX_FACTORISED = 4096
#: samples for each feature that are enough for an estimate of that moment
_ROWS_PER_FEATURE = 4
#: multiplications up to which all samples are taken for it
_MULTIPLICATIONS = 8 * 10**9
#: upper bound of the curvature of the logistic loss in its logits
_CURVATURE = 0.25


class Weights(NamedTuple):
    """Weights of several linear layers for the same features.

    Attributes
    ----------
    coef : ndarray of shape (n_fits, n_rows, n_features)
        One row for two classes.
    intercept : ndarray of shape (n_fits, n_rows)
    """

    coef: np.ndarray
    intercept: np.ndarray

    def logits(self, X: np.ndarray, fit: int) -> np.ndarray:
        """Compute the logits of one of the layers, of shape (n_samples, n_rows)."""
        logits = X @ self.coef[fit].T.astype(X.dtype, copy=False)
        return logits + self.intercept[fit].astype(X.dtype)


def predict_codes(logits: np.ndarray) -> np.ndarray:
    """Class codes by the sign of a single logit, or by the largest of several."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).astype(np.int64)
    return logits.argmax(1)


class LogisticFits:
    """Logistic regressions that differ in the weights of their samples.

    Each minimises the weighted mean of the cross-entropy plus ``1 / (2 * C)`` times the squared
    distance of its coefficients to those of the anchor; intercepts are free. The fits of all folds
    are columns of the same matrix products, and their steps are taken in coordinates in which the
    features are about uncorrelated, so that a handful of passes over the samples is enough.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32
        Standardised features.
    y : ndarray of shape (n_samples,)
        Class codes.
    n_classes : int
        Number of classes.
    anchor : tuple of (coef, intercept), default=None
        Of shapes (n_rows, n_features) and (n_rows,); None is zero.

    Notes
    -----
    The factor that decorrelates the features is that of the bound of Böhning and Lindsay [1]_ on
    the Hessian, which holds for all weights at once. Of thousands of features, such as the words of
    texts, it would take more memory and time than the fits themselves: there the coordinates are
    the features, each by its own curvature. Few words go together, so that little is lost, and a
    pass over sparse samples costs no more than they store.

    References
    ----------
    .. [1] Böhning and Lindsay, "Monotonicity of Quadratic-Approximation Algorithms", Annals of the
       Institute of Statistical Mathematics, 1988, https://doi.org/10.1007/BF00049423

    Examples
    --------
    >>> X = np.array([[-2.0], [-1.0], [1.0], [2.0]], dtype=np.float32)
    >>> fits = LogisticFits(X, np.array([0, 0, 1, 1]), 2)
    >>> weights = fits.fit(np.ones((4, 1)), C=1.0)
    >>> predict_codes(weights.logits(X, 0))
    array([0, 0, 1, 1])
    """

    def __init__(
        self,
        X: np.ndarray,
        y: np.ndarray,
        n_classes: int,
        anchor: tuple[np.ndarray, np.ndarray] | None = None,
    ):
        self.X: Any = X if sparse.issparse(X) else np.ascontiguousarray(X, dtype=np.float32)
        codes = np.arange(1, 2) if n_classes == 2 else np.arange(n_classes)
        self.target = (y[:, None] == codes).astype(np.float32)
        self.n_rows = len(codes)
        if anchor is None:
            anchor = np.zeros((self.n_rows, X.shape[1])), np.zeros(self.n_rows)
        self.anchor = anchor
        self.offset = self.X @ anchor[0].T.astype(np.float32)
        self._moment: np.ndarray | None = None
        self._factors: dict[float, np.ndarray] = {}

    def near(self, anchor: tuple[np.ndarray, np.ndarray]) -> LogisticFits:
        """The same fits near another anchor, with what has been computed of the features."""
        other = copy(self)
        other.anchor = anchor
        other.offset = self.X @ anchor[0].T.astype(np.float32)
        return other

    def fit(
        self,
        weights: np.ndarray,
        C: float,
        start: Weights | None = None,
        *,
        max_iter: int = 100,
        tol: float = 1e-4,
    ) -> Weights:
        """Fit one logistic regression for each column of weights.

        Parameters
        ----------
        weights : ndarray of shape (n_samples, n_fits)
            Not negative; each column is scaled to the sum 1.
        C : float
            Inverse strength of the penalty. It means the same for any number of samples.
        start : Weights, default=None
            Where to start from; None is the anchor.
        max_iter : int, default=100
            Most steps.
        tol : float, default=1e-4
            Largest slope, in decorrelated coordinates, at which to stop.

        Returns
        -------
        Weights
        """
        n_fits, (n, d) = weights.shape[1], self.X.shape
        share = (weights / weights.sum(axis=0)).astype(np.float32)
        factor = self._factor(C, share.mean(axis=1))
        shape = (n_fits * self.n_rows, d + 1)

        def unpack(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            parameters = parameters.reshape(shape)
            return _times(parameters[:, :d], factor), parameters[:, d]

        def loss_and_slope(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            change, intercept = unpack(parameters)
            logits = self.X @ change.T.astype(np.float32) + intercept.astype(np.float32)
            logits = logits.reshape(n, n_fits, self.n_rows) + self.offset[:, None]
            loss, residual = self._loss_and_residual(logits, share)
            residual = residual.reshape(n, -1)
            slope = np.empty(shape)
            in_features = (residual.T @ self.X).astype(np.float64) + change / C
            slope[:, :d] = _times(in_features, factor.T)
            slope[:, d] = residual.sum(axis=0, dtype=np.float64)
            return loss + (change**2).sum() / (2 * C), slope.ravel()

        begin = np.zeros(shape)
        if start is None:
            begin[:, d] = np.tile(self.anchor[1], n_fits)
        else:
            change = (start.coef - self.anchor[0]).reshape(-1, d)
            begin[:, :d] = _divided(change, factor)
            begin[:, d] = start.intercept.ravel()
        found = minimize(
            loss_and_slope,
            begin.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": max_iter, "gtol": tol, "ftol": 1e-9},
        )
        change, intercept = unpack(found.x)
        coef = self.anchor[0] + change.reshape(n_fits, self.n_rows, d)
        return Weights(coef, intercept.reshape(n_fits, self.n_rows).copy())

    def _loss_and_residual(self, logits: np.ndarray, share: np.ndarray) -> tuple[float, np.ndarray]:
        target = self.target[:, None]
        if self.n_rows == 1:
            losses = (np.logaddexp(0, logits) - target * logits)[..., 0]
            residual = expit(logits) - target
        else:
            logits -= logits.max(axis=2, keepdims=True)
            losses = np.log(np.exp(logits).sum(axis=2)) - (target * logits).sum(axis=2)
            residual = softmax(logits, axis=2) - target
        residual *= share[..., None]
        return float((losses * share).sum(dtype=np.float64)), residual

    def _factor(self, C: float, share: np.ndarray) -> np.ndarray:
        """The matrix that turns steps in decorrelated coordinates into changes of coefficients."""
        if C in self._factors:
            return self._factors[C]
        d = self.X.shape[1]
        if self._moment is None:
            self._moment = self._second_moment(share)
        if self._moment.ndim == 1:
            factor = 1 / np.sqrt(_CURVATURE * self._moment + 1 / C)
        else:
            lower = _lower_factor(_CURVATURE * self._moment, 1 / C)
            factor = solve_triangular(lower, np.eye(d), lower=True)
        self._factors[C] = factor
        return factor

    def _second_moment(self, share: np.ndarray) -> np.ndarray:
        """Of the weighted features; of each by itself where they are too many to factorise."""
        n, d = self.X.shape
        # a step in decorrelated coordinates must not cost more than a pass over the samples
        is_sparse = sparse.issparse(self.X)
        if is_sparse and d > min(_MAX_FACTORISED, math.isqrt(self.X.nnz)):
            return np.asarray(self.X.power(2).T @ share.astype(np.float64))
        if d > _MAX_FACTORISED:
            return np.einsum("n,nd,nd->d", share, self.X, self.X, dtype=np.float64)
        # a sample is enough for coordinates to take steps in, but for rare categories, and so for
        # tables: they have few columns, and all their rows are taken
        enough = max(_ROWS_PER_FEATURE * d, _MULTIPLICATIONS // d**2)
        if n > enough:  # at even distances of the weight, so that each row counts as it should
            ends = np.cumsum(share, dtype=np.float64)
            rows = np.searchsorted(ends, (np.arange(enough) + 0.5) * (ends[-1] / enough))
            weighted = self.X[rows] / np.float32(np.sqrt(enough))
        elif is_sparse:
            weighted = sparse.diags_array(np.sqrt(share)) @ self.X
        else:
            weighted = np.sqrt(share)[:, None] * self.X
        moment = weighted.T @ weighted
        return (moment.toarray() if is_sparse else moment).astype(np.float64)


def _lower_factor(bound: np.ndarray, penalty: float) -> np.ndarray:
    """Factorise the bound on the Hessian, in which weak penalties are a little stronger.

    The moment is in single precision: of features that add up to a constant, as those of categories
    do, it has eigenvalues of zero that rounding makes negative. What is added decides the
    coordinates alone, and not what is minimised in them.
    """
    diagonal = np.diag_indices(len(bound))
    penalty = max(penalty, float(np.finfo(np.float32).eps) * bound.trace())
    while True:
        bound[diagonal] += penalty
        try:
            return cholesky(bound, lower=True)
        except LinAlgError:
            penalty *= 10


def _times(rows: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return rows * factor if factor.ndim == 1 else rows @ factor


def _divided(rows: np.ndarray, factor: np.ndarray) -> np.ndarray:
    if factor.ndim == 1:
        return rows / factor
    return solve_triangular(factor, rows.T, lower=True, trans="T").T
