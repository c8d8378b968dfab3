"""Balanced-MixUp and OBMix, against slow loops and their distributions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gbmix_sklearn.criteria._two_sided import (
    BalancedMixUpCriterion,
    OBMixCriterion,
    two_sided_loss,
)

from .test_lisa import batch
from .test_mixing import loop_loss, mixing

BOTH = [BalancedMixUpCriterion, OBMixCriterion]


def second_share(criterion, n=1):
    """How much the second half counts, in one batch of 2 * n."""
    y = torch.zeros(2 * n, dtype=torch.long)
    return mixing(criterion, y, y)[:, n:].diagonal()


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(BOTH), st.sampled_from([0.2, 1.0, 3.0]), st.integers(0, 10**6))
def test_loss_is_that_of_loops(cls, alpha, seed):
    x, y, s = batch(seed=seed)
    model = nn.Linear(4, 3).double()
    torch.manual_seed(seed)
    loss = cls(alpha)(model, x, y, s).item()
    torch.manual_seed(seed)
    shares = mixing(cls(alpha), y, s).double()
    lam = shares[0, 12].item()
    assert shares.shape == (12, 24)
    for i in range(12):  # one ratio for all
        assert shares[i, i].item() == pytest.approx(1 - lam, abs=1e-6)
        assert shares[i, 12 + i] == lam
    assert loss == pytest.approx(loop_loss(model, x, y, shares), rel=1e-5)


def test_a_hand_checked_loss():
    """Logits are the inputs: 0.25 * (ln 2, 0) + 0.75 * (0, ln 4) has odds 1 : 2 ** 1.25."""
    log = torch.tensor([2.0, 4.0]).log()
    x, y = torch.diag(log), torch.tensor([0, 1])
    loss = two_sided_loss(nn.Identity(), x, y, torch.tensor([0.25])).item()
    odds = 2**1.25
    p = torch.tensor([1 / (1 + odds), odds / (1 + odds)])
    assert loss == pytest.approx(-(0.25 * p[0].log() + 0.75 * p[1].log()).item(), rel=1e-5)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.0])
def test_the_balanced_share_of_balanced_mixup_follows_beta_alpha_1(alpha):
    torch.manual_seed(0)
    lam = torch.cat([second_share(BalancedMixUpCriterion(alpha)) for _ in range(4000)])
    assert lam.mean().item() == pytest.approx(alpha / (1 + alpha), abs=0.02)
    variance = alpha / ((alpha + 1) ** 2 * (alpha + 2))
    assert lam.var().item() == pytest.approx(variance, rel=0.1)


def test_ratios_of_obmix_follow_beta_alpha_alpha():
    torch.manual_seed(0)
    lam = torch.cat([second_share(OBMixCriterion(2.0)) for _ in range(4000)])
    assert lam.mean().item() == pytest.approx(0.5, abs=0.02)
    assert lam.var().item() == pytest.approx(1 / 20, rel=0.1)


@pytest.mark.parametrize("cls", BOTH)
def test_the_attribute_plays_no_part(cls):
    x, y, _ = batch()
    torch.manual_seed(0)
    loss = cls()(nn.Identity(), x[:, :3], y)
    torch.manual_seed(0)
    assert cls()(nn.Identity(), x[:, :3], y, y * 7) == loss


@pytest.mark.parametrize("cls", BOTH)
def test_halves_of_unequal_length_are_refused(cls):
    x, y, s = batch(n=7)
    with pytest.raises(ValueError, match=r"two halves.*got 7 samples.*PairedSampler"):
        cls()(nn.Linear(4, 3).double(), x, y, s)


@pytest.mark.parametrize("cls", BOTH)
def test_unknown_values_are_refused(cls):
    with pytest.raises(ValueError, match="alpha must be a positive number"):
        cls(alpha=0)
