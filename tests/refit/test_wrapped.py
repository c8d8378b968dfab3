"""The last layer is the same, whichever way the fitted classifier is wrapped."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import (
    DFRClassifier,
    ERMClassifier,
    GroupThresholdClassifier,
    LastLayerRefit,
    MinimaxClassifier,
)

N = 300
RNG = np.random.default_rng(0)
Y, S = RNG.integers(2, size=(2, 2 * N))
X = RNG.normal(size=(2 * N, 4)) + 2 * Y[:, None] * [1, 1, 0, 0] + S[:, None]
TRAIN, HELD_OUT = slice(0, N), slice(N, None)


def trained(model):
    return model.fit(X[TRAIN], Y[TRAIN])


def refit(model, recipe="anchored"):
    meta = LastLayerRefit(model, recipe=recipe, random_state=0)
    return meta.fit(X[HELD_OUT], Y[HELD_OUT], groups=S[HELD_OUT])


def search(model):
    return GridSearchCV(model, {}, cv=2)


LINEAR = trained(LogisticRegression())
PIPELINE = trained(make_pipeline(StandardScaler(), LogisticRegression()))


@pytest.mark.parametrize(
    ("wrapped", "bare"),
    [
        (trained(search(LogisticRegression())), LINEAR),
        (FrozenEstimator(LINEAR), LINEAR),
        (trained(make_pipeline(LogisticRegression())), LINEAR),
        (trained(make_pipeline("passthrough", LogisticRegression())), LINEAR),
        (trained(search(make_pipeline(StandardScaler(), LogisticRegression()))), PIPELINE),
        (FrozenEstimator(PIPELINE), PIPELINE),
        (
            trained(make_pipeline(StandardScaler(), make_pipeline(LogisticRegression()))),
            PIPELINE,
        ),
        (
            trained(make_pipeline(make_pipeline(StandardScaler()), search(LogisticRegression()))),
            PIPELINE,
        ),
        (GroupThresholdClassifier(PIPELINE, cv="prefit").fit(X, Y, S), PIPELINE),
        (trained(FixedThresholdClassifier(make_pipeline(StandardScaler(), LINEAR))), PIPELINE),
    ],
)
def test_the_layer_is_that_of_the_bare_classifier(wrapped, bare):
    expected = refit(bare)
    model = refit(wrapped)
    np.testing.assert_allclose(model.head_.coef_, expected.head_.coef_)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


def test_a_search_over_a_network_is_held_near_its_layer():
    network = ERMClassifier(max_epochs=2, hidden_units=(3,), random_state=0, refit=None)
    found = trained(search(network))
    np.testing.assert_allclose(refit(found).head_.coef_, refit(found.best_estimator_).head_.coef_)


@pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
def test_group_columns_of_what_is_around_it_are_taken_out():
    frame = pd.DataFrame(X, columns=list("abcd")).assign(sex=np.where(S, "m", "f"))
    minimax = MinimaxClassifier(LogisticRegression(), n_rounds=1, group_columns="sex", cv=2)
    minimax.fit(frame[:N], Y[:N])
    model = LastLayerRefit(minimax, recipe="anchored", random_state=0, group_columns="sex")
    model.fit(frame[N:], Y[N:])
    assert model.head_.coef_.shape == (1, 4)
    np.testing.assert_array_equal(model.predict(frame), model.predict(frame.drop(columns="sex")))


def test_what_is_not_linear_has_no_layer_of_its_own():
    with pytest.raises(TypeError, match="finds no embeddings in this RandomForestClassifier"):
        refit(trained(RandomForestClassifier(n_estimators=2)))


class TestCoefficients:
    def test_a_refitted_linear_model_has_them(self):
        model = refit(LINEAR)
        np.testing.assert_array_equal(model.coef_, model.head_.coef_)
        np.testing.assert_array_equal(model.intercept_, model.head_.intercept_)

    @pytest.mark.parametrize("model", [PIPELINE, LINEAR])
    def test_others_and_unfitted_ones_have_none(self, model):
        meta = LastLayerRefit(model) if model is LINEAR else refit(model)
        with pytest.raises(AttributeError, match=r"head_\.coef_"):
            _ = meta.coef_


class TestLabels:
    labels = np.array(["cat", "dog"])[Y]
    recipe = LogisticRegression(class_weight={"cat": 100, "dog": 1})

    def test_a_classifier_given_as_recipe_sees_them(self):
        model = LogisticRegression().fit(X[TRAIN], self.labels[TRAIN])
        meta = LastLayerRefit(model, recipe=self.recipe, random_state=0)
        meta.fit(X[HELD_OUT], self.labels[HELD_OUT], groups=S[HELD_OUT])
        assert (meta.predict(X) == "cat").mean() > 0.7

    def test_a_classifier_given_as_refit_sees_them(self):
        model = DFRClassifier(refit=self.recipe, max_epochs=1, random_state=0)
        assert (model.fit(X, self.labels, S).predict(X) == "cat").mean() > 0.8
