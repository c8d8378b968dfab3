"""GBMix's loss, against the sample-by-sample oracle and in plain PyTorch loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from gbmix_sklearn import GBMixCriterion
from gbmix_sklearn.criteria._pairs import balanced_pairs

from . import oracle


def batch(n_classes=3, n_values=2, n=24, seed=0, absent=()):
    rng = np.random.default_rng(seed)
    cells = [c for c in range(n_classes * n_values) if c not in absent]
    y, s = np.divmod(rng.choice(cells, n), n_values)
    x = torch.from_numpy(rng.normal(size=(n, 4)))
    return x, torch.from_numpy(y), torch.from_numpy(s)


class Plain(nn.Module):
    """Hides that a model is linear, so that the criterion takes the plain route."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.model(x)


@settings(deadline=None, max_examples=150)
@given(
    st.integers(2, 5),
    st.integers(1, 5),
    st.integers(0, 10**6),
    st.sampled_from(["sample", "pair", "batch"]),
    st.sampled_from(["coarse", 1, 5, 20]),
    st.integers(0, 2),
)
def test_loss_is_equation_10(n_classes, n_values, seed, granularity, k, n_absent):
    n_absent = min(n_absent, n_classes * n_values - 2)
    torch.manual_seed(seed)
    x, y, s = batch(n_classes, n_values, seed=seed, absent=range(n_absent))
    model = nn.Linear(4, n_classes).double()
    criterion = GBMixCriterion(0.7, k=k, mix_granularity=granularity, n_groups=n_values)
    plan = criterion.plan(y[None], s[None], n_classes)[0]
    loss = criterion(model, x, y, s, plan)

    def f(row):
        return model(torch.as_tensor(row)).detach().numpy()

    target, _ = oracle.worst_cell([f(row) for row in x], y.numpy(), s.numpy())
    number = target[0] * n_values + target[1]
    assert criterion.target.item() == number
    k = 6 if k == "coarse" else k
    expected = oracle.gbmix_loss(
        f,
        x.numpy(),
        y.numpy(),
        s.numpy(),
        target,
        plan.pairs.first[number].numpy(),
        plan.pairs.second[number].numpy(),
        plan.lam[0].numpy(),
        k,
        n_classes,
    )
    alone = (plan.pairs.first[number] == plan.pairs.second[number]).all()
    if not alone or 4 * k >= len(y):  # else a part of the batch stands for it
        assert loss.item() == pytest.approx(expected, rel=1e-5)


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 4), st.integers(1, 4), st.integers(0, 10**6), st.booleans(), st.booleans())
def test_set_shares_weigh_the_pairs(n_classes, n_values, seed, linear, planned):
    torch.manual_seed(seed)
    n_absent = seed % 2 if n_classes * n_values > 2 else 0
    x, y, s = batch(n_classes, n_values, seed=seed, absent=range(n_absent))
    layer = nn.Linear(4, n_classes).double()
    criterion = GBMixCriterion(k=6, n_groups=n_values)
    shares = np.random.default_rng(seed).random(n_classes * n_values) + 0.01
    shares[:n_absent] = 0
    criterion.set_cell_shares(shares)
    drawn = criterion.plan(y[None], s[None], n_classes)[0]
    model = Plain(layer)
    loss = criterion(layer if linear else model, x, y, s, drawn if planned else None)
    assert model.calls == (0 if linear else 1)  # no forward to find the target
    if not planned:
        return
    number = criterion.target.item()
    target = divmod(number, n_values)
    known = {divmod(c, n_values): share for c, share in enumerate(shares) if share}
    expected = oracle.gbmix_loss(
        lambda row: layer(torch.as_tensor(row)).detach().numpy(),
        x.numpy(),
        y.numpy(),
        s.numpy(),
        target,
        drawn.pairs.first[number].numpy(),
        drawn.pairs.second[number].numpy(),
        drawn.lam[0].numpy(),
        6,
        n_classes,
        oracle.pair_importance(known, target),
    )
    assert loss.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("planned", [True, False])
def test_targets_are_drawn_by_the_set_shares(planned):
    torch.manual_seed(0)
    x, y, s = batch(2, 2, n=16)
    x, y, s = x.float(), torch.arange(16) % 2, torch.arange(16) // 2 % 2
    criterion = GBMixCriterion(n_groups=2)
    criterion.set_cell_shares(np.array([0.1, 0.2, 0.3, 0.4]) * 7)
    n = 3000
    plans = criterion.plan(y.expand(n, -1), s.expand(n, -1), 2) if planned else [None] * n
    model = nn.Linear(4, 2)
    drawn = np.zeros(4)
    for plan in plans:
        criterion(model, x, y, s, plan)
        drawn[criterion.target.item()] += 1
    assert drawn / n == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.03)


