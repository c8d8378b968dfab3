"""Images as X: every form, trained, frozen or cut, saved and loaded."""

import pickle
from itertools import product

import joblib
import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import (
    GBMixClassifier,
    OutOfMemoryError,
    SkippedImagesWarning,
    SmallCellWarning,
    SubgroupStratifiedKFold,
    TimmEmbedder,
    load_model,
    worst_group_accuracy_scorer,
)
from gbmix_sklearn.backbones import Backbone
from gbmix_sklearn.backbones import _memory_cache as memory_cache
from gbmix_sklearn.estimators import METHODS

from .problems import method

#: settings that make a fit of a small network take a second
SMALL = {"pretrained": False, "image_size": 32, "max_epochs": 2, "batch_size": 16, "device": "cpu"}
PARTS = {
    "trained": {},
    "frozen": {"trainable": False},
    "last stage": {"trainable": 1},
    "from a stage on": {"trainable": "layer3"},
    "frozen, hidden": {"trainable": False, "hidden_units": (4,)},
    "last stage, flipped": {"trainable": 1, "augment": "flip"},
    "trained, cropped": {"augment": "standard"},
}
every_part = pytest.mark.parametrize("part", PARTS)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    memory_cache._store.forget()
    yield
    torch.set_num_threads(threads)


def pictures(n=48, size=(40, 36), seed=0):
    """Photographs of noise whose class is their brightness and whose group is their colour."""
    rng = np.random.default_rng(seed)
    y, s = np.divmod(np.arange(n) % 4, 2)
    X = rng.integers(0, 120, size=(n, *size, 3))
    X += 120 * y[:, None, None, None]
    X[..., 0] //= 1 + s[:, None, None]
    return X.astype(np.uint8), np.array(["dark", "light"])[y], np.array(["a", "b"])[s]


def small(name="GBMix", backbone="resnet10t", **parameters):
    return method(name, **(SMALL | {"backbone": backbone} | parameters))


@pytest.fixture
def forwards(monkeypatch):
    """Number of images that went through a backbone outside of training."""
    seen = [0]
    real = Backbone.forward

    def forward(self, pixels):
        seen[0] += len(pixels)
        return real(self, pixels)

    monkeypatch.setattr(Backbone, "forward", forward)
    return seen


def saved_as_files(X, folder):
    names = [f"{number:03}.png" for number in range(len(X))]
    for name, pixels in zip(names, X, strict=True):
        Image.fromarray(pixels).save(folder / name)
    return names


# ---------------------------------------------------------------------------- the contract


@pytest.mark.parametrize(
    ("name", "part"),
    [
        (name, part)
        for name, part in product(METHODS, PARTS)
        if not (METHODS[name]._images_only and PARTS[part].get("trainable") is False)
    ],
)
@pytest.mark.filterwarnings("ignore::gbmix_sklearn.EmptyErrorSetWarning")
def test_every_method_fits_predicts_and_is_saved(name, part, tmp_path):
    X, y, s = pictures()
    model = small(name, **PARTS[part]).fit(X, y, s)
    assert model.classes_.tolist() == ["dark", "light"]
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (48, 2)
    assert np.isfinite(probabilities).all()
    assert (model.predict(X) == model.head_.predict(model.transform(X))).all()
    assert model.group_report(X, y, s).shape[0] == 4
    assert len(model.history_) == 2
    assert not hasattr(model, "n_features_in_")

    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model", device="cpu")
    assert loaded.get_params()["trainable"] == model.trainable
    assert np.array_equal(loaded.predict_proba(X), probabilities)
    copied = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copied.predict_proba(X), probabilities)


