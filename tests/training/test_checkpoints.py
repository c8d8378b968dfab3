"""Runs that were killed go on, finished ones are loaded, and neither is mixed up with another."""

import threading
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
import timm
import torch
from sklearn.linear_model import RidgeClassifier
from skorch.callbacks import Callback, EarlyStopping

from gbmix_sklearn import GBMixError, NonFiniteLossWarning
from gbmix_sklearn._files import replace_file
from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.refit import Recipe
from gbmix_sklearn.training import GroupNet, fingerprint

from ..estimators.problems import images, method, problem
from ..estimators.test_images import pictures, small

CONFIGURATIONS = {
    "constant": {},
    "cosine": {"lr_schedule": "cosine", "lr": 0.1},
    "step": {"lr_schedule": "step", "lr": 0.1},
    "adam": {"optimizer": "adam"},
    "adamw, cosine": {"optimizer": "adamw", "lr_schedule": "cosine"},
    "smoothed target": {"target_smoothing": 0.8},
    "hidden, refitted": {"hidden_units": (4,), "refit": "logistic"},
    "no validation": {"validation_fraction": None},
    "fp16": {"precision": "fp16", "hidden_units": (4,)},
}


class Killed(Exception):
    """What takes the place of a power failure."""


@contextmanager
def killed_after(epoch, error=Killed):
    """Let the fits within end at the begin of the epoch after one that was saved."""
    real = GroupNet._train_epoch

    def train_epoch(self, source):
        if len(self.history) == epoch + 1:
            raise error
        return real(self, source)

    with mock.patch.object(GroupNet, "_train_epoch", train_epoch), pytest.raises(error):
        yield


@pytest.fixture
def steps(monkeypatch):
    """Number of optimizer steps that were made, as a list of one number."""
    count = [0]
    real = GroupNet.train_step

    def train_step(self, batch, **options):
        count[0] += 1
        return real(self, batch, **options)

    monkeypatch.setattr(GroupNet, "train_step", train_step)
    return count


def outcome(model):
    state = model.net_.raw_module.state_dict()
    history = model.history_.drop(columns="dur").to_dict("list")
    return [value.tolist() for value in state.values()], model.head_.coef_.tolist(), history


def runs(folder):
    return sorted(path for path in folder.iterdir())


@pytest.mark.parametrize("name", METHODS)
def test_every_method_goes_on_to_the_same_bits(name, tmp_path):
    X, y, s = problem()
    whole = method(name).fit(X, y, s)
    model = method(name, checkpoint_dir=tmp_path)
    with killed_after(1):
        model.fit(X, y, s)
    assert outcome(model.fit(X, y, s)) == outcome(whole)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize("error", [Killed, KeyboardInterrupt])
def test_a_killed_run_goes_on_to_the_same_bits(configuration, error, tmp_path, steps):
    X, y, s = problem(160)
    options = {"max_epochs": 6, "batch_size": 32, "patience": None} | CONFIGURATIONS[configuration]
    whole = method("GBMix", **options).fit(X, y, s)
    per_epoch = steps[0] // 6
    model = method("GBMix", **options, checkpoint_dir=tmp_path)
    with killed_after(2, error):
        model.fit(X, y, s)
    assert not hasattr(model, "head_")
    steps[0] = 0
    model.fit(X, y, s)
    assert steps[0] == 4 * per_epoch
    assert str(outcome(model)) == str(outcome(whole))  # as text, since NaN is not NaN
    assert model.best_epoch_ == whole.best_epoch_


@pytest.mark.parametrize("name", ["ERM", "Mixup"])
def test_other_methods_go_on_as_well(name, tmp_path):
    X, y, s = problem()
    whole = method(name).fit(X, y, s)
    model = method(name, checkpoint_dir=tmp_path)
    with killed_after(1):
        model.fit(X, y, s)
    assert outcome(model.fit(X, y, s)) == outcome(whole)


def test_a_run_with_batch_norm_goes_on(tmp_path):
    X, y, s = images(64)
    backbone = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Dropout(0.2)
    )
    options = {"backbone": backbone, "batch_size": 16, "max_epochs": 4}
    whole = method("GBMix", **options).fit(X, y, s)
    model = method("GBMix", **options, checkpoint_dir=tmp_path)
    with killed_after(2):
        model.fit(X, y, s)
    assert outcome(model.fit(X, y, s)) == outcome(whole)


