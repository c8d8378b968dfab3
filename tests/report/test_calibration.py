"""Scores of probabilities against scikit-learn and slow, obvious versions."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss

from gbmix_sklearn import GroupAudit
from gbmix_sklearn.report._calibration import calibrate
from gbmix_sklearn.report._outcomes import count_outcomes

RNG = np.random.default_rng(0)
N = 600
GROUPS = RNG.choice(["f", "m"], N)


def problem(n_classes):
    classes = np.array(["ant", "bee", "cat"][:n_classes])
    logits = RNG.normal(size=(N, n_classes))
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = classes[(proba.cumsum(axis=1) < RNG.random((N, 1))).sum(axis=1)]
    return truth, classes[proba.argmax(axis=1)], proba, classes


def slow_error(confidence, hit):
    """Expected calibration error, bin by bin: (0, 0.1], (0.1, 0.2], and so on."""
    error = 0.0
    for upper in np.arange(1, 11) / 10:
        inside = (confidence > upper - 0.1 + 1e-12) & (confidence <= upper + 1e-12)
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - hit[inside].mean())
    return error


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_of_each_cell_are_those_of_its_samples(n_classes):
    truth, predicted, proba, classes = problem(n_classes)
    outcomes = count_outcomes(truth, predicted, GROUPS)
    scores = calibrate(outcomes, proba).scores(outcomes.index)
    for (label, group), row in scores.iterrows():
        cell = (truth == label) & (group == GROUPS)
        confidence, hit = proba[cell].max(axis=1), (truth == predicted)[cell]
        assert row["confidence"] == pytest.approx(confidence.mean())
        assert row["overconfidence"] == pytest.approx(confidence.mean() - hit.mean())
        assert row["expected_calibration_error"] == pytest.approx(slow_error(confidence, hit))
        expected = brier_score_loss(truth[cell], proba[cell], labels=classes)
        assert row["brier_score"] == pytest.approx(expected)


def test_groups_are_their_cells_together():
    truth, predicted, proba, classes = problem(3)
    outcomes = count_outcomes(truth, predicted, GROUPS)
    together = calibrate(outcomes, proba).together(outcomes.attribute)
    scores = together.scores(["f", "m"])
    for group in "fm":
        some = group == GROUPS
        confidence, hit = proba[some].max(axis=1), (truth == predicted)[some]
        row = scores.loc[group]
        assert row["expected_calibration_error"] == pytest.approx(slow_error(confidence, hit))
        assert row["brier_score"] == pytest.approx(
            brier_score_loss(truth[some], proba[some], labels=classes)
        )


def test_the_confidence_is_that_of_the_prediction_whatever_is_the_most_probable():
    outcomes = count_outcomes([0, 1], [0, 0], ["a", "a"])
    scores = calibrate(outcomes, [[0.3, 0.7], [0.2, 0.8]]).scores(outcomes.index)
    assert scores["confidence"].tolist() == pytest.approx([0.3, 0.2])


def test_probabilities_of_the_second_class_are_enough():
    truth, predicted, proba, _ = problem(2)
    outcomes = count_outcomes(truth, predicted, GROUPS)
    full = calibrate(outcomes, proba).scores(outcomes.index)
    for half in (proba[:, 1], proba[:, [1]], list(proba[:, 1])):
        pd.testing.assert_frame_equal(calibrate(outcomes, half).scores(outcomes.index), full)


def test_columns_are_named_by_classes_or_by_a_frame():
    truth, predicted, proba, classes = problem(3)
    outcomes = count_outcomes(truth, predicted, GROUPS)
    full = calibrate(outcomes, proba).scores(outcomes.index)
    turned = pd.DataFrame(proba[:, ::-1], columns=classes[::-1])
    for scores in (
        calibrate(outcomes, turned),
        calibrate(outcomes, turned.to_numpy(), classes[::-1]),
    ):
        pd.testing.assert_frame_equal(scores.scores(outcomes.index), full)


def test_a_class_that_the_model_does_not_know_has_no_probability():
    outcomes = count_outcomes(["new", "old"], ["old", "old"], ["a", "a"])
    proba = np.array([[0.9, 0.1], [0.6, 0.4]])
    scores = calibrate(outcomes, proba, classes=["old", "other"]).scores(outcomes.index)
    assert scores["brier_score"].tolist() == pytest.approx([(0.81 + 0.01 + 1) / 2, 0.16])


def test_small_floats_are_summed_exactly():
    truth, predicted, proba, _ = problem(3)
    outcomes = count_outcomes(truth, predicted, GROUPS)
    single = calibrate(outcomes, proba.astype(np.float32)).scores(outcomes.index)
    np.testing.assert_allclose(single, calibrate(outcomes, proba).scores(outcomes.index), atol=1e-6)


@pytest.mark.parametrize(
    ("proba", "classes", "message"),
    [
        ([[0.5, 0.5]], None, "a row for each of the 2 samples.*got shape \\(1, 2\\)"),
        ([[0.5, 0.4], [0.5, 0.5]], None, "row 0 sums to 0.9"),
        ([[0.5, 0.5], [1.2, -0.2]], None, r"row 1 is \[1.2, -0.2\]"),
        ([[0.5, np.nan], [0.5, 0.5]], None, "row 0 is"),
        ([0.5, 7.0], None, "between 0 and 1; row 1"),
        ([["a", "b"], ["a", "b"]], None, "must be numbers"),
        ([[0.2, 0.3, 0.5]] * 2, None, "3 columns for the 2 classes.*classes=estimator.classes_"),
        ([[0.5, 0.5]] * 2, ["yes", "maybe"], "'no', for which y_proba has no column"),
        ([[[0.5, 0.5]]] * 2, None, "got shape"),
    ],
)
def test_what_are_no_probabilities_is_an_error(proba, classes, message):
    outcomes = count_outcomes(["no", "yes"], ["no", "yes"], [0, 0])
    with pytest.raises(ValueError, match=message):
        calibrate(outcomes, proba, classes)


@pytest.mark.parametrize("library", ["pandas", "pyarrow", "polars"])
def test_columns_of_any_table_name_the_classes(library):
    module = pytest.importorskip(library)
    rng = np.random.default_rng(0)
    truth = rng.choice(["no", "yes"], size=200)
    sure = np.where(truth == "yes", 0.9, 0.2)
    frame = pd.DataFrame({"yes": sure, "no": 1 - sure})
    make = {"pyarrow": lambda: module.Table.from_pandas(frame), "pandas": lambda: frame}
    table = make[library]() if library in make else module.from_pandas(frame)
    groups = np.arange(200) % 2
    audit = GroupAudit.from_predictions(truth, truth, groups=groups, y_proba=table)
    assert audit.calibration["brier_score"].max() == pytest.approx(0.04)