@every_part
def test_the_same_seed_gives_the_same_weights(part):
    X, y, s = pictures()
    first, second = (small(**PARTS[part]).fit(X, y, s) for _ in range(2))
    states = [model.net_.raw_module.state_dict() for model in (first, second)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert np.array_equal(first.head_.coef_, second.head_.coef_)
    other = small(**PARTS[part], max_epochs=1).set_params(random_state=1).fit(X, y, s)
    assert not np.array_equal(other.head_.coef_, first.head_.coef_)


@pytest.mark.parametrize("backbone", ["resnet50", "resnet18", "mobilenetv2_100"])
@pytest.mark.parametrize("trainable", [True, False, 1])
def test_the_papers_networks(backbone, trainable):
    X, y, s = pictures()
    model = small(backbone=backbone, trainable=trainable, max_epochs=1).fit(X, y, s)
    width = {"resnet50": 2048, "resnet18": 512, "mobilenetv2_100": 1280}[backbone]
    assert model.transform(X[:3]).shape == (3, width)


def test_a_trained_network_learns():
    X, y, s = pictures(96)
    model = small("ERM", max_epochs=6, lr=0.05).fit(X, y, s)
    assert model.score(*pictures(40, seed=1)[:2]) > 0.9


def test_a_vision_transformer_of_another_size():
    X, y, s = pictures()
    options = {"backbone": "vit_tiny_patch16_224", "image_size": 32, "max_epochs": 1}
    for trainable in (True, 2):
        model = small(**options, trainable=trainable).fit(X, y, s)
        assert model.transform(X[:2]).shape == (2, 192)


# ---------------------------------------------------------------------------- forms of images


def forms(X, folder):
    names = saved_as_files(X, folder)
    paths = [str(folder / name) for name in names]
    yield "array", X, {}
    yield "paths", paths, {}
    yield "names below a root", names, {"image_root": folder}
    yield "a Series", pd.Series(names, index=np.arange(len(X))[::-1]), {"image_root": str(folder)}
    yield "PIL images", [Image.fromarray(pixels) for pixels in X], {}
    yield "a list of arrays", list(X), {}
    yield "a column", pd.DataFrame({"file": paths}), {}
    table = pd.DataFrame({"id": range(len(X)), "file": paths})
    yield "a named column", table, {"image_column": "file"}
    yield "a torch Dataset", torch.utils.data.TensorDataset(torch.from_numpy(X).moveaxis(3, 1)), {}
    mapped = np.memmap(folder / "pixels", dtype=np.uint8, mode="w+", shape=X.shape)
    mapped[:] = X
    yield "a memory map", mapped, {}


@pytest.mark.parametrize("trainable", [True, False])
def test_every_form_of_the_same_images_gives_the_same_model(trainable, tmp_path):
    X, y, s = pictures()
    models = {
        form: (small("ERM", trainable=trainable, max_epochs=1, **options).fit(x, y, s), x)
        for form, x, options in forms(X, tmp_path)
    }
    assert len(models) == 10
    expected = models["array"][0].predict_proba(X)
    for form, (model, x) in models.items():
        assert model.predict_proba(x) == pytest.approx(expected, abs=1e-6), form


def test_grey_images_and_images_of_many_sizes():
    X, y, s = pictures()
    grey = small("ERM", max_epochs=1).fit(X[..., 1], y, s)
    assert grey.predict(X[:5, :, :, 1]).shape == (5,)
    mixed = [X[i, : 20 + i % 17, : 30 - i % 5] for i in range(len(X))]
    assert small("ERM", max_epochs=1, augment="standard").fit(mixed, y, s).predict(mixed[:3]).shape


def test_images_of_the_very_size_pass_untouched(monkeypatch):
    X, y, s = pictures(size=(32, 32))
    model = small("ERM", max_epochs=1).fit(X, y, s)
    batch = model._backbone.preprocess.load  # what a batch is made of
    assert torch.equal(batch(model._as_images(X), range(3)), torch.from_numpy(X[:3]))


def test_group_columns_of_a_table_of_paths(tmp_path):
    X, y, s = pictures()
    names = saved_as_files(X, tmp_path)
    table = pd.DataFrame({"file": names, "colour": s})
    inside = small(group_columns="colour", image_root=tmp_path).fit(table, y)
    outside = small(image_root=tmp_path).fit(names, y, s)
    assert np.array_equal(inside.head_.coef_, outside.head_.coef_)
    assert inside.n_features_in_ == 2
    without = table[["file"]]
    assert np.array_equal(inside.predict(without), inside.predict(table))
    assert inside.group_report(table, y).shape[0] == 4


def test_a_table_after_an_array_forgets_the_number_of_features():
    X, y, s = pictures()
    model = small("ERM", max_epochs=1).set_params(backbone=None, **_numbers())
    model.fit(np.random.default_rng(0).normal(size=(48, 5)), y, s)
    assert model.n_features_in_ == 5
    model.set_params(backbone="resnet10t", pretrained=False, image_size=32).fit(X, y, s)
    assert not hasattr(model, "n_features_in_")


def _numbers():
    return {"pretrained": True, "image_size": None}


# ---------------------------------------------------------------------------- what is run once


def test_a_second_fit_with_a_frozen_backbone_costs_no_forward(forwards):
    X, y, s = pictures()
    small(trainable=False).fit(X, y, s)
    assert forwards[0] == 48
    model = small(trainable=False, alpha=0.5).fit(X[::-1], y[::-1], s[::-1])
    model.predict(X[:10])
    assert forwards[0] == 48
    clone(model).fit(X[:30], y[:30], s[:30])
    assert forwards[0] == 48


def test_a_cache_on_disk_is_shared_with_the_embedder(forwards, tmp_path):
    X, y, s = pictures()
    TimmEmbedder(
        "resnet10t", pretrained=False, image_size=32, cache_dir=tmp_path, device="cpu"
    ).transform(X)
    assert forwards[0] == 48
    small(trainable=False, cache_dir=tmp_path).fit(X, y, s).predict(X)
    assert forwards[0] == 48


def test_frozen_stages_are_run_once_where_nothing_varies_the_images(forwards):
    X, y, s = pictures()
    model = small(trainable=1, max_epochs=4).fit(X, y, s)
    assert forwards[0] == 48
    frozen = model.backbone_.state_dict()
    trained = model.net_.raw_module.embedding[0].state_dict()
    assert not frozen.keys() & trained.keys()
    fresh = small(trainable=1)._make_backbone(torch.device("cpu"))
    assert all(torch.equal(frozen[key], fresh.frozen.state_dict()[key]) for key in frozen)
    before = fresh.take_trained().state_dict()
    assert not torch.equal(trained["layer4.0.conv1.weight"], before["layer4.0.conv1.weight"])


def test_caching_feature_maps_changes_nothing():
    """A transform that does nothing forbids the cache: the same weights come out."""
    X, y, s = pictures(size=(32, 32))
    cached = small("ERM", trainable=1).fit(X, y, s)
    whole = small("ERM", trainable=1, augment=np.asarray).fit(X, y, s)
    assert cached.backbone_ is not None
    assert whole.backbone_ is None
    assert whole.predict_proba(X) == pytest.approx(cached.predict_proba(X), abs=1e-4)
    state = whole.net_.raw_module.embedding[0].state_dict()
    for name, value in cached.backbone_.state_dict().items():
        assert torch.equal(state[name], value)  # statistics of frozen batch norms as well


def test_every_file_is_read_once_in_a_fit(tmp_path, monkeypatch):
    from gbmix_sklearn.backbones import _images

    X, y, s = pictures()
    names = saved_as_files(X, tmp_path)
    opened = []
    real = _images.Picture.rgb
    monkeypatch.setattr(_images.Picture, "rgb", lambda self: opened.append(self.name) or real(self))
    small(image_root=tmp_path, max_epochs=3, augment="standard").fit(names, y, s)
    assert sorted(set(opened)) == sorted(opened)
    assert len(opened) == 48


def test_decoded_pixels_are_kept_on_disk(tmp_path, monkeypatch):
    from gbmix_sklearn.backbones import _images

    X, y, s = pictures()
    names = saved_as_files(X, tmp_path)
    options = {"image_root": tmp_path, "cache_dir": tmp_path / "cache", "max_epochs": 1}
    first = small(**options).fit(names, y, s)
    monkeypatch.setattr(_images.Picture, "rgb", None)
    second = small(**options).fit(names, y, s)
    assert np.array_equal(first.head_.coef_, second.head_.coef_)


def test_a_search_over_a_pipeline_sends_each_image_through_the_backbone_once(forwards, tmp_path):
    import sklearn

    X, y, s = pictures(60)
    embedder = TimmEmbedder(
        "resnet10t", pretrained=False, image_size=32, cache_dir=tmp_path, device="cpu"
    )
    head = GBMixClassifier(max_epochs=1, random_state=0)
    grid = {
        "gbmixclassifier__alpha": [0.2, 1.0, 2.0],
        "gbmixclassifier__lr": [1e-3, 1e-2],
        "gbmixclassifier__mix_granularity": ["sample", "batch"],
    }
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            make_pipeline(embedder, StandardScaler(), head),
            grid,
            scoring=worst_group_accuracy_scorer,
            cv=SubgroupStratifiedKFold(5),
            error_score="raise",
        )
        search.fit(X, y, groups=s)
    assert len(search.cv_results_["params"]) == 12
    assert forwards[0] == 60


