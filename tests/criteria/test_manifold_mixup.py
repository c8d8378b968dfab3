"""Manifold mixup: where it mixes, and what it leaves behind."""

from collections import Counter

import numpy as np
import pytest
import timm
import torch
from torch import nn

from gbmix_sklearn import ManifoldMixupCriterion, MixupCriterion
from gbmix_sklearn.criteria._mixing import sample_beta
from gbmix_sklearn.training import Network, hidden_layers

from . import oracle


class Steps(nn.Module):
    """Four steps, with all that is between them."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.activation = nn.Tanh()  # used twice
        self.second = nn.Linear(6, 5)
        self.head = nn.Linear(5, 3)

    def between(self, x):
        yield x
        yield self.first(x)
        yield self.activation(self.first(x))
        hidden = self.second(self.activation(self.first(x)))
        yield hidden
        yield self.activation(hidden)

    def rest(self, step, z):
        steps = [self.first, self.activation, self.second, self.activation, self.head]
        for module in steps[step:]:
            z = module(z)
        return z

    def forward(self, x):
        return self.rest(0, x)


#: layers, and after how many steps their outputs are mixed
PLACES = {
    "input": ([], 0),
    "first": (["first"], 1),
    "first use": (["activation"], 2),
    "second": (["second"], 3),
    "embedding": (None, 4),  # the input of the last nn.Linear
}


def where_not_the_input(monkeypatch):
    """Draw a layer wherever there is one."""
    real = torch.randint
    monkeypatch.setattr(torch, "randint", lambda n, _: real(n - 1, ()) if n > 1 else real(n, ()))


@pytest.mark.parametrize("place", PLACES)
def test_loss_is_that_of_loops(place, monkeypatch):
    layers, step = PLACES[place]
    where_not_the_input(monkeypatch)
    torch.manual_seed(0)
    model, x, y = Steps().double(), torch.randn(10, 4).double(), torch.arange(10) % 3
    torch.manual_seed(1)
    loss = ManifoldMixupCriterion(layers=layers)(model, x, y)
    torch.manual_seed(1)
    lam = sample_beta(2.0, (1,), x).item()
    z = list(model.between(x))[step]
    losses = []
    for i, j in enumerate(torch.randperm(10).tolist()):
        label = lam * np.eye(3)[y[i]] + (1 - lam) * np.eye(3)[y[j]]
        logits = model.rest(step, (lam * z[i] + (1 - lam) * z[j])[None])[0]
        losses.append(oracle.cross_entropy(logits.detach().numpy(), label))
    assert loss.item() == pytest.approx(np.mean(losses), rel=1e-6)


def places_of_many_batches(criterion, model, x, n=600):
    """Count the modules that were the first to give something else than on the clean batch."""
    outputs = {}

    def keep(name):
        def hook(_, __, output):  # runs before the criterion's own, which comes later
            outputs[name] = output.detach().clone()

        return hook

    for name, module in model.named_modules():
        module.register_forward_hook(keep(name))
    model(x)
    clean, counts = dict(outputs), Counter()
    for _ in range(n):
        outputs.clear()
        criterion(model, x, torch.arange(len(x)) % 2)
        counts[next(key for key in outputs if not torch.equal(outputs[key], clean[key]))] += 1
    return counts


def test_all_points_are_as_likely():
    torch.manual_seed(0)
    model = Network(nn.Sequential(hidden_layers(4, (6, 5, 3))), 3, 2)
    counts = places_of_many_batches(ManifoldMixupCriterion(), model, torch.randn(8, 4))
    # the input, behind the first and the second activation, the embedding
    assert set(counts) == {"embedding.0.0", "embedding.0.2", "embedding.0.4", "head"}
    assert all(110 < count < 190 for count in counts.values())


def test_layers_are_named_by_the_user_or_by_the_model():
    torch.manual_seed(0)
    model, x = nn.Sequential(*hidden_layers(4, (6, 5)), nn.Linear(5, 2)), torch.randn(8, 4)
    criterion = ManifoldMixupCriterion(layers=["1", "1", "2"])  # none twice
    counts = places_of_many_batches(criterion, model, x)
    assert set(counts) == {"0", "2", "3"}
    assert all(160 < count < 240 for count in counts.values())
    model.mixing_layers = ("1",)
    counts = places_of_many_batches(ManifoldMixupCriterion(), model, x, 40)
    assert set(counts) == {"0", "2"}


@pytest.mark.parametrize("model", [nn.Linear(4, 3), Network(None, 4, 3)], ids=["Linear", "Network"])
def test_a_linear_model_has_its_input_alone(model):
    x, y = torch.randn(10, 4), torch.arange(10) % 3
    for _ in range(5):
        state = torch.get_rng_state()
        loss = ManifoldMixupCriterion(alpha=2.0)(model, x, y)
        torch.set_rng_state(state)
        assert loss.item() == pytest.approx(MixupCriterion(2.0)(model, x, y).item(), rel=1e-5)


def test_no_hook_is_left_behind_not_even_by_an_error(monkeypatch):
    where_not_the_input(monkeypatch)
    x, y = torch.randn(10, 4), torch.arange(10) % 3
    model = Steps()
    ManifoldMixupCriterion()(model, x, y)
    with pytest.raises(RuntimeError):
        ManifoldMixupCriterion(layers=["first"])(model, x[:, :3], y)
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_several_outputs_of_a_layer_are_all_mixed(monkeypatch):
    class Two(nn.Module):
        def forward(self, x):
            return x, [x.flatten(1), 2 * x]

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.two = Two()

        def forward(self, x):
            one, (two, three) = self.two(x)
            return torch.cat([one, two, three], 1)

    where_not_the_input(monkeypatch)
    x, y, model = torch.randn(6, 2), torch.arange(6), Model()
    torch.manual_seed(0)
    loss = ManifoldMixupCriterion(layers=["two"])(model, x, y)
    monkeypatch.undo()
    torch.manual_seed(0)
    expected = ManifoldMixupCriterion(layers=[])(model, x, y)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


class Unused(Steps):
    def forward(self, x):
        return self.head(x[:, :1].expand(-1, 5))


class NoRows(Steps):
    def __init__(self):
        super().__init__()
        self.second = nn.Flatten(0)

    def forward(self, x):
        return self.head(self.second(self.first(x)).unflatten(0, (len(x), 6))[:, :5])


@pytest.mark.parametrize(
    ("model", "layers", "message"),
    [
        (Steps(), ["third"], "the model has no layer 'third': give layers"),
        (Unused(), ["second"], "did not pass the Linear to be mixed at"),
        (NoRows(), ["second"], "what a Flatten gives cannot be mixed, since it is not one row"),
        (nn.Sequential(nn.Flatten(), nn.Tanh()), None, "a Sequential without an nn.Linear"),
    ],
)
def test_what_cannot_be_mixed_is_an_error(model, layers, message, monkeypatch):
    where_not_the_input(monkeypatch)
    x, y = torch.randn(10, 4), torch.arange(10) % 3
    with pytest.raises(ValueError, match=message):
        ManifoldMixupCriterion(layers=layers)(model, x, y)


def test_a_compiled_model_is_mixed_within_all_the_same():
    torch.manual_seed(0)
    model = Network(nn.Sequential(hidden_layers(4, (6, 5))), 5, 3)
    x, y = torch.randn(10, 4), torch.arange(10) % 3
    losses = []
    for called in (model, torch.compile(model, backend="aot_eager")):
        called(x)  # compiled without any hook
        torch.manual_seed(0)
        of_model = []
        for _ in range(12):
            model.zero_grad()
            loss = ManifoldMixupCriterion()(called, x, y)
            loss.backward()
            of_model += [loss.item(), *model.embedding[0][0].weight.grad.flatten().tolist()]
        losses.append(of_model)
    assert losses[1] == pytest.approx(losses[0], rel=1e-4, abs=1e-6)


def test_half_precision_gives_losses_in_full():
    torch.manual_seed(0)
    x, y, model = torch.randn(16, 4), torch.arange(16) % 3, Steps()
    for layers in ([], ["first"], None):
        losses = []
        for enabled in (False, True):
            torch.manual_seed(0)
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                losses.append(ManifoldMixupCriterion(layers=layers)(model, x, y))
        assert losses[1].dtype == torch.float32
        assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.03)


def test_nothing_waits_for_the_device():
    """Meta tensors have no values: whatever asks for one, as a wait for a GPU does, raises."""
    model = Steps().to("meta")
    x, y = torch.empty(16, 4, device="meta"), torch.zeros(16, dtype=torch.long, device="meta")
    criterion = ManifoldMixupCriterion(alpha=1.0, layers=["first", "second"])
    for _ in range(12):  # alpha=1: Beta is not implemented for meta tensors
        criterion(model, x, y, y).backward()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": 0}, "alpha must be a positive number"),
        ({"layers": "layer1"}, r"layers must be names of modules, such as \['layer1'\]"),
        ({"layers": [1]}, "layers must be"),
    ],
)
def test_unknown_values_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        ManifoldMixupCriterion(**parameters)


# ---------------------------------------------------------------------------- the network's layers


def network(*parts):
    return Network(nn.Sequential(*parts), 4, 2)


def timm_model(name):
    return timm.create_model(name, num_classes=0)


def with_a_list():
    """A model whose stages are lists of blocks, which no forward calls, and no modules at all."""
    model = nn.Sequential(nn.Linear(3, 4))
    model.blocks = nn.ModuleList([nn.Tanh()])
    model.feature_info = [{"module": "blocks"}, {"module": "act1"}]
    return model


@pytest.mark.parametrize(
    ("model", "layers"),
    [
        (Network(None, 3, 2), ()),
        (Network(nn.Linear(3, 4), 4, 2), ("embedding",)),
        (network(hidden_layers(3, (4,))), ("embedding",)),
        (network(hidden_layers(3, (6, 5, 4))), ("embedding.0.1", "embedding.0.3", "embedding")),
        (network(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), nn.Flatten()), ("embedding",)),
        (
            network(timm_model("resnet10t"), nn.Flatten()),
            ("embedding.0.layer1", "embedding.0.layer2", "embedding"),
        ),
        (
            network(timm_model("test_vit"), nn.Flatten(), hidden_layers(64, (8, 4))),
            ("embedding.0.blocks.0", "embedding.0.blocks.1", "embedding"),
        ),
        (
            network(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)), nn.Flatten()),
            ("embedding.0.1", "embedding"),
        ),
        (network(with_a_list(), nn.Flatten()), ("embedding",)),
    ],
)
def test_layers_of_the_network(model, layers):
    assert model.mixing_layers == layers
    for name in layers:
        model.get_submodule(name)


@pytest.mark.parametrize("name", ["resnet10t", "test_vit", "test_efficientnet", "test_convnext"])
def test_every_layer_of_a_timm_model_can_be_mixed(name):
    model = timm_model(name)
    model = Network(nn.Sequential(model, nn.Flatten()), model.num_features, 2)
    x, y = torch.randn(4, *model.embedding[0].pretrained_cfg["input_size"]), torch.arange(4) % 2
    for layer in model.mixing_layers:
        for _ in range(3):  # the layer or the input
            ManifoldMixupCriterion(layers=[layer])(model, x, y).backward()
    assert all(torch.isfinite(weight.grad).all() for weight in model.head.parameters())
