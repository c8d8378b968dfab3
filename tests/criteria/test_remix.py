"""ReMix, by hand and against slow loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from gbmix_sklearn import MixupCriterion, ReMixCriterion
from gbmix_sklearn.criteria._mixing import sample_beta
from gbmix_sklearn.criteria._remix import remix_ratio

from . import oracle


def loops(lam, n_i, n_j, kappa, tau):
    """How much the label of i counts, as the paper has it."""
    if n_i / n_j >= kappa and lam < tau:
        return 0.0
    if n_i / n_j <= 1 / kappa and 1 - lam < tau:
        return 1.0
    return lam


@pytest.mark.parametrize(
    ("lam", "n_first", "n_second", "expected"),
    [
        (0.25, 30, 10, 0.0),  # of the frequent class there is too little: the rare one takes all
        (0.5, 30, 10, 0.5),  # not less than tau
        (0.75, 30, 10, 0.75),
        (0.25, 29, 10, 0.25),  # not three times as many
        (0.75, 10, 30, 1.0),
        (0.5, 10, 30, 0.5),
        (0.25, 10, 30, 0.25),
        (0.75, 10, 29, 0.75),
        (0.25, 10, 10, 0.25),
        (0.75, 10, 10, 0.75),
    ],
)
def test_each_branch_by_hand(lam, n_first, n_second, expected):
    ratio = remix_ratio(
        torch.tensor([lam]), torch.tensor([n_first]), torch.tensor([n_second]), 3.0, 0.5
    )
    assert ratio.tolist() == [expected]


@settings(deadline=None, max_examples=100)
@given(
    st.integers(2, 5),
    st.floats(1, 8),
    st.floats(0, 1),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.integers(0, 10**6),
)
def test_loss_is_that_of_loops(n_classes, kappa, tau, alpha, seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 40, n_classes)
    x, y = (
        torch.from_numpy(rng.normal(size=(16, 4))),
        torch.from_numpy(rng.integers(n_classes, size=16)),
    )
    model = nn.Linear(4, n_classes).double()
    torch.manual_seed(seed)
    loss = ReMixCriterion(counts, alpha=alpha, kappa=kappa, tau=tau)(model, x, y)
    torch.manual_seed(seed)
    lam = sample_beta(alpha, (1,), x).item()
    losses = []
    for i, j in enumerate(torch.randperm(16).tolist()):
        lam_y = loops(lam, counts[y[i]], counts[y[j]], kappa, tau)
        label = lam_y * np.eye(n_classes)[y[i]] + (1 - lam_y) * np.eye(n_classes)[y[j]]
        mixed = model(lam * x[i] + (1 - lam) * x[j]).detach().numpy()
        losses.append(oracle.cross_entropy(mixed, label))
    assert loss.item() == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("parameters", [{"tau": 0}, {"kappa": 100}])
def test_where_no_label_gives_way_it_is_mixup(parameters):
    x, y, model = torch.randn(12, 4), torch.arange(12) % 3, nn.Linear(4, 3)
    losses = []
    for criterion in (ReMixCriterion([90, 10, 1], **parameters), MixupCriterion()):
        torch.manual_seed(0)
        losses.append(criterion(model, x, y).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_images_are_mixed_and_absent_classes_do_no_harm():
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    x, y = torch.randn(8, 3, 4, 4), torch.arange(8) % 2
    loss = ReMixCriterion([90, 10, 0])(model, x, y)
    loss.backward()
    assert torch.isfinite(model[1].weight.grad).all()


def test_half_precision_gives_losses_in_full():
    x, y, model = torch.randn(64, 4), torch.arange(64) % 2, nn.Linear(4, 2)
    losses = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses.append(ReMixCriterion([90, 10])(model, x, y))
    assert losses[1].dtype == torch.float32
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.02)


def test_nothing_waits_for_the_device():
    """Fake tensors have no values: whatever asks for one, as a wait for a GPU does, raises."""
    criterion = ReMixCriterion([90, 10, 30], alpha=2.0)
    with FakeTensorMode(allow_non_fake_inputs=True):
        x, y = torch.empty(16, 4), torch.zeros(16, dtype=torch.long)
        criterion(nn.Linear(4, 3), x, y, y).backward()


def test_the_counts_move_with_the_criterion_and_are_no_state():
    criterion = ReMixCriterion([90, 10])
    assert not criterion.state_dict()
    assert criterion.to("meta").counts.is_meta


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": -1}, "alpha must be a positive number"),
        ({"kappa": 0.5}, "kappa must be at least 1, got 0.5"),
        ({"kappa": "3"}, "kappa must be"),
        ({"tau": 1.5}, "tau must be a number from 0 to 1, got 1.5"),
        ({"counts": [0, 0]}, "counts must have the number of samples of each class"),
        ({"counts": [1, -1]}, "counts must have"),
        ({"counts": [[1, 2]]}, "counts must have"),
    ],
)
def test_unknown_values_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        ReMixCriterion(**({"counts": [9, 1]} | parameters))
