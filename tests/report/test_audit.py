"""The audit of a classifier: what it measures, against the metrics, fairlearn and SciPy."""

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference
from scipy.stats import binomtest, fisher_exact
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import (
    GroupAudit,
    MissingGroupsError,
    SmallCellWarning,
    adjusted_average_accuracy_score,
    group_report,
    mean_group_accuracy_score,
    robust_gap_score,
    worst_group_accuracy_score,
)

from .examples import animals, guesses

TRUTH, PREDICTED, GROUPS = animals()
AUDIT = GroupAudit.from_predictions(TRUTH, PREDICTED, groups=GROUPS)


def test_there_is_a_row_for_each_cell_with_its_exact_interval():
    frame = AUDIT.to_frame()
    report = group_report(TRUTH, PREDICTED, groups=GROUPS)
    pd.testing.assert_frame_equal(frame[list(report)], pd.DataFrame(report))
    for (label, place), row in frame.iterrows():
        cell = (label == TRUTH) & (GROUPS["place"] == place)
        interval = binomtest(int((PREDICTED == TRUTH)[cell].sum()), int(cell.sum())).proportion_ci()
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))


def test_the_confidence_is_that_of_the_intervals():
    narrow = GroupAudit.from_predictions(TRUTH, PREDICTED, groups=GROUPS, confidence=0.5)
    frame, other = narrow.to_frame(), AUDIT.to_frame()
    assert (frame["low"] > other["low"]).all()
    assert (frame["high"] < other["high"]).all()


def test_the_worst_cell_is_compared_with_each_other_one():
    frame = AUDIT.to_frame()
    correct = (frame["accuracy"] * frame["count"]).round().astype(int).to_numpy()
    wrong = frame["count"].to_numpy() - correct
    worst = int(np.argmin(frame["accuracy"]))
    assert AUDIT.worst_cell == frame.index[worst] == ("cat", "outdoor")
    following = frame["accuracy"].drop(index=AUDIT.worst_cell).idxmin()
    assert AUDIT.next_cell == following
    assert AUDIT.lead == pytest.approx(frame["accuracy"][following] - frame["accuracy"].min())
    single = np.array(
        [
            2
            * fisher_exact([[correct[worst], wrong[worst]], [correct[c], wrong[c]]], "less").pvalue
            for c in range(6)
            if c != worst
        ]
    )
    # Holm: all 15 pairs of cells count, the smallest of the five p-values as one of 15
    adjusted = np.maximum.accumulate(np.sort(single) * (15 - np.arange(5)))
    found = np.sort(frame["pvalue_adjusted"].dropna())
    np.testing.assert_allclose(found, np.minimum(adjusted, 1), rtol=1e-6)
    assert frame["pvalue_adjusted"].isna().to_numpy().nonzero()[0].tolist() == [worst]
    assert AUDIT.lead_pvalue == frame["pvalue_adjusted"][following]
    assert AUDIT.lead_is_significant
    assert AUDIT.rank_confidence > 0.99


def test_a_lead_by_chance_is_not_significant():
    rng = np.random.default_rng(1)
    predicted = guesses(TRUTH, 0.8, rng)
    audit = GroupAudit.from_predictions(TRUTH, predicted, groups=GROUPS)
    assert audit.lead > 0
    assert not audit.lead_is_significant
    assert audit.rank_confidence < 0.9


@pytest.mark.parametrize(("confidence", "significant"), [(0.95, False), (0.8, True)])
def test_the_level_of_the_test_is_what_the_confidence_leaves(confidence, significant):
    predicted = np.repeat([1, 0, 1, 0], [50, 50, 61, 39])
    audit = GroupAudit.from_predictions(
        np.ones(200, dtype=int), predicted, groups=np.repeat([0, 1], 100), confidence=confidence
    )
    assert 0.1 < audit.lead_pvalue < 0.2
    assert audit.lead_is_significant == significant