@pytest.mark.parametrize("how", ["all epochs", "patience", "callback", "explosion"])
@pytest.mark.filterwarnings("ignore::gbmix_sklearn.NonFiniteLossWarning")
def test_a_finished_run_is_loaded_without_a_step(how, tmp_path, steps):
    X, y, s = problem()
    stopping = EarlyStopping(
        monitor="worst_group_accuracy", patience=2, lower_is_better=False, sink=lambda _: None
    )

    class Explode(Callback):
        def on_epoch_end(self, net, **_):
            if len(net.history) == 2:
                net.optimizer_.param_groups[0]["lr"] = 1e30

    options = {
        "all epochs": {},
        "patience": {"max_epochs": 40, "patience": 2},
        "callback": {"max_epochs": 40, "patience": None, "callbacks": [stopping]},
        "explosion": {"max_epochs": 10, "callbacks": [Explode()]},
    }[how]
    first = method("GBMix", checkpoint_dir=tmp_path, **options).fit(X, y, s)
    assert steps[0] > 0
    steps[0] = 0
    second = method("GBMix", checkpoint_dir=tmp_path, **options).fit(X, y, s)
    assert steps[0] == 0
    assert str(outcome(second)) == str(outcome(first))
    assert len(runs(tmp_path)) == 1


def test_every_difference_has_a_folder_of_its_own(tmp_path):
    X, y, s = problem()
    rest = {"X_val": X[:40], "y_val": y[:40]}
    changed = X.copy()
    changed[0, 0] += 1e-3
    fits = [
        ({}, (X, y, s), {}),
        ({"lr": 0.02}, (X, y, s), {}),
        ({"random_state": 1}, (X, y, s), {}),
        ({"alpha": 0.5}, (X, y, s), {}),
        ({"hidden_units": (3,)}, (X, y, s), {}),
        ({"backbone": torch.nn.Linear(5, 3)}, (X, y, s), {}),
        ({"backbone": torch.nn.Linear(5, 3)}, (X, y, s), {}),  # other weights
        ({}, (changed, y, s), {}),
        ({}, (X, 1 - y, s), {}),
        ({}, (X, y, 1 - s), {}),
        ({}, (X, y, s), rest | {"groups_val": s[:40]}),
        ({}, (X, y, s), rest | {"groups_val": 1 - s[:40]}),
        ({}, (X, y, s), rest | {"groups_val": s[:40], "y_val": 1 - y[:40]}),
    ]
    for number, (parameters, data, validation) in enumerate(fits, 1):
        model = method("GBMix", max_epochs=1, checkpoint_dir=tmp_path)
        model.set_params(**parameters).fit(*data, **validation)
        assert len(runs(tmp_path)) == number
    method("ERM", max_epochs=1, checkpoint_dir=tmp_path).fit(X, y, s)
    assert len(runs(tmp_path)) == len(fits) + 1


@pytest.mark.parametrize("hidden_units", [(), (4,)])
def test_what_comes_after_the_steps_trains_nothing_anew(hidden_units, tmp_path, steps):
    X, y, s = problem()
    options = {"hidden_units": hidden_units, "refit": "anchored", "patience": 20}
    method("GBMix", **options, checkpoint_dir=tmp_path).fit(X, y, s)
    steps[0] = 0
    for other in (
        {"refit": "dfr"},
        {"refit": RidgeClassifier(alpha=2)},
        {"refit": Recipe(penalty="anchored", n_draws=3)},
        {"device": "cpu"},
        {"num_workers": 0, "verbose": 1},
        {"patience": 21},
    ):
        model = method("GBMix", **(options | other), checkpoint_dir=tmp_path).fit(X, y, s)
        assert steps[0] == 0
        fresh = method("GBMix", **(options | other)).fit(X, y, s)
        assert outcome(model) == outcome(fresh)
        steps[0] = 0
    assert len(runs(tmp_path)) == 1


