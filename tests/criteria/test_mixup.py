"""Vanilla mixup, and the criteria that do not mix."""

import pytest
import torch
from torch import nn

from gbmix_sklearn import MixupCriterion
from gbmix_sklearn.criteria import CrossEntropyCriterion
from gbmix_sklearn.criteria._mixing import mix, mixed_cross_entropy, soft_cross_entropy


def test_mixup_is_lambda_times_one_loss_and_the_rest_times_the_other():
    x, y = torch.randn(10, 4).double(), torch.arange(10) % 3
    model = nn.Linear(4, 3).double()
    torch.manual_seed(1)
    loss = MixupCriterion(1.0)(model, x, y)
    torch.manual_seed(1)
    lam, partner = torch.rand(1), torch.randperm(10)
    logits = model(lam * x + (1 - lam) * x[partner])
    ce = nn.functional.cross_entropy
    expected = lam * ce(logits, y) + (1 - lam) * ce(logits, y[partner])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_mixing_weights_the_first_sample_by_lambda():
    values = torch.tensor([[0.0, 10.0], [100.0, 20.0]])
    mixed = mix(values, torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([0.25, 1.0]))
    assert mixed.tolist() == [[75.0, 17.5], [100.0, 20.0]]


def test_soft_labels_that_sum_to_a_weight_count_that_much():
    logits, labels = torch.randn(3, 4), torch.eye(4)[[0, 2, 1]]
    weights = torch.tensor([0.5, 2.0, 0.0])
    each = nn.functional.cross_entropy(logits, torch.tensor([0, 2, 1]), reduction="none")
    total = soft_cross_entropy(logits, labels * weights[:, None])
    assert total.item() == pytest.approx((each * weights).sum().item(), rel=1e-6)


def test_erm_is_mean_cross_entropy():
    x, y = torch.randn(10, 4), torch.arange(10) % 3
    model = nn.Linear(4, 3)
    expected = nn.functional.cross_entropy(model(x), y)
    assert CrossEntropyCriterion()(model, x, y).item() == expected.item()


@pytest.mark.parametrize("alpha", [0, -1.0, "1", None])
def test_alpha_must_be_positive(alpha):
    with pytest.raises(ValueError, match="alpha must be a positive number"):
        MixupCriterion(alpha)


def test_alpha_may_be_an_integer():
    x, y = torch.randn(10, 4), torch.arange(10) % 3
    assert torch.isfinite(MixupCriterion(2)(nn.Linear(4, 3), x, y))


def test_written_out_gradient_is_that_of_mixing_and_cross_entropy():
    torch.manual_seed(0)
    logits = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.eye(3)[torch.arange(8) % 3].double()
    members = torch.randint(8, (2, 12))
    lam, weight = torch.rand(12).double(), torch.rand(12).double()
    loss = mixed_cross_entropy(logits, labels, members, torch.stack([lam, 1 - lam]), weight)
    (gradient,) = torch.autograd.grad(3 * loss, logits)
    target = mix(labels, *members, lam) * weight[:, None]
    plain = soft_cross_entropy(mix(logits, *members, lam), target)
    (expected,) = torch.autograd.grad(3 * plain, logits)
    assert loss.item() == pytest.approx(plain.item())
    torch.testing.assert_close(gradient, expected)
