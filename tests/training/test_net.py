"""The net on its own: parameter groups, clipping, frozen parts, too little memory."""

import copy
import gc
import weakref

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, Freezer, Unfreezer
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from gbmix_sklearn import OutOfMemoryError
from gbmix_sklearn._device import forward_what_fits, is_out_of_memory
from gbmix_sklearn.criteria import CrossEntropyCriterion, GBMixCriterion, MixupCriterion
from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.sampling import ShuffledSampler
from gbmix_sklearn.training import (
    ArrayInputs,
    Checkpoint,
    EvaluationSource,
    Features,
    GroupNet,
    Network,
    TrainingSource,
    embed_in_batches,
)

from ..estimators.problems import method, problem

X, Y, S = problem(96)
CPU = torch.device("cpu")


def sources(batch_size=16):
    rng = np.random.default_rng(0)
    cells = make_cells(Y, S)
    sampler = ShuffledSampler(cells.codes, batch_size)
    x, rows = torch.from_numpy(X), np.arange(len(X))
    inputs = ArrayInputs(x)
    return TrainingSource(inputs, rows, Y, S, sampler, rng), EvaluationSource(inputs, rows, cells)


def network(embedding=None, n_features=5):
    torch.manual_seed(0)
    return Network(embedding, n_features, 2)


def layer():
    torch.manual_seed(2)
    return nn.Linear(5, 4)


def hidden():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.ReLU())


def make_net(module, criterion=None, **options):
    settings = {
        "n_classes": 2,
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "optimizer__weight_decay": 0.01,
        "lr": 0.1,
        "max_epochs": 4,
        "batch_size": 16,
        "verbose": 0,
    }
    criterion = CrossEntropyCriterion() if criterion is None else criterion
    return GroupNet(module, criterion=criterion, **(settings | options)).initialize()


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


# ---------------------------------------------------------------------------- learning rates

HEAD_LR = {"optimizer__param_groups": [("head.*", {"lr": 0.3})], "optimizer__fused": True}


class Rates(Callback):
    def initialize(self):
        self.seen = []
        return self

    def on_batch_begin(self, net, training, **_):
        if training:
            self.seen.append([group["lr"] for group in net.optimizer_.param_groups])


def test_the_head_has_a_rate_of_its_own_and_the_history_that_of_the_rest():
    rates = Rates()
    net = make_net(
        network(layer(), 4),
        lr_schedule="step",
        max_epochs=3,
        warmup_epochs=1,
        callbacks=[rates],
        **HEAD_LR,
    ).partial_fit(*sources())
    share = [number / 6 for number in range(1, 7)] + [1] * 6 + [0.1] * 6
    assert np.array(rates.seen) == pytest.approx(np.outer(share, [0.3, 0.1]))
    assert [epoch["lr"] for epoch in net.history] == pytest.approx([0.1, 0.1, 0.01])


def test_the_head_is_found_in_a_compiled_module():
    net = make_net(network(layer(), 4), compile=True, **HEAD_LR)
    head, rest = net.optimizer_.param_groups
    assert set(head["params"]) == set(net.raw_module.head.parameters())
    assert set(rest["params"]) == set(net.raw_module.embedding.parameters())
    assert (head["lr"], rest["lr"]) == (0.3, 0.1)


@pytest.mark.parametrize("warmup_epochs", [0, 1.5])
@pytest.mark.parametrize("lr_schedule", ["constant", "cosine", "step"])
def test_a_run_with_a_rate_for_the_head_goes_on_to_the_same_bits(
    lr_schedule, warmup_epochs, tmp_path
):
    options = {"lr_schedule": lr_schedule, "warmup_epochs": warmup_epochs, **HEAD_LR}
    whole = make_net(network(layer(), 4), **options).partial_fit(*sources())
    train, valid = sources()
    checkpoint = Checkpoint(tmp_path, train.rng)
    killed = make_net(network(layer(), 4), callbacks=[("saved", checkpoint)], **options)
    killed.fit_loop(train, valid, epochs=2)
    train, valid = sources()
    checkpoint = Checkpoint(tmp_path, train.rng)
    rates = Rates()
    net = make_net(network(layer(), 4), callbacks=[rates], **options)
    assert checkpoint.restore(net)
    net.partial_fit(train, valid)
    assert len(rates.seen) == 2 * 6
    assert rates.seen[0][0] == pytest.approx(3 * rates.seen[0][1])
    assert same(whole.module_.state_dict(), net.module_.state_dict())
    assert same(whole.best_state_, net.best_state_)
    assert [epoch["lr"] for epoch in whole.history] == [epoch["lr"] for epoch in net.history]


