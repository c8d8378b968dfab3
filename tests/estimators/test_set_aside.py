"""Setting parts of the training data aside."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbmix_sklearn import SmallCellWarning
from gbmix_sklearn.estimators._parts import set_aside
from gbmix_sklearn.groups import make_cells

cell_counts = st.lists(st.integers(0, 30), min_size=4, max_size=4).filter(any)


def cells_with(counts):
    y, s = np.divmod(np.repeat(np.arange(len(counts)), counts), 2)
    order = np.random.default_rng(0).permutation(len(y))
    return make_cells(y[order], s[order])


@settings(deadline=None, max_examples=150)
@given(cell_counts, st.floats(0.01, 0.5), st.floats(0.01, 0.45), st.integers(0, 10**6))
@pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
def test_parts_have_their_share_of_every_cell(counts, first, second, seed):
    cells = cells_with(counts)
    fractions = {"first": first, "second": second}
    parts = set_aside(cells, fractions, np.random.default_rng(seed))
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(cells.y)))
    for positions in parts.values():
        assert (np.diff(positions) > 0).all()
    for cell in cells.present:
        n = cells.counts[cell]
        got = {name: (cells.codes[rows] == cell).sum() for name, rows in parts.items()}
        if n <= 2:
            assert got == {"first": 0, "second": 0, "train": n}
        else:
            assert min(got.values()) >= 1
            for name, fraction in fractions.items():
                # rounded, and at most what leaves one sample for every other part
                assert abs(got[name] - fraction * n) <= 1 or got["train"] == 1


def test_a_cell_too_small_to_give_stays_in_training_and_is_named():
    cells = cells_with([10, 2, 10, 1])
    with pytest.warns(SmallCellWarning) as caught:
        parts = set_aside(cells, {"valid": 0.2, "refit": 0.2}, np.random.default_rng(0))
    text = str(caught[0].message)
    assert "0, group=1 (2); 1, group=1 (1)" in text
    assert "valid, refit" in text
    assert cells.take(parts["train"]).counts.tolist() == [6, 2, 6, 1]


def test_a_cell_of_two_gives_to_a_single_part():
    cells = cells_with([10, 2, 10, 10])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts = set_aside(cells, {"valid": 0.2}, np.random.default_rng(0))
    assert cells.take(parts["valid"]).counts.tolist() == [2, 1, 2, 2]


def test_no_part_means_all_is_trained_on_without_a_warning():
    cells = cells_with([3, 1, 1, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts = set_aside(cells, {}, np.random.default_rng(0))
    assert list(parts) == ["train"]
    assert parts["train"].tolist() == [0, 1, 2, 3, 4]


def test_the_generator_decides_alone():
    cells = cells_with([20, 20, 20, 20])

    def draw(seed):
        return set_aside(cells, {"valid": 0.3}, np.random.default_rng(seed))["valid"].tolist()

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
