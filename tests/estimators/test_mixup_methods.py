"""The classifiers of the mixup family: matrices, images, modules, and what each refuses."""

import numpy as np
import pytest
import torch
from torch import nn

from gbmix_sklearn import MixupClassifier, load_model
from gbmix_sklearn.criteria import CutMixCriterion
from gbmix_sklearn.criteria import _manifold_mixup as manifold_mixup
from gbmix_sklearn.estimators._mixup import (
    CutMixClassifier,
    ManifoldMixupClassifier,
    RegMixupClassifier,
    ReMixClassifier,
)
from gbmix_sklearn.groups import make_cells

from ..training.test_checkpoints import killed_after, outcome
from .problems import FAST, images, problem
from .test_images import SMALL, pictures

ON_MATRICES = {
    "RegMixup": RegMixupClassifier,
    "ReMix": ReMixClassifier,
    "Manifold Mixup": ManifoldMixupClassifier,
}
ALL = ON_MATRICES | {"CutMix": CutMixClassifier}
every_method = pytest.mark.parametrize("name", ALL)
every_method_on_matrices = pytest.mark.parametrize("name", ON_MATRICES)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def convolutions():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2))


def small(name, **parameters):
    return ALL[name]("resnet10t", **(FAST | SMALL | parameters))


@pytest.fixture
def places(monkeypatch):
    """Tell in which modules of a fitted network manifold mixup mixed."""
    modules = []
    real = manifold_mixup._mixing_at

    def watched(module, *args):
        modules.append(module)
        return real(module, *args)

    monkeypatch.setattr(manifold_mixup, "_mixing_at", watched)

    def names_in(model):
        named = model.net_.raw_module.named_modules()
        names = {name for name, module in named if module in modules}
        assert len(names) == len(set(modules))
        modules.clear()
        return names

    return names_in


# ---------------------------------------------------------------------------- matrices


@every_method_on_matrices
@pytest.mark.parametrize("hidden_units", [(), (8, 8)])
@pytest.mark.parametrize(("n_classes", "n_values"), [(2, 2), (3, 3), (2, 1)])
def test_any_number_of_classes_and_values_is_learnt(name, hidden_units, n_classes, n_values):
    X, y, s = problem(300, n_classes, n_values)
    model = ALL[name](hidden_units=hidden_units, **(FAST | {"max_epochs": 20, "lr": 0.03}))
    assert model.fit(X, y, s).score(X, y) > 0.85


@every_method_on_matrices
def test_groups_only_choose_the_epoch(name):
    X, y, s = problem()
    options = FAST | {"validation_fraction": None}
    with_groups, without = (ALL[name](**options).fit(X, y, groups) for groups in (s, None))
    assert np.array_equal(with_groups.head_.coef_, without.head_.coef_)


@every_method_on_matrices
def test_a_killed_run_goes_on_to_the_same_bits(name, tmp_path):
    X, y, s = problem()
    options = FAST | {"hidden_units": (4,)}
    whole = ALL[name](**options).fit(X, y, s)
    model = ALL[name](**options, checkpoint_dir=tmp_path)
    with killed_after(1):
        model.fit(X, y, s)
    assert outcome(model.fit(X, y, s)) == outcome(whole)


@every_method_on_matrices
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains(name, precision):
    X, y, s = problem()
    model = ALL[name](hidden_units=(8,), precision=precision, **(FAST | {"max_epochs": 15}))
    assert model.fit(X, y, s).score(X, y) > 0.85


def test_remix_counts_the_classes_of_the_training_part():
    _, y, s = problem(300)
    keep = (y == 0) | (np.arange(300) % 5 == 0)
    criterion = ReMixClassifier(kappa=2.0, tau=0.25, alpha=0.5)._make_criterion(
        make_cells(y[keep], s[keep])
    )
    assert criterion.counts.tolist() == np.bincount(y[keep]).tolist()
    assert (criterion.kappa, criterion.tau, criterion.alpha) == (2.0, 0.25, 0.5)


def test_remix_finds_more_of_a_rare_class_than_mixup():
    rng = np.random.default_rng(0)
    y = (rng.random(2000) < 0.05).astype(int)
    X = (rng.normal(size=(2000, 4)) + 1.5 * y[:, None] * [1, 0, 0, 0]).astype(np.float32)
    found = [
        cls(random_state=0, max_epochs=10, validation_fraction=None)
        .fit(X, y)
        .predict(X)[y == 1]
        .mean()
        for cls in (MixupClassifier, ReMixClassifier)
    ]
    assert found[1] > found[0] + 0.05


def test_regmixup_with_no_weight_is_empirical_risk_minimisation():
    X, y, _ = problem()
    criterion = RegMixupClassifier(eta=0.0)._make_criterion(make_cells(y))
    model = nn.Linear(5, 2)
    x, y = torch.from_numpy(X), torch.from_numpy(y)
    clean = nn.functional.cross_entropy(model(x), y).item()
    assert criterion(model, x, y).item() == pytest.approx(clean, rel=1e-6)


# ---------------------------------------------------------------------------- manifold mixup