def test_equal_shares_are_the_equal_weights_of_the_paper():
    _, y, s = batch(3, 2)
    weights = []
    for shares in (None, np.ones(6)):
        criterion = GBMixCriterion(n_groups=2)
        if shares is not None:
            criterion.set_cell_shares(shares)
        weights.append(criterion.plan(y[None], s[None], 3)[0].pairs.weight)
    torch.testing.assert_close(*weights)


def test_set_shares_need_the_number_of_groups():
    with pytest.raises(ValueError, match="n_groups"):
        GBMixCriterion().set_cell_shares(np.ones(4))


@pytest.mark.parametrize("granularity", ["sample", "pair", "batch"])
def test_ratios_are_shared_within_the_granularity(granularity):
    criterion = GBMixCriterion(mix_granularity=granularity, n_groups=2, k=5)
    _, y, s = batch()
    lam = criterion.plan(y[None], s[None], 3)[0].lam[0]
    distinct = {"sample": 20, "pair": 4, "batch": 1}[granularity]
    assert len(lam) == 20
    assert len(lam.unique()) == distinct
    if granularity == "pair":
        assert all(len(part.unique()) == 1 for part in lam.split(5))


def test_ratios_follow_their_beta_distribution():
    torch.manual_seed(0)
    _, y, s = batch(n=400)
    for alpha in (0.2, 1.0, 5.0):
        lam = GBMixCriterion(alpha, n_groups=2).plan(
            y[None].expand(20, -1), s[None].expand(20, -1), 3
        )
        draws = torch.cat([step.lam[0] for step in lam]).numpy()
        assert draws.mean() == pytest.approx(0.5, abs=0.02)
        assert draws.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


@pytest.mark.parametrize("mix", [True, False])
@pytest.mark.parametrize("planned", [True, False])
def test_a_linear_model_saves_the_second_forward_exactly(mix, planned):
    torch.manual_seed(0)
    x, y, s = batch()
    linear = nn.Linear(4, 3).double()
    plain = Plain(linear)
    results = []
    for model in (linear, plain):
        torch.manual_seed(1)
        criterion = GBMixCriterion(mix=mix, n_groups=2 if planned else None)
        plan = criterion.plan(y[None], s[None], 3)[0] if planned else None
        linear.zero_grad()
        loss = criterion(model, x, y, s, plan)
        loss.backward()
        gradient = torch.cat([linear.weight.grad.flatten(), linear.bias.grad])
        results.append([loss.item(), *gradient.tolist()])
    assert plain.calls == 2
    assert results[0] == pytest.approx(results[1], rel=1e-6)


def test_a_plain_call_finds_the_same_target_with_any_codes():
    x, y, s = batch(4, 3)
    model = nn.Linear(4, 4).double()
    criterion, spread = GBMixCriterion(), GBMixCriterion()
    criterion(model, x, y, s)
    spread(model, x, y, s * 1000 + 7)  # without n_groups only equality counts
    cells = sorted(set(zip(y.tolist(), s.tolist(), strict=True)))
    logits = model(x).detach().numpy()
    target, _ = oracle.worst_cell(logits, y.numpy(), s.numpy())
    assert cells[criterion.target.item()] == target
    assert spread.target.item() == criterion.target.item()


def test_ties_are_broken_at_random():
    x, y, s = torch.ones(16, 2), torch.arange(16) % 2, torch.arange(16) // 2 % 2
    model = nn.Linear(2, 2)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    criterion = GBMixCriterion(n_groups=2)
    targets = set()
    for _ in range(60):
        criterion(model, x, y, s)
        targets.add(criterion.target.item())
    assert targets == {0, 1, 2, 3}


def test_smoothing_follows_an_exponential_average_of_the_cell_losses():
    criterion = GBMixCriterion(target_smoothing=0.8, n_groups=2)
    average = {}
    for step in range(5):
        x, y, s = batch(2, 2, seed=step, absent=[step % 4])
        torch.manual_seed(step)
        model = nn.Linear(4, 2).double()
        criterion(model, x, y, s)
        _, means = oracle.worst_cell(model(x).detach().numpy(), y.numpy(), s.numpy())
        for cell, mean in means.items():
            average[cell] = 0.8 * average.get(cell, mean) + 0.2 * mean
        target = max(means, key=average.get)
        assert criterion.target.item() == target[0] * 2 + target[1]


def test_selection_leaves_batch_norm_and_modes_alone():
    frozen = nn.BatchNorm1d(4).eval()
    norm = nn.BatchNorm1d(4)
    model = nn.Sequential(frozen, norm, nn.Dropout(0.5), nn.Linear(4, 3))
    seen = []
    model[1].register_forward_hook(lambda module, args, out: seen.append(module.training))
    x, y, s = batch()
    GBMixCriterion(k=2)(model, x.float(), y, s)
    assert seen == [False, True]  # the target is found in eval mode, training is in train mode
    assert norm.num_batches_tracked == 1
    assert (model.training, frozen.training, norm.training) == (True, False, True)


