"""RegMixup: the clean batch and its mixup, in one forward."""

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from gbmix_sklearn import RegMixupCriterion
from gbmix_sklearn.criteria._mixing import mix_with, pair_cross_entropy, sample_beta

from . import oracle


def batch(n=12, n_classes=3):
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(n, 4)))
    return x, torch.from_numpy(rng.integers(n_classes, size=n))


@pytest.mark.parametrize("eta", [0, 1, 2.5])
def test_loss_is_that_of_loops(eta):
    x, y = batch()
    model = nn.Linear(4, 3).double()
    torch.manual_seed(1)
    loss = RegMixupCriterion(alpha=5.0, eta=eta)(model, x, y)
    torch.manual_seed(1)
    lam = sample_beta(5.0, (1,), x).item()
    partner = torch.randperm(len(x)).tolist()
    clean, mixed = [], []
    for i, j in enumerate(partner):
        clean.append(oracle.cross_entropy(model(x[i]).detach().numpy(), np.eye(3)[y[i]]))
        label = lam * np.eye(3)[y[i]] + (1 - lam) * np.eye(3)[y[j]]
        logits = model(lam * x[i] + (1 - lam) * x[j]).detach().numpy()
        mixed.append(oracle.cross_entropy(logits, label))
    assert loss.item() == pytest.approx(np.mean(clean) + eta * np.mean(mixed), rel=1e-6)


def test_one_sample_mixed_with_itself_counts_once_and_eta_times():
    x, y = torch.tensor([[0.25, 0.75]]).log(), torch.tensor([0])
    loss = RegMixupCriterion(eta=3.0)(nn.Identity(), x, y)
    assert loss.item() == pytest.approx(4 * np.log(4))


def test_ratios_are_mostly_near_a_half():
    torch.manual_seed(0)
    lam = sample_beta(RegMixupCriterion().alpha, (2000,), torch.zeros(1))
    assert lam.mean().item() == pytest.approx(0.5, abs=0.01)
    assert lam.std().item() == pytest.approx((1 / 4 / 41) ** 0.5, rel=0.05)


def test_batch_norm_sees_clean_and_mixed_samples_together_once():
    x, y = batch()
    seen = []
    norm = nn.BatchNorm1d(4, momentum=None)
    model = nn.Sequential(norm, nn.Linear(4, 3)).double()
    norm.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    RegMixupCriterion()(model, x, y)
    assert norm.num_batches_tracked == 1
    assert torch.equal(seen[0][: len(x)], x)
    assert torch.allclose(norm.running_mean, seen[0].mean(0))
    assert not torch.allclose(norm.running_var, x.var(0), rtol=0.05)


def test_a_label_may_count_otherwise_than_its_input():
    """Losses ln 4 with label 0 and ln 4/3 with label 1."""
    logits = torch.tensor([[0.25, 0.75]]).log().expand(2, 2)
    y, partner = torch.tensor([0, 1]), torch.tensor([1, 0])
    own, other = np.log(4), np.log(4 / 3)
    loss = pair_cross_entropy(logits, y, y[partner], torch.tensor([1.0, 0.25]))
    assert loss.item() == pytest.approx((own + 0.25 * other + 0.75 * own) / 2)
    assert pair_cross_entropy(logits, y, y[partner], 0.25).item() == pytest.approx(
        (own + other) / 2
    )


def test_mixing_weights_the_own_sample_by_lambda():
    values = torch.tensor([[0.0, 10.0], [100.0, 20.0]])
    swapped = torch.tensor([1, 0])
    assert mix_with(values, swapped, torch.tensor([0.25])).tolist() == [[75, 17.5], [25, 12.5]]
    both = mix_with(values, swapped, torch.tensor([1.0, 0.0]))
    assert both.tolist() == [[0, 10], [0, 10]]


def test_half_precision_gives_losses_in_full():
    x, y = batch()
    x, model = x.float(), nn.Linear(4, 3)
    losses = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses.append(RegMixupCriterion()(model, x, y))
    assert losses[1].dtype == torch.float32
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.02)


def test_nothing_waits_for_the_device():
    """Fake tensors have no values: whatever asks for one, as a wait for a GPU does, raises."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        x, y = torch.empty(16, 3, 4, 4), torch.zeros(16, dtype=torch.long)
        model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
        RegMixupCriterion()(model, x, y, y).backward()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": 0}, "alpha must be a positive number"),
        ({"eta": -1}, "eta must be a number of at least 0, got -1"),
        ({"eta": None}, "eta must be"),
    ],
)
def test_unknown_values_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        RegMixupCriterion(**parameters)