def test_cross_validation_of_a_fine_tuned_network():
    X, y, _ = pictures()
    scores = cross_val_score(small("ERM", max_epochs=1), X, y, cv=2, error_score="raise")
    assert scores.shape == (2,)
    paths = [Image.fromarray(pixels) for pixels in X]
    assert cross_val_score(small("ERM", max_epochs=1), paths, y, cv=2).shape == (2,)


# ---------------------------------------------------------------------------- settings


def test_a_callable_augmentation_is_seeded_for_any_number_of_workers():
    from torchvision import transforms

    X, y, s = pictures()
    augment = transforms.Compose([transforms.RandomCrop(30), transforms.RandomHorizontalFlip()])
    models = [
        small("ERM", augment=augment, num_workers=workers).fit(X, y, s) for workers in (0, 0, 2)
    ]
    coefs = [model.net_.raw_module.head.weight for model in models]
    assert torch.equal(coefs[0], coefs[1])
    assert torch.equal(coefs[0], coefs[2])
    plain = small("ERM").fit(X, y, s).net_.raw_module.head.weight
    assert not torch.equal(coefs[0], plain)


def test_head_and_backbone_have_their_own_learning_rates():
    X, y, s = pictures()
    model = small("ERM", lr=1e-3, head_lr=1e-1, lr_schedule="cosine", warmup_epochs=0.5)
    model.fit(X, y, s)
    head, rest = model.net_.optimizer_.param_groups
    assert len(head["params"]) == 2
    assert head["lr"] == pytest.approx(100 * rest["lr"])
    slow = small("ERM", lr=1e-12, head_lr=1e-1, max_epochs=1).fit(X, y, s)
    fresh = slow._make_backbone(torch.device("cpu")).take_trained()
    moved = slow.net_.raw_module.embedding[0].conv1[0].weight - fresh.conv1[0].weight
    assert moved.abs().max() < 1e-6


