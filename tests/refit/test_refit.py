"""Deep feature reweighting, against its recipe written out with scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.metrics import worst_group_accuracy_score
from gbmix_sklearn.refit import (
    RECIPES,
    Recipe,
    _balanced,
    linear_decision,
    linear_head,
    linear_probabilities,
    refit_head,
    scaled_by_training,
    scaling_of,
)
from gbmix_sklearn.refit._recipe import DFR_C

CLASSES = np.array(["x", "y", "z"])


def held_out(n=240, n_classes=2, n_values=2, seed=0, counts=None):
    rng = np.random.default_rng(seed)
    if counts is None:
        cell = rng.permutation(np.arange(n) % (n_classes * n_values))
    else:
        cell = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    y, s = np.divmod(cell, n_values)
    z = rng.normal(size=(len(y), 4)) * [1, 10, 0.1, 3] + [0, 50, -2, 7]
    z[:, 0] += 1.5 * y
    z[:, 2] += 0.1 * s
    return z.astype(np.float32), y, make_cells(y, s).codes


class Spy(LogisticRegression):
    """Keeps what each fit was given."""

    fits = None

    def fit(self, X, y, sample_weight=None):
        Spy.fits.append((X, y))
        return super().fit(X, y, sample_weight)


@pytest.fixture(autouse=True)
def _no_fits():
    Spy.fits = []


def generator():
    return np.random.default_rng(0)


def test_every_draw_takes_the_smallest_cells_number_from_each_cell():
    z, y, cells = held_out(counts=[50, 7, 30, 90])
    refit_head(z, y, cells, CLASSES[:2], estimator=Spy(), rng=generator())
    assert len(Spy.fits) == 20
    scaled = (z - z.mean(0)) / z.std(0)
    draws = []
    for X, labels in Spy.fits:
        distance = abs(X[:, None] - scaled).max(2)
        assert distance.min(1).max() < 1e-3
        drawn = distance.argmin(1)
        assert np.bincount(cells[drawn]).tolist() == [7] * 4
        assert len(set(drawn)) == 28  # without replacement
        assert labels.tolist() == CLASSES[y[drawn]].tolist()
        draws.append(tuple(sorted(drawn)))
    assert len(set(draws)) == 20


def test_scaling_is_folded_back():
    """With one draw of everything it is a Pipeline of a scaler and a logistic regression."""
    z, y, cells = held_out()
    head = refit_head(
        z, y, cells, CLASSES[:2], estimator=LogisticRegression(C=0.1), n_draws=1, rng=generator()
    )
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(z, CLASSES[y])
    assert head.decision_function(z) == pytest.approx(pipeline.decision_function(z), abs=2e-3)
    assert (head.predict(z) == pipeline.predict(z)).all()
    assert head.classes_.tolist() == ["x", "y"]
    assert head.n_features_in_ == 4


@pytest.mark.parametrize("n_classes", [2, 3])
def test_coefficients_are_the_mean_of_the_draws(n_classes):
    z, y, cells = held_out(n_classes=n_classes)
    cells[: len(cells) // 3] += 10  # cells that differ from the classes, to make draws differ
    classes = CLASSES[:n_classes]
    head = refit_head(z, y, cells, classes, estimator=Spy(C=0.3), n_draws=5, rng=generator())
    rows = [LogisticRegression(C=0.3).fit(X, labels) for X, labels in Spy.fits]
    coef = np.mean([row.coef_ for row in rows], axis=0) / z.std(0)
    intercept = np.mean([row.intercept_ for row in rows], axis=0) - coef @ z.mean(0)
    assert head.coef_ == pytest.approx(coef, rel=1e-4)
    assert head.intercept_ == pytest.approx(intercept, rel=1e-3, abs=1e-3)


def scores_of(z, y, cells, validation, seed=0):
    """Worst-group accuracy for every C of the grid, drawing as the recipe does."""
    rng, scores = np.random.default_rng(seed), []
    mean, std = z.mean(0), z.std(0)
    pool = np.arange(len(z))
    z_val, y_val, cells_val = validation
    drawn = _balanced._balanced_draw(pool, cells, rng)
    for c in DFR_C:
        model = Recipe().fit((z[drawn] - mean) / std, y[drawn], np.array([0, 1]), C=c)
        predicted = model.predict((z_val - mean) / std)
        scores.append(worst_group_accuracy_score(y_val, predicted, groups=cells_val))
    return scores


@pytest.mark.parametrize("seed", range(4))
def test_c_is_the_best_for_the_worst_group_on_validation(seed):
    z, y, cells = held_out(120, seed=seed)
    validation = held_out(200, seed=seed + 10)
    head = refit_head(z, y, cells, CLASSES[:2], validation=validation, rng=np.random.default_rng(0))
    scores = scores_of(z, y, cells, validation)
    best = scores.index(max(scores))  # the first of equals, which is the largest
    assert DFR_C[best] == head.C
    assert len(set(scores)) > 1


def test_ties_go_to_the_larger_c():
    z, y, cells = held_out()
    z[:, 0] = 100 * y  # so easy that most of them are perfect
    head = refit_head(z, y, cells, CLASSES[:2], validation=(z, y, cells), rng=generator())
    assert head.C == 1.0
    assert list(DFR_C) == sorted(DFR_C, reverse=True)


def test_without_validation_the_halves_of_each_cell_choose():
    cells = np.repeat([0, 1, 2, 3], [10, 7, 2, 1])
    fit, other = _balanced.halves(cells, generator())
    assert np.bincount(cells[fit]).tolist() == [5, 4, 1, 1]
    assert np.bincount(cells[other]).tolist() == [5, 4, 1, 1]
    assert set(fit) | set(other) == set(range(20))
    shared = set(fit) & set(other)
    assert {cells[i] for i in shared} <= {1, 3}  # an odd one out, and the cell of one sample
    z, y, cells = held_out()
    assert refit_head(z, y, cells, CLASSES[:2], rng=generator()).score(z, CLASSES[y]) > 0.6


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("estimator", ["logistic", "anchored"])
def test_the_recipes_are_a_plain_logistic_regression_afterwards(estimator, n_classes):
    z, y, cells = held_out(300, n_classes=n_classes)
    z[:, 0] *= 3
    classes = CLASSES[:n_classes]
    head = refit_head(z, y, cells, classes, estimator=estimator, rng=generator())
    assert type(head) is LogisticRegression
    assert head.score(z, classes[y]) > 0.65
    own = linear_probabilities(linear_decision(head, z))
    assert head.predict_proba(z) == pytest.approx(own, abs=1e-5)
    assert (head.predict(z) == classes[head.predict_proba(z).argmax(1)]).all()


@pytest.mark.parametrize("present", [[0, 2], [1, 2], [0, 1]])
@pytest.mark.parametrize(
    "estimator",
    ["logistic", "anchored", LogisticRegression(), RidgeClassifier(), SGDClassifier()],
    ids=repr,
)
def test_a_class_without_refit_samples_is_never_predicted(present, estimator):
    z, y, _ = held_out()
    y = np.array(present)[y]
    head = refit_head(z, y, y, CLASSES, estimator=estimator, rng=generator())
    assert head.classes_.tolist() == ["x", "y", "z"]
    assert head.coef_.shape == (3, 4)
    assert np.isfinite(head.intercept_).all()
    predicted = head.predict(z)
    assert set(predicted) == set(CLASSES[present])
    assert (predicted == CLASSES[y]).mean() > 0.7
    if hasattr(head, "predict_proba"):
        (absent,) = set(range(3)) - set(present)
        assert (head.predict_proba(z)[:, absent] == 0).all()
        own = linear_probabilities(linear_decision(head, z))
        assert head.predict_proba(z) == pytest.approx(own, abs=1e-5)


def test_two_of_three_classes_are_weighed_as_two_are():
    z, y, cells = held_out()
    two = refit_head(z, y, cells, CLASSES[:2], estimator=LogisticRegression(), rng=generator())
    three = refit_head(z, y, cells, CLASSES, estimator=LogisticRegression(), rng=generator())
    assert three.predict_proba(z)[:, :2] == pytest.approx(two.predict_proba(z), abs=1e-6)


@pytest.mark.parametrize(("n", "named"), [(0, "none"), (5, "'x'")])
def test_fewer_than_two_classes_are_an_error(n, named):
    z, y = np.zeros((n, 4), np.float32), np.zeros(n, int)
    with pytest.raises(ValueError, match=rf"at least two classes.*{named}.*refit=None"):
        refit_head(z, y, y, CLASSES, rng=generator())


def test_constant_features_have_no_weight():
    z, y, cells = held_out()
    z[:, 3] = 5
    head = refit_head(z, y, cells, CLASSES[:2], rng=generator())
    assert np.isfinite(head.coef_).all()
    assert head.coef_[0, 3] == 0


@pytest.mark.parametrize(
    "estimator", ["logistic", "anchored", SGDClassifier(), LogisticRegression()], ids=repr
)
def test_the_generator_decides_alone(estimator):
    z, y, cells = held_out(counts=[50, 20, 30, 90])

    def fit(seed):
        rng = np.random.default_rng(seed)
        head = refit_head(z, y, cells, CLASSES[:2], estimator=estimator, rng=rng)
        return head.coef_.tolist()

    assert fit(0) == fit(0)
    assert fit(0) != fit(1)
    assert not hasattr(estimator, "coef_")


def test_the_published_recipe_is_known_by_name():
    published = Recipe(scaler="train", intercept_scaling=1, n_draws=20, C=DFR_C)
    assert replace(RECIPES["dfr"], C=RECIPES["dfr"].grid) == published
    assert RECIPES["logistic"] == Recipe()
    assert Recipe().grid == DFR_C
    assert DFR_C == (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)
    assert scaled_by_training("dfr")
    for refit in ("afr", None, Recipe(), RidgeClassifier()):
        assert not scaled_by_training(refit)


def test_the_scaling_may_be_that_of_other_data():
    z, y, cells = held_out()
    other = 3 * held_out(seed=5)[0] + 20
    options = {"estimator": LogisticRegression(C=0.1), "n_draws": 1, "rng": generator()}
    head = refit_head(z, y, cells, CLASSES[:2], scaling=scaling_of(other), **options)
    scaler = StandardScaler().fit(other)
    by_hand = LogisticRegression(C=0.1).fit(scaler.transform(z), CLASSES[y])
    expected = by_hand.decision_function(scaler.transform(z))
    assert head.decision_function(z) == pytest.approx(expected, abs=2e-3)
    with_own = refit_head(z, y, cells, CLASSES[:2], **options)
    assert abs(with_own.decision_function(z) - expected).max() > 0.1


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(("intercept_scaling", "free"), [(1, False), (100, True)])
def test_an_intercept_that_is_not_penalised_gives_the_classes_their_shares(
    n_classes, intercept_scaling, free
):
    """Its gradient is zero: probabilities sum up to the number of samples of the class."""
    z, y, _ = held_out(n_classes=n_classes)
    shifted = (scaling_of(z)[0] + 3 * scaling_of(z)[1], scaling_of(z)[1])
    recipe = Recipe(C=(0.05,), n_draws=1, intercept_scaling=intercept_scaling)
    head = refit_head(
        z, y, y, CLASSES[:n_classes], estimator=recipe, scaling=shifted, rng=generator()
    )
    rows = 1 / (1 + np.exp(-linear_decision(head, z).reshape(len(z), -1)))
    share = np.mean(y == (1 if n_classes == 2 else 0))
    assert bool(abs(rows[:, 0].mean() - share) < 2e-3) is free


@pytest.mark.parametrize(
    ("estimator", "given", "drawn"),
    [(Recipe(n_draws=3), None, 3), (Recipe(n_draws=3), 2, 2), (Spy(), None, 20), (Spy(), 4, 4)],
    ids=str,
)
def test_the_recipe_says_how_many_draws_unless_told_otherwise(monkeypatch, estimator, given, drawn):
    def fit(self, X, y, classes, *, C, anchor=None):
        return Spy(C=C).fit(X, y)

    monkeypatch.setattr(Recipe, "fit", fit)
    z, y, cells = held_out(counts=[50, 20, 30, 90])
    refit_head(z, y, cells, CLASSES[:2], estimator=estimator, n_draws=given, rng=generator())
    choosing = len(DFR_C) if isinstance(estimator, Recipe) else 0
    assert len(Spy.fits) == choosing + drawn
    for X, _ in Spy.fits[:choosing]:  # one draw for all, so that C is all they differ in
        assert np.array_equal(X, Spy.fits[0][0])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_linear_layer_becomes_a_logistic_regression(n_classes):
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(n_classes, 4)), rng.normal(size=n_classes)
    z = rng.normal(size=(50, 4))
    head = linear_head(weight, bias, CLASSES[:n_classes])
    logits = np.exp(z @ weight.T + bias)
    expected = logits / logits.sum(1, keepdims=True)
    assert head.predict_proba(z) == pytest.approx(expected)
    assert linear_probabilities(linear_decision(head, z)) == pytest.approx(expected)
    assert head.decision_function(z) == pytest.approx(linear_decision(head, z))


@pytest.mark.parametrize("value", [0.1, 14.62, 1e-5, -3e4])
@pytest.mark.parametrize("n", [7, 300, 20_001])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_feature_has_the_scale_1_however_its_mean_rounds(value, n, dtype):
    z = np.column_stack([np.full(n, value), np.linspace(0, 1, n)]).astype(dtype)
    assert scaling_of(z)[1][0] == 1
    assert scaling_of(z)[1][1] < 1
