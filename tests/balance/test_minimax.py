"""Any classifier with sample weights, for its worst cell."""

import logging
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from gbmix_sklearn import (
    GroupsError,
    MinimaxClassifier,
    MissingGroupsError,
    SmallCellWarning,
    SubgroupStratifiedKFold,
    worst_group_accuracy_score,
    worst_group_accuracy_scorer,
)

from ..estimators.problems import frame, supplies_groups
from .problems import uneven

CHECKED = supplies_groups(MinimaxClassifier)


def minimax(estimator=None, **parameters):
    estimator = LogisticRegression() if estimator is None else estimator
    return MinimaxClassifier(estimator, **{"n_rounds": 3, "random_state": 0} | parameters)


# scikit-learn's checks fit classes of one or two samples
@pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
@parametrize_with_checks([CHECKED(LogisticRegression(), n_rounds=2)])
def test_it_keeps_scikit_learns_contract(estimator, check):
    check(estimator)


# -------------------------------------------------------------------------- what it is good for


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        DecisionTreeClassifier(max_depth=4, min_samples_leaf=20),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
)
def test_the_worst_group_is_better_than_with_equal_weights(estimator):
    X, y, s = uneven(1500)
    X_test, y_test, s_test = uneven(4000, seed=1)
    equal = minimax(estimator, n_rounds=1).fit(X, y, s)
    model = minimax(estimator, n_rounds=6, eta=2).fit(X, y, s)
    scores = [
        worst_group_accuracy_score(y_test, m.predict(X_test), groups=s_test) for m in (equal, model)
    ]
    assert model.best_round_ > 0
    assert scores[1] > scores[0] + 0.01
    rounds = model.history_
    assert rounds["worst"][model.best_round_] == rounds["worst"].min()


def test_the_final_model_is_a_fit_with_the_weights_that_were_kept():
    X, y, s = uneven()
    model = minimax(LogisticRegression(C=0.1)).fit(X, y, s)
    share = model.cell_weights_.to_numpy()[2 * y + s]
    counts = model.group_table_["count"].to_numpy()[2 * y + s]
    weights = share / counts
    expected = LogisticRegression(C=0.1).fit(X, y, sample_weight=weights / weights.mean())
    assert model.estimator_.coef_ == pytest.approx(expected.coef_)
    assert np.array_equal(model.predict(X), expected.predict(X))
    assert np.array_equal(model.predict_proba(X), expected.predict_proba(X))
    assert np.array_equal(model.decision_function(X), expected.decision_function(X))


def test_errors_are_those_of_folds_that_were_not_seen():
    """There are no training errors: they would teach nothing."""
    X, y, s = uneven()
    forest = RandomForestClassifier(5, bootstrap=False)
    model = minimax(forest).fit(X, y, s)
    assert model.estimator_.score(X, y) == 1
    assert (model.history_["average"] > 0.05).all()


@pytest.mark.parametrize("estimator", [LogisticRegression(), RandomForestClassifier(5)])
def test_the_same_seed_makes_the_same_model(estimator):
    """The classifier has no seed of its own."""
    X, y, s = uneven()
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    one, other = (minimax(estimator, random_state=3).fit(X, y, s) for _ in range(2))
    assert np.array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.history_.equals(other.history_)
    from_states = [
        minimax(estimator, random_state=np.random.RandomState(3)).fit(X, y, s) for _ in range(2)
    ]
    assert from_states[0].history_.equals(from_states[1].history_)
    minimax(LogisticRegression(), random_state=None).fit(X, y, s)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


def test_a_seed_of_the_classifier_is_kept():
    X, y, s = uneven()
    model = minimax(RandomForestClassifier(5, random_state=7)).fit(X, y, s)
    assert model.estimator_.random_state == 7


