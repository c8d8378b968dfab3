"""The report: numbers to use, text to read."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn.exceptions import MissingGroupsError
from gbmix_sklearn.metrics import (
    adjusted_average_accuracy_score,
    cell_accuracies,
    group_report,
    mean_group_accuracy_score,
    robust_gap_score,
    worst_group_accuracy_score,
)


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    y_true = rng.choice([">50K", "<=50K"], 400)
    y_pred = np.where(rng.random(400) < 0.8, y_true, rng.choice([">50K", "<=50K"], 400))
    groups = pd.DataFrame({"sex": rng.choice(["f", "m"], 400), "old": rng.random(400) < 0.2})
    return y_true, y_pred, groups


def test_report_has_the_cells_and_their_scores(samples):
    y_true, y_pred, groups = samples
    report = group_report(y_true, y_pred, groups=groups)
    pd.testing.assert_frame_equal(
        pd.DataFrame(report), cell_accuracies(y_true, y_pred, groups=groups)
    )
    assert all(pd.api.types.is_numeric_dtype(dtype) for dtype in report.dtypes)
    assert report.worst_group_accuracy == worst_group_accuracy_score(y_true, y_pred, groups=groups)
    assert report.robust_gap == robust_gap_score(y_true, y_pred, groups=groups)
    assert report.mean_group_accuracy == mean_group_accuracy_score(y_true, y_pred, groups=groups)
    assert report.average_accuracy == pytest.approx((y_true == y_pred).mean())
    assert report.loc[report.worst_cell, "accuracy"] == report.worst_group_accuracy
    assert report.adjusted_average_accuracy is None


def test_average_accuracy_is_weighted_as_the_samples_are(samples):
    y_true, y_pred, groups = samples
    weight = np.random.default_rng(1).random(len(y_true))
    report = group_report(y_true, y_pred, groups=groups, sample_weight=weight)
    assert report.average_accuracy == pytest.approx(np.average(y_true == y_pred, weights=weight))


def test_cell_weights_add_the_adjusted_average(samples):
    y_true, y_pred, groups = samples
    cells = cell_accuracies(y_true, y_pred, groups=groups).index
    weights = dict(zip(cells, range(1, 9), strict=True))
    report = group_report(y_true, y_pred, groups=groups, cell_weights=weights)
    assert report.adjusted_average_accuracy == adjusted_average_accuracy_score(
        y_true, y_pred, groups=groups, cell_weights=weights
    )
    assert "adjusted average accuracy" in repr(report)


def test_report_prints_every_cell_and_marks_the_worst(samples):
    y_true, y_pred, groups = samples
    report = group_report(y_true, y_pred, groups=groups)
    text = str(report)
    assert text == repr(report)
    assert report._repr_html_() is None
    lines = text.splitlines()
    assert lines[0].split() == ["accuracy", "count", "share"]
    marked = [line for line in lines if line.endswith("<- worst")]
    label, sex, old = report.worst_cell
    assert len(marked) == 1
    assert f"{label}, sex={sex}, old={old}" in marked[0]
    assert sum("sex=" in line for line in lines) == 8
    for name in ("worst group accuracy", "robust gap", "average accuracy", "mean group accuracy"):
        assert name in text
    assert "adjusted" not in text


def test_parts_of_a_report_are_plain_frames(samples):
    y_true, y_pred, groups = samples
    report = group_report(y_true, y_pred, groups=groups)
    part = report[report["accuracy"] > 0.5].sort_values("accuracy")
    assert type(part) is pd.DataFrame
    assert "robust gap" not in repr(part)
    assert type(report.reset_index()) is pd.DataFrame


def test_a_report_that_lost_a_column_still_prints(samples):
    y_true, y_pred, groups = samples
    report = group_report(y_true, y_pred, groups=groups)
    del report["share"]
    assert "accuracy" in repr(report)


def test_report_can_be_pickled_and_copied(samples):
    y_true, y_pred, groups = samples
    report = group_report(y_true, y_pred, groups=groups)
    again = pickle.loads(pickle.dumps(report))
    assert repr(again) == repr(report)
    assert again.robust_gap == report.robust_gap
    pd.testing.assert_frame_equal(pd.DataFrame(copy.copy(report)), pd.DataFrame(report))


def test_report_without_groups_is_an_error():
    with pytest.raises(MissingGroupsError):
        group_report([0], [0], groups=None)
