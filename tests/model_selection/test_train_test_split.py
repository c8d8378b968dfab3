"""A single split with every cell on both sides."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse

from gbmix_sklearn.exceptions import GroupsError, MissingGroupsError, SmallCellWarning
from gbmix_sklearn.model_selection import subgroup_train_test_split


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    y = rng.choice(["a", "b"], 101)
    groups = rng.choice(["x", "y", "z"], 101)
    return np.arange(202).reshape(101, 2), y, groups


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_rows_stay_together_and_every_cell_of_two_is_on_both_sides(data):
    # every cell twice, so that nothing needs to be warned of
    extra = data.draw(st.lists(st.tuples(st.sampled_from([-1, 5]), st.sampled_from("fm"))))
    pairs = [(label, sex) for label in (-1, 5) for sex in "fm"] * 2 + extra
    n = len(pairs)
    size = data.draw(st.one_of(st.integers(4, n - 4), st.floats(0.05, 0.95)))
    n_test = math.ceil(size * n) if isinstance(size, float) else size
    assume(4 <= n_test <= n - 4)
    y, groups = zip(*pairs, strict=True)
    parts = subgroup_train_test_split(
        np.arange(n), y, groups, test_size=size, random_state=data.draw(st.integers(0, 99))
    )
    train, test = parts[0], parts[1]
    assert len(test) == n_test
    assert sorted([*train, *test]) == list(range(n))
    for rows, labels, sexes in (parts[::2], parts[1::2]):
        assert list(zip(labels, sexes, strict=True)) == [pairs[row] for row in rows]
        assert {*zip(labels, sexes, strict=True)} == {*pairs}


@pytest.mark.parametrize("test_size", [0.25, 0.1, 0.5, 30, 6, np.float32(0.25), np.int64(30)])
def test_cells_keep_their_shares(samples, test_size):
    X, y, groups = samples
    n_test = math.ceil(test_size * 101) if test_size < 1 else test_size
    parts = subgroup_train_test_split(X, y, groups, test_size=test_size, random_state=0)
    assert len(parts[1]) == n_test
    everything = pd.crosstab(y, groups)
    tested = pd.crosstab(parts[3], parts[5])
    assert (abs(tested - everything * n_test / 101) <= 1).all(axis=None)


def test_containers_keep_their_types(samples, tmp_path):
    X, y, groups = samples
    mapped = np.memmap(tmp_path / "X", dtype=np.int64, mode="w+", shape=X.shape)
    mapped[:] = X
    index = np.arange(101)[::-1]
    reference = subgroup_train_test_split(X, y, groups, random_state=0)
    for container in (
        pd.DataFrame(X, index=index),
        [row.tolist() for row in X],
        X.astype(np.uint8).reshape(101, 2, 1, 1),  # images
    ):
        train, test, *_ = subgroup_train_test_split(container, y, groups, random_state=0)
        assert type(train) is type(test) is type(container)
        np.testing.assert_array_equal(np.asarray(test).reshape(-1, 2), reference[1])
    # NumPy copies selected rows of a memory map into memory
    train, test, *_ = subgroup_train_test_split(mapped, y, groups, random_state=0)
    assert type(train) is type(test) is np.ndarray
    np.testing.assert_array_equal(test, reference[1])
    train, *_ = subgroup_train_test_split(sparse.csr_matrix(X), y, groups, random_state=0)
    np.testing.assert_array_equal(train.toarray(), reference[0])

    frame = pd.DataFrame({"sex": groups}, index=index)
    parts = subgroup_train_test_split(X, pd.Series(y, index=index), frame, random_state=0)
    assert isinstance(parts[2], pd.Series)
    assert isinstance(parts[5], pd.DataFrame)
    assert parts[3].index.equals(parts[5].index)
    assert parts[5]["sex"].tolist() == reference[5].tolist()
    parts = subgroup_train_test_split(X, list(y), groups.tolist(), random_state=0)
    assert [type(part) for part in parts[2:]] == [list] * 4


def test_categories_and_several_attributes_are_split(samples):
    X, y, groups = samples
    parts = subgroup_train_test_split(
        X, pd.Series(pd.Categorical(y)), np.column_stack([groups, groups]), random_state=0
    )
    assert isinstance(parts[3].dtype, pd.CategoricalDtype)
    assert parts[5].shape == (26, 2)


def test_rows_keep_their_order(samples):
    train, test, *_ = subgroup_train_test_split(*samples, random_state=3)
    assert (np.diff(train[:, 0]) > 0).all()
    assert (np.diff(test[:, 0]) > 0).all()


def test_the_seed_decides_and_the_global_state_is_left_alone(samples):
    def test_rows(random_state):
        return subgroup_train_test_split(*samples, random_state=random_state)[1].tolist()

    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    assert test_rows(0) == test_rows(0)
    assert test_rows(0) != test_rows(1)
    assert test_rows(None) != test_rows(None)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


def test_a_cell_of_one_sample_stays_in_training_and_is_named():
    y, groups = [0] * 9, ["x"] * 8 + ["y"]
    with pytest.warns(SmallCellWarning, match=r"one of them only.*0, group=y \(1\)"):
        parts = subgroup_train_test_split(np.arange(9), y, groups, random_state=0)
    assert 8 in parts[0]
    assert len(parts[1]) == 3


@pytest.mark.parametrize(("test_size", "one_sided"), [(1, "group=y"), (11, "group=")])
def test_parts_without_room_for_all_cells_name_the_missing_ones(test_size, one_sided):
    y, groups = [0] * 12, ["x"] * 10 + ["y"] * 2
    with pytest.warns(SmallCellWarning, match=one_sided):
        parts = subgroup_train_test_split(
            np.arange(12), y, groups, test_size=test_size, random_state=0
        )
    assert len(parts[1]) == test_size


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"groups": None}, MissingGroupsError, "groups is required"),
        ({"groups": [None] * 101}, GroupsError, "missing value"),
        ({"X": np.zeros(7)}, ValueError, "inconsistent numbers of samples"),
        ({"test_size": 0}, ValueError, "test_size=0 of 101 samples leaves one"),
        ({"test_size": 101}, ValueError, "test_size=101 of 101 samples leaves one"),
        ({"test_size": 0.999}, ValueError, "leaves one of the two parts empty"),
        ({"test_size": -3}, ValueError, "leaves one"),
        ({"test_size": 1.0}, ValueError, "float between 0 and 1, got 1.0"),
        ({"test_size": float("nan")}, ValueError, "float between 0 and 1, got nan"),
        ({"test_size": "0.3"}, TypeError, "must be a float or an int"),
        ({"test_size": True}, TypeError, "must be a float or an int"),
        ({"test_size": None}, TypeError, "must be a float or an int"),
        ({"groups": np.arange(101)}, ValueError, r"no cell.*has two samples"),
    ],
)
def test_unusable_input_is_refused_with_the_reason(samples, changes, error, message):
    arguments = dict(zip(("X", "y", "groups"), samples, strict=True)) | changes
    with pytest.raises(error, match=message):
        subgroup_train_test_split(**arguments)
