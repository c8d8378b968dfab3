"""UMIX, against slow loops and plain weighted cross-entropy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gbmix_sklearn.criteria._umix import UMIXCriterion

from .test_lisa import batch
from .test_mixing import WEIGHT, loop_loss, mixing


@settings(deadline=None, max_examples=100)
@given(st.sampled_from([0.5, 1.0]), st.sampled_from([0, 0.5, 1]), st.integers(0, 10**6))
def test_loss_is_that_of_loops(alpha, sigma, seed):
    x, y, s = batch(seed=seed)
    criterion, model = UMIXCriterion(alpha, sigma=sigma), nn.Linear(4, 3).double()
    torch.manual_seed(seed)
    loss = criterion(model, x, y, s, WEIGHT).item()
    torch.manual_seed(seed)
    shares = mixing(criterion, y, s, WEIGHT).double().numpy()
    own = shares.diagonal()
    assert shares.sum(0) == pytest.approx(1)  # a permutation: all samples count alike
    assert len(set(own[own < 1].round(5))) <= 1  # one ratio for all who met another one
    assert loss == pytest.approx(loop_loss(model, x, y, shares, weight=WEIGHT.numpy()), rel=1e-5)


def test_an_unmixed_batch_has_the_weighted_cross_entropy():
    x, y, s = batch()
    model = nn.Linear(4, 3).double()
    loss = UMIXCriterion(sigma=0)(model, x, y, s, WEIGHT)
    plain = nn.functional.cross_entropy(model(x), y, reduction="none")
    assert loss.item() == pytest.approx((WEIGHT * plain).mean().item(), rel=1e-6)


def test_weights_are_not_normalised():
    x, y, s = batch()
    losses = []
    for factor in (1, 10):
        torch.manual_seed(0)
        losses.append(UMIXCriterion(sigma=1)(nn.Identity(), x[:, :3], y, s, factor * WEIGHT))
    assert losses[1].item() == pytest.approx(10 * losses[0].item(), rel=1e-5)


@pytest.mark.parametrize("sigma", [0.0, 0.3, 1.0])
def test_sigma_is_the_probability_of_mixing(sigma):
    torch.manual_seed(0)
    y = torch.zeros(6, dtype=torch.long)
    criterion = UMIXCriterion(1.0, sigma=sigma)
    mixed = [(mixing(criterion, y, y, WEIGHT[:6]) != torch.eye(6)).any() for _ in range(500)]
    assert np.mean(mixed) == pytest.approx(sigma, abs=0.06 if sigma == 0.3 else 0.01)


def test_ratios_follow_beta_alpha_alpha():
    torch.manual_seed(0)
    y = torch.zeros(12, dtype=torch.long)
    criterion = UMIXCriterion(2.0, sigma=1)
    shares = torch.stack([mixing(criterion, y, y, WEIGHT[:12]) for _ in range(1500)])
    own = shares.diagonal(dim1=1, dim2=2)
    lam = own[own < 1]
    assert lam.mean().item() == pytest.approx(0.5, abs=0.02)
    assert lam.var().item() == pytest.approx(1 / 20, rel=0.1)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": -1}, "alpha must be a positive number"),
        ({"sigma": 1.5}, "sigma must be a number from 0 to 1, got 1.5"),
        ({"sigma": None}, "sigma must be"),
    ],
)
def test_unknown_values_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        UMIXCriterion(**parameters)
