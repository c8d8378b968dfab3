"""Setting parts of the training data aside."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbmix_sklearn import GBMixClassifier, SmallCellWarning
from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.estimators._parts import set_aside
from gbmix_sklearn.groups import make_cells, plan_cells

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


class TestPlan:
    def test_the_table_says_what_each_cell_is_used_for_and_what_it_is_too_small_for(self):
        y = np.repeat([0, 1], 400)
        s = np.tile(["a", "b"], 400).astype(object)
        s[:4] = "unknown"
        X = np.random.default_rng(0).normal(size=(800, 3)) + y[:, None]
        model = GBMixClassifier(max_epochs=2, random_state=0).fit(X, y, s)
        table = model.cell_table_
        assert list(table.columns) == ["train", "validation", "refit", "note"]
        assert (table["train"] + table["validation"]).sum() == table["refit"].sum() == 800
        assert table.loc[(0, "unknown"), "note"] == (
            "too small to be balanced: trains with 0, group=a; judged mostly by its class"
        )
        assert (table.drop(index=(0, "unknown"))["note"] == "").all()
        assert (1, "unknown") not in table.index

    def test_validation_data_may_have_values_of_their_own(self):
        cells = make_cells([0, 0, 1, 1], ["a", "b", "a", "b"])
        table = plan_cells(cells, make_cells([0, 1], [3, 3]), None)
        assert table.loc[(0, 3), ["train", "validation", "refit"]].tolist() == [0, 1, 0]
        assert table.loc[(1, "b"), ["train", "validation", "refit"]].tolist() == [1, 0, 0]


@pytest.mark.parametrize("name", ["GBMix", "RWG", "GroupDRO", "DFR", "LISA"])
def test_three_rows_of_another_value_move_no_recall_far(name):
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=3000)
    s = np.where(rng.random(3000) < 0.8, np.where(y, "a", "b"), np.where(y, "b", "a")).astype(
        object
    )
    X = rng.normal(size=(3000, 8)) + 0.8 * y[:, None] * (np.arange(8) < 3)
    X[:, 3] += s == "a"
    rare = s.copy()
    rare[np.flatnonzero(y == 0)[:3]] = "unknown"
    recalls = []
    for groups in (s, rare):
        model = METHODS[name](random_state=0, max_epochs=5)
        model.fit(X[:2000], y[:2000], groups[:2000])
        predicted = model.predict(X[2000:])
        recalls.append([(predicted[y[2000:] == c] == c).mean() for c in (0, 1)])
    assert np.abs(np.subtract(*recalls)).max() <= 0.05