def test_the_scores_are_those_of_the_metrics():
    weights = {cell: weight for weight, cell in enumerate(AUDIT.to_frame().index, 1)}
    audit = GroupAudit.from_predictions(TRUTH, PREDICTED, groups=GROUPS, cell_weights=weights)
    given = {"groups": GROUPS}
    scores = {
        "worst_group_accuracy": worst_group_accuracy_score(TRUTH, PREDICTED, **given),
        "robust_gap": robust_gap_score(TRUTH, PREDICTED, **given),
        "average_accuracy": np.mean(TRUTH == PREDICTED),
        "mean_group_accuracy": mean_group_accuracy_score(TRUTH, PREDICTED, **given),
        "adjusted_average_accuracy": adjusted_average_accuracy_score(
            TRUTH, PREDICTED, cell_weights=weights, **given
        ),
    }
    for name, score in scores.items():
        assert audit.summary[name] == pytest.approx(score)
        assert getattr(audit, name) == audit.summary[name]
    assert AUDIT.adjusted_average_accuracy is None
    assert "adjusted_average_accuracy" not in AUDIT.summary


def test_the_parity_metrics_are_those_of_fairlearn():
    truth, predicted = (TRUTH == "dog").astype(int), (PREDICTED == "dog").astype(int)
    sensitive = GROUPS["place"]
    for function in (demographic_parity_difference, equalized_odds_difference):
        expected = function(truth, predicted, sensitive_features=sensitive)
        assert AUDIT.summary[function.__name__] == pytest.approx(expected)
        assert getattr(AUDIT, function.__name__) == pytest.approx(expected)


def table(n=1500):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {"a": rng.normal(size=n), "b": rng.normal(size=n), "sex": rng.integers(2, size=n)}
    )
    return X, np.where(X["a"] + rng.normal(size=n) > 0, "yes", "no")


X, Y = table()
PIPELINE = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)


def test_an_estimator_is_audited_by_its_predictions_and_probabilities():
    audit = GroupAudit.from_estimator(PIPELINE, X, Y, groups=X["sex"])
    other = GroupAudit.from_predictions(
        Y, PIPELINE.predict(X), groups=X["sex"], y_proba=PIPELINE.predict_proba(X)
    )
    pd.testing.assert_frame_equal(audit.to_frame(), other.to_frame())
    pd.testing.assert_frame_equal(audit.calibration_by_group, other.calibration_by_group)
    assert audit.model.name == "StandardScaler → LogisticRegression"
    assert other.model is None


def test_the_attributes_may_be_columns_of_the_samples():
    audit = GroupAudit.from_estimator(PIPELINE, X, Y, group_columns="sex")
    other = GroupAudit.from_estimator(PIPELINE, X, Y, groups=X["sex"])
    pd.testing.assert_frame_equal(audit.to_frame(), other.to_frame())


def test_without_groups_nothing_is_predicted():
    class Slow(ClassifierMixin, BaseEstimator):
        def predict(self, X):
            raise AssertionError("predicted before the groups were checked")

    with pytest.raises(MissingGroupsError, match="group_columns='column'"):
        GroupAudit.from_estimator(Slow(), X, Y)


def test_a_search_and_a_classifier_without_probabilities():
    search = GridSearchCV(RidgeClassifier(), {"alpha": [0.1, 1.0]}, cv=2).fit(X, Y)
    audit = GroupAudit.from_estimator(search, X, Y, group_columns=["sex"])
    assert audit.calibration is None
    assert audit.calibration_by_group is None
    assert "brier_score" not in audit.to_frame()
    assert audit.model.name == "RidgeClassifier"
    assert audit.model.parameters["alpha"] == repr(search.best_params_["alpha"])


def test_the_adjusted_average_takes_the_cells_that_the_model_was_trained_on():
    model = LogisticRegression().fit(X, Y)
    index = GroupAudit.from_predictions(Y, Y, groups=X["sex"]).to_frame().index
    model.group_table_ = pd.DataFrame({"count": [1, 2, 3, 4]}, index=index)
    audit = GroupAudit.from_estimator(model, X, Y, group_columns="sex")
    expected = np.average(audit.to_frame()["accuracy"], weights=[1, 2, 3, 4])
    assert audit.adjusted_average_accuracy == pytest.approx(expected)
    other = GroupAudit.from_estimator(model, X, Y, groups=X["sex"] + 5)  # cells it does not know
    assert other.adjusted_average_accuracy is None


