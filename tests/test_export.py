"""Classifiers as ONNX graphs: the same numbers, checked before a file is replaced."""

import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeClassifier, SGDClassifier
from sklearn.utils.fixes import parse_version

from gbmix_sklearn import GBMixClassifier, GBMixError, export

from .estimators.problems import images, method, problem
from .estimators.test_images import pictures, small

pytestmark = pytest.mark.skipif(
    parse_version(torch.__version__) < parse_version("2.8"),
    reason="export_onnx needs torch 2.8 or later",
)

CONFIGURATIONS = {
    "linear": {},
    "hidden": {"hidden_units": (6, 4)},
    "refitted": {"hidden_units": (6,), "refit": "logistic"},
    "ridge": {"refit": RidgeClassifier()},
    "stochastic": {"refit": SGDClassifier(loss="log_loss", random_state=0)},
}


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run(path, **inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_matrix_goes_to_the_same_decision(configuration, n_classes, tmp_path):
    X, y, s = problem(n_classes=n_classes)
    model = method("GBMix", **CONFIGURATIONS[configuration]).fit(X, y, s)
    model.export_onnx(tmp_path / "model.onnx")
    for n in (1, 2, 7, 200):
        outputs = run(tmp_path / "model.onnx", X=X[:n])
        assert outputs["decision"] == pytest.approx(model.decision_function(X[:n]), abs=1e-4)
        is_logistic = configuration not in ("ridge", "stochastic")
        assert ("probabilities" in outputs) == is_logistic
        if is_logistic:
            assert outputs["probabilities"] == pytest.approx(model.predict_proba(X[:n]), abs=1e-5)


@pytest.mark.parametrize("trainable", [True, False])
def test_a_module_is_in_the_graph(trainable, tmp_path):
    X, y, s = images()
    backbone = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Dropout(0.5)
    )
    model = method("ERM", backbone=backbone, trainable=trainable, hidden_units=(5,)).fit(X, y, s)
    model.export_onnx(tmp_path / "model.onnx")
    outputs = run(tmp_path / "model.onnx", X=X[:5])
    assert outputs["decision"] == pytest.approx(model.decision_function(X[:5]), abs=1e-4)


@pytest.mark.parametrize(
    "parameters",
    [
        {"trainable": True},
        {"trainable": False},
        {"trainable": 1, "hidden_units": (4,)},
        {"backbone": "mobilenetv2_100", "max_epochs": 1},
        {"backbone": "vit_tiny_patch16_224", "trainable": 1, "max_epochs": 1},
    ],
    ids=str,
)
def test_pixels_go_to_the_same_decision(parameters, tmp_path):
    X, _, s = pictures(size=(32, 32))  # what the backbone sees, so that they pass untouched
    model = small(**parameters).fit(X, np.array(["no", "yes", "?"])[np.arange(48) % 3], s)
    model.export_onnx(tmp_path / "model.onnx")
    outputs = run(tmp_path / "model.onnx", pixels=X[:5])
    expected = model.decision_function(X[:5])
    assert outputs["decision"] == pytest.approx(expected, abs=1e-3 * float(abs(expected).max()))
    assert outputs["probabilities"] == pytest.approx(model.predict_proba(X[:5]), abs=1e-3)
    found = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(found)
    metadata = {entry.key: entry.value for entry in found.metadata_props}
    assert metadata["classifier"] == "GBMixClassifier"
    assert json.loads(metadata["classes"]) == ["?", "no", "yes"]
    assert json.loads(metadata["preprocessing"])["input_size"] == [3, 32, 32]


def test_the_classifier_is_left_as_it_is(tmp_path):
    X, y, s = pictures()
    model = small("ERM", precision="bf16").fit(X, y, s)
    before = model.predict_proba(X)
    training = model.net_.raw_module.training
    state = torch.get_rng_state()
    model.export_onnx(tmp_path / "model.onnx")
    assert torch.equal(torch.get_rng_state(), state)
    assert model.net_.raw_module.training == training
    assert np.array_equal(model.predict_proba(X), before)


def test_a_graph_that_computes_something_else_replaces_nothing(tmp_path, monkeypatch):
    X, y, s = problem()
    model = method("ERM").fit(X, y, s)
    path = tmp_path / "model.onnx"
    model.export_onnx(path)
    old = path.read_bytes()

    class Wrong:
        def __init__(self, content, providers):
            self.session = onnxruntime.InferenceSession(content, providers=providers)

        def run(self, names, inputs):
            return [output + 0.1 for output in self.session.run(names, inputs)]

    class Runtime:
        InferenceSession = Wrong

    monkeypatch.setattr(export, "_import_onnx", lambda: Runtime)
    with pytest.raises(GBMixError, match="decision is not that of the classifier"):
        model.export_onnx(path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


class Branch(torch.nn.Linear):
    """Does something else for one sample, which a graph cannot."""

    def forward(self, x):
        return super().forward(x.reshape(len(x), -1) if x.shape[0] > 1 else x.reshape(1, -1))


def test_a_graph_that_takes_one_number_of_samples_is_refused(tmp_path):
    X, y, s = problem()
    model = method("ERM", backbone=Branch(X.shape[1], 4)).fit(X, y, s)
    with pytest.raises(GBMixError, match=r"cannot be (one graph|written)"):
        model.export_onnx(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    X, y, s = problem()
    with pytest.raises(NotFittedError):
        GBMixClassifier().export_onnx(tmp_path / "model.onnx")
    model = method("ERM").fit(X, y, s)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"onnxruntime: pip install 'gbmix-sklearn\[onnx\]'"):
        model.export_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_an_exporter_that_is_too_old_is_named(monkeypatch, tmp_path):
    X, y, s = problem()
    model = method("GBMix").fit(X, y, s)
    monkeypatch.setattr(torch, "__version__", "2.7.1+cpu")
    with pytest.raises(ImportError, match=r"torch 2\.8 or later.*2\.7\.1"):
        model.export_onnx(tmp_path / "model.onnx")
