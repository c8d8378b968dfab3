"""Scorers called directly, and what they are made of."""

import copy
import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import gbmix_sklearn.metrics as metrics
from gbmix_sklearn.exceptions import GroupsError, MissingGroupsError
from gbmix_sklearn.metrics import make_group_scorer, worst_group_accuracy_scorer

SCORES = {
    "worst_group_accuracy": metrics.worst_group_accuracy_score,
    "robust_gap": metrics.robust_gap_score,
    "mean_group_accuracy": metrics.mean_group_accuracy_score,
    "demographic_parity": metrics.demographic_parity_difference,
    "equalized_odds": metrics.equalized_odds_difference,
}
NEGATED = {"robust_gap", "demographic_parity", "equalized_odds"}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = rng.choice(["no", "yes"], 120)
    sex = rng.choice(["f", "m"], 120, p=[0.3, 0.7])
    value = (y == "yes") * 1.5 + (sex == "f") * 1.0 + rng.normal(size=120)
    X = pd.DataFrame({"value": value, "noise": rng.normal(size=120), "sex": sex})
    return X, y, X["sex"]


class OnNumbers(LogisticRegression):
    """Leaves the column of the sensitive attribute out."""

    def fit(self, X, y):
        return super().fit(X[["value", "noise"]], y)

    def decision_function(self, X):
        return super().decision_function(X[["value", "noise"]])


@pytest.fixture(scope="module")
def model(data):
    X, y, _ = data
    return OnNumbers().fit(X, y)


@pytest.fixture(params=[False, True], ids=["routing off", "routing on"])
def routing(request):
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


@pytest.mark.parametrize("name", SCORES)
def test_direct_call_scores_the_predictions(name, data, model, routing):
    X, y, groups = data
    expected = SCORES[name](y, model.predict(X), groups=groups)
    expected = -expected if name in NEGATED else expected
    ready_made = getattr(metrics, f"{name}_scorer")
    by_columns = make_group_scorer(name, group_columns="sex")
    assert ready_made(model, X, y, groups=groups) == expected
    assert ready_made(model, X, y, groups=list(groups)) == expected
    assert by_columns(model, X, y) == expected
    assert make_group_scorer(SCORES[name])(model, X, y, groups=groups) == expected


def test_sample_weight_reaches_the_score(data, model, routing):
    X, y, groups = data
    weight = np.random.default_rng(0).random(len(y))
    expected = metrics.worst_group_accuracy_score(
        y, model.predict(X), groups=groups, sample_weight=weight
    )
    score = worst_group_accuracy_scorer(model, X, y, groups=groups, sample_weight=weight)
    assert score == expected


def test_missing_groups_raise_and_the_message_names_the_cures(data, model, routing):
    X, y, _ = data
    with pytest.raises(MissingGroupsError) as caught:
        worst_group_accuracy_scorer(model, X, y)
    for cure in ("sklearn.set_config(enable_metadata_routing=True)", "groups=", "group_columns="):
        assert cure in str(caught.value)


def test_groups_and_group_columns_together_are_an_error(data, model):
    X, y, groups = data
    scorer = make_group_scorer("robust_gap", group_columns="sex")
    with pytest.raises(GroupsError, match="give one of the two"):
        scorer(model, X, y, groups=groups)


def test_group_columns_need_a_data_frame_that_has_them(data, model):
    X, y, _ = data
    with pytest.raises(TypeError, match="as a pandas DataFrame, got ndarray"):
        make_group_scorer("robust_gap", group_columns="sex")(model, X.to_numpy(), y)
    with pytest.raises(GroupsError, match=r"names 'age', which X does not have.*'value'"):
        make_group_scorer("robust_gap", group_columns=["sex", "age"])(model, X, y)


def test_several_group_columns_are_intersected(data, model):
    X, y, _ = data
    X = X.assign(old=X["noise"] > 0)
    scorer = make_group_scorer("worst_group_accuracy", group_columns=("sex", "old"))
    expected = metrics.worst_group_accuracy_score(y, model.predict(X), groups=X[["sex", "old"]])
    assert scorer(model, X, y) == expected


def test_adjusted_average_takes_the_cell_weights(data, model):
    X, y, groups = data
    weights = {("no", "f"): 1, ("no", "m"): 2, ("yes", "f"): 3, ("yes", "m"): 4}
    scorer = make_group_scorer("adjusted_average_accuracy", cell_weights=weights)
    expected = metrics.adjusted_average_accuracy_score(
        y, model.predict(X), groups=groups, cell_weights=weights
    )
    assert scorer(model, X, y, groups=groups) == expected


