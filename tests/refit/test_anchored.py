"""Logistic regression near given weights, against plain ones and against its own equations."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.refit import RECIPES, Recipe, linear_head, refit_head
from gbmix_sklearn.refit._anchored import anchor_of, fit_anchored
from gbmix_sklearn.refit._balanced import _balanced_draw
from gbmix_sklearn.refit._recipe import ANCHORED_C

CLASSES = np.array(["x", "y", "z"])


def samples(n=120, n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    X = rng.normal(size=(n, 4))
    X[:, 0] += y
    return X, y


def weights(n_classes, seed=1):
    rng = np.random.default_rng(seed)
    n_rows = 1 if n_classes == 2 else n_classes
    return rng.normal(size=(n_rows, 4)), rng.normal(size=n_rows)


def residuals(X, y, coef, intercept):
    """Probability minus truth, one sample after the other."""
    rows = []
    for x, label in zip(X, y, strict=True):
        logits = [float(w @ x + b) for w, b in zip(coef, intercept, strict=True)]
        if len(logits) == 1:
            rows.append([1 / (1 + np.exp(-logits[0])) - label])
        else:
            total = sum(np.exp(logits))
            rows.append([np.exp(a) / total - (k == label) for k, a in enumerate(logits)])
    return np.array(rows)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("C", [0.1, 10.0])
def test_near_zero_it_is_that_of_scikit_learn(n_classes, C):
    X, y = samples(n_classes=n_classes)
    head = fit_anchored(X, y, np.arange(n_classes), C=C)
    plain = LogisticRegression(C=C / len(X), tol=1e-8, max_iter=1000).fit(X, y)
    assert head.coef_ == pytest.approx(plain.coef_, abs=1e-3)
    assert head.predict_proba(X) == pytest.approx(plain.predict_proba(X), abs=1e-3)
    assert head.C == plain.C
    assert type(head) is LogisticRegression


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("C", [0.1, 1.0, 10.0])
def test_slope_of_the_loss_and_pull_of_the_anchor_cancel(n_classes, C):
    X, y = samples(n_classes=n_classes)
    coef, intercept = weights(n_classes)
    head = fit_anchored(X, y, np.arange(n_classes), C=C, anchor=(coef, intercept))
    residual = residuals(X, y, head.coef_, head.intercept_)
    slope = np.array([[np.mean(r * x) for x in X.T] for r in residual.T])
    assert slope == pytest.approx((coef - head.coef_) / C, abs=2e-4)
    assert residual.mean(axis=0) == pytest.approx(0, abs=2e-4)  # the intercept is free


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_stronger_the_penalty_the_nearer_it_is(n_classes):
    X, y = samples(n_classes=n_classes)
    anchor = weights(n_classes)
    distance = [
        np.linalg.norm(fit_anchored(X, y, np.arange(n_classes), C=C, anchor=anchor).coef_ - coef)
        for coef in anchor[:1]
        for C in (1e-6, *ANCHORED_C)
    ]
    assert distance == sorted(distance)
    assert distance[0] == pytest.approx(0, abs=1e-4)
    assert list(ANCHORED_C) == sorted(ANCHORED_C)  # of equals, the nearest is taken


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_anchor_is_the_trained_layer_for_standardised_embeddings(n_classes):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(30, 4)) * [1, 5, 0.1, 2] + [3, 0, -1, 7]
    trained = linear_head(*_layer(n_classes), CLASSES[:n_classes])
    scaling = z.mean(axis=0), z.std(axis=0)
    coef, intercept = anchor_of(trained, np.arange(n_classes), scaling)
    logits = (z - scaling[0]) / scaling[1] @ coef.T + intercept
    expected = trained.decision_function(z).reshape(len(z), -1)
    assert logits == pytest.approx(expected)


@pytest.mark.parametrize("present", [[0, 1], [0, 2], [1, 2]])
def test_of_two_classes_of_three_the_anchor_weighs_one_against_the_other(present):
    z = np.random.default_rng(0).normal(size=(30, 4))
    trained = linear_head(*_layer(3), CLASSES)
    coef, intercept = anchor_of(trained, np.array(present), (np.zeros(4), np.ones(4)))
    logits = trained.decision_function(z)
    assert (z @ coef.T + intercept)[:, 0] == pytest.approx(
        logits[:, present[1]] - logits[:, present[0]]
    )


def _layer(n_classes):
    rng = np.random.default_rng(3)
    return rng.normal(size=(n_classes, 4)), rng.normal(size=n_classes)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_refit_is_the_mean_over_balanced_draws(n_classes):
    rng = np.random.default_rng(0)
    X, y = samples(240, n_classes)
    z = (X * [1, 10, 0.1, 3] + [0, 50, -2, 7]).astype(np.float32)
    cells = make_cells(y, rng.integers(2, size=len(y)) * (np.arange(len(y)) % 5 > 1)).codes
    trained = linear_head(*_layer(n_classes), CLASSES[:n_classes])
    recipe = Recipe(penalty="anchored", C=(1.0,), n_draws=3)
    head = refit_head(
        z,
        y,
        cells,
        CLASSES[:n_classes],
        estimator=recipe,
        validation=(z, y, cells),
        trained=trained,
        rng=np.random.default_rng(5),
    )
    scaling = z.mean(axis=0), z.std(axis=0)
    anchor = anchor_of(trained, np.arange(n_classes), scaling)
    rng = np.random.default_rng(5)
    draws = [_balanced_draw(np.arange(len(z)), cells, rng) for _ in range(1 + 3)]
    fits = [
        fit_anchored(
            (z[draw] - scaling[0]) / scaling[1], y[draw], np.arange(n_classes), anchor=anchor
        )
        for draw in draws[1:]  # the first one chooses C
    ]
    coef = np.mean([fit.coef_ for fit in fits], axis=0) / scaling[1]
    intercept = np.mean([fit.intercept_ for fit in fits], axis=0) - coef @ scaling[0]
    assert head.coef_ == pytest.approx(coef, rel=1e-3)
    assert head.intercept_ == pytest.approx(intercept, rel=1e-3, abs=1e-3)


def test_recipe():
    assert RECIPES["anchored"] == Recipe(penalty="anchored")
    assert Recipe(penalty="anchored").grid == ANCHORED_C
    assert Recipe(penalty="anchored", C=(1.0,)).grid == (1.0,)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"penalty": "l2"}, "penalty must be 'l1' or 'anchored', got 'l2'"),
        ({"scaler": "validation"}, "scaler must be 'held_out' or 'train', got 'validation'"),
    ],
)
def test_a_typo_in_a_recipe_is_an_error(wrong, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**wrong)
