"""The refit behind any fitted classifier."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from gbmix_sklearn import (
    ERMClassifier,
    GroupsError,
    MissingGroupsError,
    MissingGroupsWarning,
    SubgroupStratifiedKFold,
    worst_group_accuracy_score,
    worst_group_accuracy_scorer,
)
from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.refit import RECIPES, LastLayerRefit, Recipe
from gbmix_sklearn.refit._balanced import _balanced_draw

from ..estimators.problems import FAST, frame, problem


def trained_pipeline(**sizes):
    X, y, _ = problem(seed=1, **sizes)
    return make_pipeline(StandardScaler(), SGDClassifier(random_state=0)).fit(X, y)


def trained_network(**sizes):
    X, y, s = problem(seed=1, **sizes)
    return ERMClassifier(hidden_units=(8,), **FAST).fit(X, y, s)


@pytest.fixture
def held_out():
    return problem(seed=2)


def test_embeddings_of_our_classifiers_are_their_own(held_out):
    X, y, s = held_out
    inner = trained_network()
    before = inner.predict_proba(X)
    model = LastLayerRefit(inner, random_state=0).fit(X, y, s)
    assert np.array_equal(model.transform(X), inner.transform(X))
    assert model.head_.coef_.shape == (1, 8)
    assert model.get_feature_names_out().shape == (8,)
    assert worst_group_accuracy_score(y, model.predict(X), groups=s) > 0.8
    assert model.estimator is inner
    assert np.array_equal(inner.predict_proba(X), before)


def test_embeddings_of_a_pipeline_are_those_before_its_last_step(held_out):
    X, y, s = held_out
    inner = trained_pipeline()
    model = LastLayerRefit(inner, random_state=0).fit(X, y, s)
    assert model.transform(X) == pytest.approx(inner[0].transform(X))
    assert worst_group_accuracy_score(y, model.predict(X), groups=s) > 0.8


def test_a_pipeline_that_ends_in_one_of_ours_is_embedded_by_all_its_steps(held_out):
    X, y, s = held_out
    step = ERMClassifier(hidden_units=(8,), **FAST)
    inner = make_pipeline(StandardScaler(), step).fit(*problem(seed=1)[:2])
    model = LastLayerRefit(inner).fit(X, y, s)
    assert np.array_equal(model.transform(X), step.transform(inner[0].transform(X)))


def test_anything_else_is_embedded_by_a_callable(held_out):
    X, y, s = held_out
    mlp = MLPClassifier((8,), max_iter=1000, random_state=0).fit(*problem(seed=1)[:2])

    def embed(X):
        return np.maximum(X @ mlp.coefs_[0] + mlp.intercepts_[0], 0)

    model = LastLayerRefit(mlp, embed=embed, random_state=0).fit(X, y, s)
    assert model.head_.coef_.shape == (1, 8)
    assert model.score(X, y) > 0.9
    assert LastLayerRefit("no estimator", embed=embed).fit(X, y, s).score(X, y) > 0.9
    for inner in (mlp, make_pipeline(mlp)):
        with pytest.raises(TypeError, match=r"no embeddings.*transform method.*Pipeline.*embed="):
            LastLayerRefit(inner).fit(X, y, s)


@pytest.mark.parametrize(
    ("embed", "message"),
    [
        (lambda X: X[:, 0], "2D array"),
        (lambda X: X * np.nan, "embeddings of X contains NaN"),
        (lambda X: X[:3], "200"),
    ],
)
def test_embeddings_that_are_none_are_refused(held_out, embed, message):
    X, y, s = held_out
    with pytest.raises(ValueError, match=message):
        LastLayerRefit(trained_pipeline(), embed=embed).fit(X, y, s)


@pytest.mark.parametrize(
    "inner", [make_pipeline(StandardScaler(), SGDClassifier()), ERMClassifier()]
)
def test_a_classifier_that_is_not_fitted_is_refused(held_out, inner):
    X, y, s = held_out
    with pytest.raises(NotFittedError, match="is not fitted: call its fit first"):
        LastLayerRefit(inner).fit(X, y, s)
    with pytest.raises(NotFittedError):
        LastLayerRefit(trained_pipeline()).predict(X)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("intercept_scaling", [1.0, 100.0])
def test_it_is_deep_feature_reweighting(n_classes, intercept_scaling):
    """Which is written out here, but for the balanced draw."""
    sizes = {"n_classes": n_classes, "n": 240}
    inner = trained_pipeline(**sizes)
    (X, y, s), (X_val, y_val, s_val) = problem(seed=2, **sizes), problem(seed=3, **sizes)
    X, X_val = (10 * np.random.default_rng(0).normal(size=A.shape) + A for A in (X, X_val))
    keep = np.arange(len(y)) >= 60 * (s == 0)  # not balanced
    X, y, s = X[keep], y[keep], s[keep]
    recipe = Recipe(intercept_scaling=intercept_scaling)
    model = LastLayerRefit(inner, recipe=recipe, random_state=7)
    model.fit(X, y, s, X_val=X_val, y_val=y_val, groups_val=s_val)

    z, z_val = inner[0].transform(X), inner[0].transform(X_val)
    scaler, rng, cells = StandardScaler().fit(z), np.random.default_rng(7), make_cells(y, s).codes

    def weights(c, draw):
        """Coefficients and intercepts, one row for each class against the rest."""
        rows = []
        for label in [1] if n_classes == 2 else range(n_classes):
            row = LogisticRegression(
                C=c, solver="liblinear", intercept_scaling=intercept_scaling, random_state=0
            ).set_params(**l1())
            row.fit(scaler.transform(z[draw]), y[draw] == label)
            rows.append(np.append(row.coef_, row.intercept_))
        return np.array(rows)

    def predicted(rows, z):
        decision = scaler.transform(z) @ rows[:, :-1].T + rows[:, -1]
        return decision.argmax(1) if n_classes == 3 else (decision[:, 0] > 0).astype(int)

    draw, best = _balanced_draw(np.arange(len(z)), cells, rng), (-1, 0)
    for c in (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01):
        hits = predicted(weights(c, draw), z_val) == y_val
        accuracy = np.array(
            [[hits[(y_val == a) & (s_val == b)].mean() for b in (0, 1)] for a in set(y)]
        )
        n = len(y_val) / accuracy.size  # drawn towards the mean of the class
        worst = ((n * accuracy + 25 * accuracy.mean(1, keepdims=True)) / (n + 25)).min()
        best = max(best, (round(worst, 12), c))
    draws = [_balanced_draw(np.arange(len(z)), cells, rng) for _ in range(20)]
    mean = np.mean([weights(best[1], draw) for draw in draws], axis=0)
    expected = scaler.transform(z) @ mean[:, :-1].T + mean[:, -1]
    assert best[1] == model.head_.C
    shown = model.decision_function(X).reshape(len(X), -1)
    assert shown == pytest.approx(expected, abs=1e-4)
    assert (model.predict(X) == predicted(mean, z)).all()


def l1():
    return {"l1_ratio": 1.0} if "l1_ratio" in _liblinear_takes() else {"penalty": "l1"}


def _liblinear_takes():
    version = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
    return ["l1_ratio"] if version >= (1, 8) else []


def test_a_linear_classifier_is_fitted_as_it_is(held_out):
    X, y, s = held_out
    model = LastLayerRefit(trained_pipeline(), recipe=RidgeClassifier(alpha=3)).fit(X, y, s)
    assert isinstance(model.head_, RidgeClassifier)
    assert model.head_.alpha == 3
    assert not hasattr(model, "predict_proba")
    assert model.score(X, y) > 0.8
    with pytest.raises(TypeError, match="recipe must be 'learned', 'anchored', 'logistic'"):
        LastLayerRefit(trained_pipeline(), recipe=StandardScaler()).fit(X, y, s)
    with pytest.raises(ValueError, match="'recipe' parameter"):
        LastLayerRefit(trained_pipeline(), recipe="ours").fit(X, y, s)


def test_the_layer_that_is_replaced_is_what_the_new_one_stays_near(held_out):
    X, y, s = held_out
    near = Recipe(penalty="anchored", C=(1e-6,))
    network = trained_network()
    model = LastLayerRefit(network, recipe=near).fit(X, y, s)
    assert model.head_.coef_ == pytest.approx(network.head_.coef_, rel=1e-3)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(*problem(seed=1)[:2])
    model = LastLayerRefit(pipeline, recipe=near).fit(X, y, s)
    assert model.head_.coef_ == pytest.approx(pipeline[-1].coef_, rel=1e-3)
    whole = make_pipeline(StandardScaler(), ERMClassifier(hidden_units=(8,), **FAST))
    whole.fit(*problem(seed=1)[:2])
    model = LastLayerRefit(whole, recipe=near).fit(X, y, s)
    assert model.head_.coef_ == pytest.approx(whole[-1].head_.coef_, rel=1e-3)


def test_it_stays_near_zero_where_no_layer_is_known(held_out):
    X, y, s = held_out
    near = Recipe(penalty="anchored", C=(1e-6,))
    others = [
        LastLayerRefit(trained_pipeline(), recipe=near),  # its layer is no logistic regression
        LastLayerRefit(trained_network(), recipe=near, embed=lambda X: X),
        LastLayerRefit(trained_network(n_classes=3), recipe=near),  # other classes
    ]
    for model in others:
        model.fit(X, y, s)
        assert abs(model.head_.coef_).max() < 1e-4


@pytest.mark.parametrize("recipe", [*RECIPES, Recipe(n_draws=2, C=(0.1,)), LogisticRegression()])
def test_probabilities_are_those_of_the_head(held_out, recipe):
    X, y, s = held_out
    model = LastLayerRefit(trained_pipeline(), recipe=recipe).fit(X, y, s)
    expected = model.head_.predict_proba(model.transform(X))
    assert model.predict_proba(X) == pytest.approx(expected, abs=1e-5)
    assert (model.predict(X) == model.classes_[expected.argmax(1)]).all()


def test_labels_may_be_new_to_the_classifier():
    X, y, s = problem(n_classes=3, seed=2)
    names = np.array(["red", "green", "blue"])[y]
    model = LastLayerRefit(trained_network(), random_state=0).fit(X, names, s)
    assert model.classes_.tolist() == ["blue", "green", "red"]
    assert model.decision_function(X).shape == (200, 3)
    assert model.score(X, names) > 0.6
    assert model.group_table_["count"].sum() == 200
    assert len(model.group_table_) == 6


def test_groups_are_required(held_out):
    X, y, s = held_out
    with pytest.raises(MissingGroupsError, match=r"needs groups.*group_columns"):
        LastLayerRefit(trained_pipeline()).fit(X, y)
    with pytest.raises(GroupsError, match="samples of one class only"):
        LastLayerRefit(trained_pipeline()).fit(X, y, 2 * y + s)


@pytest.mark.parametrize("wrong", ["y", "groups", "y_val", "groups_val"])
def test_lengths_must_agree(held_out, wrong):
    X, y, s = held_out
    given = {"X": X, "y": y, "groups": s, "X_val": X, "y_val": y, "groups_val": s}
    given[wrong] = given[wrong][:-1]
    with pytest.raises(ValueError, match=r"199"):
        LastLayerRefit(trained_pipeline()).fit(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"y": None}, "requires y"),
        ({"y": np.zeros(200)}, "one class"),
        ({"y": np.array([None, *"ab" * 100][:200], object)}, "missing label"),
        ({"y_val": np.zeros(200)}, "need X_val"),
        ({"X_val": np.zeros((2, 5))}, "needs y_val"),
        ({"X_val": np.zeros((2, 5)), "y_val": [0, 5]}, r"y does not have: \[5\]"),
        ({"X": np.zeros((200, 3))}, "3 features"),  # which the scaler in the pipeline says
    ],
)
def test_bad_data_are_refused(held_out, given, message):
    X, y, s = held_out
    with pytest.raises(ValueError, match=message):
        LastLayerRefit(trained_pipeline()).fit(**{"X": X, "y": y, "groups": s, **given})


def test_without_validation_groups_the_worst_class_chooses(held_out):
    X, y, s = held_out
    model = LastLayerRefit(trained_pipeline())
    with pytest.warns(MissingGroupsWarning, match="worst class"):
        model.fit(X, y, s, X_val=X, y_val=y)
    assert model.score(X, y) > 0.8


def test_the_seed_decides_and_global_randomness_stays_untouched(held_out):
    X, y, s = held_out
    state = np.random.get_state()[1].tolist()  # noqa: NPY002

    def coefficients(seed):
        model = LastLayerRefit(trained_pipeline(), recipe="anchored", random_state=seed)
        return model.fit(X, y, s).head_.coef_

    s = np.where(np.arange(200) < 150, 0, s)  # draws differ
    assert np.array_equal(coefficients(0), coefficients(0))
    assert not np.array_equal(coefficients(0), coefficients(1))
    seeds = [np.random.RandomState(3) for _ in range(2)]
    assert np.array_equal(*map(coefficients, seeds))
    coefficients(None)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


# ------------------------------------------------------------------------------ as scikit-learn's


def test_a_clone_keeps_the_fitted_classifier_and_forgets_the_head(held_out):
    X, y, s = held_out
    inner = trained_pipeline()
    ridge = RidgeClassifier()
    model = LastLayerRefit(inner, recipe=ridge, random_state=0).fit(X, y, s)
    with sklearn.config_context(enable_metadata_routing=True):
        twin = clone(model.set_score_request(sample_weight=True).set_output(transform="pandas"))
        assert twin.get_metadata_routing().score.requests == {"sample_weight": True}
    assert twin.estimator is inner
    assert twin.recipe is not ridge
    assert twin.get_params().keys() == model.get_params().keys()
    assert twin.random_state == 0
    assert not hasattr(twin, "head_")
    assert (twin.fit(X, y, s).predict(X) == model.predict(X)).all()
    assert list(twin.transform(X).columns) == [f"lastlayerrefit{i}" for i in range(5)]
    assert "estimator=Pipeline" in repr(model)


def test_parameters_of_the_fitted_classifier_are_out_of_reach():
    model = LastLayerRefit(trained_pipeline(), recipe=RidgeClassifier())
    assert set(model.get_params(deep=False)) == {
        "embed",
        "estimator",
        "group_columns",
        "random_state",
        "recipe",
    }
    assert "recipe__alpha" in model.get_params()
    assert not any(name.startswith("estimator__") for name in model.get_params())
    with pytest.raises(ValueError, match="fitted already"):
        model.set_params(estimator__sgdclassifier__alpha=1)
    assert model.set_params(recipe__alpha=2).recipe.alpha == 2


def test_it_pickles(held_out):
    X, y, s = held_out
    for inner in (trained_pipeline(), trained_network()):
        model = LastLayerRefit(inner, random_state=0).fit(X, y, s)
        again = pickle.loads(pickle.dumps(model))
        assert np.array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_a_search_routes_groups(held_out, in_pipeline):
    X, y, s = held_out
    model = LastLayerRefit(trained_pipeline(), random_state=0)
    grid = {"recipe": ["logistic", "dfr", RidgeClassifier()]}
    if in_pipeline:
        model = make_pipeline(FunctionTransformer(), model)
        grid = {"lastlayerrefit__recipe": grid["recipe"]}
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            model,
            grid,
            scoring=worst_group_accuracy_scorer,
            cv=SubgroupStratifiedKFold(3),
            error_score="raise",
        ).fit(X, y, groups=s)
        assert search.score(X, y, groups=s) > 0.7
    assert search.best_score_ > 0.7
    assert len(search.cv_results_["mean_test_score"]) == 3


def test_a_search_in_processes_takes_the_fitted_classifier_along(held_out):
    X, y, s = held_out
    table = pd.DataFrame(X, columns=list("abcde"))
    inner = make_pipeline(StandardScaler(), SGDClassifier()).fit(table, y)
    model = LastLayerRefit(inner, recipe=RidgeClassifier(), group_columns="s")
    search = GridSearchCV(model, {"recipe__alpha": [0.1, 1000]}, cv=3, n_jobs=2)
    search.set_params(error_score="raise")
    table = table.assign(s=s)
    assert search.fit(table, y).best_score_ > 0.8


def test_sensitive_columns_are_taken_out_where_the_classifier_does_not_know_them():
    table, y = frame()
    columns = ["sex", "age"]
    plain = table.drop(columns=columns)
    inner = make_pipeline(StandardScaler(), SGDClassifier()).fit(plain, y)
    model = LastLayerRefit(inner, group_columns=columns, random_state=0)
    model.fit(table, y, X_val=table, y_val=y)
    same = LastLayerRefit(inner, random_state=0)
    same.fit(plain, y, table[columns], X_val=plain, y_val=y, groups_val=table[columns])
    assert np.array_equal(model.head_.coef_, same.head_.coef_)
    assert np.array_equal(model.predict(table), model.predict(plain))
    assert model.feature_names_in_.tolist() == list(plain.columns)
    assert model.n_features_in_ == 5
    report = model.group_report(table, y)
    assert report.equals(same.group_report(plain, y, table[columns]))
    with pytest.raises(GroupsError, match="give one of the two"):
        model.fit(table, y, table["sex"])


def test_sensitive_columns_stay_where_the_classifier_was_fitted_with_them():
    table, y = frame()
    table["sex"] = (table["sex"] == "m").astype(float)
    inner = make_pipeline(StandardScaler(), SGDClassifier()).fit(table.drop(columns="age"), y)
    model = LastLayerRefit(inner, group_columns=["sex", "age"]).fit(table, y)
    assert model.head_.coef_.shape == (1, 6)
    assert model.predict(table.drop(columns="age")).shape == (200,)


def test_it_knows_features_only_where_the_classifier_does(held_out):
    X, y, s = held_out
    model = LastLayerRefit(trained_pipeline()).fit(X, y, s)
    assert model.n_features_in_ == 5
    assert not hasattr(model, "feature_names_in_")
    without = LastLayerRefit(None, embed=np.asarray).fit(X, y, s)
    assert not hasattr(without, "n_features_in_")