def test_gradients_are_clipped():
    X, y, s = pictures()
    options = {"max_epochs": 1, "momentum": 0.0, "weight_decay": 0.0, "lr": 1.0}
    model = small("ERM", max_grad_norm=1e-6, **options).fit(X, y, s)
    fresh = model._make_backbone(torch.device("cpu")).take_trained()
    moved = model.net_.raw_module.embedding[0].conv1[0].weight - fresh.conv1[0].weight
    assert 0 < moved.abs().max() <= 3e-6


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precisions_train_and_are_saved(precision, tmp_path):
    X, y, s = pictures()
    model = small("GBMix", precision=precision, max_epochs=1).fit(X, y, s)
    model.save(tmp_path)
    loaded = load_model(tmp_path, device="cpu")
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_validation_images_choose_the_epoch():
    X, y, s = pictures()
    X_val, y_val, s_val = pictures(16, seed=3)
    model = small().fit(X, y, s, X_val=list(X_val), y_val=y_val, groups_val=s_val)
    assert "worst_group_accuracy" in model.history_
    # two of each four are refit and training: none is lost to validation
    assert model.group_table_["count"].sum() == 48 - 4 * round(0.2 * 12)


def test_weights_from_a_file(tmp_path):
    torch.manual_seed(5)
    weights = timm.create_model("resnet10t").state_dict()
    torch.save(weights, tmp_path / "weights.pth")
    X, y, s = pictures()
    model = small("ERM", pretrained=tmp_path / "weights.pth", trainable=False).fit(X, y, s)
    assert torch.equal(model.backbone_.state_dict()["conv1.0.weight"], weights["conv1.0.weight"])
    model.save(tmp_path / "model")
    assert load_model(tmp_path / "model").pretrained is True  # the path was of this machine