@pytest.mark.parametrize("lr", [0.01, 1.0])
def test_a_run_with_more_or_less_patience_is_that_of_its_own(lr, tmp_path):
    """It goes on where it had stopped, and is not taken where it has gone past its end."""
    X, y, s = problem(seed=3)
    X[:, :2] /= 3
    for patience in (3, 6, 2, 3, None):
        options = {"max_epochs": 12, "patience": patience, "lr": lr}
        kept = method("ERM", checkpoint_dir=tmp_path, **options).fit(X, y, s)
        assert outcome(kept) == outcome(method("ERM", **options).fit(X, y, s))
    assert len(runs(tmp_path)) == 1


def test_what_only_watches_makes_no_difference(tmp_path, capsys):
    X, y, s = problem()
    for watching in ({}, {"verbose": 1}, {"callbacks": [Callback()]}):
        method("GBMix", checkpoint_dir=tmp_path, **watching).fit(X, y, s)
        method("GBMix", checkpoint_dir=str(tmp_path), **watching).fit(X.tolist(), y, list(s))
    assert len(runs(tmp_path)) == 1


def test_the_validation_groups_decide_also_after_a_restart(tmp_path):
    """A finished run with other validation groups is not taken for this one."""
    X, y, s = problem(300, seed=2)
    X[:, :2] /= 4
    X_val, y_val, s_val = problem(60, seed=3)
    X_val[:, :2] /= 4
    given = {"X_val": X_val, "y_val": y_val}
    for groups_val in (s_val, np.arange(60) % 3):
        kept = method("ERM", max_epochs=8, checkpoint_dir=tmp_path)
        kept.fit(X, y, s, **given, groups_val=groups_val)
        fresh = method("ERM", max_epochs=8).fit(X, y, s, **given, groups_val=groups_val)
        assert outcome(kept) == outcome(fresh)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"x" * 99])
def test_a_damaged_checkpoint_is_named(damage, tmp_path):
    X, y, s = problem()
    method("GBMix", checkpoint_dir=tmp_path).fit(X, y, s)
    (path,) = tmp_path.rglob("training.pt")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(GBMixError, match=r"training\.pt cannot be read.*move it away") as error:
        method("GBMix", checkpoint_dir=tmp_path).fit(X, y, s)
    assert str(path) in str(error.value)


def test_a_checkpoint_runs_no_code(tmp_path):
    X, y, s = problem()
    method("GBMix", checkpoint_dir=tmp_path).fit(X, y, s)
    (path,) = tmp_path.rglob("training.pt")

    class Attack:
        def __reduce__(self):
            return (path.with_name("attacked").touch, ())

    torch.save({"module": Attack()}, path)
    with pytest.raises(GBMixError, match="cannot be read"):
        method("GBMix", checkpoint_dir=tmp_path).fit(X, y, s)
    assert not path.with_name("attacked").exists()


def test_fits_of_the_same_run_at_the_same_time_do_not_harm_each_other(tmp_path):
    """A second fit runs from beginning to end, between two epochs of the first."""
    X, y, s = problem()
    options = {"max_epochs": 6, "checkpoint_dir": tmp_path}
    others = []

    class Meanwhile(Callback):
        def on_epoch_end(self, net, **_):
            if len(net.history) in (1, 4):
                others.append(method("GBMix", **options).fit(X, y, s))

    first = method("GBMix", **options, callbacks=[Meanwhile()]).fit(X, y, s)
    alone = outcome(method("GBMix", max_epochs=6).fit(X, y, s))
    assert [outcome(model) for model in [first, *others]] == [alone] * 3


def test_a_file_is_seen_whole_by_all_who_write_it(tmp_path):
    errors = []
    path = tmp_path / "shared"

    def write_and_read():
        try:
            for number in range(50):
                text = bytes([number]) * 100_000
                replace_file(path, lambda file, text=text: file.write(text))
                seen = path.read_bytes()
                assert len(seen) == 100_000
                assert len(set(seen)) == 1
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write_and_read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert list(tmp_path.iterdir()) == [path]


