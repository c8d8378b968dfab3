"""Exact tests of proportions and the correction for many of them."""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest, hypergeom

__all__ = ["fisher", "holm", "mcnemar"]


def fisher(
    correct: np.ndarray, count: np.ndarray, other_correct: np.ndarray, other_count: np.ndarray
) -> np.ndarray:
    """Fisher's exact test that two proportions are the same, for many pairs at once.

    Two-sided by doubling the smaller tail, so that each direction has half the level.
    """
    total, right = count + other_count, correct + other_correct
    below = hypergeom.cdf(correct, total, right, count)
    above = hypergeom.sf(correct - 1, total, right, count)
    return np.minimum(1.0, 2 * np.minimum(below, above))


def mcnemar(only_first: np.ndarray, only_second: np.ndarray) -> np.ndarray:
    """Exact McNemar tests: of the samples that one model gets right, which one does."""
    return np.array(
        [
            binomtest(int(first), int(first + second)).pvalue if first + second else 1.0
            for first, second in zip(only_first, only_second, strict=True)
        ]
    )


def holm(pvalues: np.ndarray, n_tests: int | None = None) -> np.ndarray:
    """Adjusted p-values that control the family-wise error rate (Holm, 1979).

    Parameters
    ----------
    pvalues : ndarray of shape (n,)
        P-values of single tests.
    n_tests : int, default=None
        Size of the family; where it is larger than `n`, the other tests count as not rejected.
    """
    pvalues = np.asarray(pvalues, dtype=np.float64)
    n_tests = len(pvalues) if n_tests is None else n_tests
    order = np.argsort(pvalues, kind="stable")
    stepped = pvalues[order] * (n_tests - np.arange(len(pvalues)))
    adjusted = np.empty_like(pvalues)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return adjusted
