"""Fair Mixup: the published penalty, its derivatives, and what goes beyond two classes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from gbmix_sklearn import FairMixCriterion
from gbmix_sklearn.criteria._draws import draw_sides
from gbmix_sklearn.criteria._fairmix import path_slopes

from . import oracle

DP, EO = "demographic_parity", "equalized_odds"


def batch(n_classes=2, n_values=2, n=24, seed=0):
    rng = np.random.default_rng(seed)
    y, s = np.divmod(rng.permutation(np.arange(n) % (n_classes * n_values)), n_values)
    x = torch.from_numpy(rng.normal(size=(n, 4)))
    return x, torch.from_numpy(y), torch.from_numpy(s)


def network(n_classes=2, norm=None):
    layers = [nn.Linear(4, 6), norm or nn.Identity(), nn.Tanh(), nn.Linear(6, n_classes)]
    return nn.Sequential(*layers).double()


class Recorder(nn.Module):
    """A linear model that keeps its inputs."""

    def __init__(self, n_classes):
        super().__init__()
        self.linear = nn.Linear(4, n_classes).double()
        self.seen = []

    def forward(self, x):
        self.seen.append(x.detach())
        return self.linear(x)


def draws(y, s, n_classes, constraint, seed):
    """Sides and share of each path, as the criterion draws them with this seed."""
    torch.manual_seed(seed)
    inside = torch.ones(1, len(y), dtype=torch.bool)
    if constraint == EO:
        inside = torch.arange(n_classes)[:, None] == y
    k = max(2, -(-len(y) // (2 * len(inside))))
    first, second, exists = draw_sides(inside, s, k)
    return first.numpy(), second.numpy(), torch.rand(len(inside)).numpy(), exists.tolist()


def loops(model, x, y, s, weight, n_classes, constraint, seed):
    """The loss, sample by sample, for a linear model, whose gradient is known."""
    x, w, b = (part.detach().numpy() for part in (x, model.weight, model.bias))
    loss = np.mean([oracle.cross_entropy(w @ x[i] + b, np.eye(n_classes)[y[i]]) for i in range(24)])
    for first, second, share, exists in zip(*draws(y, s, n_classes, constraint, seed), strict=True):
        if not exists:
            continue
        inner = np.zeros((len(first), n_classes))
        for place, (i, j) in enumerate(zip(first, second, strict=True)):
            on_path = share * x[i] + (1 - share) * x[j]
            p = np.exp(oracle.log_softmax(w @ on_path + b))
            for c in range(n_classes):
                gradient = p[c] * (w[c] - p @ w)
                inner[place, c] = gradient @ (x[j] - x[i])
        absolute = np.abs(inner.mean(0))
        loss += weight * (absolute[1] if n_classes == 2 else absolute.sum())
    return loss


@settings(deadline=None, max_examples=100)
@given(st.integers(2, 4), st.integers(1, 4), st.sampled_from([DP, EO]), st.integers(0, 10**6))
def test_loss_is_that_of_loops(n_classes, n_values, constraint, seed):
    x, y, s = batch(n_classes, n_values, seed=seed)
    torch.manual_seed(seed)
    model = nn.Linear(4, n_classes).double()
    expected = loops(model, x, y, s, 3.0, n_classes, constraint, seed)
    torch.manual_seed(seed)
    loss = FairMixCriterion(3.0, constraint=constraint)(model, x, y, s)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("constraint", [DP, EO])
def test_two_classes_and_two_values_give_the_published_loss(constraint):
    """As the authors write it: a sigmoid, binary cross-entropy, paths between the two groups."""
    x, y, s = batch()
    model = network(norm=nn.BatchNorm1d(6))
    torch.manual_seed(5)
    loss = FairMixCriterion(2.0, constraint=constraint)(model, x, y, s)
    first, second, shares, _ = draws(y, s, 2, constraint, 5)

    def f(inputs):
        logits = model(inputs)
        return torch.sigmoid(logits[:, 1] - logits[:, 0])

    expected = F.binary_cross_entropy(f(x), y.double())
    for sides in zip(first, second, shares, strict=True):
        x_0, x_1, gamma = x[sides[0]], x[sides[1]], float(sides[2])
        x_mix = (x_0 * gamma + x_1 * (1 - gamma)).requires_grad_(True)
        (gradx,) = torch.autograd.grad(f(x_mix).sum(), x_mix, create_graph=True)
        expected = expected + 2 * (gradx * (x_1 - x_0)).sum(1).mean().abs()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    gradients = [torch.autograd.grad(value, model[0].weight)[0] for value in (loss, expected)]
    assert torch.allclose(*gradients, atol=1e-8)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("norm", [None, "batch", "layer"])
def test_slopes_are_finite_differences_of_the_mean_prediction(n_classes, norm):
    torch.manual_seed(0)
    layer = {None: None, "batch": nn.BatchNorm1d(6), "layer": nn.LayerNorm(6)}[norm]
    model = network(n_classes, layer)
    x, direction = torch.randn(2, 10, 4).double()
    slopes = path_slopes(model, x.clone(), direction)
    h = 1e-5
    with torch.no_grad():
        ahead, behind = (model(x + t * direction).softmax(1).mean(0) for t in (h, -h))
    expected = (ahead - behind) / (2 * h)
    expected = expected[1:] if n_classes == 2 else expected
    assert slopes.tolist() == pytest.approx(expected.tolist(), abs=1e-9)


@pytest.mark.parametrize("constraint", [DP, EO])
@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.LayerNorm])
def test_gradients_of_the_parameters_are_right(constraint, norm):
    """With layers that take statistics: forward-mode differentiation gets these wrong."""
    torch.manual_seed(0)
    x, y, s = batch(3, 3, n=18)
    model = network(3, norm(6))
    names, values = zip(*model.named_parameters(), strict=True)

    class WithParameters(nn.Module):
        def forward(self, inputs):
            return torch.func.functional_call(model, self.values, (inputs,))

    def loss(*parameters):
        torch.manual_seed(1)
        called = WithParameters()
        called.values = dict(zip(names, parameters, strict=True))
        return FairMixCriterion(2.0, constraint=constraint)(called, x, y, s)

    inputs = tuple(value.detach().clone().requires_grad_(True) for value in values)
    assert torch.autograd.gradcheck(loss, inputs)


def test_equal_numbers_are_used_once_each_and_unequal_ones_evenly():
    s = torch.tensor([0] * 12 + [1] * 12 + [5] * 4)
    inside = torch.stack([s < 5, s > 0])
    for _ in range(20):
        first, second, exists = draw_sides(inside, s, 12)
        assert exists.tolist() == [True, True]
        assert sorted(first[0].tolist() + second[0].tolist()) == list(range(24))
        counts = torch.cat([first[1], second[1]]).bincount(minlength=28)
        assert counts.tolist() == [0] * 12 + [1] * 12 + [3] * 4


def test_beyond_two_values_pairs_are_drawn_evenly_among_those_present():
    s = torch.tensor([3] * 10 + [0] + [7] * 2)  # however many samples they have
    pairs = []
    for _ in range(900):
        first, second, _ = draw_sides(torch.ones(1, 13, dtype=torch.bool), s, 3)
        (a,), (b,) = set(s[first[0]].tolist()), set(s[second[0]].tolist())
        pairs.append((a, b))
    unique, counts = np.unique(pairs, axis=0, return_counts=True)
    assert len(unique) == 6
    assert counts.min() > 110


def test_paths_lie_between_samples_of_one_class_for_equalized_odds():
    _, y, s = batch()
    x = torch.zeros(24, 4).double()
    x[:, 0], x[:, 1] = y, s
    model = Recorder(2)
    FairMixCriterion(constraint=EO)(model, x, y, s)
    clean, *paths = model.seen
    assert torch.equal(clean, x)
    for label, path in enumerate(paths):
        assert path.shape == (6, 4)  # half of the batch is on the paths of both classes
        assert (path[:, 0] == label).all()
        assert len(path[:, 1].unique()) == 1  # one share for the whole path
    assert paths[0][0, 1] != paths[1][0, 1]


@pytest.mark.parametrize("constraint", [DP, EO])
def test_a_single_value_leaves_cross_entropy(constraint):
    x, y, s = batch(n_values=1)
    model = network()
    loss = FairMixCriterion(9.0, constraint=constraint)(model, x, y, s)
    assert loss.item() == pytest.approx(F.cross_entropy(model(x), y).item())


def test_a_class_with_a_single_value_has_no_path():
    x, y, s = batch()
    s = torch.where(y == 0, 0, s)
    model = nn.Linear(4, 2).double()
    criterion = FairMixCriterion(2.0, constraint=EO)
    torch.manual_seed(3)
    expected = loops(model, x, y, s, 2.0, 2, EO, 3)
    assert draws(y, s, 2, EO, 3)[3] == [False, True]
    torch.manual_seed(3)
    assert criterion(model, x, y, s).item() == pytest.approx(expected)


def test_a_heavy_penalty_makes_the_mean_prediction_the_same_in_both_groups():
    torch.manual_seed(0)
    x, y, s = batch(n=64)
    y = torch.where(torch.arange(64) % 4 > 0, s, y)  # most have the class of their group
    x[:, 0] += 2 * y
    gaps = []
    for weight in (0.0, 20.0):
        model = network()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(150):
            optimizer.zero_grad()
            FairMixCriterion(weight)(model, x, y, s).backward()
            optimizer.step()
        p = model(x).softmax(1)[:, 1].detach()
        gaps.append(abs((p[s == 1].mean() - p[s == 0].mean()).item()))
    assert gaps[0] > 0.3
    assert gaps[1] < 0.1


def test_statistics_of_images_are_taken_from_two_samples_at_least():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    x, y, s = torch.randn(2, 3, 2, 2), torch.tensor([0, 1]), torch.tensor([0, 1])
    for constraint in (DP, EO):
        FairMixCriterion(constraint=constraint)(model, x, y, s).backward()
    assert torch.isfinite(model[1].weight.grad).all()


def test_a_compiled_model_is_differentiated_twice_all_the_same():
    x, y, s = batch(2, 2)
    model = network()
    losses = []
    for called in (model, torch.compile(model, backend="aot_eager")):
        torch.manual_seed(0)
        model.zero_grad()
        loss = FairMixCriterion()(called, x, y, s)
        loss.backward()
        losses.append([loss.item(), *model[0].weight.grad.flatten().tolist()])
    assert losses[1] == pytest.approx(losses[0])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        tokens = x.unflatten(1, (1, 3, 8))
        return self.head(F.scaled_dot_product_attention(tokens, tokens, tokens)[:, 0, 0])


def test_attention_is_differentiated_twice():
    x, model = torch.randn(8, 24), Attention()
    y, s = torch.arange(8) % 2, torch.arange(8) // 2 % 2
    FairMixCriterion()(model, x, y, s).backward()
    assert torch.isfinite(model.head.weight.grad).all()


def test_half_precision_gives_about_the_same():
    x, y, s = batch()
    model, losses = network().float(), []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses.append(FairMixCriterion(5.0)(model, x.float(), y, s))
    losses[1].backward()
    assert losses[1].dtype == torch.float32
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.02)


@pytest.mark.parametrize("constraint", [DP, EO])
def test_nothing_waits_for_the_device(constraint):
    """Fake tensors have no values: whatever asks for one, as a wait for a GPU does, raises."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        x, y = torch.empty(16, 4), torch.zeros(16, dtype=torch.long)
        model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
        FairMixCriterion(constraint=constraint)(model, x, y, y).backward()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"weight": -1}, "weight must be a number of at least 0, got -1"),
        ({"weight": "1"}, "weight must be"),
        ({"constraint": "dp"}, "constraint must be 'demographic_parity' or"),
    ],
)
def test_unknown_values_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        FairMixCriterion(**parameters)
