"""Exact tests and Holm's correction against SciPy and the definition."""

import numpy as np
import pytest
from scipy.stats import binomtest, fisher_exact

from gbmix_sklearn.report._tests import fisher, holm, mcnemar


def test_fisher_is_that_of_scipy_with_the_smaller_tail_doubled():
    rng = np.random.default_rng(0)
    n, m = rng.integers(1, 60, size=(2, 40))
    a, b = rng.integers(0, n + 1), rng.integers(0, m + 1)
    expected = [
        min(
            1.0,
            2
            * min(
                fisher_exact([[a[i], n[i] - a[i]], [b[i], m[i] - b[i]]], side).pvalue
                for side in ("less", "greater")
            ),
        )
        for i in range(40)
    ]
    np.testing.assert_allclose(fisher(a, n, b, m), expected, rtol=1e-9)


def test_fisher_works_for_a_million_samples():
    pvalue = fisher(np.array([600_000]), np.array([10**6]), np.array([602_000]), np.array([10**6]))
    assert pvalue[0] == pytest.approx(0.00386, rel=0.02)  # z = 2.89 of the two proportions


def test_mcnemar_is_the_binomial_test_of_the_samples_that_one_model_gets_right():
    first, second = np.array([0, 5, 1, 100]), np.array([0, 5, 9, 130])
    expected = [1.0, *(binomtest(k, k + m).pvalue for k, m in [(5, 5), (1, 9), (100, 130)])]
    np.testing.assert_allclose(mcnemar(first, second), expected)


def test_holm_on_the_worked_example():
    # 0.01 * 4, 0.02 * 3 and so on, never below the one before
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03, 0.02])), [0.06, 0.04, 0.06, 0.06])


def test_holm_rejects_step_by_step():
    rng = np.random.default_rng(0)
    for _ in range(50):
        pvalues = rng.random(7) ** 3
        for level in (0.01, 0.05, 0.2):
            rejected = np.zeros(7, dtype=bool)
            for step, place in enumerate(np.argsort(pvalues)):
                if pvalues[place] > level / (7 - step):
                    break
                rejected[place] = True
            np.testing.assert_array_equal(holm(pvalues) <= level, rejected)


def test_holm_counts_tests_that_were_not_made_as_not_rejected():
    pvalues = np.array([0.01, 0.001, 0.04])
    filled = holm(np.concatenate([pvalues, np.ones(5)]))[:3]
    np.testing.assert_allclose(holm(pvalues, 8), filled)


def test_holm_of_nothing():
    assert holm(np.array([])).shape == (0,)
