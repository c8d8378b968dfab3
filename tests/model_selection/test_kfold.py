"""Folds stratified by class and group."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, cross_validate

from gbmix_sklearn.exceptions import GroupsError, MissingGroupsError, SmallCellWarning
from gbmix_sklearn.model_selection import SubgroupStratifiedKFold


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    y = rng.choice(["a", "b"], 90)
    groups = rng.choice(["x", "y", "z"], 90)
    return rng.normal(size=(90, 2)), y, groups


@settings(max_examples=60, deadline=None)
@given(st.integers(5, 60), st.integers(2, 5), st.booleans(), st.integers(0, 2**31))
def test_every_fold_has_its_share_of_every_cell(n, n_splits, shuffle, seed):
    rng = np.random.default_rng(seed)
    y = rng.choice([-3, 0, 8], n)
    groups = pd.DataFrame({"s": rng.choice(["f", "m"], n), "t": rng.random(n) < 0.3})
    cells = [(label, *row) for label, row in zip(y, groups.to_numpy().tolist(), strict=True)]
    sizes = {cell: cells.count(cell) for cell in cells}
    folds = SubgroupStratifiedKFold(
        n_splits, shuffle=shuffle, random_state=seed if shuffle else None
    )
    if max(sizes.values()) < n_splits:
        with pytest.raises(ValueError, match="more than the samples of any cell"):
            next(folds.split(np.zeros(n), y, groups))
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallCellWarning)
        parts = list(folds.split(np.zeros(n), y, groups))
    assert len(parts) == n_splits == folds.get_n_splits()
    assert sorted(np.concatenate([test for _, test in parts])) == list(range(n))
    for train, test in parts:
        assert sorted([*train, *test]) == list(range(n))
        assert n // n_splits <= len(test) <= -(-n // n_splits)
        for cell, size in sizes.items():
            tested = sum(cells[i] == cell for i in test)
            assert size // n_splits <= tested <= -(-size // n_splits)


def test_unshuffled_folds_are_those_of_stratified_k_fold_on_the_cells(samples):
    X, y, groups = samples
    cells = [f"{label}-{group}" for label, group in zip(y, groups, strict=True)]
    ours = SubgroupStratifiedKFold(4).split(X, y, groups)
    for (train, test), (train_, test_) in zip(
        ours, StratifiedKFold(4).split(X, cells), strict=True
    ):
        np.testing.assert_array_equal(train, train_)
        np.testing.assert_array_equal(test, test_)


def test_folds_do_not_depend_on_what_labels_are_called(samples):
    X, y, groups = samples
    renamed = np.where(y == "a", 9, -9), np.where(groups == "x", "zz", groups)
    for folds in (
        SubgroupStratifiedKFold(3),
        SubgroupStratifiedKFold(3, shuffle=True, random_state=0),
    ):
        for (_, test), (_, again) in zip(
            folds.split(X, y, groups), folds.split(X, *renamed), strict=True
        ):
            np.testing.assert_array_equal(test, again)


def test_shuffled_folds_follow_the_seed_and_leave_the_global_state_alone(samples):
    def first(random_state):
        folds = SubgroupStratifiedKFold(3, shuffle=True, random_state=random_state)
        return next(folds.split(*samples))[1].tolist()

    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    assert first(0) == first(0)
    assert first(0) != first(1)
    assert first(None) != first(None)
    assert first(np.random.RandomState(3)) == first(np.random.RandomState(3))
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


def test_small_cells_are_named_in_a_warning():
    y, groups = [0] * 10, ["x"] * 8 + ["y"] * 2
    with pytest.warns(SmallCellWarning, match=r"n_splits=4.*0, group=y \(2\)") as caught:
        list(SubgroupStratifiedKFold(4).split(np.zeros(10), y, groups))
    assert len(caught) == 1


def test_of_many_small_cells_the_first_few_are_named():
    groups = ["x"] * 8 + [f"y{i}" for i in range(9)]
    with pytest.warns(SmallCellWarning, match=r"group=y0 \(1\).*; and 4 more"):
        list(SubgroupStratifiedKFold(4).split(np.zeros(17), [0] * 17, groups))


def test_absent_cells_are_not_small():
    y, groups = [0, 0, 0, 0, 1, 1], ["x", "x", "y", "y", "x", "x"]
    assert len(list(SubgroupStratifiedKFold(2).split(y, y, groups))) == 2


def test_group_columns_replace_groups(samples):
    X, y, groups = samples
    frame = pd.DataFrame(X, columns=["u", "v"]).assign(sex=groups)
    named = SubgroupStratifiedKFold(3, group_columns="sex")
    listed = SubgroupStratifiedKFold(3, group_columns=["sex"])
    expected = [test.tolist() for _, test in SubgroupStratifiedKFold(3).split(X, y, groups)]
    assert [test.tolist() for _, test in named.split(frame, y)] == expected
    assert [test.tolist() for _, test in listed.split(frame, pd.Series(y))] == expected


@pytest.mark.parametrize(
    ("folds", "arguments", "error", "message"),
    [
        ({}, {"groups": None}, MissingGroupsError, r"needs groups.*group_columns='column'"),
        ({}, {"y": None}, ValueError, "needs y"),
        ({}, {"groups": ["x"] * 3}, GroupsError, "groups has 3 entries for 90 samples"),
        ({}, {"X": np.zeros(3)}, ValueError, "inconsistent numbers of samples"),
        ({"n_splits": 60}, {}, ValueError, "n_splits=60 is more than the samples of any cell"),
        ({"group_columns": "sex"}, {}, GroupsError, "give one of the two"),
        (
            {"group_columns": "sex"},
            {"groups": None},
            TypeError,
            "as a pandas DataFrame, got ndarray",
        ),
        (
            {"group_columns": "sex"},
            {"groups": None, "X": pd.DataFrame({"age": np.zeros(90)})},
            GroupsError,
            "names 'sex', which X does not have; its columns are 'age'",
        ),
    ],
)
def test_unusable_input_is_refused_with_the_reason(samples, folds, arguments, error, message):
    arguments = dict(zip(("X", "y", "groups"), samples, strict=True)) | arguments
    with pytest.raises(error, match=message):
        next(SubgroupStratifiedKFold(**folds).split(**arguments))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_splits": 1}, ValueError, "2 or more, got 1"),
        ({"n_splits": 2.0}, ValueError, "2 or more, got 2.0"),
        ({"n_splits": True}, ValueError, "2 or more, got True"),
        ({"shuffle": 1}, TypeError, "shuffle must be True or False"),
        ({"random_state": 0}, ValueError, "no effect without shuffle=True"),
    ],
)
def test_unusable_parameters_are_refused_at_once(arguments, error, message):
    with pytest.raises(error, match=message):
        SubgroupStratifiedKFold(**arguments)


def test_repr_shows_the_parameters_and_copies_are_equal():
    folds = SubgroupStratifiedKFold(3, shuffle=True, random_state=0, group_columns="sex")
    text = "SubgroupStratifiedKFold(group_columns='sex', n_splits=3, random_state=0, shuffle=True)"
    assert repr(folds).split() == text.split()
    assert repr(clone(folds, safe=False)) == repr(folds)
    assert repr(pickle.loads(pickle.dumps(folds))) == repr(folds)


@pytest.mark.parametrize("routing", [False, True])
def test_groups_of_a_search_reach_the_splitter_with_routing_on_and_off(samples, routing):
    X, y, groups = samples
    folds = SubgroupStratifiedKFold(3)
    expected = [
        LogisticRegression().fit(X[train], y[train]).score(X[test], y[test])
        for train, test in folds.split(X, y, groups)
    ]
    with sklearn.config_context(enable_metadata_routing=routing):
        search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=folds, error_score="raise")
        search.fit(X, y, groups=groups)
        passed = {"params": {"groups": groups}} if routing else {"groups": groups}
        scores = cross_val_score(LogisticRegression(), X, y, cv=folds, **passed)
        results = cross_validate(LogisticRegression(), X, y, cv=folds, **passed)
    assert [search.cv_results_[f"split{i}_test_score"][0] for i in range(3)] == expected
    assert scores.tolist() == expected
    assert results["test_score"].tolist() == expected


def test_a_search_without_groups_says_how_to_give_them(samples):
    X, y, _ = samples
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=SubgroupStratifiedKFold(3))
    with pytest.raises(MissingGroupsError, match=r"enable_metadata_routing=True.*group_columns="):
        search.fit(X, y)