def test_manifold_mixup_mixes_behind_hidden_layers_and_at_the_embedding(places):
    X, y, s = problem()
    model = ManifoldMixupClassifier(hidden_units=(8, 4), **FAST).fit(X, y, s)
    assert places(model) == {"embedding.0.1", "embedding"}


def test_manifold_mixup_of_a_matrix_alone_is_mixup(places):
    X, y, s = problem()
    assert places(ManifoldMixupClassifier(**FAST).fit(X, y, s)) == set()


@pytest.mark.parametrize(
    ("trainable", "expected"),
    [
        (True, {"embedding.0.layer1", "embedding.0.layer2", "embedding"}),
        (1, {"embedding"}),
        (False, set()),
    ],
)
def test_manifold_mixup_mixes_within_a_timm_model(places, trainable, expected):
    X, y, s = pictures()
    model = small("Manifold Mixup", trainable=trainable, batch_size=4).fit(X, y, s)
    assert places(model) == expected
    assert np.isfinite(model.predict_proba(X)).all()


def test_manifold_mixup_mixes_the_embedding_of_a_module(places):
    X, y, s = images()
    model = ManifoldMixupClassifier(convolutions(), **(FAST | {"batch_size": 4})).fit(X, y, s)
    assert places(model) == {"embedding"}


def test_manifold_mixup_of_a_compiled_network_gives_the_same(places, monkeypatch):
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda module, **_: real(module, backend="aot_eager"))
    X, y, s = problem()
    coefs = []
    for compiled in (False, True):
        model = ManifoldMixupClassifier(compile=compiled, hidden_units=(8, 4), **FAST).fit(X, y, s)
        assert places(model) == {"embedding.0.1", "embedding"}
        assert hasattr(model.net_.module_, "_orig_mod") == compiled
        coefs.append(model.head_.coef_)
    assert coefs[1] == pytest.approx(coefs[0], abs=1e-5)


# ---------------------------------------------------------------------------- images


@every_method
@pytest.mark.parametrize(
    "part",
    [{}, {"trainable": 1}, {"trainable": 1, "augment": "flip"}, {"hidden_units": (4,)}],
    ids=str,
)
def test_images_are_trained_on_and_the_model_is_saved(name, part, tmp_path):
    X, y, s = pictures()
    model = small(name, **part).fit(X, y, s)
    probabilities = model.predict_proba(X)
    assert np.isfinite(probabilities).all()
    model.save(tmp_path)
    assert np.array_equal(load_model(tmp_path, device="cpu").predict_proba(X), probabilities)


@every_method
def test_a_module_learns_from_arrays(name):
    X, y, s = images(96)
    options = FAST | {"max_epochs": 25, "lr": 0.05, "batch_size": 16, "patience": None}
    assert ALL[name](convolutions(), **options).fit(X, y, s).score(X, y) > 0.85


def test_cutmix_is_told_apart_from_plain_training_by_its_probability():
    X, y, s = images()
    options = FAST | {"validation_fraction": None}
    never, always = (CutMixClassifier(convolutions(), p=p, **options) for p in (0.0, 1.0))
    assert not np.array_equal(never.fit(X, y, s).head_.coef_, always.fit(X, y, s).head_.coef_)
    assert never._make_criterion(None).p == 0


def test_cutmix_cuts_images_also_where_stages_are_frozen(monkeypatch):
    seen = []
    real = CutMixCriterion.forward

    def forward(self, model, x, y, s=None):
        seen.append(tuple(x.shape[1:]))
        return real(self, model, x, y, s)

    monkeypatch.setattr(CutMixCriterion, "forward", forward)
    model = small("CutMix", trainable=1).fit(*pictures())
    assert set(seen) == {(3, 32, 32)}
    assert model.backbone_ is None  # nothing is cut off


def test_cutmix_refuses_what_is_no_image():
    X, y, s = problem()
    with pytest.raises(ValueError, match="CutMixClassifier is for images only"):
        CutMixClassifier(**FAST).fit(X, y, s)
    with pytest.raises(ValueError, match=r"x must have 4 dimensions.*of shape \(\d+, 5\)"):
        CutMixClassifier(nn.Linear(5, 4), **FAST).fit(X, y, s)


def test_cutmix_refuses_images_that_went_through_a_frozen_backbone():
    X, y, s = pictures()
    with pytest.raises(ValueError, match="trainable=False it would see their embeddings only"):
        small("CutMix", trainable=False).fit(X, y, s)
    with pytest.raises(ValueError, match="trainable=False"):
        CutMixClassifier(convolutions(), trainable=False, **FAST).fit(*images())


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (RegMixupClassifier(alpha=0), "alpha"),
        (RegMixupClassifier(eta=-1), "eta"),
        (ReMixClassifier(kappa=0.5), "kappa"),
        (ReMixClassifier(tau=1.5), "tau"),
        (ReMixClassifier(alpha=-1), "alpha"),
        (CutMixClassifier(p=2), "p"),
        (CutMixClassifier(alpha="1"), "alpha"),
        (ManifoldMixupClassifier(alpha=None), "alpha"),
    ],
)
def test_parameters_out_of_range_are_named(model, name):
    X, y, s = problem()
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        model.fit(X, y, s)