def worst_group_log_loss(y_true, y_prob, *, groups):
    return max(
        log_loss(y_true[groups == group], y_prob[groups == group], labels=["no", "yes"])
        for group in np.unique(groups)
    )


def test_a_function_of_probabilities_can_be_a_scorer(data, model):
    X, y, groups = data
    scorer = make_group_scorer(
        worst_group_log_loss, greater_is_better=False, response_method="predict_proba"
    )
    expected = -worst_group_log_loss(y, model.predict_proba(X)[:, 1], groups=groups)
    assert scorer(model, X, y, groups=groups) == pytest.approx(expected)
    assert repr(scorer) == (
        "make_group_scorer(worst_group_log_loss, greater_is_better=False, "
        "response_method='predict_proba')"
    )


def test_pos_label_picks_the_class_of_the_parity_scorers(data):
    X, _, groups = data
    y = np.random.default_rng(1).choice(["a", "b", "c"], len(X))
    model = OnNumbers().fit(X, y)
    scorer = make_group_scorer("demographic_parity", pos_label="b")
    expected = metrics.demographic_parity_difference(
        y, model.predict(X), groups=groups, pos_label="b"
    )
    assert scorer(model, X, y, groups=groups) == -expected
    everything = metrics.demographic_parity_scorer(model, X, y, groups=groups)
    assert everything <= -expected


def test_greater_is_better_can_be_overruled(data, model):
    X, y, groups = data
    scorer = make_group_scorer("robust_gap", greater_is_better=True)
    assert scorer(model, X, y, groups=groups) >= 0


@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        lambda s: pickle.loads(pickle.dumps(s)),
        lambda s: clone(s, safe=False),
    ],
    ids=["copy", "deepcopy", "pickle", "clone"],
)
def test_scorers_survive_copying(duplicate, data, model):
    X, y, groups = data
    again = duplicate(worst_group_accuracy_scorer)
    assert repr(again) == repr(worst_group_accuracy_scorer)
    assert again(model, X, y, groups=groups) == worst_group_accuracy_scorer(
        model, X, y, groups=groups
    )
    assert again._get_metadata_request().score.requests["groups"] is True


def test_requesting_weights_keeps_the_request_for_groups():
    scorer = make_group_scorer("robust_gap")
    with sklearn.config_context(enable_metadata_routing=True):
        assert scorer.set_score_request(sample_weight=True) is scorer
    assert scorer._get_metadata_request().score.requests == {
        "groups": True,
        "sample_weight": True,
    }


def test_setting_requests_needs_routing_as_for_scikit_learns_scorers():
    with pytest.raises(RuntimeError, match="metadata routing is enabled"):
        make_group_scorer("robust_gap").set_score_request(sample_weight=True)


@pytest.mark.parametrize(
    ("scorer", "text"),
    [
        (worst_group_accuracy_scorer, "make_group_scorer('worst_group_accuracy')"),
        (
            make_group_scorer("robust_gap", group_columns=["a", "b"]),
            "make_group_scorer('robust_gap', group_columns=['a', 'b'])",
        ),
        (
            make_group_scorer("equalized_odds", pos_label="yes"),
            "make_group_scorer('equalized_odds', pos_label='yes')",
        ),
        (
            make_group_scorer(
                "adjusted_average_accuracy", cell_weights=pd.DataFrame({"share": [1, 2]})
            ),
            "make_group_scorer('adjusted_average_accuracy', cell_weights=DataFrame)",
        ),
    ],
)
def test_repr_is_the_call_that_makes_the_scorer(scorer, text):
    assert repr(scorer) == text


def no_groups(y_true, y_pred):
    return 0.0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"score": "accuracy"}, ValueError, "unknown score 'accuracy'; .*worst_group_accuracy, "),
        ({"score": 3}, ValueError, "a name or a function, got 3"),
        ({"score": "adjusted_average_accuracy"}, ValueError, "needs cell_weights"),
        ({"score": "robust_gap", "pos_label": 1}, TypeError, "does not take pos_label"),
        ({"score": "robust_gap", "groups": [1]}, TypeError, "with the index of X, got list"),
        ({"score": "robust_gap", "group_columns": []}, GroupsError, "names no column"),
        ({"score": "robust_gap", "response_method": "fit"}, ValueError, "must be one of predict"),
        ({"score": no_groups}, ValueError, "no_groups does not take groups"),
    ],
)
def test_mistakes_are_found_when_the_scorer_is_made(arguments, error, message):
    with pytest.raises(error, match=message):
        make_group_scorer(**arguments)


def test_every_scorer_is_public():
    names = {f"{name}_scorer" for name in SCORES}
    assert names <= set(metrics.__all__)
    assert inspect.signature(make_group_scorer).parameters["group_columns"].default is None
