"""Boosted trees as arrays predict what scikit-learn's do, and are checked as if strangers wrote."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from gbmix_sklearn._saved_trees import Trees

RNG = np.random.default_rng(0)
N = 600
X = RNG.normal(size=(N, 5))
X[:, 1] = RNG.integers(0, 40, N)
X[:, 3] = 2 * RNG.integers(0, 6, N)  # codes that are not ranks
X[RNG.random(X.shape) < 0.1] = np.nan
CATEGORIES = [False, True, False, True, False]


def labels(n_classes):
    y = (np.nan_to_num(X[:, 0]) + np.nan_to_num(X[:, 1]) % 5 + RNG.normal(size=N) > 2).astype(int)
    return y if n_classes == 2 else y + (np.nan_to_num(X[:, 3]) > 6)


def fitted(n_classes=2, categories=CATEGORIES):
    model = HistGradientBoostingClassifier(
        categorical_features=categories, max_iter=15, early_stopping=False
    )
    return model.fit(X, labels(n_classes))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("categories", [CATEGORIES, None])
def test_scores_are_those_of_scikit_learn_also_of_new_values(n_classes, categories):
    model = fitted(n_classes, categories)
    trees = Trees.of(model, X)
    new = X.copy()
    new[:50, 3], new[50:100, 1], new[100:150] = 5, 250, np.nan
    new[150:200, [0, 2, 4]] *= 1e6
    for rows in (X, new):
        expected = model.decision_function(rows).reshape(N, -1)
        np.testing.assert_allclose(trees.scores(rows), expected, atol=1e-12)


def test_arrays_come_back():
    trees = Trees.of(fitted(), X)
    again = Trees.from_arrays(trees.to_arrays(), 5, 1)
    np.testing.assert_array_equal(again.scores(X), trees.scores(X))


def test_trees_of_a_version_that_is_read_wrongly_are_refused():
    model = fitted()
    model._predictors[0][0].nodes["value"] += 1.0
    trees = Trees.of(model, X)  # what is there is read
    model.decision_function = lambda X: trees.scores(X)[:, 0] + 0.1
    with pytest.raises(TypeError, match="read wrongly"):
        Trees.of(model, X)
    del model._baseline_prediction
    with pytest.raises(TypeError, match="cannot be read"):
        Trees.of(model, X)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("left", lambda a: a * 0),  # a walk without end
        ("right", lambda a: a + 10**6),
        ("feature", lambda a: a + 5),
        ("split", lambda a: a + 10**4),
        ("roots", lambda a: a - 10**6),
        ("value", lambda a: a * np.nan),
        ("threshold", lambda a: a[:-1]),
        ("baseline", lambda a: np.zeros(3)),
        ("known", lambda a: a[:3]),
        ("missing_left", lambda a: a.astype(float)),
        ("left_categories", lambda a: a[:, :10]),
    ],
)
def test_arrays_that_are_no_trees_are_refused(name, change):
    arrays = Trees.of(fitted(), X).to_arrays()
    with pytest.raises(ValueError, match="cannot be"):
        Trees.from_arrays(arrays | {name: change(arrays[name])}, 5, 1)
    with pytest.raises(KeyError):
        Trees.from_arrays({key: arrays[key] for key in arrays if key != name}, 5, 1)
