"""LISA, against slow loops and in its published binary form."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from gbmix_sklearn import LISACriterion

from . import oracle


def batch(n_classes=3, n_values=2, n=24, seed=0):
    rng = np.random.default_rng(seed)
    y, s = np.divmod(rng.integers(0, n_classes * n_values, n), n_values)
    x = torch.from_numpy(rng.normal(size=(n, 4)))
    return x, torch.from_numpy(y), torch.from_numpy(s)


class Recorder(nn.Module):
    """Keeps its inputs, from which the mixing can be read off."""

    def __init__(self, n_classes):
        super().__init__()
        self.n_classes = n_classes

    def forward(self, x):
        self.seen = x
        return torch.zeros(len(x), self.n_classes)


def mixing(criterion, y, s, n_classes):
    """Of one batch: how much of each sample (columns) is in each mixed one (rows)."""
    model = Recorder(n_classes)
    criterion(model, torch.eye(len(y)), y, s)
    return model.seen


@settings(deadline=None, max_examples=150)
@given(st.integers(2, 4), st.integers(1, 4), st.sampled_from([0, 1]), st.integers(0, 10**6))
def test_loss_is_that_of_loops(n_classes, n_values, p_intra_label, seed):
    x, y, s = batch(n_classes, n_values, seed=seed)
    model = nn.Linear(4, n_classes).double()
    criterion = LISACriterion(p_intra_label=p_intra_label)
    torch.manual_seed(seed)
    loss = criterion(model, x, y, s).item()
    torch.manual_seed(seed)
    shares = mixing(criterion, y, s, n_classes).double().numpy()
    losses = []
    for i, row in enumerate(shares):
        (j,) = [j for j in np.flatnonzero(row) if j != i] or [i]
        fits = [
            k
            for k in range(len(y))
            if (y[k] == y[i], s[k] == s[i]) == (bool(p_intra_label), not p_intra_label)
        ]
        assert j in fits if fits else j == i
        lam = row[i]
        assert lam + row[j] == pytest.approx(1 if i != j else 2)
        label = np.zeros(n_classes)
        mixed = lam * x[i] + (1 - lam) * x[j]
        label[y[i]] += lam
        label[y[j]] += 1 - lam
        losses.append(oracle.cross_entropy(model(mixed).detach().numpy(), label))
    assert loss == pytest.approx(np.mean(losses), rel=1e-5)


def test_two_classes_and_two_values_are_mixed_as_published():
    """Each cell with a permutation of one other: of its class, or of its attribute value."""
    y, s = torch.arange(40) % 2, torch.arange(40) // 2 % 2
    ways = []
    for _ in range(200):
        shares = mixing(LISACriterion(), y, s, 2)
        partner = shares.fill_diagonal_(0).argmax(1)
        assert sorted(partner.tolist()) == list(range(40))
        within_class = (y == y[partner]) & (s != s[partner])
        within_attribute = (y != y[partner]) & (s == s[partner])
        assert within_class.all() or within_attribute.all()  # one way for the whole batch
        ways.append(bool(within_class.all()))
    assert 70 < sum(ways) < 130


@pytest.mark.parametrize("p", [0.0, 0.2, 1.0])
def test_the_probability_is_that_of_mixing_within_the_class(p):
    y, s = torch.arange(8) % 2, torch.arange(8) // 2 % 2
    within = []
    for _ in range(300):
        partner = mixing(LISACriterion(p_intra_label=p), y, s, 2).fill_diagonal_(0).argmax(1)
        within.append(float((y == y[partner]).all()))
    assert np.mean(within) == pytest.approx(p, abs=0.08 if 0 < p < 1 else 0)


def test_partners_come_from_all_other_values_evenly():
    s, y = torch.arange(24) % 3, torch.zeros(24, dtype=torch.long)
    shares = mixing(LISACriterion(p_intra_label=1), y, s, 2).fill_diagonal_(0)
    for value in range(3):
        used = (shares[s == value] > 0).sum(0)
        assert used[s == value].tolist() == [0] * 8
        assert used.sum() == 8  # of the 16 that qualify, no one twice
        assert used.max() == 1


def test_ratios_follow_beta_2_2_sample_by_sample():
    torch.manual_seed(0)
    y, s = torch.arange(100) % 2, torch.arange(100) // 2 % 2
    lam = torch.cat([mixing(LISACriterion(), y, s, 2).diagonal() for _ in range(100)])
    assert len(lam[:100].unique()) > 90
    assert lam.mean().item() == pytest.approx(0.5, abs=0.01)
    assert lam.var().item() == pytest.approx(1 / 20, rel=0.05)


def test_a_sample_without_a_partner_stays_as_it_is():
    x, model = torch.randn(6, 4), nn.Linear(4, 3)
    y, s = torch.arange(6) // 2, torch.arange(6) // 2  # no cells share anything
    loss = LISACriterion()(model, x, y, s)
    assert loss.item() == pytest.approx(nn.functional.cross_entropy(model(x), y).item(), rel=1e-6)


def test_images_are_mixed_and_codes_may_have_gaps():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 3))
    _, y, s = batch()
    torch.manual_seed(1)
    x = torch.randn(24, 3, 8, 8, requires_grad=True)
    torch.manual_seed(1)
    loss = LISACriterion()(model, x, y, s)
    loss.backward()
    assert torch.isfinite(x.grad).all()
    torch.manual_seed(1)
    assert LISACriterion()(model, x, y, s * 100 + 7).item() == loss.item()


def test_half_precision_mixes_labels_in_full():
    _, y, s = batch(2, 2)
    model = nn.Linear(4, 2)
    x = torch.randn(24, 4)
    losses = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses.append(LISACriterion()(model, x, y, s))
    assert losses[1].dtype == torch.float32
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.02)


def test_nothing_waits_for_the_device():
    """Fake tensors have no values: whatever asks for one, as a wait for a GPU does, raises."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        x, y = torch.empty(16, 4), torch.zeros(16, dtype=torch.long)
        LISACriterion()(nn.Linear(4, 3), x, y, y).backward()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": 0}, "alpha must be a positive number"),
        ({"p_intra_label": 1.5}, "p_intra_label must be a number from 0 to 1, got 1.5"),
        ({"p_intra_label": -0.1}, "p_intra_label must be"),
        ({"p_intra_label": None}, "p_intra_label must be"),
    ],
)
def test_unknown_values_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        LISACriterion(**parameters)
