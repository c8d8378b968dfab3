"""Saved classifiers: equal predictions, nothing executable, damage noticed."""

import hashlib
import json
import pickle
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from skorch.callbacks import EpochTimer
from torch import nn

from gbmix_sklearn import GBMixClassifier, GBMixError, _saved_files, load_model
from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.refit import Recipe

from .estimators.problems import images, method, problem

CONFIGURATIONS = {
    "linear": {},
    "hidden": {"hidden_units": (6, 4)},
    "refitted": {"hidden_units": [6], "refit": "logistic"},
    "recipe": {"hidden_units": [6], "refit": Recipe(scaler="train", n_draws=3, C=(0.5, 0.1))},
    "ridge": {"refit": RidgeClassifier(alpha=2.0)},
    "linear model": {"refit": LogisticRegression(C=0.3, class_weight="balanced")},
    "stochastic": {"refit": SGDClassifier(loss="log_loss", random_state=1)},
    "no validation": {"validation_fraction": None, "patience": None},
    "adam": {"optimizer": "adam", "lr_schedule": "cosine", "precision": "bf16"},
}


def backbone():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())


@pytest.fixture
def fitted():
    X, y, s = problem()
    return method("GBMix").fit(X, y, s), X, y, s


def weights_file(folder):
    (path,) = folder.glob("weights-*.safetensors")
    return path


# ---------------------------------------------------------------------------- what comes back


# those for images only: tests/estimators/test_images.py
@pytest.mark.parametrize("name", [name for name, cls in METHODS.items() if not cls._images_only])
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_loaded_model_is_the_saved_one(name, configuration, n_classes, tmp_path):
    X, y, s = problem(n_classes=n_classes)
    labels = np.array(["low", "mid", "top"])[y]
    model = method(name, **CONFIGURATIONS[configuration]).fit(X, labels, s)
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert type(loaded) is type(model)
    assert (loaded.decision_function(X) == model.decision_function(X)).all()
    assert (loaded.predict(X) == model.predict(X)).all()
    assert (loaded.transform(X) == model.transform(X)).all()
    assert (loaded.head_.predict(model.transform(X)) == model.predict(X)).all()
    assert hasattr(loaded, "predict_proba") == hasattr(model, "predict_proba")
    if hasattr(model, "predict_proba"):
        assert (loaded.predict_proba(X) == model.predict_proba(X)).all()
    for attribute in ("classes_", "n_features_in_", "best_epoch_"):
        assert np.array_equal(getattr(loaded, attribute), getattr(model, attribute))
    pd.testing.assert_frame_equal(loaded.history_, model.history_)
    pd.testing.assert_frame_equal(loaded.group_table_, model.group_table_, check_index_type=False)
    pd.testing.assert_frame_equal(
        loaded.group_report(X, labels, s), model.group_report(X, labels, s)
    )
    assert loaded.get_feature_names_out().tolist() == model.get_feature_names_out().tolist()


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_a_loaded_model_can_be_pickled_saved_and_fitted_again(configuration, tmp_path):
    X, y, s = problem()
    model = method("GBMix", **CONFIGURATIONS[configuration]).fit(X, y, s)
    model.save(tmp_path / "first")
    loaded = load_model(tmp_path / "first")
    copied = pickle.loads(pickle.dumps(loaded))
    assert (copied.decision_function(X) == model.decision_function(X)).all()
    loaded.save(tmp_path / "second")
    again = load_model(tmp_path / "second")
    assert (again.decision_function(X) == model.decision_function(X)).all()
    assert np.array_equal(clone(loaded).fit(X, y, s).head_.coef_, model.head_.coef_)


def test_parameters_come_back(tmp_path):
    X, y, s = problem()
    given = {
        "hidden_units": (3,),
        "refit": LogisticRegression(C=0.3, class_weight=None, random_state=None, max_iter=50),
        "validation_fraction": None,
        "lr": np.float64(0.02),
        "batch_size": np.int64(32),
        "k": 5,
    }
    method("GBMix", **given).fit(X, y, s).save(tmp_path / "model")
    loaded = load_model(tmp_path / "model", device="cpu").get_params()
    for name, value in given.items():
        assert str(loaded[name]) == str(value)
    assert loaded["device"] == "cpu"
    assert loaded["random_state"] == 0
    assert loaded["refit__C"] == 0.3


def test_what_cannot_be_stored_is_left_out_or_refused(tmp_path):
    X, y, s = problem()
    model = method("GBMix", random_state=np.random.RandomState(0), callbacks=[EpochTimer()])
    model.fit(X, y, s).save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.random_state is None
    assert loaded.callbacks is None

    lda = method("GBMix", refit=LinearDiscriminantAnalysis()).fit(X, y, s)
    with pytest.raises(TypeError, match=r"sklearn\.linear_model.*LinearDiscriminantAnalysis"):
        lda.save(tmp_path / "lda")
    assert not (tmp_path / "lda").exists()