def test_progress_over_images_is_shown_on_request(capfd):
    X, y, s = pictures()
    small("ERM", max_epochs=1, verbose=1).fit(X, y, s)
    out, err = capfd.readouterr()
    assert "48/48 images" in err
    assert "epoch 1/1" in out


def test_joblib_files_hold_the_weights_once(tmp_path):
    X, y, s = pictures()
    for parts in ({"trainable": False}, {}, {"trainable": 1}):
        model = small(**parts, max_epochs=1).fit(X, y, s)
        model.predict(X[:2])
        joblib.dump(model, tmp_path / "model")
        weights = 4 * sum(p.numel() for p in timm.create_model("resnet10t").parameters())
        # a trained net also has its momentum, and the weights of its best epoch
        copies = 3 if model.trainable else 1
        assert (tmp_path / "model").stat().st_size < 1.05 * copies * weights


# ---------------------------------------------------------------------------- too little memory


class Hungry:
    """Stands for a device on which only so many images fit into a forward."""

    def __init__(self, monkeypatch, limit):
        real = timm.models.resnet.ResNet.forward

        def forward(model, x):
            if len(x) > limit:
                raise torch.cuda.OutOfMemoryError("too many")
            return real(model, x)

        monkeypatch.setattr(timm.models.resnet.ResNet, "forward", forward)


def test_a_training_batch_that_does_not_fit_is_told_which_would(monkeypatch):
    X, y, s = pictures()
    Hungry(monkeypatch, 5)
    with pytest.raises(OutOfMemoryError, match=r"batch of 16 does not fit.*4 fit: set batch_size"):
        small().fit(X, y, s)


def test_evaluation_goes_on_with_smaller_batches(monkeypatch):
    X, y, s = pictures()
    expected = small("ERM", batch_size=4, max_epochs=1).fit(X, y, s)
    probabilities = expected.predict_proba(X)
    Hungry(monkeypatch, 5)
    model = small("ERM", batch_size=4, max_epochs=1).fit(X, y, s)
    assert model.predict_proba(X) == pytest.approx(probabilities, abs=1e-4)
    for name in ("worst_group_accuracy", "average_accuracy"):
        assert model.history_[name].tolist() == expected.history_[name].tolist()


# ---------------------------------------------------------------------------- bad input


def damaged(X, folder):
    names = saved_as_files(X, folder)
    (folder / names[5]).write_bytes((folder / names[5]).read_bytes()[:200])
    (folder / names[11]).write_text("no image")
    (folder / names[20]).unlink()
    return names


@pytest.mark.parametrize("parts", [{}, {"trainable": False}, {"trainable": 1}])
@pytest.mark.parametrize("cached", [True, False])
def test_broken_images_are_named_or_skipped_with_their_labels(parts, cached, tmp_path):
    X, y, s = pictures()
    names = damaged(X, tmp_path)
    options = {"image_root": tmp_path, "cache_dir": tmp_path / "cache" if cached else None} | parts
    with pytest.raises((ValueError, FileNotFoundError), match=r"row (5|20): .*0(05|20)\.png"):
        small(**options).fit(names, y, s)
    with pytest.warns(SkippedImagesWarning, match=r"(?s)3 of 48 images.*row 5: .*row 11: .*row 20"):
        model = small(on_error="skip", **options).fit(names, y, s)
    assert sorted(model.skipped_) == [5, 11, 20]
    left = np.setdiff1d(np.arange(48), [5, 11, 20])
    assert model.group_table_["count"].sum() <= len(left)
    with pytest.raises((ValueError, FileNotFoundError), match="row"):
        model.predict(names)
    assert model.score([names[row] for row in left], y[left]) <= 1