def test_modes_come_back_when_the_forward_fails():
    model = nn.Sequential(nn.Linear(5, 3))
    with pytest.raises(RuntimeError):
        GBMixCriterion()(model, *batch()[:1], *batch()[1:])
    assert model.training


def test_images_of_any_shape_are_mixed():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    _, y, s = batch()
    x = torch.randn(24, 3, 8, 8, requires_grad=True)
    GBMixCriterion()(model, x, y, s).backward()
    assert torch.isfinite(x.grad).all()
    assert all(p.grad is not None for p in model.parameters())


def test_without_categories_and_mixing_it_is_cross_entropy():
    x, y, s = batch()
    model = nn.Linear(4, 3).double()
    loss = GBMixCriterion(categorize=False, mix=False)(model, x, y, s)
    assert loss.item() == pytest.approx(nn.functional.cross_entropy(model(x), y).item())


def test_without_categories_it_is_vanilla_mixup_of_the_batch():
    x, y, s = batch()
    model = Plain(nn.Linear(4, 3).double())
    torch.manual_seed(3)
    loss = GBMixCriterion(0.5, categorize=False, mix_granularity="batch")(model, x, y, s)
    torch.manual_seed(3)
    lam = torch.distributions.Beta(torch.tensor(0.5), torch.tensor(0.5)).sample((1,)).item()
    partner = torch.randperm(len(x))
    mixed = model(lam * x + (1 - lam) * x[partner])
    ce = nn.functional.cross_entropy
    expected = lam * ce(mixed, y) + (1 - lam) * ce(mixed, y[partner])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_without_mixing_both_sides_of_each_pair_are_trained_on_as_they_are():
    x, y, s = batch(2, 2)
    model = nn.Linear(4, 2).double()
    criterion = GBMixCriterion(mix=False, n_groups=2)
    plan = criterion.plan(y[None], s[None], 2)[0]
    loss = criterion(model, x, y, s, plan)
    target = criterion.target.item()
    ce = nn.functional.cross_entropy(model(x), y, reduction="none").detach()
    expected = 0.0
    for rows in torch.arange(24).split(6):
        both = torch.cat([plan.pairs.first[target, rows], plan.pairs.second[target, rows]])
        expected += ce[both].mean().item()
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_more_cells_than_are_worth_planning_draw_their_pairs_when_needed():
    x, y, s = batch(6, 7, n=80)
    criterion = GBMixCriterion(n_groups=7)
    model = nn.Linear(4, 6).double()
    plan = criterion.plan(y[None], s[None], 6)[0]
    assert plan.pairs is None
    assert torch.isfinite(criterion(model, x, y, s, plan))
    target, _ = oracle.worst_cell(model(x).detach().numpy(), y.numpy(), s.numpy())
    assert criterion.target.item() == target[0] * 7 + target[1]


@pytest.mark.parametrize("n_groups", [None, 2])
def test_nothing_waits_for_the_device(n_groups):
    """Fake tensors have no values: whatever asks for one, as a wait for a GPU does, raises."""
    balanced_pairs(torch.arange(4), 1)  # constants are made once, outside
    with FakeTensorMode(allow_non_fake_inputs=True):
        x, y = torch.empty(16, 4), torch.zeros(16, dtype=torch.long)
        for model in (nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 3))):
            criterion = GBMixCriterion(0.3, n_groups=n_groups)
            plan = criterion.plan(y[None], y[None], 3)
            criterion(model, x, y, y, plan[0] if plan else None).backward()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": 0}, "alpha must be a positive number"),
        ({"alpha": "1"}, "alpha must be a positive number"),
        ({"k": 2.5}, "k must be"),
        ({"k": True}, "k must be"),
        ({"k": 0}, "k must be"),
        ({"k": "all"}, "k must be"),
        ({"mix_granularity": "image"}, "mix_granularity must be"),
        ({"target_smoothing": 1.0, "n_groups": 2}, "target_smoothing must be in"),
        ({"target_smoothing": 0.5}, "needs n_groups"),
        ({"k": "cells"}, "needs n_cells"),
    ],
)
def test_unknown_values_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        GBMixCriterion(**parameters)


def test_cells_as_k_divides_the_batch_by_the_cells():
    _, y, s = batch(3, 3, n=64)
    criterion = GBMixCriterion(k="cells", n_cells=9, n_groups=3)
    assert len(criterion.plan(y[None], s[None], 3)[0].lam[0]) == 4 * 7
