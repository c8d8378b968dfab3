"""Groups that are bound to a scorer by the index of the samples."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TunedThresholdClassifierCV, cross_val_score

from gbmix_sklearn import make_group_scorer, worst_group_accuracy_score
from gbmix_sklearn.exceptions import GroupsError, MissingGroupsError

N = 200
RNG = np.random.default_rng(0)
Y = pd.Series(np.arange(N) % 2, index=np.arange(N) + 1000)
SEX = pd.Series(np.where(np.arange(N) % 4 < 2, "f", "m"), index=Y.index, name="sex")
X = pd.DataFrame(
    {"value": RNG.normal(size=N) + 2 * Y * (SEX == "f"), "sex": (SEX == "m").astype(float)}
)
MODEL = LogisticRegression().fit(X, Y)


def bound(**options):
    return make_group_scorer("worst_group_accuracy", groups=SEX, **options)


def test_the_score_is_that_of_the_groups_of_these_rows():
    rows = RNG.permutation(N)[:50]
    expected = worst_group_accuracy_score(
        Y.iloc[rows], MODEL.predict(X.iloc[rows]), groups=SEX.iloc[rows]
    )
    assert bound()(MODEL, X.iloc[rows], Y.iloc[rows]) == expected
    assert bound()(MODEL, X.iloc[rows], Y.iloc[rows].to_numpy()) == expected
    model = LogisticRegression().fit(X.to_numpy(), Y)
    assert bound()(model, X.iloc[rows].to_numpy(), Y.iloc[rows]) == expected


def test_permuted_columns_leave_the_groups_as_they_are():
    constant = X.assign(value=0.0)  # the model says one class, whatever a column holds
    found = permutation_importance(MODEL, constant, Y, scoring=bound(), random_state=0)
    assert found.importances_mean[0] == 0
    assert permutation_importance(MODEL, X, Y, scoring=bound()).importances_mean[0] > 0


def test_searches_and_thresholds_take_them():
    scores = cross_val_score(LogisticRegression(), X, Y, scoring=bound(), cv=3, error_score="raise")
    assert (scores > 0).all()
    tuned = TunedThresholdClassifierCV(LogisticRegression(), scoring=bound(), cv=2).fit(X, Y)
    assert 0 < tuned.best_threshold_ < 1


def test_thresholds_with_group_columns_are_told_the_cure():
    scorer = make_group_scorer("worst_group_accuracy", group_columns="sex")
    with pytest.raises(MissingGroupsError, match=r"groups=series.*routing"):
        TunedThresholdClassifierCV(LogisticRegression(), scoring=scorer, cv=2).fit(X, Y)


def test_it_is_pickled_and_shown():
    scorer = pickle.loads(pickle.dumps(bound()))
    assert scorer(MODEL, X, Y) == bound()(MODEL, X, Y)
    assert repr(scorer) == "make_group_scorer('worst_group_accuracy', groups=Series)"


def test_the_score_function_inside_is_named_as_it_was():
    assert bound()._score_func.__name__ == "worst_group_accuracy_score"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"groups": SEX, "group_columns": "sex"}, GroupsError, "give one of the two"),
        ({"groups": SEX.to_numpy()}, TypeError, "with the index of X, got ndarray"),
        ({"groups": pd.concat([SEX, SEX])}, GroupsError, "the label 1000 twice"),
    ],
)
def test_what_cannot_be_bound_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        make_group_scorer("worst_group_accuracy", **options)


def test_samples_that_cannot_be_found_are_named():
    with pytest.raises(GroupsError, match=r"1 of the 200 samples have labels.*the first 0"):
        bound()(MODEL, X.set_axis([0, *X.index[1:]]), Y.to_numpy())
    with pytest.raises(GroupsError, match="give X as a DataFrame"):
        bound()(LogisticRegression().fit(X.to_numpy(), Y), X.to_numpy(), Y.to_numpy())
