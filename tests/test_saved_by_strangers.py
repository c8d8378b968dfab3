"""Model folders that were changed on purpose, with a checksum that fits: refused, and at once."""

import hashlib
import json
import os
import resource
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from gbmix_sklearn import GBMixError, load_model
from gbmix_sklearn.cli import app

from .estimators.problems import method, problem
from .estimators.test_images import pictures, small


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model with a hidden layer, and one with a frozen backbone."""
    folder = tmp_path_factory.mktemp("models")
    X, y, s = problem()
    method("GBMix", hidden_units=(6,)).fit(X, y, s).save(folder / "hidden")
    X, y, s = pictures()
    cache = folder / "cache"
    small("ERM", trainable=False, max_epochs=1, cache_dir=cache).fit(X, y, s).save(
        folder / "images"
    )
    return folder


@pytest.fixture
def change(saved, tmp_path):
    """Copy a model and change it, so that its checksums fit."""

    def changed(name, edit=None, weights=None):
        folder = tmp_path / name
        shutil.copytree(saved / name, folder)
        content = json.loads((folder / "model.json").read_bytes())["content"]
        if weights is not None:
            path = folder / content["weights"]
            tensors = load(path.read_bytes())
            weights(tensors)
            path.write_bytes(save(tensors))
            content["weights_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        if edit is not None:
            edit(content)
        text = json.dumps(content, indent=1)
        digest = hashlib.sha256(text.encode()).hexdigest()
        document = {"format": 3, "sha256": digest, "content": content}
        (folder / "model.json").write_text(json.dumps(document))
        return folder

    return changed


def put(content, *path):
    *path, last, value = path
    for name in path:
        content = content[name]
    content[last] = value


HIDDEN = [
    ("class", ["GBMixClassifier"]),
    ("class", "GroupClassifier"),
    ("parameters", None),
    ("parameters", "nonsense", 1),
    ("parameters", "max_epochs", "many"),
    ("parameters", "hidden_units", [6, 10**9]),
    ("parameters", "hidden_units", 3),
    ("parameters", "refit", {"linear_model": "lasso_path", "parameters": {"X": 1}}),
    ("parameters", "callbacks", [1]),
    ("classes", {"dtype": "<i8", "values": [0]}),
    ("classes", {"dtype": "<i8", "values": [1, 1]}),
    ("classes", {"dtype": "<i8", "values": list(range(100_000))}),
    ("n_hidden_inputs", 10**9),
    ("n_hidden_inputs", -1),
    ("n_hidden_inputs", True),
    ("n_embedding", 7),
    ("input_shape", [3, 3]),
    ("n_features_in", "4"),
    ("feature_names_in", ["a"]),
    ("group_columns", {}),
    ("groups", "names", "x"),
    ("groups", "cells", [[{}, 1]] * 4),
    ("groups", "cells", []),
    ("groups", "count", [1.5] * 4),
    ("head", "class", "LinearRegression"),
    ("head", "parameters", {"solver": "none"}),
    ("best_epoch", 10**6),
    ("history", {"epoch": [1, 2], "lr": [1]}),
    ("history", {"epoch": [[1]]}),
    ("epochs", [3]),
    ("steps", {}),
    ("steps", {"lr": -1, "weight_decay": 0}),
    ("parameters", "trainable", "layer4"),
    ("parameters", "image_size", 32),
    ("steps", {"lr": "fast", "weight_decay": 0}),
    ("weights", None),
    ("weights", "../weights-0123456789abcdef.safetensors"),
    ("weights_sha256", 3),
    ("backbone", {}),
    ("backbone", {"name": "resnet18"}),
]


@pytest.mark.parametrize("path", HIDDEN, ids=str)
def test_what_cannot_be_is_refused(change, path):
    with pytest.raises(GBMixError):
        load_model(change("hidden", lambda content: put(content, *path)))


@pytest.mark.parametrize("name", ["classes", "groups", "head", "history", "parameters", "epochs"])
def test_what_is_missing_is_refused(change, name):
    with pytest.raises(GBMixError, match=rf"model\.json.*{name}"):
        load_model(change("hidden", lambda content: content.pop(name)))


IMAGES = [
    ("backbone", "name", "vit_giant_patch14_clip_224"),
    ("backbone", "name", "hf_hub:someone/something"),
    ("backbone", "name", ["test_resnet"]),
    ("backbone", "dtype", "float64"),
    ("backbone", "is_cut", 3),
    ("backbone", "preprocess", "input_size", [3, 10**6, 10**6]),
    ("backbone", "preprocess", "crop_pct", 1e-9),
    ("backbone", "preprocess", "std", [0, 1, 1]),
    ("backbone", "preprocess", "mean", "black"),
    ("backbone", "preprocess", "interpolation", "os.system"),
    ("backbone", "preprocess", "vflip", 1),
    ("backbone", "preprocess", "crop_mode", "x"),
    ("parameters", "trainable", "nowhere"),
    ("parameters", "trainable", True),
    ("parameters", "image_size", 10**6),
]


@pytest.mark.parametrize("path", IMAGES, ids=str)
def test_backbones_that_cannot_be_are_refused(change, path):
    with pytest.raises(GBMixError):
        load_model(change("images", lambda content: put(content, *path)))


def test_the_unchanged_ones_are_not(change):
    for name in ("hidden", "images"):
        load_model(change(name))


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        (("classes", {"dtype": "S1900000000", "values": ["no", "yes"]}), 300 << 20),
        (("n_hidden_inputs", 3 * 10**8), 300 << 20),
        (("parameters", "hidden_units", [2 * 10**8]), 300 << 20),
    ],
    ids=["labels", "inputs", "units"],
)
def test_a_small_file_takes_little_memory(change, path, limit):
    folder = change("hidden", lambda content: put(content, *path))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(GBMixError):
        load_model(folder)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < limit


def test_no_path_of_another_machine_is_taken_over(saved, change, tmp_path):
    text = (saved / "images" / "model.json").read_text()
    assert str(saved) not in text  # nor is it told to others
    paths = ("cache_dir", "checkpoint_dir", "image_root", "pretrained")
    names = dict.fromkeys(paths, str(tmp_path / "elsewhere"))
    model = load_model(change("images", lambda content: content["parameters"].update(names)))
    assert [getattr(model, name) for name in paths] == [None, None, None, True]
    X, _, _ = pictures()
    model.predict(X[:4])
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("start", ["net.embedding", "net.head", "head.coef_", "head.intercept_"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(change, start, value):
    def spoil(tensors):
        for name in tensors:
            if name.startswith(start):
                tensors[name].view(-1)[0] = value

    with pytest.raises(GBMixError, match="NaN or infinite"):
        load_model(change("hidden", weights=spoil))


@pytest.mark.parametrize(
    "edit",
    [
        lambda tensors: tensors.pop("head.coef_"),
        lambda tensors: tensors.update({"head.coef_": torch.zeros(1, 6, dtype=torch.int64)}),
        lambda tensors: tensors.update({"net.head.weight": torch.zeros(6)}),
    ],
    ids=["missing", "whole numbers", "flat"],
)
def test_weights_of_other_shapes_and_types_are_refused(change, edit):
    with pytest.raises(GBMixError, match="cannot be"):
        load_model(change("hidden", weights=edit))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 10_000, "\x00", "null"])
def test_text_that_is_no_model_is_refused(change, text):
    folder = change("hidden")
    (folder / "model.json").write_text(text)
    with pytest.raises(GBMixError, match="not a saved model"):
        load_model(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("pattern", ["model.json", "*.safetensors"])
def test_a_pipe_in_place_of_a_file_is_refused_at_once(change, pattern, capsys):
    folder = change("hidden")
    (path,) = folder.glob(pattern)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(GBMixError, match="no plain file"):
        load_model(folder)
    with pytest.raises(SystemExit) as end:
        app(["predict", str(folder), "rows.csv", "-o", "out.csv"])
    assert end.value.code == 2
    assert "report it" not in capsys.readouterr().err


def test_loading_calls_nothing_that_the_file_names(change, monkeypatch):
    """A function that would be called by name does not exist for the loader."""
    import sklearn.linear_model

    monkeypatch.setattr(
        sklearn.linear_model, "enet_path", partial(pytest.fail, "called"), raising=True
    )
    refit = {"linear_model": "enet_path", "parameters": {}}
    with pytest.raises(GBMixError, match="enet_path"):
        load_model(change("hidden", lambda content: put(content, "parameters", "refit", refit)))
