"""Errors of cells of very different sizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbmix_sklearn.balance import shrunken_errors, start_shares
from gbmix_sklearn.balance._cell_errors import shrink
from gbmix_sklearn.groups import Attribute, Cells, make_cells, no_attribute


def cells_of(counts):
    """Cells with these counts, a row for each class."""
    counts = np.asarray(counts)
    y, s = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), counts.shape[1])
    values = no_attribute(1).values.reindex(range(counts.shape[1]))
    return Cells(y, list(range(counts.shape[0])), Attribute(s, values))


def slowly(wrong, cells, prior):
    """The same, cell by cell."""
    result = np.full(cells.n_cells, np.nan)
    n_values = len(cells.attribute)
    for k in range(len(cells.classes)):
        own, evidence = {}, {}
        for cell in range(k * n_values, (k + 1) * n_values):
            members = [w for w, code in zip(wrong, cells.codes, strict=True) if code == cell]
            if members:
                own[cell] = (sum(members), len(members))
                evidence[cell] = len(members) / (len(members) + prior)
        if not own:
            continue
        mean = sum(evidence[c] * own[c][0] / own[c][1] for c in own) / sum(evidence.values())
        for cell, (errors, count) in own.items():
            result[cell] = (errors + prior * mean) / (count + prior)
    return result


@given(
    counts=st.lists(st.lists(st.integers(0, 40), min_size=3, max_size=3), min_size=2, max_size=4),
    prior=st.sampled_from([0.0, 1.0, 25.0]),
    seed=st.integers(0, 99),
)
def test_shrunken_errors_are_those_worked_out_cell_by_cell(counts, prior, seed):
    cells = cells_of(counts)
    if not len(cells.y):
        return
    wrong = np.random.default_rng(seed).random(len(cells.y)) < 0.3
    expected = slowly(wrong, cells, prior)
    assert shrunken_errors(wrong, cells, prior) == pytest.approx(expected, nan_ok=True)


def test_errors_of_many_models_are_those_of_each():
    cells = cells_of([[5, 0, 30], [2, 9, 0]])
    wrong = np.random.default_rng(0).random((4, 3, len(cells.y))) < 0.5
    sums = np.stack([wrong[..., cells.codes == cell].sum(-1) for cell in range(6)], axis=-1)
    many = shrink(sums, cells)
    assert many.shape == (4, 3, 6)
    for place in np.ndindex(4, 3):
        one = shrunken_errors(wrong[place], cells)
        assert many[place] == pytest.approx(one, nan_ok=True)


def test_without_a_prior_errors_are_rates():
    cells = make_cells([0, 0, 0, 1, 1], ["a", "a", "b", "a", "a"])
    assert shrunken_errors(np.array([1, 0, 1, 0, 0]), cells, 0)[:3].tolist() == [0.5, 1.0, 0.0]


def test_two_samples_cannot_be_the_worst_cell():
    cells = cells_of([[500, 2], [500, 500]])
    wrong = np.zeros(len(cells.y))
    wrong[cells.codes == 1] = 1
    wrong[cells.members(2)[:150]] = 1
    errors = shrunken_errors(wrong, cells)
    assert errors.argmax() == 2
    assert errors[0] < 0.01


def test_cells_of_equal_size_start_with_equal_shares():
    assert start_shares(cells_of([[50, 50], [50, 50]])) == pytest.approx(0.25)
    large = start_shares(cells_of([[1000, 9000], [20000, 4000]]))
    assert large == pytest.approx(0.25, rel=0.02)


def test_a_cell_of_three_samples_starts_with_a_fraction_of_a_share():
    shares = start_shares(cells_of([[500, 3], [500, 0]]))
    assert shares.sum() == pytest.approx(1)
    assert shares[3] == 0
    assert shares[1] / shares[0] == pytest.approx((3 / 28) / (500 / 525))


def test_in_small_data_few_samples_are_not_few():
    """There, every cell is small, and all of them count."""
    shares = start_shares(cells_of([[10, 6], [8, 12]]))
    assert shares.max() / shares.min() < 1.1
