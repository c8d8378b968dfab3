"""What is NaN or infinite stops a training, and no class follows from it."""

import numpy as np
import pytest
import torch
from torch import nn

from gbmix_sklearn import (
    ERMClassifier,
    GBMixClassifier,
    NonFiniteLossError,
    NonFiniteLossWarning,
    NonFiniteOutputError,
)

from ..estimators.problems import method, problem

X, Y, S = problem()


class Broken(nn.Module):
    """Gives NaN in evaluation, from a number of forwards on."""

    def __init__(self, after=0):
        super().__init__()
        self.layer = nn.Linear(5, 4)
        self.left = after

    def forward(self, x):
        z = self.layer(x)
        if not self.training and len(x) > 2:  # the dry run is no evaluation
            self.left -= 1
            if self.left < 0:
                z[0, 0] = torch.nan
        return z


class BrokenBuffer(nn.Module):
    def __init__(self, after):
        super().__init__()
        self.layer = nn.Linear(5, 4)
        self.after = after
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))  # as in attention

    def forward(self, x):
        if self.training:
            self.after -= 1
            if self.after < 0:
                self.mean = self.mean + torch.inf
        return self.layer(x) * (self.mean if self.training is None else 1)


@pytest.mark.parametrize("refit", [None, "learned"])
def test_a_validation_part_that_is_nan_in_the_first_epoch_is_an_error(refit):
    with pytest.raises(NonFiniteLossError, match=r"outputs on the validation part.*first epoch"):
        method("GBMix", backbone=Broken(), refit=refit).fit(X, Y, S)


def test_one_that_is_nan_later_ends_the_training():
    model = method("ERM", backbone=Broken(after=2), refit=None, max_epochs=6)
    with pytest.warns(NonFiniteLossWarning, match=r"outputs on the validation part .* epoch 3"):
        model.fit(X, Y, S)
    assert model.best_epoch_ <= 2
    assert len(model.history_) == 3
    assert np.isnan(model.history_["valid_loss"].iloc[-1])
    assert not model.history_["best"].iloc[-1]


def test_buffers_that_break_are_noticed_without_validation():
    options = {"validation_fraction": None, "refit": None, "batch_size": 200, "max_epochs": 4}
    with pytest.raises(NonFiniteLossError, match="buffers"):
        method("ERM", backbone=BrokenBuffer(0), **options).fit(X, Y, S)
    with pytest.warns(NonFiniteLossWarning, match="epoch 3"):
        model = method("ERM", backbone=BrokenBuffer(2), **options).fit(X, Y, S)
    assert model.best_epoch_ == 2
    assert np.isfinite(model.predict_proba(X)).all()


class Root(nn.Module):
    def forward(self, x):
        return torch.sqrt(x)


@pytest.mark.parametrize("cls", [ERMClassifier, GBMixClassifier])
def test_a_frozen_backbone_that_gives_nan_is_an_error_in_fit_and_at_predict(cls):
    positive = np.abs(X) + 0.1
    model = cls(Root(), trainable=False, max_epochs=1, random_state=0).fit(positive, Y, S)
    some = positive.copy()
    some[3] *= -1
    for predict in (model.predict, model.predict_proba, model.transform):
        with pytest.raises(NonFiniteOutputError, match=r"1 of 200 samples, first for row 3"):
            predict(some)
    with pytest.raises(NonFiniteOutputError, match="samples"):
        cls(Root(), trainable=False, max_epochs=1).fit(some, Y, S)


def test_a_trained_network_that_gives_nan_predicts_nothing():
    model = method("ERM", backbone=nn.Linear(5, 4)).fit(X, Y, S)
    with torch.no_grad():
        model.net_.raw_module.embedding[0].weight[0, 0] = torch.nan
    with pytest.raises(NonFiniteOutputError, match="200 of 200"):
        model.predict(X)