def test_skipped_images_take_their_labels_along(tmp_path):
    """As if their rows had not been there: the same samples are trained on."""
    X, y, s = pictures()
    names = damaged(X, tmp_path)
    options = {"image_root": tmp_path, "validation_fraction": None, "refit": None, "max_epochs": 1}
    with pytest.warns(SkippedImagesWarning):
        skipping = small("ERM", on_error="skip", **options).fit(names, y, s)
    left = np.setdiff1d(np.arange(48), [5, 11, 20])
    without = small("ERM", **options).fit([names[row] for row in left], y[left], s[left])
    assert np.array_equal(skipping.head_.coef_, without.head_.coef_)
    pd.testing.assert_frame_equal(skipping.group_table_, without.group_table_)


def test_broken_validation_images_are_skipped_as_well(tmp_path):
    X, y, s = pictures()
    names = damaged(X, tmp_path)
    validation = {"X_val": names, "y_val": y, "groups_val": s}
    model = small("ERM", on_error="skip", image_root=tmp_path)
    with pytest.warns(SkippedImagesWarning) as warned:
        model.fit(X, y, s, **validation)
    assert len(warned) == 1
    assert "3 of 48 images of X_val cannot be read" in str(warned[0].message)
    assert "skipped_" not in str(warned[0].message)
    assert len(model.skipped_) == 0
    left = np.setdiff1d(np.arange(48), [5, 11, 20])
    validation = {"X_val": X[left], "y_val": y[left], "groups_val": s[left]}
    other = small("ERM").fit(X, y, s, **validation)
    assert other.history_["valid_loss"].tolist() == model.history_["valid_loss"].tolist()


@pytest.mark.parametrize("parts", [{}, {"trainable": False}])
def test_a_class_without_readable_images_is_an_error(parts, tmp_path):
    X, y, s = pictures()
    names = saved_as_files(X, tmp_path)
    for row in np.flatnonzero(y == "light"):
        (tmp_path / names[row]).unlink()
    model = small("ERM", on_error="skip", image_root=tmp_path, **parts)
    with (
        pytest.warns(SkippedImagesWarning),
        pytest.raises(ValueError, match=r"of 1 of the 2 classes can be read \(light\)"),
    ):
        model.fit(names, y, s)


@pytest.mark.parametrize("of", ["X", "X_val"])
def test_cells_without_readable_images_are_named(of, tmp_path):
    X, y, s = pictures()
    names = saved_as_files(X, tmp_path)
    for row in np.flatnonzero((y == "light") & (s == "b")):
        (tmp_path / names[row]).unlink()
    model = small("ERM", on_error="skip", image_root=tmp_path, trainable=False, max_epochs=1)
    given = {"X_val": X, "y_val": y, "groups_val": s} | {of: names}
    message = f"none of the images of these cells of {of} can be read: light, group=b"
    with pytest.warns(SkippedImagesWarning), pytest.warns(SmallCellWarning, match=message):
        model.fit(given.pop("X", X), y, s, **given)


def test_rows_without_a_path_are_skipped(tmp_path):
    X, y, s = pictures()
    table = pd.DataFrame({"path": saved_as_files(X, tmp_path)})
    table.loc[[5, 9], "path"] = None
    model = small("ERM", on_error="skip", image_root=tmp_path, trainable=False)
    with pytest.warns(SkippedImagesWarning, match="row 5 has no path"):
        model.fit(table, y, s)
    assert sorted(model.skipped_) == [5, 9]


@pytest.mark.parametrize("trainable", [True, False])
def test_images_of_12_bits_are_taken_by_their_range(trainable, tmp_path):
    X, y, s = pictures(size=(32, 32))
    X = X[..., 1]
    deep = X.astype(np.uint16) * 16
    paths = [tmp_path / f"{row}.png" for row in range(len(X))]
    for path, pixels in zip(paths, deep, strict=True):
        Image.fromarray(pixels).save(path)
    options = {"trainable": trainable, "max_epochs": 1}
    expected = small("ERM", **options).fit(X, y, s)
    with pytest.warns(UserWarning, match=r"grey levels of 256 are left"):
        coarse = small("ERM", **options).fit(paths, y, s)
    model = small("ERM", value_range=np.array([0, 16 * 255]), **options).fit(paths, y, s)
    assert np.array_equal(model.predict_proba(deep), expected.predict_proba(X))
    assert not np.array_equal(coarse.head_.coef_, expected.head_.coef_)
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert tuple(loaded.value_range) == (0, 16 * 255)
    assert np.array_equal(loaded.predict_proba(paths), model.predict_proba(paths))