def test_a_cell_of_two_samples_cannot_ruin_it():
    X, y, s = uneven(800)
    s[np.flatnonzero(y == 0)[:2]] = 2
    X[s == 2] = [0, 2.5, 0]  # where the other class is
    X_test, y_test, s_test = uneven(4000, seed=1)
    with pytest.warns(SmallCellWarning, match=r"fewer than 10 samples.*0, group=2 \(2\)"):
        model = minimax(n_rounds=8).fit(X, y, s)
    kept = s != 2
    without = minimax(n_rounds=8).fit(X[kept], y[kept], s[kept])
    scores = [
        worst_group_accuracy_score(y_test, m.predict(X_test), groups=s_test)
        for m in (without, model)
    ]
    assert scores[1] > scores[0] - 0.04
    assert model.cell_weights_[0, 2] < 0.1


def test_a_large_cell_is_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        minimax().fit(*uneven())


def test_the_average_is_not_given_up_beyond_the_limit():
    X, y, s = uneven(1500, share=(0.05, 0.3))
    free = minimax(n_rounds=8, eta=2).fit(X, y, s)
    held = minimax(n_rounds=8, eta=2, max_average_loss=0).fit(X, y, s)
    rounds = free.history_
    assert rounds["average"][free.best_round_] > rounds["average"][0]
    assert held.history_["average"][held.best_round_] <= rounds["average"][0]


# ------------------------------------------------------------------------------- what it accepts


@pytest.mark.parametrize("names", [["no", "yes"], ["a", "b", "c"]])
def test_labels_are_of_any_kind(names):
    X, y, s = uneven(n_classes=len(names))
    labels = np.array(names)[y]
    for given in (labels, pd.Series(labels), pd.Series(labels, dtype=object), list(labels)):
        model = minimax().fit(X, given, s)
        assert model.classes_.tolist() == names
        assert model.score(X, labels) > 0.7
        assert model.predict_proba(X).shape == (600, len(names))
    assert model.cell_weights_.index.equals(model.group_table_.index)
    assert model.group_table_["count"].sum() == 600


@pytest.mark.parametrize("as_what", [list, pd.DataFrame, sparse.csr_array, sparse.coo_array])
def test_data_are_of_any_kind(as_what):
    X, y, s = uneven()
    expected = minimax().fit(X, y, s).predict(X)
    given = X.tolist() if as_what is list else as_what(X)
    assert np.array_equal(minimax().fit(given, y, s).predict(given), expected)


def test_polars_are_data_as_well():
    polars = pytest.importorskip("polars", reason="polars is not installed")
    X, y, s = uneven()
    table = polars.DataFrame({f"x{i}": X[:, i] for i in range(X.shape[1])})
    model = minimax().fit(table, polars.Series(y), polars.Series(s))
    assert np.array_equal(model.predict(table), minimax().fit(X, y, s).predict(X))


def test_rows_that_are_no_numbers_are_left_to_a_pipeline():
    X, y, s = uneven()
    texts = [" ".join(map(str, row)) for row in X]
    read = FunctionTransformer(lambda rows: np.array([list(map(float, r.split())) for r in rows]))
    model = minimax(make_pipeline(read, LogisticRegression())).fit(texts, y, s)
    assert np.array_equal(model.predict(texts), minimax().fit(X, y, s).predict(X))


def test_kernels_have_their_columns_taken_with_their_rows():
    X, y, s = uneven(200)
    linear = minimax(SVC(kernel="linear")).fit(X, y, s)
    computed = minimax(SVC(kernel="precomputed")).fit(X @ X.T, y, s)
    assert np.mean(linear.predict(X) == computed.predict(X @ X.T)) > 0.98


