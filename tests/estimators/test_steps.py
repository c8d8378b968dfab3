"""Fits that do not depend on the units of X, and say when steps are too large."""

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn import LargeStepsWarning
from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.estimators._steps import warn_of_large_steps

from .problems import ON_MATRICES, problem

EVERY = [name for name in METHODS if name != "CutMix"]
#: what only single methods have, and what takes long
OWN = {"first_stage_epochs": 2, "lambda_up": 3}


def default(name, **parameters):
    cls = ON_MATRICES[name]
    own = {key: value for key, value in OWN.items() if key in cls().get_params(deep=False)}
    return cls(random_state=0, max_epochs=10, **own, **parameters)


@pytest.mark.filterwarnings("ignore::gbmix_sklearn.EmptyErrorSetWarning")
@pytest.mark.parametrize("name", EVERY)
class TestUnits:
    def test_scaling_and_shifting_change_nothing(self, name):
        X, y, s = problem(400)
        plain = default(name).fit(X, y, s).predict(X)
        for other in (X * 1000, X / 1000, X * [1, 50, 0.2, 3, 1] + [0, 9, -3, 0, 1]):
            assert (default(name).fit(other, y, s).predict(other) == plain).mean() >= 0.97

    def test_repeated_columns_change_little(self, name):
        X, y, s = problem(400)
        plain = default(name).fit(X, y, s).predict(X)
        twice = np.c_[X, X]
        assert (default(name).fit(twice, y, s).predict(twice) == plain).mean() >= 0.97

    def test_the_order_of_the_columns_changes_nothing(self, name):
        X, y, s = problem(400)
        plain = default(name).fit(X, y, s).predict(X)
        turned = np.ascontiguousarray(X[:, ::-1])
        assert (default(name).fit(turned, y, s).predict(turned) == plain).mean() >= 0.97


@pytest.mark.parametrize("parameters", [{}, {"hidden_units": (8,)}, {"refit": None}])
def test_the_network_and_the_last_layer_take_x_as_it_comes(parameters):
    import torch

    X, y, s = problem(400)
    X = X * 40 + 100
    model = default("GBMix", **parameters).fit(X, y, s)
    network = model.net_.raw_module.eval()
    z = model.transform(X)
    assert (model.head_.predict(z) == model.predict(X)).all()
    with torch.no_grad():
        trained = network(torch.from_numpy(X)).argmax(1).numpy()
    assert (trained == y).mean() > 0.8
    best = model.net_.best_state_
    assert all(torch.equal(best[k], v) for k, v in network.state_dict().items())


def test_what_was_used_is_told_and_what_is_given_is_used():
    X, y, s = problem(400)
    model = default("GBMix").fit(X, y, s)
    assert model.lr_ == pytest.approx(model.history_["lr"][0])
    assert 0 < model.weight_decay_ < 1
    model = default("ERM", lr=0.02, weight_decay=0.3).fit(X, y, s)
    assert (model.lr_, model.weight_decay_) == (0.02, 0.3)
    group = model.net_.optimizer_.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.02, 0.3)


def epochs(best, loss):
    return pd.DataFrame(
        {"valid_loss": 1.0, "best": np.arange(10) == best, "train_loss": np.resize(loss, 10)}
    )


def test_steps_that_are_too_large_are_told():
    with pytest.warns(LargeStepsWarning, match="no epoch was better.*Lower lr"):
        warn_of_large_steps(epochs(best=0, loss=[1.0, 2.0, 0.9]))
    for calm in (
        epochs(best=3, loss=[1.0, 2.0, 0.9]),
        epochs(best=0, loss=[1.0, 1.1, 0.9]),  # batches differ
        epochs(best=0, loss=[1.0, 2.0])[:5],  # too few to say
        epochs(best=0, loss=[1.0, 2.0]).drop(columns="valid_loss"),  # nothing was judged
    ):
        warn_of_large_steps(calm)