def test_no_image_left_is_an_error():
    with pytest.raises(ValueError, match=r"row 0: there is no image file .*a\.jpg"):
        small(on_error="skip").fit(["a.jpg", "b.jpg"] * 8, [0, 1] * 8, [0, 0, 1, 1] * 4)


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.zeros((8, 40, 36, 3), dtype=np.uint8), "looks like images"),
        (["a.jpg"] * 8, "looks like images"),
        ([Image.new("L", (4, 4))] * 8, "looks like images"),
        (pd.DataFrame({"file": ["a.png"] * 8}), "looks like images"),
    ],
    ids=["array", "paths", "PIL", "table"],
)
def test_images_for_a_method_on_matrices(X, words):
    y, s = np.arange(8) % 2, np.arange(8) // 2 % 2
    with pytest.raises((ValueError, TypeError), match=f"(?s){words}.*GBMixClassifier\\('resnet50'"):
        method("GBMix").fit(X, y, s)
    model = method("GBMix").fit(
        np.random.default_rng(0).normal(size=(40, 5)), *np.divmod(np.arange(40) % 4, 2)
    )
    if not isinstance(X, pd.DataFrame):  # whose column names are what is wrong first
        with pytest.raises((ValueError, TypeError), match=words):
            model.predict(X)


@pytest.mark.parametrize("X", [np.zeros((8, 5)), np.zeros((8, 5), dtype=np.float32).tolist()])
def test_a_matrix_for_a_method_on_images(X):
    y, s = np.arange(8) % 2, np.arange(8) // 2 % 2
    with pytest.raises((ValueError, TypeError), match=r"uint8 array"):
        small().fit(X, y, s)
    model = small("ERM", max_epochs=1).fit(*pictures())
    with pytest.raises((ValueError, TypeError), match=r"uint8 array"):
        model.predict(X)


def test_a_matrix_is_told_what_takes_it():
    with pytest.raises(TypeError, match="backbone=None"):
        small().fit(np.zeros((8, 5)), [0, 1] * 4)


def test_arrays_of_different_sizes_for_a_module():
    X = [np.zeros((3, 8, 8)), np.zeros((3, 8, 9))] * 4
    with pytest.raises(ValueError, match=r"row 0 has \(3, 8, 8\), row 1 has \(3, 8, 9\)"):
        method("ERM", backbone=torch.nn.Flatten()).fit(X, [0, 1] * 4)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"backbone": "resnet5O"}, "did you mean 'resnet50'"),
        ({"trainable": "layer9"}, "layer4"),
        ({"trainable": 17}, "5 stages"),
        ({"trainable": 0}, "trainable"),
        ({"augment": "flips"}, "augment"),
        ({"augment": "flip", "trainable": False}, "choose one"),
        ({"image_size": 0}, "image_size"),
        ({"on_error": "ignore"}, "on_error"),
        ({"head_lr": 0.1, "trainable": False}, "head_lr"),
        ({"backbone": None, "augment": "flip"}, "about images"),
        ({"backbone": torch.nn.Flatten(), "trainable": 2}, "stages"),
        ({"pretrained": "missing.pth"}, "missing.pth"),
    ],
    ids=str,
)
def test_parameters_that_cannot_be(parameters, words):
    X, y, s = pictures()
    if not isinstance(parameters.get("backbone", ""), str):
        parameters = parameters | {"pretrained": True, "image_size": None}
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=words):
        small(**parameters).fit(X, y, s)


def test_labels_are_checked():
    X, y, s = pictures()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        small().fit(X, y[:-1], s)
    with pytest.raises(ValueError, match="requires y"):
        small().fit(X, None, s)
    with pytest.raises(ValueError, match="no images"):
        small().fit([], [], [])
