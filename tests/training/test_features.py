"""Modules as people have them, and the settings that they have made."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from gbmix_sklearn import ERMClassifier, FairMixClassifier, GBMixClassifier, load_model
from gbmix_sklearn.criteria import FairMixCriterion, GBMixCriterion
from gbmix_sklearn.training import measured_width

from ..estimators.problems import problem

X, Y, S = problem(80)
IMAGES = np.random.default_rng(0).normal(size=(40, 3, 6, 6)).astype(np.float32)


class Giving(nn.Module):
    """A layer, and what is made of its output."""

    def __init__(self, give, width=4):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(5, width)
        self.give = give

    def forward(self, x):
        return self.give(self, torch.relu(self.layer(x)))


def plain(module, z):
    return z


def first_of_two(module, z):
    return z, z + 1


def two_in_training(module, z):
    return (z, z) if module.training else z


def under_a_key(module, z):
    return {"features": z}


def a_list_of_one(module, z):
    return [z]


def squeezed(module, z):
    return z.squeeze()


def two_keys(module, z):
    return {"hidden": z, "pooled": z}


def a_list_of_two(module, z):
    return [z, z]


def summed(module, z):
    return z.sum(0)


def nothing(module, z):
    return None


def fit(module, *, X=X, y=Y, model=ERMClassifier, **options):
    options = {"max_epochs": 2, "random_state": 0, "lr": 0.01} | options
    return model(module, **options).fit(X, y[: len(X)], S[: len(X)])


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize(
    "give", [first_of_two, two_in_training, under_a_key, a_list_of_one, squeezed]
)
def test_outputs_that_are_meant_are_taken(give, trainable):
    expected = fit(Giving(plain), trainable=trainable)
    model = fit(Giving(give), trainable=trainable)
    assert np.array_equal(model.decision_function(X), expected.decision_function(X))
    assert np.array_equal(model.decision_function(X[:1]), expected.decision_function(X[:1]))


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("give", [two_keys, a_list_of_two, summed, nothing])
def test_other_outputs_are_refused_with_what_is_expected(give, trainable):
    with pytest.raises(ValueError, match=r"the backbone must give one tensor .*\(n_samples, n_fea"):
        fit(Giving(give), trainable=trainable)


@pytest.mark.parametrize("trainable", [True, False])
def test_a_single_feature_may_have_lost_its_dimension(trainable):
    model = fit(Giving(squeezed, width=1), trainable=trainable)
    assert model.transform(X[:3]).shape == (3, 1)
    assert model.transform(X[:1]).shape == (1, 1)


@pytest.mark.parametrize("trainable", [True, False])
def test_samples_that_a_module_cannot_take_are_named(trainable):
    with pytest.raises(ValueError, match=r"the backbone cannot process samples of shape \(5,\)"):
        fit(nn.Conv2d(3, 4, 3), trainable=trainable)


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_of_other_precisions(dtype, trainable):
    module = Giving(plain).to(dtype)
    model = fit(module, trainable=trainable)
    assert next(module.parameters()).dtype == dtype  # the user's own is as it was
    assert model.transform(X).dtype == np.float32
    expected = fit(Giving(plain), trainable=trainable)
    assert model.decision_function(X) == pytest.approx(expected.decision_function(X), abs=0.05)


def test_lazy_layers_are_made_by_the_dry_run_and_trained():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(8), nn.ReLU())
    models = [fit(copy.deepcopy(module), X=IMAGES, model=GBMixClassifier) for _ in range(2)]
    first, second = (model.net_.raw_module.embedding[0][2].weight for model in models)
    assert first.shape == (8, 64)
    assert torch.equal(first, second)
    assert first.grad is not None


class Table(nn.Module):
    """Makes what it multiplies with when it is first needed."""

    def __init__(self):
        super().__init__()
        self.layer, self.table = nn.Linear(5, 4), None

    def forward(self, x):
        if self.table is None:
            self.table = torch.arange(4) / 3 + self.layer.bias.detach() * 0
        return self.layer(x) * self.table


def test_tables_made_by_the_dry_run_can_be_trained_with():
    assert fit(Table()).score(X, Y) > 0.5


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_scripted_module_is_trained_but_for_what_is_frozen():
    script = torch.jit.script(nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)))
    given = dict(script.named_parameters())
    given["0.weight"].requires_grad_(False)
    trained = dict(fit(script).net_.raw_module.embedding[0].named_parameters())
    kept, moved = (torch.equal(trained[name], given[name]) for name in ("0.weight", "2.weight"))
    assert kept
    assert not moved


@pytest.mark.filterwarnings("ignore:.*quant")
def test_a_quantised_module_is_used_frozen_and_said_not_to_be_saved(tmp_path):
    module = torch.ao.quantization.quantize_dynamic(Giving(plain), {nn.Linear}, torch.qint8)
    model = fit(module, trainable=False)
    expected = fit(Giving(plain), trainable=False).transform(X)
    assert model.transform(X) == pytest.approx(expected, abs=0.1)
    with pytest.raises(TypeError, match="is no plain tensor"):
        model.save(tmp_path)


@pytest.mark.parametrize("batch_size", [2, 4])
def test_no_batch_norm_meets_a_batch_of_one(batch_size):
    module = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4))
    fit(module, X=X[:41], batch_size=batch_size, validation_fraction=None)
    with pytest.raises(ValueError, match=r"batch_size=1 gives batches of one sample.*2 or more"):
        fit(module, batch_size=1)


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(5, 2)

    def forward(self, x):
        x -= 10
        return self.layer(x)


class OutOfPlace(InPlace):
    def forward(self, x):
        return self.layer(x - 10)


@pytest.mark.parametrize("criterion", [GBMixCriterion(), FairMixCriterion()])
def test_a_first_operation_in_place_changes_no_batch(criterion):
    x, y, s = torch.from_numpy(X.copy()), torch.from_numpy(Y), torch.from_numpy(S)
    losses = []
    for module in (InPlace(), OutOfPlace()):
        torch.manual_seed(1)
        losses.append(criterion(module, x, y, s).item())
    assert losses[0] == losses[1]
    assert np.array_equal(x, X)


@pytest.mark.parametrize("model", [GBMixClassifier, FairMixClassifier])
def test_classifiers_of_modules_in_place(model):
    there, beside = (fit(module(), model=model) for module in (InPlace, OutOfPlace))
    assert np.array_equal(there.decision_function(X), beside.decision_function(X))


def test_the_width_is_that_of_a_batch():
    assert measured_width(nn.Flatten(), torch.zeros(1, 3, 2)) == 6
    with pytest.raises(ValueError, match="no features"):
        measured_width(nn.Flatten(), torch.zeros(1, 3, 0))


# ---------------------------------------------------------------------------- settings


@pytest.fixture
def _as_found():
    yield
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)


SETTINGS = {
    "no gradients": lambda: torch.set_grad_enabled(False),
    "doubles": lambda: torch.set_default_dtype(torch.float64),
    "meta": lambda: torch.set_default_device("meta"),
}


@pytest.mark.usefixtures("_as_found")
@pytest.mark.parametrize("setting", SETTINGS)
def test_what_the_user_has_set_changes_no_fit_and_stays(setting, tmp_path):
    options = {"hidden_units": (4,), "max_epochs": 2, "random_state": 0}
    expected = GBMixClassifier(**options).fit(X, Y, S).decision_function(X)
    SETTINGS[setting]()
    before = torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_default_device()
    model = GBMixClassifier(**options).fit(X, Y, S)
    after = torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_default_device()
    assert after == before
    assert np.array_equal(model.decision_function(X), expected)
    model.save(tmp_path)
    assert np.array_equal(load_model(tmp_path).decision_function(X), expected)


@pytest.mark.parametrize("within", [torch.inference_mode, lambda: torch.autocast("cpu")])
def test_a_fit_within_other_modes(within):
    with within():
        module = Giving(plain)
        model = fit(module)
    assert np.array_equal(model.decision_function(X), fit(Giving(plain)).decision_function(X))