def test_classes_of_others_are_refused_when_saving_not_when_loading(tmp_path):
    class Own(GBMixClassifier):
        pass

    X, y, s = problem()
    with pytest.raises(TypeError, match=r"Own.*pickle"):
        Own(max_epochs=1, random_state=0).fit(X, y, s).save(tmp_path)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["nö", "yes"]),
        np.array([-5, 10**12]),
        np.array([False, True]),
        np.array([0.0, 2.0]),
        np.array([0, 255], dtype=np.uint8),
        np.array(["a", "bb"], dtype=object),
    ],
    ids=lambda labels: str(labels.dtype),
)
@pytest.mark.parametrize(
    "values", [["f", "m"], [0, 7], [True, False], [0.5, 1.5], [-3, "x"]], ids=str
)
def test_labels_and_groups_of_every_kind(labels, values, tmp_path):
    X, y, s = problem()
    groups = np.array(values, dtype=object)[s]
    model = method("ERM").fit(X, labels[y], groups)
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.classes_.dtype == model.classes_.dtype
    assert loaded.predict(X).tolist() == model.predict(X).tolist()
    assert list(loaded.group_table_.index) == list(model.group_table_.index)
    report = loaded.group_report(X, labels[y], groups)
    pd.testing.assert_frame_equal(report, model.group_report(X, labels[y], groups))


