"""Thresholds of any classifier, for its worst cell."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.multiclass import OutputCodeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from gbmix_sklearn import (
    ERMClassifier,
    GroupsError,
    GroupThresholdClassifier,
    MinimaxClassifier,
    MissingGroupsError,
    SmallCellWarning,
    SubgroupStratifiedKFold,
    worst_group_accuracy_score,
    worst_group_accuracy_scorer,
)
from gbmix_sklearn.balance import choose_offsets, predict_codes
from gbmix_sklearn.balance._thresholds import class_scores
from gbmix_sklearn.groups import make_cells

from ..estimators.problems import FAST, frame, supplies_groups
from .problems import rare_positives, uneven

CHECKED = supplies_groups(GroupThresholdClassifier)


def threshold(estimator=None, **parameters):
    estimator = LogisticRegression() if estimator is None else estimator
    return GroupThresholdClassifier(estimator, **{"random_state": 0} | parameters)


def worst(model, X, y, s):
    return worst_group_accuracy_score(y, model.predict(X), groups=s)


# scikit-learn's checks fit classes of one or two samples
@pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
@parametrize_with_checks([CHECKED(LogisticRegression())])
def test_it_keeps_scikit_learns_contract(estimator, check):
    check(estimator)


# -------------------------------------------------------------------------- what it is good for


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        RidgeClassifier(),
        RandomForestClassifier(20, min_samples_leaf=5),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
)
def test_the_worst_group_is_better_than_with_the_usual_threshold(estimator):
    X, y, s = rare_positives()
    X_test, y_test, s_test = rare_positives(4000, seed=1)
    model = threshold(estimator).fit(X, y, s)
    assert model.adopted_
    assert worst(model, X_test, y_test, s_test) > 0.2 + worst(
        model.estimator_, X_test, y_test, s_test
    )
    held_out = model.held_out_accuracy_["worst"]
    assert held_out["chosen threshold"] > held_out["usual threshold"] + 0.2


def test_it_is_chosen_on_scores_of_models_that_have_not_seen_the_samples():
    X, y, s = rare_positives()
    splits = list(StratifiedKFold(4).split(X, y))
    model = threshold(cv=splits).fit(X, y, s)
    scores, order = [], np.concatenate([test for _, test in splits])
    for train, test in splits:
        p = LogisticRegression().fit(X[train], y[train]).predict_proba(X[test])
        scores.append(np.log(p[:, 1] / p[:, 0]))
    cells = make_cells(y[order], s[order])
    expected = choose_offsets(np.concatenate(scores), cells)
    assert model.offsets_ == pytest.approx(expected)
    assert model.estimator_.coef_ == pytest.approx(LogisticRegression().fit(X, y).coef_)


@pytest.mark.parametrize("estimator", [LogisticRegression(), RidgeClassifier()])
def test_the_threshold_says_what_is_predicted(estimator):
    X, y, s = rare_positives()
    model = threshold(estimator).fit(X, np.where(y, "yes", "no"), s)
    if hasattr(model, "predict_proba"):
        scores = model.predict_proba(X)[:, 1]
        assert 0 < model.threshold_ < 0.5
    else:
        scores = model.decision_function(X)
        assert model.threshold_ < 0
    expected = np.where(scores > model.threshold_, "yes", "no")
    assert np.array_equal(model.predict(X), expected)


def test_scores_are_those_of_the_classifier():
    X, y, s = rare_positives()
    model = threshold().fit(X, y, s)
    plain = LogisticRegression().fit(X, y)
    assert np.array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert np.array_equal(model.predict_log_proba(X), plain.predict_log_proba(X))
    assert np.array_equal(model.decision_function(X), plain.decision_function(X))
    assert not np.array_equal(model.predict(X), plain.predict(X))


@pytest.mark.parametrize("estimator", [LogisticRegression(), RidgeClassifier()])
def test_three_classes_have_an_offset_each(estimator):
    rng = np.random.default_rng(0)
    y = rng.choice(3, 1500, p=[0.7, 0.2, 0.1])
    s = rng.integers(2, size=1500)
    X = rng.normal(size=(1500, 3))
    X[np.arange(1500), y] += 1.5
    labels = np.array(["red", "green", "blue"])[y]
    model = threshold(estimator).fit(X, labels, s)
    assert model.adopted_
    assert model.offsets_.shape == (3,)
    assert not hasattr(model, "threshold_")
    assert worst(model, X, labels, s) > worst(model.estimator_, X, labels, s) + 0.1
    scores = class_scores(model.estimator_, X, model.classes_)
    assert np.array_equal(model.predict(X), model.classes_[predict_codes(scores, model.offsets_)])


def test_the_usual_threshold_stays_where_none_is_better():
    rng = np.random.default_rng(0)
    y, s = np.divmod(np.arange(800) % 4, 2)
    X = rng.normal(size=(800, 2)) + 2 * y[:, None]
    model = threshold().fit(X, y, s)
    assert not model.adopted_
    assert model.threshold_ == 0.5
    assert model.offsets_.tolist() == [0, 0]
    assert np.array_equal(model.predict(X), model.estimator_.predict(X))


def test_the_average_may_be_held():
    X, y, s = rare_positives(3000)
    free, held = (threshold(max_average_loss=most).fit(X, y, s) for most in (None, 0.02))
    assert free.score(X, y) < held.score(X, y)
    assert held.score(X, y) > held.estimator_.score(X, y) - 0.03
    assert worst(held, X, y, s) > worst(held.estimator_, X, y, s)


def test_a_cell_of_two_samples_cannot_ruin_it():
    X, y, s = rare_positives()
    two = np.flatnonzero(y == 0)[:2]
    s[two], X[two] = 2, [9, 0]
    with pytest.warns(SmallCellWarning, match=r"0, group=2 \(2\)"):
        model = threshold().fit(X, y, s)
    kept = s != 2
    assert worst(model, X[kept], y[kept], s[kept]) > 0.7


@pytest.mark.parametrize("estimator", [LogisticRegression(), RandomForestClassifier(5)])
def test_the_same_seed_makes_the_same_model(estimator):
    X, y, s = rare_positives()
    one, other = (threshold(estimator).fit(X, y, s) for _ in range(2))
    assert one.threshold_ == other.threshold_
    assert np.array_equal(one.predict(X), other.predict(X))


# ---------------------------------------------------------------------- what it can be put around


def test_weights_and_threshold_go_together():
    X, y, s = uneven(800)
    inner = MinimaxClassifier(LogisticRegression(), n_rounds=3, cv=3)
    model = threshold(inner, cv=3).fit(X, y, s)
    assert model.estimator_.cell_weights_.index.equals(model.group_table_.index)
    assert worst(model, X, y, s) > 0.7


class Noting(LogisticRegression):
    given = []

    def fit(self, X, y, groups=None, keep_together=None):
        Noting.given.append((len(X), groups, keep_together))
        return super().fit(X, y)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("steps", [[], [StandardScaler()]])
def test_groups_and_what_belongs_together_reach_the_classifier(steps, routing):
    class Keeping(SubgroupStratifiedKFold):
        def split(self, X, y=None, groups=None, keep_together=None):
            return super().split(X, y, groups)

    X, y, s = uneven()
    person = np.arange(600) // 2
    Noting.given.clear()
    with sklearn.config_context(enable_metadata_routing=routing):
        model = threshold(make_pipeline(*steps, Noting()), cv=Keeping(2)).fit(
            X, y, s, keep_together=person
        )
    assert model.score(X, y) > 0.7
    assert [n for n, *_ in Noting.given] == [300, 300, 600]
    for n, groups, together in Noting.given:
        assert len(groups) == len(together) == n
    assert np.array_equal(Noting.given[-1][1], s)


def test_our_own_classifiers_get_the_groups():
    table, y = frame()
    model = threshold(ERMClassifier(**FAST), group_columns=["sex"], cv=2)
    model.fit(table, y)
    assert model.estimator_.group_table_.index.equals(model.group_table_.index)
    own = ERMClassifier(**FAST, group_columns=["sex"])
    again = threshold(own, group_columns=["sex"], cv=2).fit(table, y)
    assert np.array_equal(again.predict(table), model.predict(table.drop(columns=["sex"])))


@pytest.mark.parametrize("given", [{"cv": "prefit"}, {}])
def test_a_fitted_classifier_is_taken_as_it_is(given):
    X, y, s = rare_positives()
    inner = LogisticRegression().fit(*rare_positives(seed=1)[:2])
    coefficients = inner.coef_.copy()
    model = threshold(inner if given else FrozenEstimator(inner), **given).fit(X, y, s)
    assert model.adopted_
    assert np.array_equal(inner.coef_, coefficients)
    assert np.array_equal(model.predict_proba(X), inner.predict_proba(X))
    assert worst(model, X, y, s) > worst(inner, X, y, s) + 0.2


def test_a_fitted_classifier_may_know_more_classes():
    X, y, s = uneven(n_classes=3)
    inner = LogisticRegression().fit(X, y)
    model = threshold(inner, cv="prefit").fit(X[y > 0], y[y > 0], s[y > 0])
    assert model.classes_.tolist() == [0, 1, 2]
    assert len(model.offsets_) == 3
    with pytest.raises(ValueError, match=r"does not know: \[3\]"):
        threshold(inner, cv="prefit").fit(X, y + 1, s)


def test_one_that_is_not_fitted_cannot_be_taken_as_it_is():
    X, y, s = uneven()
    with pytest.raises(NotFittedError, match="not fitted: fit it on other data first"):
        threshold(cv="prefit").fit(X, y, s)
    with pytest.raises(NotFittedError):
        threshold(FrozenEstimator(LogisticRegression())).fit(X, y, s)
    with pytest.raises(NotFittedError):
        threshold().predict(X)


def test_calibrated_probabilities_have_a_threshold_as_well():
    X, y, s = rare_positives()
    inner = CalibratedClassifierCV(Perceptron(random_state=0), cv=3)
    assert 0 < threshold(inner, cv=3).fit(X, y, s).threshold_ < 0.5


# ------------------------------------------------------------------------------- what it accepts


def test_group_columns_are_taken_out_and_may_be_absent_when_predicting():
    table, y = frame()
    model = threshold(group_columns=["sex", "age"], cv=2).fit(table, y)
    features = table.drop(columns=["sex", "age"])
    assert model.estimator_.feature_names_in_.tolist() == features.columns.tolist()
    assert np.array_equal(model.predict(features), model.predict(table))
    assert model.group_report(table, y)["accuracy"].min() > 0.8


def test_a_class_may_be_missing_from_a_fold():
    X, y, s = uneven(n_classes=3)
    rare = np.flatnonzero(y == 1)[1:]
    X, y, s = (np.delete(values, rare, axis=0) for values in (X, y, s))
    for estimator in (LogisticRegression(), RidgeClassifier()):
        with pytest.warns(SmallCellWarning):
            model = threshold(estimator).fit(X, y, s)
        assert model.classes_.tolist() == [0, 1, 2]
        assert np.isfinite(model.offsets_).all()


def test_a_fold_may_have_one_class():
    X, y, s = uneven(60)
    splits = [(np.flatnonzero(y == 0), np.flatnonzero(y == 1)), (np.arange(60), np.arange(60))]
    with pytest.warns(SmallCellWarning):
        assert threshold(cv=splits).fit(X, y, s).score(X, y) > 0.5


def test_scores_of_unknown_classes_are_the_least():
    X, y, _ = uneven(n_classes=3)
    for model in (LogisticRegression(), RidgeClassifier()):
        model.fit(X[y != 1], y[y != 1])
        scores = class_scores(model, X, np.arange(3))
        assert scores.shape == (600, 3)
        assert (scores.argmin(axis=1) == 1).all()
        assert np.array_equal(np.array([0, 1, 2])[scores.argmax(axis=1)], model.predict(X))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"groups": None}, MissingGroupsError, r"GroupThresholdClassifier needs groups"),
        ({"y": None}, ValueError, "requires y"),
        ({"y": np.zeros(600)}, ValueError, "one class"),
        ({"groups": np.arange(5)}, GroupsError, "5 entries for 600"),
    ],
)
def test_data_that_cannot_be_used_are_refused(given, error, message):
    X, y, s = uneven()
    with pytest.raises(error, match=message):
        threshold().fit(**{"X": X, "y": y, "groups": s, **given})


def test_a_classifier_without_scores_is_refused():
    X, y, s = uneven()
    codes = OutputCodeClassifier(LogisticRegression())
    with pytest.raises(TypeError, match="OutputCodeClassifier has neither predict_proba"):
        threshold(codes).fit(X, y, s)
    with pytest.raises(ValueError, match="cv"):
        threshold(cv="fitted").fit(X, y, s)


# ------------------------------------------------------------------------------ as scikit-learn's


def test_it_is_cloned_and_pickled():
    X, y, s = rare_positives()
    model = threshold().fit(X, y, s)
    assert not hasattr(clone(model), "estimator_")
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(X), model.predict(X))
    three = model.fit(*uneven(n_classes=3))
    assert not hasattr(three, "threshold_")


def test_a_search_routes_groups():
    X, y, s = rare_positives()
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            threshold(cv=2),
            {"estimator__C": [0.1, 1.0]},
            scoring=worst_group_accuracy_scorer,
            cv=SubgroupStratifiedKFold(2),
            error_score="raise",
        ).fit(pd.DataFrame(X, columns=["a", "b"]), y, groups=s)
    assert search.best_score_ > 0.7