def test_a_callback_may_set_the_rate_where_there_is_no_schedule():
    class Halve(Callback):
        def on_epoch_end(self, net, **_):
            net.optimizer_.param_groups[-1]["lr"] /= 2

    net = make_net(network(), callbacks=[Halve()]).partial_fit(*sources())
    assert [epoch["lr"] for epoch in net.history] == [0.1, 0.05, 0.025, 0.0125]


@pytest.mark.parametrize("lr_schedule", ["constant", "cosine"])
@pytest.mark.parametrize("number", [np.float64, np.float32])
def test_numbers_of_numpys_survive_a_checkpoint(number, lr_schedule, tmp_path):
    options = {
        "lr": number(0.1),
        "optimizer__weight_decay": number(0.01),
        "warmup_epochs": number(0.5),
        "lr_schedule": lr_schedule,
    }
    train, valid = sources()
    checkpoint = Checkpoint(tmp_path, train.rng)
    net = make_net(network(), callbacks=[("saved", checkpoint)], **options)
    net.partial_fit(train, valid)
    assert checkpoint.restore(make_net(network(), **options))


# ---------------------------------------------------------------------------- clipping


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_gradients_are_clipped_as_by_hand(dtype):
    module = network(layer(), 4)
    by_hand = copy.deepcopy(module)
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    batches = [tuple(part.clone() for part in batch) for batch in sources()[0].epoch(no_plan)]
    norms = []
    for x, y, _ in batches:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            loss = nn.functional.cross_entropy(by_hand(x), y)
        loss.backward()
        norm = torch.cat([p.grad.flatten() for p in by_hand.parameters()]).norm()
        norms.append(norm.item())
        for parameter in by_hand.parameters():
            parameter.grad *= min(1.0, 1.0 / (norm.item() + 1e-6))
        optimizer.step()
    assert min(norms) < 1.0 < max(norms)
    for callbacks in ([], [Watch()]):
        net = make_net(copy.deepcopy(module), dtype=dtype, max_grad_norm=1.0, callbacks=callbacks)
        if dtype == torch.float16:  # a scale that overflows in no step, and so skips none
            net.scaler_ = torch.amp.GradScaler("cpu", init_scale=256.0)
        for batch in batches:
            net.train_step(batch)
        tolerance = 1e-6 if dtype == torch.float32 else 2e-3
        for ours, theirs in zip(net.module_.parameters(), by_hand.parameters(), strict=True):
            assert ours.detach().numpy() == pytest.approx(theirs.detach().numpy(), abs=tolerance)


def no_plan(y, s):
    return None


class Watch(Callback):
    """Sees gradients as they are: of ordinary size also where fp16 scales them."""

    def on_grad_computed(self, net, named_parameters, **_):
        assert all(parameter.grad.norm() < 10 for _, parameter in named_parameters)


def test_no_clipping_is_the_default_to_the_bit():
    free = make_net(network()).partial_fit(*sources())
    wide = make_net(network(), max_grad_norm=1e9).partial_fit(*sources())
    tight = make_net(network(), max_grad_norm=1e-3).partial_fit(*sources())
    assert same(free.module_.state_dict(), wide.module_.state_dict())
    assert not same(free.module_.state_dict(), tight.module_.state_dict())


@pytest.mark.parametrize("max_grad_norm", [None, 1.0])
def test_a_step_never_waits_for_the_device(max_grad_norm):
    """A fake tensor has no value that could be waited for."""
    net = make_net(network(hidden(), 4), max_grad_norm=max_grad_norm)
    with FakeTensorMode(allow_non_fake_inputs=True):
        batch = torch.zeros(8, 5), torch.zeros(8, dtype=torch.int64), None
        assert net.train_step(batch)["loss"].shape == ()


# ---------------------------------------------------------------------------- frozen parts

OPTIMIZERS = {
    "sgd": {},
    "sgd, fused": {"optimizer__fused": True},
    "adamw": {"optimizer": torch.optim.AdamW, "optimizer__momentum": None},
}


