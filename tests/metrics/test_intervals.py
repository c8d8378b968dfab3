"""Exact intervals against SciPy's test of one proportion at a time."""

import numpy as np
import pytest
from scipy.stats import binomtest

from gbmix_sklearn.metrics._intervals import clopper_pearson


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_intervals_are_those_of_scipy(confidence):
    n = np.array([1, 1, 5, 5, 5, 40, 1000])
    k = np.array([0, 1, 0, 3, 5, 39, 500])
    low, high = clopper_pearson(k, n, confidence)
    for i in range(len(n)):
        expected = binomtest(int(k[i]), int(n[i])).proportion_ci(confidence, method="exact")
        assert low[i] == pytest.approx(expected.low, abs=1e-12)
        assert high[i] == pytest.approx(expected.high, abs=1e-12)


def test_a_sample_of_one_says_next_to_nothing():
    low, high = clopper_pearson([1], [1])
    assert low[0] == pytest.approx(0.025)
    assert high[0] == 1.0
