"""Automatic feature reweighting as a classifier."""

import numpy as np
import pytest

from gbmix_sklearn import AFRClassifier, ERMClassifier, load_model

from .problems import FAST, problem


def spurious(n=3000, seed=0):
    """An attribute that is louder than the class and mostly goes with it."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    s = np.where(rng.random(n) < 0.95, y, 1 - y)
    X = rng.normal(size=(n, 10))
    X[:, 0] += 1.5 * y
    X[:, 1] += 4 * s
    return X.astype(np.float32), y, s


def worst(model, X, y, s):
    return model.group_report(X, y, s).worst_group_accuracy


@pytest.mark.parametrize(("hidden_units", "lr"), [((), "auto"), ((16,), 0.01)])
def test_it_helps_the_worst_group(hidden_units, lr):
    X, y, s = spurious()
    erm, afr = (
        method(hidden_units=hidden_units, lr=lr, random_state=0).fit(X, y, s)
        for method in (ERMClassifier, AFRClassifier)
    )
    test = spurious(seed=1)
    assert worst(afr, *test) > worst(erm, *test) + 0.1
    assert afr.gamma_ > 1


def test_training_takes_no_groups_where_nothing_is_chosen():
    X, y, _ = spurious()
    options = {"gamma": 4, "validation_fraction": None, "refit_fraction": 0.5, "max_epochs": 5}
    first, second = (AFRClassifier(random_state=0, **options).fit(X, y, g) for g in (y * 0, None))
    assert np.array_equal(first.head_.coef_, second.head_.coef_)
    assert (first.gamma_, first.reg_coeff_) == (4, 0)


def test_parameters_of_the_descent_reach_it():
    X, y, s = problem()

    def coefficients(**parameters):
        return AFRClassifier(**FAST, **parameters).fit(X, y, s).head_.coef_

    standard = coefficients()
    for other in ({"refit_steps": 5}, {"refit_lr": 0.5}, {"reg_coeff": 3.0}, {"gamma": [0]}):
        assert abs(coefficients(**other) - standard).max() > 1e-4
    trained = coefficients(refit=None)
    far, near = (abs(coefficients(reg_coeff=r) - trained).max() for r in (0, 30))
    assert near < far


def test_what_was_chosen_is_saved(tmp_path):
    X, y, s = problem()
    for number, refit in enumerate(["afr", None]):
        model = AFRClassifier(refit=refit, reg_coeff=[0.1, 1], **FAST).fit(X, y, s)
        model.save(tmp_path / str(number))
        again = load_model(tmp_path / str(number))
        chosen, loaded = ((m.gamma_, m.reg_coeff_) for m in (model, again))
        assert np.array_equal(chosen, loaded, equal_nan=True)
        assert np.isnan(chosen).all() == (refit is None)


@pytest.mark.parametrize("name", ["gamma", "reg_coeff"])
@pytest.mark.parametrize("values", [[], [1, -2]])
def test_values_to_choose_from_must_be_numbers_of_at_least_0(name, values):
    X, y, s = problem()
    with pytest.raises(ValueError, match=f"{name} must be numbers of at least 0"):
        AFRClassifier(**{name: values}, **FAST).fit(X, y, s)
