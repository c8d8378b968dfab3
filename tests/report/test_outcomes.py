"""Counting samples agrees with the metrics, whatever labels are made of."""

import time

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn.exceptions import GroupsError, GroupsWarning, MissingGroupsError
from gbmix_sklearn.metrics import cell_accuracies
from gbmix_sklearn.report._outcomes import count_outcomes

N = 500
RNG = np.random.default_rng(0)
CODES = RNG.integers(3, size=(4, N))
GUESS = np.where(RNG.random(N) < 0.7, CODES[0], CODES[1])

LABELS = {
    "integers": lambda codes: codes,
    "text": lambda codes: np.array(["a", "b", "c"])[codes],
    "a list of text": lambda codes: list(np.array(["a", "b", "c"])[codes]),
    "objects": lambda codes: np.array(["a", "b", "c"], dtype=object)[codes],
    "booleans": lambda codes: codes > 0,
    "categories": lambda codes: pd.Categorical.from_codes(codes, ["z", "y", "x"]),
    "a column": lambda codes: codes[:, None],
    "a Series with an index of its own": lambda codes: pd.Series(codes, index=range(N, 0, -1)),
    "floats": lambda codes: codes.astype(float),
    "dates": lambda codes: pd.to_datetime(["2020-01-01", "2021-01-01", "2022-01-01"])[codes],
    "mixed": lambda codes: np.array(["a", 1, None], dtype=object)[np.minimum(codes, 1)],
}


@pytest.mark.parametrize("kind", LABELS)
def test_cells_and_counts_are_those_of_the_metrics(kind):
    truth, guess = LABELS[kind](CODES[0]), LABELS[kind](GUESS)
    groups = pd.DataFrame({"sex": CODES[2], "age": np.array(["old", "new", "mid"])[CODES[3]]})
    outcomes = count_outcomes(truth, guess, groups)
    expected = cell_accuracies(truth, guess, groups=groups)
    pd.testing.assert_index_equal(outcomes.index, expected.index)
    np.testing.assert_array_equal(outcomes.count, expected["count"])
    np.testing.assert_allclose(outcomes.correct / outcomes.count, expected["accuracy"])
    sizes = np.bincount(outcomes.cell)
    np.testing.assert_array_equal(sizes, expected["count"])


@pytest.mark.parametrize("kind", [kind for kind in LABELS if kind not in ("a column", "dates")])
def test_groups_of_any_kind(kind):
    groups = LABELS[kind](CODES[2])
    expected = cell_accuracies(CODES[0], GUESS, groups=groups)
    outcomes = count_outcomes(CODES[0], GUESS, groups)
    pd.testing.assert_index_equal(outcomes.index, expected.index)
    np.testing.assert_array_equal(outcomes.count, expected["count"])


def test_predictions_may_be_of_another_type_and_have_other_labels():
    outcomes = count_outcomes([0, 1, 1, 0], np.array([0.0, 1.0, 7.0, 0.0]), list("aabb"))
    assert outcomes.correct.tolist() == [1, 1, 1, 0]
    assert outcomes.labels == ["0, group=a", "0, group=b", "1, group=a", "1, group=b"]


def test_the_cell_and_the_hit_of_each_sample():
    outcomes = count_outcomes(["b", "a", "b"], ["b", "b", "a"], ["x", "x", "y"])
    assert [outcomes.labels[cell] for cell in outcomes.cell] == [
        "b, group=x",
        "a, group=x",
        "b, group=y",
    ]
    assert outcomes.hit_of_kind[outcomes.kind].tolist() == [True, False, False]
    assert outcomes.attribute.tolist() == [0, 0, 1]


def test_values_that_never_repeat():
    labels = np.arange(300)
    with pytest.warns(GroupsWarning, match="look like persons"):
        outcomes = count_outcomes(labels, labels[::-1], np.stack([labels, labels], axis=1))
    assert len(outcomes.count) == 300
    assert outcomes.correct.sum() == 0


@pytest.mark.parametrize(
    ("y_true", "y_pred", "groups", "error", "message"),
    [
        ([0, 1], [0, 1], None, MissingGroupsError, "group_columns='column'"),
        ([0, 1], [0], [0, 1], ValueError, "y_true has 2 labels and y_pred has 1"),
        ([0, 1], [0, 1], [0], GroupsError, "groups has 1 entries for 2 samples"),
        ([], [], [], ValueError, "empty"),
        ([0, None], [0, 1], [0, 1], ValueError, "y_true has 1 missing label.*row 1"),
        ([0, 1], [np.nan, 1], [0, 1], ValueError, "y_pred has 1 missing label.*row 0"),
        ([0, 1], [0, 1], ["a", None], GroupsError, "missing value.*row 1"),
        ([0, 1], ["0", "1"], [0, 1], ValueError, "different types"),
        ([0, 1], [0.2, 0.8], [0, 1], ValueError, "not probabilities"),
        ([0, 1], [[0.2, 0.8], [0.8, 0.2]], [0, 1], ValueError, "y_pred must be 1-D"),
        ("ab", [0, 1], [0, 1], ValueError, "y_true must be 1-D"),
        ([0, 1], [0, 1], "ab", TypeError, "groups must be an array"),
    ],
)
def test_errors_are_those_of_the_metrics(y_true, y_pred, groups, error, message):
    with pytest.raises(error, match=message):
        count_outcomes(y_true, y_pred, groups)


def seconds(function):
    times = []
    for _ in range(3):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def test_counting_takes_about_as_long_as_grouping_with_pandas():
    rng = np.random.default_rng(0)
    n = 300_000
    truth = np.array(["no", "yes"], dtype=object)[rng.integers(2, size=n)]
    guess = np.array(["no", "yes"], dtype=object)[rng.integers(2, size=n)]
    groups = pd.DataFrame({"a": rng.integers(5, size=n), "b": rng.integers(3, size=n)})

    def with_pandas():
        frame = groups.assign(y=truth, hit=truth == guess)
        return frame.groupby(["y", "a", "b"]).hit.agg(["mean", "size"])

    # measured 1.0 to 1.5 times; sample by sample it would be more than ten times
    assert seconds(lambda: count_outcomes(truth, guess, groups)) < 4 * seconds(with_pandas)
