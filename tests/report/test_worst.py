"""The worst cell: the level of its test is held, and its rank is resampled."""

import numpy as np
import pytest
from scipy.stats import binomtest

from gbmix_sklearn.report import _worst
from gbmix_sklearn.report._tests import fisher
from gbmix_sklearn.report._worst import find_worst


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr(_worst, "RESAMPLES", 1)


LAYOUTS = {
    "two cells": [400, 400],
    "four cells": [300] * 4,
    "twelve cells": [200] * 12,
    "large to tiny cells": [2000, 500, 100, 20, 5, 2, 1],
}
REPEATS = 500


@pytest.mark.parametrize("accuracy", [0.6, 0.9])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_equal_cells_are_told_apart_no_more_often_than_the_level(layout, accuracy, few_resamples):
    rng = np.random.default_rng(0)
    count = np.array(LAYOUTS[layout])
    found = sum(
        np.nanmin(find_worst(rng.binomial(count, accuracy), count, rng).pvalues) <= 0.05
        for _ in range(REPEATS)
    )
    # no evidence at all that the rate is above 5 %
    assert binomtest(int(found), REPEATS, 0.05, alternative="greater").pvalue > 0.05


def test_without_the_correction_they_would_be():
    """The test above can fail."""
    rng = np.random.default_rng(0)
    count = np.full(12, 200)
    found = 0
    for _ in range(REPEATS):
        correct = rng.binomial(count, 0.9)
        worst = correct.argmin()
        found += fisher(correct[worst], count[worst], correct, count).min() <= 0.05
    assert found / REPEATS > 0.5


@pytest.mark.parametrize("n_others", [1, 3, 11])
def test_cells_as_bad_as_the_worst_are_not_called_better(n_others, few_resamples):
    """Two cells are the worst alike, whatever the others are."""
    rng = np.random.default_rng(0)
    count = np.full(2 + n_others, 300)
    accuracy = np.array([0.6, 0.6, *[0.9] * n_others])
    wrong = 0
    for _ in range(REPEATS):
        found = find_worst(rng.binomial(count, accuracy), count, rng)
        assert found.cell < 2
        wrong += found.pvalues[1 - found.cell] <= 0.05
    assert binomtest(int(wrong), REPEATS, 0.05, alternative="greater").pvalue > 0.05


def test_a_clear_difference_is_found(few_resamples):
    rng = np.random.default_rng(0)
    count = np.full(4, 500)
    accuracy = [0.6, 0.75, 0.9, 0.9]
    found = [find_worst(rng.binomial(count, accuracy), count, rng) for _ in range(200)]
    assert np.mean([f.cell == 0 and f.pvalues[f.next] <= 0.05 for f in found]) > 0.95


def test_rank_confidence_is_that_of_resampled_samples():
    rng = np.random.default_rng(0)
    correct, count = np.array([61, 66, 90]), np.array([100, 100, 100])
    samples = [np.repeat([1, 0], [k, n - k]) for k, n in zip(correct, count, strict=True)]
    first = 0.0
    repeats = 4000
    for _ in range(repeats):
        means = [rng.choice(s, len(s)).mean() for s in samples]
        worst = np.flatnonzero(np.array(means) == min(means))
        first += (0 in worst) / len(worst)
    found = find_worst(correct, count, rng)
    assert found.rank_confidence == pytest.approx(first / repeats, abs=0.03)


def test_a_single_error_in_a_single_sample_proves_nothing():
    found = find_worst(np.array([0, 700]), np.array([1, 1000]), np.random.default_rng(0))
    assert found.cell == 0
    assert found.pvalues[1] > 0.5
    assert found.rank_confidence < 0.8


def test_of_equal_cells_the_largest_is_the_worst_and_their_ranks_are_shared():
    found = find_worst(np.array([5, 50, 5]), np.array([10, 100, 10]), np.random.default_rng(0))
    assert found.cell == 1
    assert found.pvalues[found.next] == 1
    alike = find_worst(np.full(4, 50), np.full(4, 100), np.random.default_rng(0))
    assert alike.rank_confidence == pytest.approx(0.25, abs=0.02)


def test_a_single_cell_is_the_worst_and_there_is_no_next():
    found = find_worst(np.array([3]), np.array([4]), np.random.default_rng(0))
    assert (found.cell, found.next, found.rank_confidence) == (0, None, 1.0)
    assert np.isnan(found.pvalues).all()


@pytest.mark.parametrize(("n_cells", "expected"), [(1, 9999), (4000, 5000), (10**6, 999)])
def test_thousands_of_cells_are_resampled_less_often(n_cells, expected):
    assert _worst.n_resamples(n_cells) == expected