def optimizer_options(name):
    options = {"optimizer__weight_decay": 0.5, **OPTIMIZERS[name]}
    return {key: value for key, value in options.items() if value is not None}


def net_of(module, name="sgd", **options):
    options |= optimizer_options(name)
    if name == "adamw":
        return GroupNet(
            module,
            criterion=CrossEntropyCriterion(),
            n_classes=2,
            lr=0.1,
            max_epochs=4,
            batch_size=16,
            verbose=0,
            **options,
        ).initialize()
    return make_net(module, **options)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_frozen_parts_keep_weights_and_statistics_to_the_bit(name):
    embedding = nn.Sequential(hidden(), nn.Linear(4, 4), nn.BatchNorm1d(4))
    embedding[0].requires_grad_(False)
    before = state(embedding)
    net = net_of(network(embedding, 4), name, max_grad_norm=1.0).partial_fit(*sources())
    after = state(net.module_.embedding)
    for key, value in before.items():
        assert torch.equal(value, after[key]) == key.startswith("0."), key


def test_modes_in_training():
    embedding = nn.Sequential(hidden(), nn.Dropout(), nn.Linear(4, 4), nn.BatchNorm1d(4))
    embedding[0].requires_grad_(False)
    embedding[3].weight.requires_grad_(False)  # not all of it
    module = network(embedding.eval(), 4)
    assert module.train() is module
    for part in embedding[0].modules():
        assert not part.training
    for part in (module, module.head, embedding, *embedding[1:]):
        assert part.training
    assert not any(part.training for part in module.eval().modules())
    assert not any(part.training for part in module.train(False).modules())


@pytest.mark.parametrize("criterion", [GBMixCriterion(n_groups=2), MixupCriterion()])
def test_batch_norm_that_is_frozen_alone(criterion):
    embedding = hidden()
    embedding[1].requires_grad_(False)
    embedding[1].running_mean += 1
    before = state(embedding)
    net = make_net(network(embedding, 4), criterion).partial_fit(*sources())
    after = state(net.module_.embedding)
    assert all(torch.equal(after[key], before[key]) for key in before if key.startswith("1."))
    assert not torch.equal(after["0.weight"], before["0.weight"])


def test_parts_may_be_frozen_and_released_during_the_training():
    seen = []

    class Weights(Callback):
        def on_epoch_end(self, net, **_):
            seen.append(state(net.module_.embedding))

    callbacks = [Freezer("embedding.*"), Unfreezer("embedding.*", at=3), Weights()]
    named = [(str(number), callback) for number, callback in enumerate(callbacks)]
    before = state(hidden())
    make_net(network(hidden(), 4), callbacks=named).partial_fit(*sources())
    assert same(before, seen[1])
    assert not same(seen[1], seen[2])
    assert not torch.equal(seen[1]["1.running_mean"], seen[2]["1.running_mean"])


def test_frozen_weights_are_not_held_against_the_training():
    """Half precision overflows in a sum, which is no explosion."""

    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.large = nn.Parameter(torch.full((9,), 6e4, dtype=torch.float16), False)

        def forward(self, x):
            return x

    net = make_net(network(nn.Sequential(Frozen(), Features(5)))).partial_fit(*sources())
    assert len(net.history) == 4


# ---------------------------------------------------------------------------- memory


class Small(nn.Module):
    """Runs out of memory for more than a few samples, in training or in evaluation."""

    def __init__(self, most, training):
        super().__init__()
        self.layer = nn.Linear(5, 4)
        self.most = most
        self.when = training
        self.sizes = []
        self.held = []

    def forward(self, x):
        self.sizes.append(len(x))
        if self.training == self.when and len(x) > self.most:
            activations = x + 0
            self.held.append(weakref.ref(activations))
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return self.layer(x)


def test_evaluation_goes_on_with_smaller_batches():
    small, large = (make_net(network(Small(most, False), 4)) for most in (7, 1000))
    large.module_.load_state_dict(small.module_.state_dict())
    small.partial_fit(*sources())
    large.partial_fit(*sources())
    for ours, theirs in zip(small.history, large.history, strict=True):
        assert ours["event_cell_accuracy"] == theirs["event_cell_accuracy"]
        assert ours["valid_loss"] == pytest.approx(theirs["valid_loss"])
    assert same(small.module_.state_dict(), large.module_.state_dict())