def test_several_attributes_and_absent_cells(tmp_path):
    X, y, s = problem()
    groups = pd.DataFrame({"target": np.where(y == 0, s, 0), "age": np.arange(200) // 4 % 2})
    model = method("GBMix").fit(X, y, groups)
    assert (model.group_table_["count"] == 0).any()
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    pd.testing.assert_frame_equal(loaded.group_table_, model.group_table_, check_index_type=False)
    assert (loaded.predict_proba(X) == model.predict_proba(X)).all()


def test_loading_touches_no_global_random_state(fitted, tmp_path):
    fitted[0].save(tmp_path)
    before = torch.get_rng_state()
    load_model(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


# ---------------------------------------------------------------------------- backbones


@pytest.mark.parametrize("trainable", [True, False])
def test_a_backbone_is_given_its_weights(trainable, tmp_path):
    X, y, s = images()
    model = method("GBMix", backbone=backbone(), trainable=trainable).fit(X, y, s)
    model.save(tmp_path)
    given = backbone()
    before = given[0].weight.clone()
    loaded = load_model(tmp_path, backbone=given)
    assert (loaded.predict_proba(X) == model.predict_proba(X)).all()
    assert torch.equal(given[0].weight, before)  # the caller's module does not change
    with pytest.raises(ValueError, match=r"code is not stored.*backbone="):
        load_model(tmp_path)
    with pytest.raises(ValueError, match="the backbone does not fit the saved weights"):
        load_model(tmp_path, backbone=nn.Sequential(nn.Flatten(), nn.Linear(192, 4)))


class Tied(nn.Module):
    """Two layers that share their weights, and a buffer that is a part of another."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 5), nn.Linear(5, 5)
        self.b.weight = self.a.weight
        self.register_buffer("scales", torch.linspace(0.5, 1.5, 10))
        self.register_buffer("upper", self.scales[5:])

    def forward(self, x):
        return self.b(torch.relu(self.a(x * self.upper)))


@pytest.mark.parametrize("trainable", [True, False])
def test_tied_weights_are_saved(trainable, tmp_path):
    X, y, s = problem()
    model = method("ERM", backbone=Tied(), trainable=trainable).fit(X, y, s)
    model.save(tmp_path)
    loaded = load_model(tmp_path, backbone=Tied())
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
    loaded.save(tmp_path)


class Packed(nn.Linear):
    """Has a state that is no tensor, as quantised layers have."""

    def get_extra_state(self):
        return torch.qint8

    def set_extra_state(self, state):
        pass


def test_states_that_are_no_tensors_are_named(tmp_path):
    X, y, s = problem()
    model = method("ERM", backbone=Packed(X.shape[1], 4), trainable=False).fit(X, y, s)
    with pytest.raises(TypeError, match=r"state of the backbone has '_extra_state'.*pickle"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_backbone_that_was_not_there_is_refused(fitted, tmp_path):
    fitted[0].save(tmp_path)
    with pytest.raises(ValueError, match="the backbone does not fit"):
        load_model(tmp_path, backbone=nn.Linear(5, 5))


# ---------------------------------------------------------------------------- damage


def test_nothing_in_the_folder_can_be_executed(tmp_path):
    X, y, s = images()
    method("GBMix", backbone=backbone(), trainable=False).fit(X, y, s).save(tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]
    document = json.loads((tmp_path / "model.json").read_text())
    assert document["content"]["class"] == "GBMixClassifier"
    header_size = int.from_bytes(weights_file(tmp_path).read_bytes()[:8], "little")
    header = json.loads(weights_file(tmp_path).read_bytes()[8 : 8 + header_size])
    assert all({"dtype", "shape", "data_offsets"} == set(tensor) for tensor in header.values())


def alter_text(text, old, new):
    assert old in text
    return text.replace(old, new, 1)


DAMAGE = {
    "truncated weights": (lambda f: weights_file(f), lambda b: b[:-10], "truncated or was altered"),
    "altered weights": (
        lambda f: weights_file(f),
        lambda b: b[:-1] + bytes([b[-1] ^ 1]),
        "truncated or was altered",
    ),
    "truncated text": (lambda f: f / "model.json", lambda b: b[: len(b) // 2], "truncated"),
    "empty text": (lambda f: f / "model.json", lambda b: b"", "truncated"),
    "another text": (lambda f: f / "model.json", lambda b: b"[1, 2]", "not a saved model"),
    "altered text": (
        lambda f: f / "model.json",
        lambda b: b.replace(b'"best_epoch": ', b'"best_epoch": 1'),
        "altered after it was saved",
    ),
    "another format": (
        lambda f: f / "model.json",
        lambda b: b.replace(b'"format": 3', b'"format": 999'),
        "format 999.*reads format 3",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_noticed_and_the_file_named(kind, fitted, tmp_path):
    fitted[0].save(tmp_path)
    find, damage, match = DAMAGE[kind]
    path = find(tmp_path)
    before = path.read_bytes()
    path.write_bytes(damage(before))
    assert path.read_bytes() != before
    with pytest.raises(GBMixError, match=match) as error:
        load_model(tmp_path)
    assert path.name in str(error.value)


def test_missing_files_are_named(fitted, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no saved model.*model\.json"):
        load_model(tmp_path / "nowhere")
    fitted[0].save(tmp_path)
    weights = weights_file(tmp_path)
    weights.unlink()
    with pytest.raises(GBMixError, match=rf"incomplete: {weights.name}"):
        load_model(tmp_path)


def test_weights_outside_the_folder_are_not_read(fitted, tmp_path):
    """A name with a path in it, with a checksum that fits, leads nowhere."""
    fitted[0].save(tmp_path / "model")
    text = tmp_path / "model" / "model.json"
    document = json.loads(text.read_text())
    name = document["content"]["weights"]
    shutil.move(tmp_path / "model" / name, tmp_path / name)
    document["content"]["weights"] = f"../{name}"
    content = json.dumps(document["content"], indent=1).encode()
    document["sha256"] = hashlib.sha256(content).hexdigest()
    text.write_text(json.dumps(document, indent=1))
    with pytest.raises(GBMixError, match="names no file of weights"):
        load_model(tmp_path / "model")


# ---------------------------------------------------------------------------- saving over


def test_an_unfitted_model_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        method("GBMix").save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_other_peoples_files_are_not_touched(fitted, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds other files"):
        fitted[0].save(tmp_path)
    with pytest.raises(FileExistsError, match="is a file"):
        fitted[0].save(tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_saving_over_a_model_replaces_it(fitted, tmp_path):
    model, X, y, s = fitted
    method("ERM").fit(X, y, s).save(tmp_path)
    model.save(str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 2
    assert (load_model(tmp_path).predict_proba(X) == model.predict_proba(X)).all()
    model.save(tmp_path)  # the same once more
    assert (load_model(tmp_path).predict_proba(X) == model.predict_proba(X)).all()


@pytest.mark.parametrize("fails_at", [1, 2])
def test_an_interrupted_save_leaves_the_old_model(fails_at, fitted, tmp_path, monkeypatch):
    model, X, y, s = fitted
    model.save(tmp_path)
    other = method("ERM").fit(X, y, s)
    calls = []
    real = _saved_files.replace_file

    def replace_file(path, write):
        calls.append(path)
        if len(calls) == fails_at:
            raise OSError("disk full")
        real(path, write)

    with monkeypatch.context() as patch:
        patch.setattr(_saved_files, "replace_file", replace_file)
        with pytest.raises(OSError, match="disk full"):
            other.save(tmp_path)
    assert (load_model(tmp_path).predict_proba(X) == model.predict_proba(X)).all()
    other.save(tmp_path)  # and the next save tidies up
    assert len(list(tmp_path.iterdir())) == 2
    assert (load_model(tmp_path).predict_proba(X) == other.predict_proba(X)).all()
