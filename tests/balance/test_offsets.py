"""Offsets chosen for the worst cell, against a search of everything."""

from itertools import product

import numpy as np
import pytest

from gbmix_sklearn.balance import (
    choose_offsets,
    cross_fitted_offsets,
    predict_codes,
    shrunken_errors,
)
from gbmix_sklearn.groups import make_cells


def worst(scores, offsets, cells, prior=25.0):
    wrong = predict_codes(scores, np.asarray(offsets)) != cells.y
    return 1 - np.nanmax(shrunken_errors(wrong, cells, prior))


def average(scores, offsets, cells):
    return np.mean(predict_codes(scores, np.asarray(offsets)) == cells.y)


def noise(accuracy, cells):
    """Half a standard error of the smallest cell."""
    samples = cells.counts[cells.present].min() + 25
    return 0.5 * np.sqrt(accuracy * (1 - accuracy) / samples)


def two_classes(seed, n=400):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.2).astype(int)
    s = (rng.random(n) < 0.3 + 0.4 * y).astype(int)
    return rng.normal(size=n) + 1.5 * y - 2 - 0.5 * s, make_cells(y, s)


def three_classes(seed, n=400):
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    s = rng.integers(2, size=n)
    scores = rng.normal(size=(n, 3)) * (1 + s[:, None]) + [2, 1, 0]
    scores[np.arange(n), y] += 2
    return scores, make_cells(y, s)


@pytest.mark.parametrize("seed", range(5))
def test_for_two_classes_it_is_the_best_threshold_but_for_noise(seed):
    scores, cells = two_classes(seed)
    every = np.r_[-np.sort(scores) + 1e-9, -scores.max() - 1, -scores.min() + 1]
    best = max(worst(scores, [0, offset], cells) for offset in every)
    chosen = choose_offsets(scores, cells)
    assert chosen[0] == 0
    assert best - noise(best, cells) <= worst(scores, chosen, cells) <= best
    assert worst(scores, chosen, cells) > worst(scores, [0, 0], cells) + 0.2


@pytest.mark.parametrize("seed", range(4))
def test_for_three_classes_it_is_as_good_as_a_grid(seed):
    scores, cells = three_classes(seed)
    grid = np.linspace(-1, 5, 25)
    best = max(worst(scores, [0, *rest], cells) for rest in product(grid, grid))
    chosen = choose_offsets(scores, cells)
    assert chosen.sum() == pytest.approx(0)
    assert worst(scores, chosen, cells) > best - 2 * noise(best, cells)


def test_the_middle_of_a_range_is_taken():
    """Nothing lies between the classes: no place there is better than another."""
    scores = np.r_[np.linspace(-9, -5, 50), np.linspace(-1, 3, 50)]
    cells = make_cells([0] * 50 + [1] * 50, np.arange(100) % 2)
    assert choose_offsets(scores, cells)[1] == pytest.approx(3, abs=0.2)


def test_a_cell_of_two_samples_does_not_move_it():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 500)
    scores = rng.normal(size=1000) + np.where(y, 1, -1)
    s = np.zeros(1000, dtype=int)
    s[-2:], scores[-2:] = 1, -30
    chosen = choose_offsets(scores, make_cells(y, s))
    assert abs(chosen[1]) < 0.5
    without = choose_offsets(scores, make_cells(y, s), prior_samples=0)
    assert without[1] > 10


@pytest.mark.parametrize("data", [two_classes, three_classes])
@pytest.mark.parametrize("most", [0.0, 0.02, 0.1])
def test_the_average_falls_no_further_than_allowed(data, most):
    for seed in range(3):
        scores, cells = data(seed)
        before = average(scores, np.zeros(len(cells.classes)), cells)
        chosen = choose_offsets(scores, cells, max_average_loss=most)
        assert average(scores, chosen, cells) >= before - most - 1e-9


def test_the_average_pays_for_the_worst_group_where_it_may():
    scores, cells = two_classes(0)
    free, held = (choose_offsets(scores, cells, max_average_loss=most) for most in (None, 0.0))
    assert average(scores, free, cells) < average(scores, [0, 0], cells) - 0.02
    assert worst(scores, free, cells) > worst(scores, held, cells) + 0.02


def test_they_are_adopted_where_they_help_and_only_there():
    scores, cells = two_classes(0, n=2000)
    folds = np.arange(2000) % 5
    chosen = cross_fitted_offsets(scores, cells, folds)
    assert chosen.adopted
    assert np.array_equal(chosen.offsets, choose_offsets(scores, cells))
    assert chosen.before == pytest.approx((worst(scores, [0, 0], cells), 0.79), abs=0.05)
    assert chosen.after[0] > chosen.before[0] + 0.2
    balanced = cross_fitted_offsets(scores + chosen.offsets[1], cells, folds)
    assert not balanced.adopted
    assert balanced.offsets.tolist() == [0, 0]


def test_noise_is_seldom_adopted():
    """Where the usual threshold is the best, another is one by chance."""
    rng = np.random.default_rng(0)
    adopted = 0
    for _ in range(20):
        y, s = np.divmod(np.arange(400) % 4, 2)
        scores = rng.normal(size=400) + np.where(y, 1, -1)
        adopted += cross_fitted_offsets(scores, make_cells(y, s), np.arange(400) // 80).adopted
    assert adopted <= 3


def test_each_sample_is_judged_by_offsets_of_the_other_folds():
    """Of two folds with scores of different scales, the offsets of one ruin the other."""
    scores, cells = two_classes(1, n=1000)
    folds = np.arange(1000) % 2
    chosen = cross_fitted_offsets(scores + 40 * folds, cells, folds)
    assert not chosen.adopted
    assert chosen.after[0] < 0.55
    assert worst(scores + 40 * folds, choose_offsets(scores + 40 * folds, cells), cells) < 0.55


@pytest.mark.parametrize("shape", [(50,), (50, 3)])
def test_scores_that_are_all_the_same_change_nothing(shape):
    n_classes = 3 if len(shape) == 2 else 2
    cells = make_cells(np.arange(50) % n_classes, np.arange(50) // 25)
    chosen = cross_fitted_offsets(np.zeros(shape), cells, np.arange(50) % 5)
    assert np.isfinite(chosen.offsets).all()


def test_many_samples_are_compared_at_some_places():
    scores, cells = two_classes(0, n=60_000)
    every = choose_offsets(scores[:9000], cells.take(np.arange(9000)))
    assert choose_offsets(scores, cells)[1] == pytest.approx(every[1], abs=0.2)
