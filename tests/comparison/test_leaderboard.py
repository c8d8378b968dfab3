"""Who is best, how sure that is, and what small cells have to say."""

import numpy as np
import pytest

from gbmix_sklearn.comparison._leaderboard import Leaderboard
from gbmix_sklearn.comparison._units import effective_samples, resample_units
from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.metrics._intervals import clopper_pearson


def board(counts, rights, *, units=None, confidence=0.95):
    """Cells a/b of two classes with so many samples, of which models get so many right."""
    y = np.repeat([0, 0, 1, 1], counts)
    s = np.repeat(["a", "b", "a", "b"], counts)
    cells = make_cells(y, s)
    codes = {}
    for name, right in rights.items():
        hit = np.concatenate([np.arange(n) < r for n, r in zip(counts, right, strict=True)])
        codes[name] = np.where(hit, y, 1 - y)
    return Leaderboard(cells, codes, units, confidence, 0)


def test_methods_are_in_the_order_of_their_worst_group():
    rights = {"erm": [99, 98, 97, 40], "good": [80, 81, 82, 83], "bad": [50, 20, 80, 80]}
    frame = board([100] * 4, rights).frame()
    assert frame.index.tolist() == ["good", "erm", "bad"]
    assert frame["worst_group_accuracy"].tolist() == [0.8, 0.4, 0.2]
    assert frame["worst_group"].tolist() == ["0, group=a", "1, group=b", "0, group=b"]
    np.testing.assert_allclose(frame["robust_gap"], [0.03, 0.59, 0.6])
    np.testing.assert_allclose(frame["difference"], [0, -0.4, -0.6])
    assert frame["distinguishable"].tolist() == [False, True, True]


def test_of_the_same_worst_group_the_better_average_is_first():
    frame = board([100] * 4, {"a": [80] * 4, "b": [80, 90, 90, 80]}).frame()
    assert frame.index.tolist() == ["b", "a"]


def test_a_cell_of_a_few_samples_decides_nothing():
    found = board([100, 100, 100, 3], {"a": [80, 80, 80, 0], "b": [70, 80, 80, 3]})
    frame = found.frame()
    assert frame.index.tolist() == ["a", "b"]
    assert frame["worst_group_accuracy"].tolist() == [0.8, 0.7]
    assert [found.cells.labels[cell] for cell in found.small] == ["1, group=b"]


def test_a_cell_of_a_dozen_has_less_of_a_say_than_one_of_hundreds():
    rights = {"a": [900, 900, 900, 6], "b": [600, 900, 900, 12]}
    frame = board([1000, 1000, 1000, 12], rights).frame()
    assert frame.loc["a", "worst_group_accuracy"] < frame.loc["b", "worst_group_accuracy"]
    assert frame.index.tolist() == ["a", "b"]


def test_where_all_cells_are_small_all_decide():
    found = board([4, 4, 4, 4], {"a": [4, 4, 4, 1]})
    assert found.frame()["worst_group_accuracy"].tolist() == [0.25]
    assert len(found.small) == 0


def test_the_interval_reaches_from_the_worst_cell_down_and_up_to_what_all_allow():
    row = board([100, 100, 100, 100], {"a": [70, 72, 90, 95]}).frame().loc["a"]
    low, _ = clopper_pearson([70], [100], 0.95)
    _, high = clopper_pearson([70], [100], 1 - 0.05 / 4)
    assert (row["low"], row["high"]) == (low[0], high[0])


def test_the_interval_covers_the_truly_worst_cell():
    rng = np.random.default_rng(0)
    truth = np.array([0.7, 0.7, 0.7, 0.7])
    misses = 0
    for _ in range(300):
        row = board([60] * 4, {"a": rng.binomial(60, truth)}).frame().loc["a"]
        misses += not row["low"] <= 0.7 <= row["high"]
    assert misses <= 0.05 * 300


def test_few_samples_tell_no_methods_apart():
    frame = board([20] * 4, {"a": [18] * 4, "b": [18, 18, 18, 15]}).frame()
    assert frame["distinguishable"].tolist() == [False, False]
    assert frame.loc["b", "difference_low"] < -0.15 < 0 < frame.loc["b", "difference_high"]


def test_the_level_is_divided_by_the_number_of_others():
    two = {"a": [80] * 4, "b": [80, 80, 80, 70]}
    many = two | {f"c{n}": [80, 80, 80, 70] for n in range(8)}
    narrow, wide = (board([100] * 4, rights).frame().loc["b"] for rights in (two, many))
    assert wide["difference_low"] < narrow["difference_low"]
    assert wide["difference_high"] > narrow["difference_high"]


def test_copies_of_samples_add_no_certainty():
    counts = np.array([100] * 4)
    rights = {"a": [80, 80, 80, 80], "b": [80, 80, 80, 64]}
    once = board(counts, rights).frame().loc["b"]
    units = np.arange(1600) // 4
    copied = {name: [4 * n for n in right] for name, right in rights.items()}
    fourfold = board(4 * counts, copied, units=units).frame().loc["b"]
    apart = board(4 * counts, copied).frame().loc["b"]

    def width(row):
        return row["difference_high"] - row["difference_low"]

    assert width(fourfold) == pytest.approx(width(once), rel=0.1)
    assert width(apart) < 0.6 * width(once)
    assert fourfold["high"] - fourfold["low"] == pytest.approx(once["high"] - once["low"], rel=0.05)


def test_units_of_one_sample_are_samples():
    cells = make_cells([0] * 50 + [1] * 50, ["a"] * 100)
    right = np.arange(100) % 5 > 0
    size = effective_samples(right, cells, np.arange(100))
    np.testing.assert_allclose(size, [49, 49])  # the variance is divided by n - 1


def test_a_cell_that_is_always_right_counts_its_units():
    cells = make_cells([0] * 50 + [1] * 50, ["a"] * 100)
    size = effective_samples(np.ones(100, dtype=bool), cells, np.arange(100) // 5)
    assert size.tolist() == [10, 10]


def test_resamples_of_units_are_around_what_was_measured():
    cells = make_cells([0] * 50 + [1] * 50, ["a"] * 100)
    first, second = np.arange(100) % 5 > 0, np.ones(100, dtype=bool)
    rng = np.random.default_rng(0)
    drawn, accuracy = resample_units(first, second, cells, np.arange(100) // 5, cells.present, rng)
    np.testing.assert_allclose(accuracy, [[0.8, 0.8], [1, 1]])
    np.testing.assert_allclose(drawn.mean(axis=0), accuracy, atol=0.005)
    assert (drawn.std(axis=0) > 0).all()


def test_one_method_has_nothing_to_differ_from():
    row = board([50] * 4, {"a": [40] * 4}).frame().iloc[0]
    assert row["difference"] == row["standard_error"] == 0
    assert not row["distinguishable"]