def test_calibration_is_that_of_each_cell_and_each_group():
    rng = np.random.default_rng(0)
    proba = rng.random(len(TRUTH))
    audit = GroupAudit.from_predictions(TRUTH, PREDICTED, groups=GROUPS, y_proba=proba)
    confidence = np.where(PREDICTED == "dog", proba, 1 - proba)
    cell = (TRUTH == "cat") & (GROUPS["place"] == "attic")
    row = audit.to_frame().loc[("cat", "attic")]
    assert row["confidence"] == pytest.approx(confidence[cell].mean())
    assert audit.calibration.loc[("cat", "attic"), "brier_score"] == row["brier_score"]
    by_group = audit.calibration_by_group
    assert by_group.index.tolist() == ["attic", "indoor", "outdoor"]
    group = GROUPS["place"] == "attic"
    assert by_group.loc["attic", "confidence"] == pytest.approx(confidence[group].mean())


def test_small_cells_warn_where_the_audit_is_made():
    truth, groups = [0] * 100 + [1] * 3, ["a"] * 103
    with pytest.warns(SmallCellWarning, match="1, group=a .3 samples: 29 to 100 %") as caught:
        audit = GroupAudit.from_predictions(truth, truth, groups=groups)
    assert caught[0].filename == __file__
    assert audit.small_cells == ["1, group=a"]
    assert audit.to_frame()["too_small"].tolist() == [False, True]
    model = LogisticRegression().fit(np.array(truth)[:, None], truth)
    with pytest.warns(SmallCellWarning) as caught:
        GroupAudit.from_estimator(model, np.array(truth)[:, None], truth, groups=groups)
    assert caught[0].filename == __file__


def test_large_cells_do_not_warn():
    assert AUDIT.small_cells == []  # warnings are errors here


def test_a_single_cell_has_no_next_one():
    audit = GroupAudit.from_predictions([1] * 50, [1] * 49 + [0], groups=["a"] * 50)
    assert audit.worst_cell == (1, "a")
    assert audit.next_cell is None
    assert np.isnan(audit.lead)
    assert not audit.lead_is_significant
    assert audit.robust_gap == 0
    assert "a single group" in str(audit)


@pytest.mark.parametrize("random_state", [0, np.int64(3), None, np.random.RandomState(0)])
def test_the_bootstrap_takes_any_random_state(random_state):
    audit = GroupAudit.from_predictions(TRUTH, PREDICTED, groups=GROUPS, random_state=random_state)
    assert audit.rank_confidence == pytest.approx(AUDIT.rank_confidence, abs=0.02)


def test_the_same_seed_gives_the_same_audit():
    predicted = guesses(TRUTH, 0.8, np.random.default_rng(1))
    made = [GroupAudit.from_predictions(TRUTH, predicted, groups=GROUPS) for _ in range(2)]
    assert made[0].rank_confidence == made[1].rank_confidence
    assert made[0].to_json() == made[1].to_json()


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5])
def test_a_confidence_is_between_0_and_1(confidence):
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1"):
        GroupAudit.from_predictions(TRUTH, PREDICTED, groups=GROUPS, confidence=confidence)


@pytest.mark.parametrize("storage", ["python", "pyarrow"])
def test_columns_of_text_may_be_stored_in_any_way(storage):
    if storage == "pyarrow":
        pytest.importorskip("pyarrow")
    dtype = pd.StringDtype(storage)
    truth, predicted = pd.Series(TRUTH, dtype=dtype), pd.Series(PREDICTED, dtype=dtype)
    audit = GroupAudit.from_predictions(truth, predicted, groups=GROUPS.astype(dtype))
    pd.testing.assert_frame_equal(audit.to_frame(), AUDIT.to_frame())
    assert audit.summary == pytest.approx(AUDIT.summary)


def test_it_prints_what_was_found():
    text = str(AUDIT)
    assert text.startswith("The worst group is cat, place=outdoor with an accuracy of ")
    assert "It is significantly worse than the next group" in text
    assert repr(AUDIT) == "<GroupAudit of 2,000 samples in 6 cells>"