def test_group_columns_are_taken_out_and_may_be_absent_when_predicting():
    table, y = frame()
    model = minimax(group_columns=["sex", "age"], cv=2).fit(table, y)
    features = table.drop(columns=["sex", "age"])
    assert model.estimator_.n_features_in_ == 5
    assert model.n_features_in_ == 7
    assert model.feature_names_in_.tolist() == table.columns.tolist()
    assert model.group_table_.index.names == ["target", "sex", "age"]
    assert len(model.cell_weights_) == 8
    assert np.array_equal(model.predict(features), model.predict(table))
    assert model.group_report(table, y).equals(
        model.group_report(features, y, table[["sex", "age"]])
    )


def test_several_attributes_are_their_combinations():
    X, y, s = uneven()
    groups = np.stack([s, np.arange(600) % 3], axis=1)
    assert len(minimax().fit(X, y, groups).cell_weights_) == 12


@pytest.mark.parametrize(
    "cv",
    [
        2,
        None,
        SubgroupStratifiedKFold(3),
        StratifiedKFold(2),
        [(np.arange(300), np.arange(300, 600)), (np.arange(600) >= 300, np.arange(600) < 300)],
    ],
)
def test_folds_are_of_any_kind(cv):
    X, y, s = uneven()
    model = minimax(cv=cv).fit(X, y, s)
    assert model.score(X, y) > 0.7


def test_a_splitter_keeps_together_what_belongs_together():
    class Keeping(SubgroupStratifiedKFold):
        def split(self, X, y=None, groups=None, keep_together=None):
            half = np.isin(keep_together, np.unique(keep_together)[::2])
            yield np.flatnonzero(half), np.flatnonzero(~half)
            yield np.flatnonzero(~half), np.flatnonzero(half)

    X, y, s = uneven()
    person = np.arange(600) // 3
    assert minimax(cv=Keeping()).fit(X, y, s, keep_together=person).score(X, y) > 0.7
    with pytest.raises(ValueError, match="does not know keep_together"):
        minimax(cv=StratifiedKFold(2)).fit(X, y, s, keep_together=person)


def test_a_class_may_be_missing_from_a_fold():
    X, y, s = uneven(n_classes=3)
    rare = np.flatnonzero(y == 2)[1:]
    X, y, s = (np.delete(values, rare, axis=0) for values in (X, y, s))
    with pytest.warns(SmallCellWarning):
        model = minimax().fit(X, y, s)
    assert model.classes_.tolist() == [0, 1, 2]
    assert (model.history_[f"error[2, group={s[y == 2][0]}]"] == 1).all()


def test_a_fold_may_have_one_class():
    X, y, s = uneven(40)
    splits = [(np.flatnonzero(y == 0), np.flatnonzero(y == 1)), (np.arange(40), np.arange(40))]
    with pytest.warns(SmallCellWarning):
        model = minimax(cv=splits).fit(X, y, s)
    assert model.history_["average"][0] > 0.3


# ----------------------------------------------------------------------------- validation data


class Counting(LogisticRegression):
    fits = 0

    def fit(self, X, y, sample_weight=None):
        Counting.fits += 1
        return super().fit(X, y, sample_weight)


def test_nothing_is_fitted_twice():
    X, y, s = uneven()
    Counting.fits = 0
    model = minimax(Counting(), cv=4).fit(X, y, s)
    assert Counting.fits == 4 * len(model.history_) + 1
    Counting.fits = 0
    model = minimax(Counting(), cv=4).fit(X, y, s, X_val=X, y_val=y, groups_val=s)
    assert Counting.fits == 5 * len(model.history_)
    share = model.cell_weights_.to_numpy()[2 * y + s]
    counts = model.group_table_["count"].to_numpy()[2 * y + s]
    expected = LogisticRegression().fit(X, y, share / counts / np.mean(share / counts))
    assert model.estimator_.coef_ == pytest.approx(expected.coef_)


