"""Modules as backbones: trained or frozen, inputs of any shape, the caller's module untouched."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from gbmix_sklearn import ERMClassifier
from gbmix_sklearn.estimators import METHODS

from .problems import images, method, problem

every_method = pytest.mark.parametrize("name", METHODS)
every_method_on_vectors = pytest.mark.parametrize(
    "name", [name for name, cls in METHODS.items() if not cls._images_only]
)


class Counting(nn.Module):
    """A small convolution that notes what passes through it."""

    seen: list  # of all copies

    def __init__(self, norm=True):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6) if norm else nn.Identity(), nn.ReLU()
        )

    def forward(self, x):
        type(self).seen.append((len(x), self.training))
        return self.body(x).mean((2, 3))


@pytest.fixture(autouse=True)
def _nothing_seen():
    Counting.seen = []


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@every_method
def test_a_trained_backbone_learns_and_the_callers_module_does_not_change(name):
    X, y, s = images(96)
    backbone = Counting()
    before, training = state(backbone), backbone.training
    model = method(name, backbone=backbone, max_epochs=10, lr=0.05, batch_size=16).fit(X, y, s)
    assert same(before, state(backbone))
    assert backbone.training is training
    trained = state(model.net_.raw_module.embedding[0])
    assert not torch.equal(trained["body.0.weight"], before["body.0.weight"])
    assert not torch.equal(trained["body.1.running_mean"], before["body.1.running_mean"])
    assert model.score(X, y) > 0.9
    assert model.backbone_ is None
    assert model.transform(X).shape == (96, 6)
    assert (model.head_.predict(model.transform(X)) == model.predict(X)).all()


@every_method_on_vectors
def test_a_frozen_backbone_embeds_everything_once(name):
    X, y, s = images(96)
    backbone = Counting()
    before = state(backbone)
    model = method(name, backbone=backbone, trainable=False, max_epochs=5, refit="logistic")
    model.fit(X, y, s, X_val=X[:20], y_val=y[:20], groups_val=s[:20])
    assert sum(n for n, _ in Counting.seen) == 96 + 20
    assert not any(training for _, training in Counting.seen)
    assert same(before, state(backbone))
    assert same(before, state(model.backbone_))
    assert model.backbone_ is not backbone


def test_a_frozen_backbone_is_the_same_as_its_embeddings():
    X, y, s = images(96)
    backbone = Counting().eval()
    with torch.no_grad():
        Z = backbone(torch.from_numpy(X)).numpy()
    inside = method("GBMix", backbone=backbone, trainable=False, refit="logistic").fit(X, y, s)
    outside = method("GBMix", refit="logistic").fit(Z, y, s)
    assert inside.head_.coef_ == pytest.approx(outside.head_.coef_, rel=1e-4, abs=1e-5)
    assert inside.predict_proba(X) == pytest.approx(outside.predict_proba(Z), abs=1e-5)
    assert inside.transform(X) == pytest.approx(Z, abs=1e-6)


def test_batch_statistics_do_not_see_the_selection_forward():
    """GBMix looks at each batch once to find its target: the statistics are of mixed batches."""
    X, y, s = images(64)
    backbone = Counting()
    options = {"max_epochs": 1, "batch_size": 16, "validation_fraction": None, "refit": None}
    model = method("GBMix", backbone=backbone, **options).fit(X, y, s)
    training = [n for n, training in Counting.seen if training]
    assert training == [16] * 4
    tracked = model.net_.raw_module.embedding[0].body[1].num_batches_tracked
    assert tracked == 4


@pytest.mark.parametrize("trainable", [True, False])
def test_same_seed_same_weights_with_a_backbone(trainable):
    X, y, s = images()
    options = {"backbone": Counting(), "trainable": trainable, "hidden_units": (4,)}
    first, second = (method("GBMix", **options).fit(X, y, s) for _ in range(2))
    assert same(first.net_.raw_module.state_dict(), second.net_.raw_module.state_dict())
    assert np.array_equal(first.head_.coef_, second.head_.coef_)


def test_dropout_is_seeded_and_off_in_prediction():
    X, y, s = problem()
    backbone = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.5))
    first, second = (method("ERM", backbone=backbone).fit(X, y, s) for _ in range(2))
    assert np.array_equal(first.head_.coef_, second.head_.coef_)
    assert (first.predict_proba(X) == first.predict_proba(X)).all()


@every_method_on_vectors
def test_a_module_on_a_matrix(name):
    X, y, s = problem()
    model = method(name, backbone=nn.Linear(5, 3), max_epochs=12).fit(X, y, s)
    assert model.n_features_in_ == 5
    assert model.score(X, y) > 0.8


def test_a_lazy_module_takes_its_size_from_the_data():
    X, y, s = problem()
    model = method("ERM", backbone=nn.LazyLinear(8), max_epochs=8).fit(X, y, s)
    assert model.score(X, y) > 0.8
    assert model.transform(X).shape == (200, 8)


def test_embeddings_of_several_dimensions_are_flattened():
    X, y, s = images()
    model = method("ERM", backbone=nn.Conv2d(3, 2, 3)).fit(X, y, s)
    assert model.transform(X).shape == (48, 2 * 6 * 6)
    assert model.head_.coef_.shape == (1, 72)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64, np.float16, bool])
def test_pixels_of_any_type_become_float32(dtype):
    X, y, s = images()
    X = (X > 0.5).astype(dtype)
    model = ERMClassifier(nn.Flatten(), max_epochs=2, random_state=0).fit(X, y, s)
    reference = ERMClassifier(nn.Flatten(), max_epochs=2, random_state=0)
    reference.fit(X.astype(np.float32), y, s)
    assert np.array_equal(model.head_.coef_, reference.head_.coef_)
    assert (model.predict_proba(X) == reference.predict_proba(X.astype(np.float32))).all()


def test_images_of_another_shape_are_refused():
    X, y, s = images()
    model = method("ERM", backbone=Counting()).fit(X, y, s)
    with pytest.raises(ValueError, match=r"shape \(3, 6, 8\), those in fit had \(3, 8, 8\)"):
        model.predict(X[:, :, :6])
    broken = X.copy()
    broken[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.predict(broken)


def test_inputs_that_do_not_fit_the_module_are_refused():
    X, y, s = images()
    with pytest.raises(ValueError, match=r"cannot process samples of shape \(3, 8, 8\)"):
        method("ERM", backbone=nn.Linear(5, 3)).fit(X, y, s)


def test_nan_in_images_is_refused():
    X, y, s = images()
    X[0, 1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        method("ERM", backbone=Counting()).fit(X, y, s)


def test_a_constructor_argument_is_the_backbone():
    X, y, s = images()
    backbone = Counting(norm=False)
    assert METHODS["GBMix"](backbone).get_params()["backbone"] is backbone
    copied = copy.deepcopy(METHODS["GBMix"](backbone, max_epochs=2))
    assert copied.fit(X, y, s).backbone is not backbone


@pytest.mark.parametrize("trainable", [True, False])
def test_pickles_with_a_backbone_predict_the_same(trainable):
    X, y, s = images()
    model = method("GBMix", backbone=nn.Sequential(nn.Flatten(), nn.Linear(192, 4)))
    model.set_params(trainable=trainable).fit(X, y, s)
    copied = pickle.loads(pickle.dumps(model))
    assert (copied.predict_proba(X) == model.predict_proba(X)).all()
    assert isinstance(copied.head_, LogisticRegression)
