"""Group accuracies against slow, obvious loops; and everything that must be refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from gbmix_sklearn.exceptions import GroupsError, MissingGroupsError
from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.metrics import (
    adjusted_average_accuracy_score,
    cell_accuracies,
    mean_group_accuracy_score,
    robust_gap_score,
    worst_group_accuracy_score,
)

from .strategies import scored_samples

SCORES = [worst_group_accuracy_score, robust_gap_score, mean_group_accuracy_score]
Y_TRUE, Y_PRED, GROUPS = [0, 0, 1, 1], [0, 1, 1, 1], ["a", "b", "a", "b"]


def slow_accuracies(y_true, y_pred, rows, weights):
    right, total = {}, {}
    for truth, predicted, row, weight in zip(y_true, y_pred, rows, weights, strict=True):
        cell = (truth, *row)
        total[cell] = total.get(cell, 0) + weight
        right[cell] = right.get(cell, 0) + weight * (truth == predicted)
    return {cell: right[cell] / total[cell] for cell in total}, total


@settings(max_examples=40, deadline=None)
@given(scored_samples())
def test_scores_equal_those_of_a_plain_loop(samples):
    (y_true, y_pred, rows, _), (in_true, in_pred, groups, _) = samples
    slow, counts = slow_accuracies(y_true, y_pred, rows, [1] * len(rows))
    table = cell_accuracies(in_true, in_pred, groups=groups)
    assert table["accuracy"].to_dict() == pytest.approx(slow)
    assert table["count"].to_dict() == counts
    assert table["share"].sum() == pytest.approx(1)
    values = list(slow.values())
    expected = [min(values), max(values) - min(values), sum(values) / len(values)]
    for score, value in zip(SCORES, expected, strict=True):
        result = score(in_true, in_pred, groups=groups)
        assert type(result) is float
        assert result == pytest.approx(value)


@settings(max_examples=40, deadline=None)
@given(scored_samples())
def test_sample_weights_count_within_their_cell(samples):
    (y_true, y_pred, rows, weights), (in_true, in_pred, groups, in_weights) = samples
    slow, total = slow_accuracies(y_true, y_pred, rows, weights)
    table = cell_accuracies(in_true, in_pred, groups=groups, sample_weight=in_weights)
    assert table["accuracy"].to_dict() == pytest.approx(slow)
    shares = {cell: weight / sum(total.values()) for cell, weight in total.items()}
    assert table["share"].to_dict() == pytest.approx(shares)
    worst = worst_group_accuracy_score(in_true, in_pred, groups=groups, sample_weight=in_weights)
    assert worst == pytest.approx(min(slow.values()))


@settings(max_examples=40, deadline=None)
@given(scored_samples())
def test_adjusted_average_weights_cells_by_their_training_share(samples):
    (y_true, y_pred, rows, weights), (in_true, in_pred, groups, _) = samples
    slow, _ = slow_accuracies(y_true, y_pred, rows, [1] * len(rows))
    _, cell_weights = slow_accuracies(y_true, y_pred, rows, weights)
    expected = sum(slow[cell] * cell_weights[cell] for cell in slow) / sum(cell_weights.values())
    extra = {("never", "seen"): 100.0}
    for given_weights in (cell_weights, cell_weights | extra, pd.Series(cell_weights)):
        result = adjusted_average_accuracy_score(
            in_true, in_pred, groups=groups, cell_weights=given_weights
        )
        assert result == pytest.approx(expected)


def test_cells_with_a_sample_in_no_class_or_group_never_count():
    y_true, y_pred, groups = ["a", "a", "b"], ["a", "a", "b"], ["x", "y", "x"]
    assert len(cell_accuracies(y_true, y_pred, groups=groups)) == 3
    assert worst_group_accuracy_score(y_true, y_pred, groups=groups) == 1
    assert mean_group_accuracy_score(y_true, y_pred, groups=groups) == 1
    categories = pd.Categorical(groups, categories=["x", "y", "never"])
    assert worst_group_accuracy_score(y_true, y_pred, groups=categories) == 1


def test_classes_that_are_only_predicted_make_no_cell():
    assert len(cell_accuracies([0, 0], [0, 9], groups=["x", "x"])) == 1


@pytest.mark.parametrize(
    ("y_true", "y_pred"),
    [
        ([True, False], [1, 0]),
        ([1, 0], [1.0, 0.0]),
        (np.array(["a", "b"]), pd.Categorical(["a", "b"])),
        (np.array(["a", "b"]), np.array(["a", "b"], dtype=object)),
        (pd.Series([1, 0], dtype="Int64"), np.array([1, 0])),
        (pd.Series(["a", "b"], dtype="string"), ["a", "b"]),
        (np.array([[1], [0]]), pd.DataFrame({"y": [1, 0]})),
        (np.float32([1, 0]), np.int8([1, 0])),
    ],
)
def test_equal_labels_of_different_containers_match(y_true, y_pred):
    assert worst_group_accuracy_score(y_true, y_pred, groups=["x", "x"]) == 1


def test_a_fitted_models_group_table_gives_the_training_shares():
    table = make_cells([0] * 8 + [1] * 2, list("aaaaaaabab")).table
    expected = (7 * 1 + 1 * 0 + 1 * 1 + 1 * 1) / 10
    for weights in (table, table[["count"]], table["share"], table["share"].to_dict()):
        result = adjusted_average_accuracy_score(
            Y_TRUE, Y_PRED, groups=GROUPS, cell_weights=weights
        )
        assert result == pytest.approx(expected)


def test_a_cell_that_training_did_not_have_counts_nothing_in_the_adjusted_average():
    table = make_cells([0, 0, 1], ["a", "b", "a"]).table  # (1, "b") is listed, with 0
    result = adjusted_average_accuracy_score(Y_TRUE, Y_PRED, groups=GROUPS, cell_weights=table)
    assert result == pytest.approx(2 / 3)


@pytest.mark.parametrize("score", [*SCORES, cell_accuracies])
def test_missing_groups_are_an_error(score):
    with pytest.raises(MissingGroupsError, match="groups is required"):
        score(Y_TRUE, Y_PRED, groups=None)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"y_pred": [0, 1, 1]}, ValueError, "y_true has 4 labels and y_pred has 3"),
        ({"y_pred": [0, 1, 1, np.nan]}, ValueError, r"y_pred has 1 missing label.*row 3"),
        ({"y_true": [0, None, 1, 1]}, ValueError, r"y_true has 1 missing label.*row 1"),
        ({"y_pred": list("0111")}, ValueError, "different types: number such as 0 and text"),
        ({"y_pred": [0.0, 0.9, 0.4, 1]}, ValueError, "no labels, such as 0.9; give predicted"),
        ({"y_pred": np.zeros((4, 2))}, ValueError, r"y_pred must be 1-D.*\(4, 2\)"),
        ({"y_pred": 3}, ValueError, "y_pred must be 1-D"),
        ({"y_pred": "abcd"}, ValueError, "y_pred must be 1-D"),
        ({"groups": ["a", "b"]}, GroupsError, "groups has 2 entries for 4 samples"),
        ({"groups": ["a", "b", None, "a"]}, GroupsError, "groups has 1 missing value"),
        ({"sample_weight": [1, 1, 1]}, ValueError, "one weight for each of the 4 samples"),
        ({"sample_weight": 2.0}, ValueError, r"got shape \(\)"),
        ({"sample_weight": [1, -1, 1, 1]}, ValueError, "not negative; got -1.0 at row 1"),
        ({"sample_weight": [1, 1, np.nan, 1]}, ValueError, "finite.*got nan at row 2"),
        ({"sample_weight": [1, 1, np.inf, 1]}, ValueError, "finite.*got inf at row 2"),
        ({"sample_weight": [1, 0, 1, 1]}, ValueError, r"zero for every.*: .*0, group=b\. The"),
    ],
)
def test_unusable_input_is_refused_with_the_reason(changes, error, message):
    arguments = {"y_true": Y_TRUE, "y_pred": Y_PRED, "groups": GROUPS, **changes}
    with pytest.raises(error, match=message):
        worst_group_accuracy_score(**arguments)


def test_no_samples_are_an_error():
    with pytest.raises(ValueError, match="are empty"):
        worst_group_accuracy_score([], [], groups=[])


WEIGHTS = {(0, "a"): 1, (0, "b"): 1, (1, "a"): 1, (1, "b"): 1}


@pytest.mark.parametrize(
    ("cell_weights", "error", "message"),
    [
        (None, ValueError, "cell_weights is required"),
        ({(0, "a"): 1, (0, "b"): 1, (1, "a"): 1}, ValueError, r"no weight for \(1, 'b'\)"),
        (WEIGHTS | {(0, "a"): -1}, ValueError, r"not negative; got -1.0 for \(0, 'a'\)"),
        (WEIGHTS | {(0, "a"): np.nan}, ValueError, "finite"),
        (dict.fromkeys(WEIGHTS, 0), ValueError, "zero for every cell"),
        ([1, 1, 1, 1], TypeError, "must be a mapping.*got list"),
        (pd.DataFrame({"n": [1]}), ValueError, "neither a column 'share' nor 'count'"),
    ],
)
def test_unusable_cell_weights_are_refused_with_the_reason(cell_weights, error, message):
    with pytest.raises(error, match=message):
        adjusted_average_accuracy_score(Y_TRUE, Y_PRED, groups=GROUPS, cell_weights=cell_weights)


@pytest.mark.parametrize(
    ("truth", "predicted"),
    [
        ([">50K.", "<=50K."], [">50K", "<=50K"]),
        (["Yes", "No"], ["yes", "no"]),
        (["yes ", "no "], ["yes", "no"]),
        ([2, 3], [0, 1]),
        (["Yes", "Yes"], ["yes", "yes"]),
    ],
)
def test_labels_that_share_nothing_are_an_error(truth, predicted):
    with pytest.raises(ValueError, match=rf"no predicted .*{truth[0]!r}.*{predicted[0]!r}"):
        worst_group_accuracy_score(truth, predicted, groups=["a", "b"])


def test_a_class_that_is_always_mistaken_is_an_accuracy_of_0():
    assert worst_group_accuracy_score([0, 0], [1, 1], groups=["a", "b"]) == 0


def test_labels_that_became_text_from_missing_ones_are_an_error():
    truth = np.array([np.nan, "no", "yes"])
    with pytest.raises(ValueError, match=r"y_true has 1 missing label.*row 0"):
        worst_group_accuracy_score(truth, ["no", "no", "yes"], groups=list("aab"))
