"""Exact confidence intervals of accuracies."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

__all__ = ["clopper_pearson"]


def clopper_pearson(
    n_correct: np.ndarray, n_samples: np.ndarray, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Exact intervals of proportions (Clopper and Pearson, Biometrika 1934).

    Parameters
    ----------
    n_correct : array-like of int, shape (n_cells,)
        Correct predictions.
    n_samples : array-like of int, shape (n_cells,)
        All predictions, at least one in each cell.
    confidence : float in (0, 1), default=0.95
        Probability that each interval covers its proportion, at least.

    Returns
    -------
    low, high : ndarray of float64, shape (n_cells,)
    """
    k, n = np.asarray(n_correct), np.asarray(n_samples)
    tail = (1 - confidence) / 2
    with np.errstate(invalid="ignore"):  # the open ends are set below
        low = np.where(k == 0, 0.0, beta.ppf(tail, k, n - k + 1))
        high = np.where(k == n, 1.0, beta.isf(tail, k + 1, n - k))
    return low, high
