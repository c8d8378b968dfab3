"""Many weighted logistic regressions at once, against scikit-learn's, one at a time."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from gbmix_sklearn.refit import _logistic
from gbmix_sklearn.refit._logistic import LogisticFits, Weights, predict_codes


def samples(n=300, d=6, n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    X = rng.normal(size=(n, d)) + 1.5 * np.eye(d)[y]
    return X.astype(np.float32), y, rng.random((n, 3)) + 0.1


def of_scikit_learn(X, y, weights, C):
    """The same objective: scikit-learn adds up losses, of weights with the sum 1."""
    model = LogisticRegression(C=C, tol=1e-10, max_iter=10_000)
    return model.fit(X.astype(np.float64), y, sample_weight=weights / weights.sum())


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("C", [0.05, 1.0, 50.0])
def test_each_fit_is_scikit_learns(n_classes, C):
    X, y, weights = samples(n_classes=n_classes)
    fitted = LogisticFits(X, y, n_classes).fit(weights, C, tol=1e-7)
    for number, column in enumerate(weights.T):
        expected = of_scikit_learn(X, y, column, C)
        shown = fitted.logits(X, number)
        theirs = expected.decision_function(X).reshape(len(X), -1)
        if n_classes > 2:  # the mean of the intercepts is free
            shown, theirs = (a - a.mean(axis=1, keepdims=True) for a in (shown, theirs))
        assert shown == pytest.approx(theirs, abs=2e-3)


def test_a_strong_penalty_holds_the_coefficients_at_the_anchor():
    X, y, weights = samples()
    anchor = np.arange(6.0)[None] / 10, np.array([0.3])
    near = LogisticFits(X, y, 2, anchor).fit(weights[:, :1], C=1e-8)
    assert near.coef[0] == pytest.approx(anchor[0], abs=1e-5)
    free = LogisticFits(X, y, 2, anchor).fit(weights[:, :1], C=1e6, tol=1e-7)
    zero = LogisticFits(X, y, 2).fit(weights[:, :1], C=1e6, tol=1e-7)
    assert free.coef == pytest.approx(zero.coef, abs=1e-2)


def test_samples_without_weight_do_not_count():
    X, y, _ = samples()
    seen = np.arange(300) < 200
    part = LogisticFits(X, y, 2).fit(seen[:, None] * 1.0, 1.0, tol=1e-7)
    alone = LogisticFits(X[seen], y[seen], 2).fit(np.ones((200, 1)), 1.0, tol=1e-7)
    assert part.coef == pytest.approx(alone.coef, abs=1e-4)


def test_a_start_changes_how_long_it_takes_and_not_what_comes_out():
    X, y, weights = samples(n_classes=3)
    fits = LogisticFits(X, y, 3)
    cold = fits.fit(weights, 1.0, tol=1e-7)
    far = Weights(cold.coef + 1, cold.intercept - 2)
    assert fits.fit(weights, 1.0, far, tol=1e-7).coef == pytest.approx(cold.coef, abs=1e-3)


def test_more_features_than_can_be_factorised(monkeypatch):
    X, y, weights = samples()
    expected = LogisticFits(X, y, 2).fit(weights, 1.0, tol=1e-7)
    monkeypatch.setattr("gbmix_sklearn.refit._logistic._MAX_FACTORISED", 3)
    diagonal = LogisticFits(X, y, 2).fit(weights, 1.0, tol=1e-7)
    assert diagonal.coef == pytest.approx(expected.coef, abs=1e-3)


def test_codes_are_the_sign_or_the_largest():
    assert predict_codes(np.array([[-1.0], [0.5], [0.0]])).tolist() == [0, 1, 0]
    assert predict_codes(np.array([[0, 2, 1], [3, 2, 1]])).tolist() == [1, 0]


@pytest.mark.parametrize("C", [1e4, 1e8])
def test_categories_that_add_up_to_a_constant_are_fitted_whatever_the_penalty(C):
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=2000)
    of_columns = [np.eye(k)[(rng.integers(k, size=2000) + y) % k] for k in (2, 3, 7)]
    X = np.hstack([*of_columns, of_columns[0]])
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
    weights = LogisticFits(X, y, 2).fit(np.ones((2000, 1)), C)
    expected = LogisticRegression(max_iter=5000).fit(X, y).score(X, y)
    found = (predict_codes(weights.logits(X, 0)) == y).mean()
    assert found == pytest.approx(expected, abs=0.01)


def rare_categories(n=6000):
    """Four frequent categories and forty of three rows each, one-hot."""
    rng = np.random.default_rng(0)
    category = rng.integers(4, size=n)
    category[:120] = 4 + np.arange(120) % 40
    y = (rng.random(n) < 0.3 + 0.4 * (category % 3 == 0)).astype(int)
    X = np.eye(44, dtype=np.float32)[category]
    return (X - X.mean(0)) / X.std(0), y


def test_rare_categories_take_no_more_steps_than_others(monkeypatch):
    passes = []
    real = _logistic.minimize

    def spy(*args, **options):
        found = real(*args, **options)
        passes.append(found.nfev)
        return found

    monkeypatch.setattr(_logistic, "minimize", spy)
    X, y = rare_categories()
    LogisticFits(X, y, 2).fit(np.ones((len(X), 1)), C=100.0)
    assert passes[0] < 25  # with a sample for the coordinates it takes eighty


def test_a_sample_for_the_coordinates_changes_no_fit(monkeypatch):
    X, y, weights = samples(3000, 6)
    exact = LogisticFits(X, y, 2).fit(weights, 1.0)
    monkeypatch.setattr(_logistic, "_MULTIPLICATIONS", 0)
    sampled = LogisticFits(X, y, 2).fit(weights, 1.0)
    assert np.allclose(sampled.coef, exact.coef, atol=2e-3)
