"""Group DRO, by hand and against slow loops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from gbmix_sklearn import GroupDROCriterion

from . import oracle


def loops(batches, counts, n_groups, step_size, adjustment):
    """Loss and weights after each batch of (logits, y, s), one sample at a time."""
    q = [float(count > 0) / sum(c > 0 for c in counts) for count in counts]
    for logits, y, s in batches:
        losses = [[] for _ in counts]
        for row, y_i, s_i in zip(logits, y, s, strict=True):
            losses[y_i * n_groups + s_i].append(oracle.cross_entropy(row, np.eye(len(row))[y_i]))
        means = [np.mean(of_cell) if of_cell else 0.0 for of_cell in losses]
        for z, count in enumerate(counts):
            if count > 0:
                adjusted = means[z] + adjustment / math.sqrt(count)
                q[z] *= math.exp(step_size * adjusted)
        q = [weight / sum(q) for weight in q]
        yield sum(weight * mean for weight, mean in zip(q, means, strict=True)), q


def test_three_steps_by_hand():
    """Losses are ln 2 in cell 0 and ln 4 in cell 3; with step size 1 they double and quadruple."""
    criterion = GroupDROCriterion([5, 0, 0, 9], n_groups=2, step_size=1.0)
    x = torch.tensor([[0.5, 0.5], [0.75, 0.25]]).log()
    y, s = torch.tensor([0, 1]), torch.tensor([0, 1])
    assert criterion.q.tolist() == [0.5, 0, 0, 0.5]
    both = [
        criterion(nn.Identity(), x, y, s).item() / math.log(2),
        criterion(nn.Identity(), x, y, s).item() / math.log(2),
    ]
    assert both == pytest.approx([1 / 3 * 1 + 2 / 3 * 2, 1 / 5 * 1 + 4 / 5 * 2])
    assert criterion.q.tolist() == pytest.approx([1 / 5, 0, 0, 4 / 5])
    # cell 3 is not in the third batch: its loss is 0, and its weight falls
    third = criterion(nn.Identity(), x[:1], y[:1], s[:1]).item()
    assert criterion.q.tolist() == pytest.approx([1 / 3, 0, 0, 2 / 3])
    assert third == pytest.approx(1 / 3 * math.log(2))


@settings(deadline=None, max_examples=100)
@given(
    st.integers(2, 4),
    st.integers(1, 4),
    st.floats(0, 2),
    st.sampled_from([0, 1, 3.5]),
    st.integers(0, 10**6),
)
def test_losses_and_weights_are_those_of_loops(n_classes, n_groups, step_size, adjustment, seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 50, n_classes * n_groups)
    counts[0] += 1
    present = np.flatnonzero(counts)
    criterion = GroupDROCriterion(counts, n_groups, step_size=step_size, adjustment=adjustment)
    batches = []
    for _ in range(4):
        y, s = np.divmod(rng.choice(present, 12), n_groups)
        batches.append((3 * rng.normal(size=(12, n_classes)), y, s))
    expected = loops(batches, counts, n_groups, step_size, adjustment)
    for batch, (loss, q) in zip(batches, expected, strict=True):
        found = criterion(nn.Identity(), *map(torch.from_numpy, batch))
        assert found.item() == pytest.approx(loss, rel=1e-4)
        assert criterion.q.tolist() == pytest.approx(q, rel=1e-4)


def test_small_cells_are_favoured_by_the_adjustment():
    criterion = GroupDROCriterion([100, 4], n_groups=1, step_size=1.0, adjustment=2.0)
    x = torch.zeros(2, 2)
    criterion(nn.Identity(), x, torch.tensor([0, 1]), torch.zeros(2, dtype=torch.long))
    ratio = criterion.q[1] / criterion.q[0]
    assert ratio.item() == pytest.approx(math.exp(2 / 2 - 2 / 10))


def test_the_weights_are_constants_to_the_gradient():
    torch.manual_seed(0)
    x, y, s = torch.randn(16, 3), torch.arange(16) % 2, torch.arange(16) // 2 % 2
    model = nn.Linear(3, 2)
    criterion = GroupDROCriterion([1, 2, 3, 4], n_groups=2, step_size=5.0)
    criterion(model, x, y, s).backward()
    assert not criterion.q.requires_grad
    losses = nn.functional.cross_entropy(model(x), y, reduction="none")
    expected = sum(criterion.q[z] * losses[2 * y + s == z].mean() for z in range(4))
    (gradient,) = torch.autograd.grad(expected, model.weight)
    assert torch.allclose(model.weight.grad, gradient, atol=1e-6)


def test_losses_of_any_size_leave_weights_that_sum_to_one():
    criterion = GroupDROCriterion([1, 1, 0, 1], n_groups=2, step_size=1.0)
    x = torch.tensor([[0.0, 1e6], [0.0, 2e6], [0.0, 0.0]])
    for _ in range(3):
        criterion(nn.Identity(), x, torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]))
    assert criterion.q.tolist() == [0, 1, 0, 0]


def test_the_weights_are_all_of_its_state():
    criterion = GroupDROCriterion([1, 2], n_groups=1)
    assert list(criterion.state_dict()) == ["q"]
    assert not list(criterion.parameters())


def test_losses_are_computed_in_full_precision():
    x, y = torch.randn(64, 2), torch.arange(64) % 2
    s = torch.zeros(64, dtype=torch.long)
    with torch.autocast("cpu", torch.bfloat16):
        loss = GroupDROCriterion([9, 9], n_groups=1, step_size=0)(nn.Identity(), x, y, s)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(nn.functional.cross_entropy(x, y).item(), rel=1e-6)


def test_nothing_waits_for_the_device():
    """Fake tensors have no values: whatever asks for one, as a wait for a GPU does, raises."""
    criterion = GroupDROCriterion([1, 2, 3, 4, 5, 6], n_groups=2, adjustment=1.0)
    with FakeTensorMode(allow_non_fake_inputs=True):
        x, y = torch.empty(16, 4), torch.zeros(16, dtype=torch.long)
        criterion(nn.Linear(4, 3), x, y, y).backward()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"step_size": -1}, "step_size must be a number of at least 0, got -1"),
        ({"step_size": "1"}, "step_size must be"),
        ({"step_size": math.inf}, "step_size must be"),
        ({"adjustment": math.nan}, "adjustment must be"),
        ({"counts": [1, 2, 3]}, "n_groups=. for each class"),
        ({"counts": [0, 0]}, "counts must have"),
        ({"counts": [1, -1]}, "counts must have"),
        ({"counts": [[1, 2], [3, 4]]}, "counts must have"),
        ({"n_groups": 0}, "counts must have"),
    ],
)
def test_unknown_values_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        GroupDROCriterion(**({"counts": [1, 2, 3, 4], "n_groups": 2} | parameters))
