"""What all criteria share that mix pairs of samples."""

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from gbmix_sklearn.criteria._two_sided import BalancedMixUpCriterion, OBMixCriterion
from gbmix_sklearn.criteria._umix import UMIXCriterion
from gbmix_sklearn.criteria._unimix import UniMixCriterion

from . import oracle
from .test_lisa import Recorder, batch

WEIGHT = torch.linspace(1, 9, 24)
CRITERIA = {
    "BalancedMixUp": BalancedMixUpCriterion(),
    "OBMix": OBMixCriterion(alpha=0.5),
    "UniMix": UniMixCriterion([16, 5, 3]),
    "UniMix, cells": UniMixCriterion([8, 8, 5, 0, 1, 2], n_groups=2),
    "UniMix, Bayias": UniMixCriterion([16, 5, 3], bayias=True),
    "UMIX": UMIXCriterion(sigma=1),
}
every_criterion = pytest.mark.parametrize("name", CRITERIA)


def call(criterion, model, x, y, s):
    """As training calls it, with weights where it takes them."""
    weight = [WEIGHT[: len(x)]] if isinstance(criterion, UMIXCriterion) else []
    return criterion(model, x, y, s, *weight)


def mixing(criterion, y, s, *weight):
    """Of one batch: how much of each sample (columns) is in each mixed one (rows)."""
    model = Recorder(3)
    criterion(model, torch.eye(len(y)), y, s, *weight)
    return model.seen


def loop_loss(model, x, y, shares, weight=None, bias=None):
    """One mixed sample after another, each label with the weight of its own sample."""
    losses = []
    for row in shares:
        mixed, label = 0, np.zeros(3)
        for k, share in enumerate(row):
            mixed = mixed + share * x[k]
            label[y[k]] += share * (1 if weight is None else weight[k])
        logits = model(mixed).detach().numpy()
        losses.append(oracle.cross_entropy(logits if bias is None else logits + bias, label))
    return np.mean(losses)


@every_criterion
def test_images_are_mixed(name):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 3))
    _, y, s = batch()
    x = torch.randn(24, 3, 8, 8, requires_grad=True)
    call(CRITERIA[name], model, x, y, s).backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0


@every_criterion
def test_half_precision_mixes_labels_in_full(name):
    _, y, s = batch()
    model, x = nn.Linear(4, 3), torch.randn(24, 4)
    losses = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses.append(call(CRITERIA[name], model, x, y, s))
    assert losses[1].dtype == torch.float32
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.02)


@every_criterion
def test_nothing_waits_for_the_device(name):
    """Fake tensors have no values: whatever asks for one, as a wait for a GPU does, raises."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        x, y = torch.empty(16, 4), torch.zeros(16, dtype=torch.long)
        call(CRITERIA[name], nn.Linear(4, 3), x, y, y).backward()


@every_criterion
def test_random_numbers_are_those_of_the_global_generator(name):
    x, y, s = batch()
    model = nn.Linear(4, 3).double()
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(call(CRITERIA[name], model, x, y, s).item())
    assert losses[0] == losses[1] != losses[2]
