"""UniMix: hand-checked ratios, partners by count, and slow loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gbmix_sklearn.criteria._unimix import UniMixCriterion, unimix_ratios

from .test_lisa import batch
from .test_mixing import loop_loss, mixing


@pytest.mark.parametrize(
    ("n_first", "n_second", "beta", "lam"),
    [
        (90, 10, 0.5, 0.6),  # 10 / 100 + 0.5
        (10, 90, 0.5, 0.4),  # 90 / 100 + 0.5 - 1
        (10, 90, 0.05, 0.95),
        (25, 25, 0.25, 0.75),
        (25, 25, 0.75, 0.25),
        (25, 25, 0.5, 1.0),  # not above 1
        (1, 3, 0.0, 0.75),
    ],
)
def test_ratios_checked_by_hand(n_first, n_second, beta, lam):
    first, second = torch.tensor([n_first * 1.0]).log(), torch.tensor([n_second * 1.0]).log()
    assert unimix_ratios(first, second, torch.tensor([beta])).item() == pytest.approx(lam, abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(st.booleans(), st.booleans(), st.integers(0, 10**6))
def test_loss_is_that_of_loops(by_cell, bayias, seed):
    x, y, s = batch(seed=seed)
    cells = np.array([40, 20, 9, 3, 2, 0])
    counts = cells if by_cell else cells.reshape(3, 2).sum(1)
    criterion = UniMixCriterion(counts, n_groups=2 if by_cell else None, bayias=bayias)
    model = nn.Linear(4, 3).double()
    torch.manual_seed(seed)
    loss = criterion(model, x, y, s).item()
    torch.manual_seed(seed)
    shares = mixing(criterion, y, s).double().numpy()
    assert all((row > 0).sum() <= 2 for row in shares)
    assert shares.sum(1) == pytest.approx(1)
    bias = [np.log(n / 74) - np.log(1 / 3) for n in (60, 12, 2)] if bayias else None
    assert loss == pytest.approx(loop_loss(model, x, y, shares, bias=bias), rel=1e-5)


def drawn_partners(criterion, y, s, times):
    """How often each sample of the batch is the partner of another one."""
    counts = np.zeros(len(y))
    for _ in range(times):
        shares = mixing(criterion, y, s).numpy()
        np.fill_diagonal(shares, 0)
        counts += (shares > 0).sum(0)
    return counts


def test_partners_are_drawn_by_a_power_of_the_count_of_their_class():
    torch.manual_seed(0)
    y = torch.tensor([0] * 12 + [1] * 4)
    drawn = drawn_partners(UniMixCriterion([900, 100], tau=-0.5), y, y, 600)
    # each of class 0 by 1 / 30, each of class 1 by 1 / 10
    assert drawn[:12].mean() * 3 == pytest.approx(drawn[12:].mean(), rel=0.1)
    assert drawn[:12].std() < 0.15 * drawn[:12].mean()


def test_without_the_power_all_partners_are_as_frequent():
    torch.manual_seed(0)
    y = torch.tensor([0] * 12 + [1] * 4)
    drawn = drawn_partners(UniMixCriterion([900, 100], tau=0), y, y, 600)
    assert drawn.std() < 0.15 * drawn.mean()


def test_cells_are_counted_where_the_groups_are():
    torch.manual_seed(0)
    y, s = torch.arange(16) // 2 % 2, torch.arange(16) % 2
    criterion = UniMixCriterion([500, 500, 500, 1], tau=-4, n_groups=2)
    drawn = drawn_partners(criterion, y, s, 50)
    assert drawn[(y == 1) & (s == 1)].min() > 0
    assert drawn[(y == 0) | (s == 0)].max() == 0


def test_ratios_give_the_rarer_class_the_larger_part():
    """Beta(0.8, 0.8) shifted by 0.9 and wrapped, against the same drawn with NumPy."""
    torch.manual_seed(0)
    y = torch.tensor([0] * 12 + [1] * 4)
    criterion = UniMixCriterion([900, 100], tau=0)
    own = []
    for _ in range(400):
        shares = mixing(criterion, y, y)
        own += [row[i] for i, row in enumerate(shares) if i >= 12 and (row[:12] > 0).any()]
    expected = np.random.default_rng(0).beta(0.8, 0.8, 10**5) + 0.9
    expected -= expected > 1
    assert np.mean(own) == pytest.approx(expected.mean(), abs=0.02)
    assert np.std(own) == pytest.approx(expected.std(), abs=0.02)


def test_large_counts_and_powers_do_no_harm():
    x, y, s = batch(2)
    loss = UniMixCriterion([10**8, 10**7], tau=-30)(nn.Linear(4, 2).double(), x, y, s)
    assert torch.isfinite(loss)


def test_cells_without_attribute_codes_are_refused():
    x, y, _ = batch(2)
    with pytest.raises(ValueError, match="s must be given"):
        UniMixCriterion([5, 5, 5, 5], n_groups=2)(nn.Linear(4, 2).double(), x, y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": 0}, "alpha must be a positive number"),
        ({"tau": float("inf")}, "tau must be a finite number, got inf"),
        ({"tau": None}, "tau must be a finite number, got None"),
        ({"n_groups": 2}, "counts must have the number of samples.*n_groups=2"),
        ({"n_groups": 0}, "counts must have"),
        ({"counts": [5, -1, 3]}, "counts must have"),
        ({"counts": [0, 0, 0]}, "counts must have"),
        ({"counts": [[5, 1]]}, "counts must have"),
    ],
)
def test_unknown_values_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        UniMixCriterion(**({"counts": [5, 1, 3]} | parameters))