def test_validation_data_are_judged_with_the_folds():
    X, y, s = uneven()
    X_val, y_val, s_val = uneven(900, seed=1)
    s_val = np.where(np.arange(900) < 300, 7, s_val)  # a value that the training data do not have
    model = minimax().fit(X, y, s, X_val=X_val, y_val=y_val, groups_val=s_val)
    alone = minimax(n_rounds=1).fit(X, y, s)
    wrong = 600 * alone.history_["average"][0] + 900 * (1 - alone.score(X_val, y_val))
    assert model.history_["average"][0] == pytest.approx(wrong / 1500)
    assert "error[0, group=7]" in model.history_
    assert model.cell_weights_[0, 7] == 0


def test_validation_groups_may_be_columns():
    table, y = frame()
    model = minimax(group_columns=["sex"], cv=2)
    model.fit(table, y, X_val=table, y_val=y)
    assert model.score(table, y) > 0.9


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"y_val": [0]}, ValueError, "need X_val"),
        ({"X_val": np.zeros((2, 3))}, ValueError, "needs y_val"),
        ({"X_val": np.zeros((1, 3)), "y_val": [5]}, ValueError, r"y does not have: \[5\]"),
        ({"X_val": np.zeros((1, 3)), "y_val": [0]}, MissingGroupsError, "needs groups_val"),
        (
            {"X_val": np.zeros((1, 3)), "y_val": [0], "groups_val": [0, 1]},
            GroupsError,
            "groups_val has 2 entries for 1 samples",
        ),
        (
            {"X_val": np.zeros((1, 3)), "y_val": [0], "groups_val": [[0, 1]]},
            GroupsError,
            r"groups_val has 2 column\(s\) and groups has 1",
        ),
    ],
)
def test_validation_data_that_cannot_be_used_are_refused(given, error, message):
    X, y, s = uneven()
    with pytest.raises(error, match=message):
        minimax().fit(X, y, s, **given)


# ------------------------------------------------------------------------------------- mistakes


def test_a_classifier_without_weights_is_refused():
    X, y, s = uneven()
    with pytest.raises(TypeError, match=r"KNeighborsClassifier takes no sample_weight.*Logistic"):
        minimax(KNeighborsClassifier()).fit(X, y, s)
    inner = make_pipeline(StandardScaler(), KNeighborsClassifier())
    with pytest.raises(TypeError, match="KNeighborsClassifier, the last step of the Pipeline"):
        minimax(inner).fit(X, y, s)
    with pytest.raises(TypeError, match="must be a classifier"):
        minimax(StandardScaler()).fit(X, y, s)


def test_sample_weights_of_the_user_have_no_place():
    X, y, s = uneven()
    with pytest.raises(TypeError, match="sample_weight"):
        minimax().fit(X, y, s, sample_weight=np.ones(600))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"groups": None}, MissingGroupsError, r"MinimaxClassifier needs groups.*group_columns"),
        ({"y": None}, ValueError, "requires y"),
        ({"y": np.zeros(600)}, ValueError, "one class"),
        ({"y": np.arange(600) / 7}, ValueError, "Unknown label type"),
        ({"y": np.zeros(7)}, ValueError, "inconsistent"),
        ({"groups": np.arange(5)}, GroupsError, "5 entries for 600"),
        ({"groups": [None] * 600}, GroupsError, "600 missing"),
    ],
)
def test_data_that_cannot_be_used_are_refused(given, error, message):
    X, y, s = uneven()
    with pytest.raises(error, match=message):
        minimax().fit(**{"X": X, "y": y, "groups": s, **given})