def test_embedding_goes_on_with_smaller_batches():
    module = Small(7, False)
    embedded = embed_in_batches(module, ArrayInputs(torch.from_numpy(X)))
    assert module.sizes == [96, 48, 24, 12] + [6] * 16
    assert embedded == pytest.approx(module.layer(torch.from_numpy(X)).detach().numpy(), abs=1e-6)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        embed_in_batches(Small(0, False), ArrayInputs(torch.from_numpy(X)))


def test_what_fits_is_remembered():
    sizes = []

    def forward(x):
        sizes.append(len(x))
        if len(x) > 5:
            raise MemoryError
        return 2 * x

    outputs, limit = forward_what_fits(forward, torch.arange(11), 8)
    assert torch.equal(torch.cat(outputs), 2 * torch.arange(11))
    assert sizes == [8, 4, 4, 3]
    assert limit == 4
    with pytest.raises(ValueError, match="unrelated"):
        forward_what_fits(lambda x: (_ for _ in ()).throw(ValueError("unrelated")), X, 8)


def test_embedding_gives_every_part_its_own_mode_back():
    module = hidden()
    module[1].eval()
    embed_in_batches(module, ArrayInputs(torch.from_numpy(X)))
    assert [part.training for part in module] == [True, False, True, True]
    with pytest.raises(RuntimeError):
        embed_in_batches(module, ArrayInputs(torch.zeros(3, 4)))
    assert [part.training for part in module] == [True, False, True, True]


@pytest.mark.parametrize(
    "criterion", [CrossEntropyCriterion(), GBMixCriterion(n_groups=2), MixupCriterion()]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_batch_that_does_not_fit_is_an_error_that_says_what_does(criterion, dtype):
    module = network(Small(5, True), 4)
    before = state(module)
    net = make_net(module, criterion, dtype=dtype)
    with pytest.raises(OutOfMemoryError, match=r"of 16 .* memory of cpu; 4 fit: set batch_size=4"):
        net.partial_fit(*sources())
    assert same(before, state(module))  # not a single step was made
    assert all(parameter.grad is None for parameter in module.parameters())


def test_not_even_a_single_sample_fits():
    net = make_net(network(Small(0, True), 4))
    with pytest.raises(OutOfMemoryError, match=r"not even a single sample.*image_size") as error:
        net.partial_fit(*sources())
    assert isinstance(error.value, MemoryError)
    assert isinstance(error.value.__cause__, torch.cuda.OutOfMemoryError)


def test_a_layer_that_needs_two_samples_is_no_error_of_its_own():
    net = make_net(network(nn.Sequential(Small(1, True), nn.BatchNorm1d(4)), 4))
    with pytest.raises(OutOfMemoryError, match="not even a single sample"):
        net.partial_fit(*sources())


def test_what_the_failed_step_held_is_free_when_smaller_batches_are_tried():
    held = []

    class Watching(Small):  # in its third try, of size 4
        def forward(self, x):
            if self.training and len(x) == 4:
                gc.collect()
                held.extend(reference() for reference in self.held)
            return super().forward(x)

    net = make_net(network(Watching(5, True), 4))
    with pytest.raises(OutOfMemoryError):
        net.partial_fit(*sources())
    assert held == [None, None]


def test_other_errors_pass():
    class Broken(nn.Linear):
        def forward(self, x):
            if self.training:
                raise RuntimeError("something else")
            return super().forward(x)

    with pytest.raises(RuntimeError, match="something else"):
        make_net(network(Broken(5, 4), 4)).partial_fit(*sources())


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
    ids=repr,
)
def test_errors_that_mean_too_little_memory(error, expected):
    assert is_out_of_memory(error) is expected


def test_the_classifier_passes_the_error_on():
    model = method("ERM", backbone=Small(20, True), batch_size=64)
    with pytest.raises(OutOfMemoryError, match="batch_size=16"):
        model.fit(X, Y, S)


def test_a_long_epoch_tells_how_far_it_is(monkeypatch, capsys):
    from gbmix_sklearn.training import _progress

    clock = iter(range(0, 1000, 4))  # a step takes four seconds
    monkeypatch.setattr(_progress.time, "perf_counter", lambda: next(clock))
    batches = [(number,) for number in range(8)]
    assert list(_progress.with_steps_shown(batches, epoch=2, n_steps=8)) == batches
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "epoch 2: step 2/8, 36 s left",
        "epoch 2: step 5/8, 14 s left",
    ]
