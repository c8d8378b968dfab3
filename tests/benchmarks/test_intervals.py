"""Paired intervals for the difference of two methods' worst groups."""

import numpy as np
import pytest

from benchmarks._intervals import Outcomes, PairedBootstrap


def part(right, cells=None, units=None):
    n = len(next(iter(right.values())))
    cells = np.arange(n) % 4 if cells is None else cells
    return Outcomes(cells, np.arange(n) if units is None else units, right)


def drawn(n, shares, rng):
    """Outcomes of methods that are right with given probabilities, independently."""
    return {name: rng.random(n) < share for name, share in shares.items()}


def test_the_difference_is_that_of_the_worst_cells():
    a = np.array([1, 1, 0, 1, 1, 1, 0, 1], dtype=bool)  # cells 0 to 3, two samples each
    b = np.array([1, 1, 1, 1, 0, 1, 1, 1], dtype=bool)
    difference, low, high = PairedBootstrap([part({"a": a, "b": b})]).difference("a", "b")
    assert difference == -0.5
    assert low < -0.5 < high


def test_a_method_does_not_differ_from_itself():
    right = drawn(400, {"a": 0.8}, np.random.default_rng(0))
    assert PairedBootstrap([part(right)]).difference("a", "a") == (0, 0, 0)


def test_a_clear_difference_is_told_from_none():
    right = drawn(2000, {"good": 0.9, "bad": 0.7}, np.random.default_rng(0))
    difference, low, high = PairedBootstrap([part(right)]).difference("good", "bad")
    assert 0.1 < low < difference < high < 0.3


def test_pairing_tells_small_differences():
    rng = np.random.default_rng(0)
    one = rng.random(2000) < 0.7
    other = one & (rng.random(2000) < 0.97)  # wrong on a few more
    paired = PairedBootstrap([part({"a": one, "b": other})]).difference("a", "b")
    apart = {"a": one, "b": rng.permutation(other.reshape(-1, 4)).ravel()}
    alone = PairedBootstrap([part(apart)]).difference("a", "b")
    assert paired[1] > 0 > alone[1]


def test_methods_that_are_alike_are_rarely_told_apart():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(60):
        right = drawn(240, {"a": 0.8, "b": 0.8}, rng)
        _, low, high = PairedBootstrap([part(right)]).difference("a", "b")
        found.append(low <= 0 <= high)
    assert np.mean(found) >= 0.9


def test_samples_of_one_person_are_drawn_together():
    right = drawn(100, {"a": 0.8, "b": 0.7}, np.random.default_rng(0))
    repeated = {name: np.tile(of, 5) for name, of in right.items()}
    cells, units = np.tile(np.arange(100) % 4, 5), np.tile(np.arange(100), 5)
    widths = [
        np.ptp(PairedBootstrap([part]).difference("a", "b")[1:])
        for part in (
            part(right),
            part(repeated, cells, units),
            part(repeated, cells),
        )
    ]
    assert widths[1] == pytest.approx(widths[0], rel=0.05)
    assert widths[2] < 0.6 * widths[0]


def test_seeds_that_disagree_widen_the_interval():
    right = drawn(2000, {"a": 0.9, "b": 0.8}, np.random.default_rng(0))
    swapped = {"a": right["b"], "b": right["a"]}
    alike = PairedBootstrap([part(right)] * 3).difference("a", "b")
    unlike = PairedBootstrap([part(right), part(right), part(swapped)]).difference("a", "b")
    assert np.ptp(unlike[1:]) > 2 * np.ptp(alike[1:])


def test_seeds_that_only_one_of_the_methods_has_are_left_out():
    right = drawn(400, {"a": 0.9, "b": 0.8}, np.random.default_rng(0))
    alone = PairedBootstrap([part(right)]).difference("a", "b")
    more = PairedBootstrap([part(right), part({"a": ~right["a"]})]).difference("a", "b")
    assert more == alone