def test_no_temporary_file_is_left(tmp_path):
    X, y, s = problem()
    method("GBMix", checkpoint_dir=tmp_path).fit(X, y, s)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["training.pt"]

    def fail(file):
        file.write(b"half")
        raise Killed

    (tmp_path / "kept").write_bytes(b"old")
    with pytest.raises(Killed):
        replace_file(tmp_path / "kept", fail)
    assert (tmp_path / "kept").read_bytes() == b"old"
    assert len([path for path in tmp_path.iterdir() if path.is_file()]) == 1


def test_the_explosion_after_a_restart_keeps_the_best_epoch(tmp_path):
    class Explode(Callback):
        def on_epoch_begin(self, net, **_):
            if len(net.history) == 3:
                net.optimizer_.param_groups[0]["lr"] = 1e30

    X, y, s = problem()
    options = {"max_epochs": 6, "checkpoint_dir": tmp_path, "callbacks": [Explode()]}
    with killed_after(2):
        method("GBMix", **options).fit(X, y, s)
    model = method("GBMix", **options)
    with pytest.warns(NonFiniteLossWarning, match="epoch 3"):
        model.fit(X, y, s)
    calm = method("GBMix", max_epochs=2).fit(X, y, s)
    assert np.array_equal(model.head_.coef_, calm.head_.coef_)


def test_fingerprints_tell_values_apart_and_not_identities():
    array = np.arange(6.0)
    assert fingerprint(array, {"a": 1}) == fingerprint(array.copy(), {"a": 1})
    different = [
        (array, {"a": 1}),
        (array + 1, {"a": 1}),
        (array.astype(np.float32), {"a": 1}),
        (array.reshape(2, 3), {"a": 1}),
        (array, {"a": 2}),
        (array, {"b": 1}),
        (array, None),
        (torch.nn.Linear(2, 2), None),
    ]
    assert len({fingerprint(*parts) for parts in different}) == len(different)


PICTURES = {
    "trained": {},
    "varied": {"augment": "standard"},
    "last stage": {"trainable": 1},
    "last stage, varied": {"trainable": 1, "augment": "flip"},
    "frozen": {"trainable": False, "hidden_units": (4,)},
    "scheduled": {
        "lr_schedule": "cosine",
        "warmup_epochs": 1.5,
        "head_lr": 0.1,
        "max_grad_norm": 1.0,
        "precision": "bf16",
    },
}


@pytest.mark.parametrize("configuration", PICTURES)
def test_a_killed_run_on_images_goes_on_to_the_same_bits(configuration, tmp_path):
    X, y, s = pictures()
    options = {"max_epochs": 3, "patience": None} | PICTURES[configuration]
    whole = small(**options).fit(X, y, s)
    model = small(**options, checkpoint_dir=tmp_path)
    with killed_after(1):
        model.fit(X, y, s)
    model.fit(list(X), y, s)  # the same images in another form
    assert len(runs(tmp_path)) == 1
    assert outcome(model) == outcome(whole)


def test_other_pixels_weights_and_sizes_are_other_runs(tmp_path):
    X, y, s = pictures()
    options = {"max_epochs": 1, "checkpoint_dir": tmp_path}
    changed = X.copy()
    changed[7, 0, 0, 0] ^= 1
    torch.manual_seed(3)
    weights = tmp_path / "weights.pth"
    fits = [
        ({}, X),
        ({}, changed),
        ({"image_size": 24}, X),
        ({"augment": "flip"}, X),
        ({"trainable": 1}, X),
    ]
    for number, (parameters, images_) in enumerate(fits, 1):
        small("ERM", **options | parameters).fit(images_, y, s)
        assert len(runs(tmp_path)) == number
    for seed in (1, 2):  # a file of the same name with other weights
        torch.manual_seed(seed)
        torch.save(timm.create_model("resnet10t").state_dict(), weights)
        small("ERM", **options, pretrained=weights).fit(X, y, s)
        assert len([run for run in runs(tmp_path) if run.is_dir()]) == len(fits) + seed
    small("ERM", **options, num_workers=0, cache_dir=tmp_path / "cache", verbose=0).fit(X, y, s)
    assert len([run for run in runs(tmp_path) if (run / "training.pt").exists()]) == len(fits) + 2