def test_groups_that_give_the_class_away_are_refused():
    X, y, s = uneven()
    with pytest.raises(GroupsError, match="samples of one class only"):
        minimax().fit(X, y, 2 * y + s)


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match=r"cv=5 folds.*n_samples=4"):
        minimax().fit(np.eye(4), [0, 1, 0, 1], [0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"no cell .* has two samples"):
        minimax(cv=2).fit(np.eye(4), [0, 1, 0, 1], [0, 0, 1, 1])


@pytest.mark.parametrize("wrong", [{"n_rounds": 0}, {"eta": 0}, {"cv": 1}, {"max_average_loss": 2}])
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        minimax(**wrong).fit(*uneven())


# ------------------------------------------------------------------------------ as scikit-learn's


def test_methods_are_those_of_the_classifier():
    X, y, s = uneven()
    ridge = minimax(RidgeClassifier())
    assert not hasattr(ridge, "predict_proba")
    assert not hasattr(ridge.fit(X, y, s), "predict_proba")
    assert hasattr(ridge, "decision_function")
    assert not hasattr(minimax(RandomForestClassifier()), "decision_function")


def test_it_is_cloned_and_pickled():
    X, y, s = uneven()
    inner = LogisticRegression()
    model = minimax(inner).fit(X, y, s)
    twin = clone(model)
    assert twin.estimator is not inner
    assert not hasattr(inner, "coef_")
    assert not hasattr(twin, "estimator_")
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.history_.equals(model.history_)


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_a_search_routes_groups(in_pipeline):
    """Into the rounds; within them, weights need no requests of the classifier."""
    X, y, s = uneven()
    model = minimax(make_pipeline(StandardScaler(), LogisticRegression()), cv=2)
    name = "estimator__logisticregression__C"
    if in_pipeline:
        model, name = make_pipeline(FunctionTransformer(), model), f"minimaxclassifier__{name}"
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            model,
            {name: [0.1, 1.0]},
            scoring=worst_group_accuracy_scorer,
            cv=SubgroupStratifiedKFold(2),
            error_score="raise",
        ).fit(X, y, groups=s)
    assert search.best_score_ > 0.5
    assert search.predict(X).shape == (600,)


def test_folds_may_be_fitted_at_the_same_time():
    X, y, s = uneven()
    with joblib.parallel_config("threading"):  # faster to start than processes
        one, two = (minimax(n_jobs=n_jobs, cv=2).fit(X, y, s) for n_jobs in (None, 2))
    assert one.history_.equals(two.history_)


# ------------------------------------------------------------------------------------- progress


def test_a_line_a_round_is_printed_on_request(capsys, caplog):
    X, y, s = uneven()
    minimax().fit(X, y, s)
    assert capsys.readouterr().out == ""
    model = minimax(verbose=1).fit(X, y, s)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(model.history_) == 3
    for number, (line, row) in enumerate(zip(lines, model.history_.itertuples(), strict=True), 1):
        assert line.startswith(f"round {number}/3 {'*' if row.best else ' '}  eta ")
        assert f"average {1 - row.average:.3f}  worst {1 - row.worst:.3f} (" in line
    with caplog.at_level(logging.INFO, "gbmix_sklearn"):
        minimax().fit(X, y, s)
    assert [record.round for record in caplog.records] == [0, 1, 2]
    assert caplog.records[0].worst_group_accuracy == 1 - model.history_["worst"][0]


class Slow(LogisticRegression):
    clock = [0.0]

    def fit(self, X, y, sample_weight=None):
        Slow.clock[0] += 6
        return super().fit(X, y, sample_weight)


def test_long_rounds_show_that_something_happens(capsys, monkeypatch):
    monkeypatch.setattr("time.perf_counter", lambda: Slow.clock[0])
    minimax(Slow(), n_rounds=1, verbose=1).fit(*uneven())
    told = capsys.readouterr().err.splitlines()
    assert told == ["round 1: fit 2/5, 18 s left", "round 1: fit 4/5, 6 s left"]


class Interrupted(LogisticRegression):
    def fit(self, X, y, sample_weight=None):
        raise KeyboardInterrupt


def test_an_interrupt_leaves_it_as_it_was():
    X, y, s = uneven()
    model = minimax().fit(X, y, s)
    before = model.predict(X)
    with pytest.raises(KeyboardInterrupt):
        model.set_params(estimator=Interrupted()).fit(X, y, s)
    assert np.array_equal(model.predict(X), before)
