"""Pretrained backbones that are trained: where they begin, how they are judged, what may stay."""

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from PIL import Image
from safetensors.torch import save_file
from skorch.callbacks import Callback

from gbmix_sklearn import NonFiniteLossError, TimmEmbedder, TrainingDisplay
from gbmix_sklearn.backbones import create_embedding

from .problems import method
from .test_images import pictures, small

ROWS = 96


def weights_of(state, folder):
    path = folder / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights that nobody has trained, whose embedding knows brightness."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, _ = create_embedding("resnet10t", pretrained=False)
    return weights_of(model.state_dict(), tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def blind(weights, tmp_path_factory):
    """The same with a last stage that gives every image the same embedding, until it is trained."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, _ = create_embedding("resnet10t", pretrained=False)
    for name, module in model.layer4.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            last = name.endswith(("bn2", "downsample.1", "downsample.2"))
            torch.nn.init.constant_(module.weight, 0.0 if last else 1.0)
            torch.nn.init.constant_(module.bias, 0.5)
    return weights_of(model.state_dict(), tmp_path_factory.mktemp("blind"))


def fitted(weights, name="GBMix", **parameters):
    X, y, s = pictures(ROWS)
    options = {"pretrained": weights, "validation_fraction": 0.3, "refit_fraction": 0.3}
    return small(name, **(options | parameters)).fit(X, y, s), X, y, s


def frozen(weights, X):
    return TimmEmbedder("resnet10t", pretrained=weights, image_size=32, device="cpu").transform(X)


def buffers(model):
    module = model.net_.raw_module
    return {k: v for k, v in module.named_buffers() if k.endswith("running_mean")}


@pytest.mark.parametrize("trainable", [True, 2])
def test_batch_norm_keeps_the_statistics_of_the_weights(blind, trainable):
    model, *_ = fitted(blind, refit="auto", trainable=trainable, lr=0.05, max_epochs=4)
    assert model.best_epoch_ > 0
    original = create_embedding("resnet10t", pretrained=blind, image_size=32)[0]
    means = dict(original.named_buffers())
    found = buffers(model)
    assert found
    for name, value in found.items():
        like = [
            v for k, v in means.items() if k.endswith("running_mean") and v.shape == value.shape
        ]
        assert any(torch.equal(value, other) for other in like), name


def test_untrained_weights_learn_their_statistics(weights):
    model, *_ = fitted(False, refit=None)
    assert any(value.abs().max() > 0 for value in buffers(model).values())


def test_embeddings_stay_where_training_makes_them_no_better(weights):
    # the class is the brightness of an image, which the first embedding tells without an error
    model, X, y, _ = fitted(weights, refit="auto")
    assert model.best_epoch_ == 0
    assert np.allclose(model.transform(X), frozen(weights, X), atol=1e-5)
    assert model.score(X, y) == 1
    assert len(model.history_) == 2
    assert not model.history_["best"].any()
    assert (model.cell_table_["refit"] == 24).all()  # nothing was trained on
    assert model.cell_weights_.sum() == pytest.approx(1)


def test_embeddings_that_training_has_made_better_are_kept(blind):
    model, X, y, _ = fitted(blind, refit="auto", lr=0.05, max_epochs=4)
    assert np.ptp(frozen(blind, X), axis=0).max() < 1e-5
    assert model.best_epoch_ > 0
    assert model.score(X, y) > 0.9


def test_it_is_said_which_embedding_is_kept(weights, capsys):
    fitted(weights, refit="auto", verbose=1)
    told = capsys.readouterr().out
    assert "refit of the pretrained embedding near zero" in told
    assert "the pretrained one is kept" in told


def test_without_a_refit_the_network_before_training_is_epoch_0(weights):
    model, X, y, _ = fitted(weights, "RWG", refit=None, lr=1e-9)
    assert model.best_epoch_ == 0  # as good as all others, and before them
    assert np.allclose(model.transform(X), frozen(weights, X), atol=1e-5)
    assert model.score(X, y) == 1


def test_training_begins_with_a_fitted_last_layer(weights):
    # steps that change nothing: what there is was there before them
    model, X, y, _ = fitted(weights, refit=None, lr=1e-9, validation_fraction=None)
    assert model.best_epoch_ == 2
    assert model.score(X, y) == 1
    random, *_ = fitted(weights, refit=None, lr=1e-9, validation_fraction=None, hidden_units=(4,))
    assert random.score(X, y) < 1


def test_a_class_of_two_samples_that_stay_together_is_no_obstacle(weights):
    X, y, s = pictures(ROWS)
    y = np.where(np.arange(ROWS) < 2, "third", y)
    together = np.where(np.arange(ROWS) < 2, "a", np.arange(ROWS).astype(str))
    model = small(pretrained=weights, refit="auto", validation_fraction=0.3, lr=1e-6)
    with pytest.warns(UserWarning, match="too few"):
        model.fit(X, y, s, keep_together=together)
    assert set(model.predict(X)) <= {"dark", "light", "third"}


def test_epochs_are_judged_by_what_a_refit_makes_of_them(weights):
    model, *_ = fitted(weights, refit="auto")
    assert model.history_["refitted_worst_group_accuracy"].between(0.8, 1).all()
    model, *_ = fitted(weights, refit="dfr")
    assert "refitted_worst_group_accuracy" not in model.history_


def test_the_display_says_that_no_epoch_is_kept(weights):
    model, *_ = fitted(weights, refit="auto")
    display = TrainingDisplay.from_estimator(model)
    texts = [text.get_text() for text in display.figure_.findobj(Text)]
    assert "epoch kept, 0" in texts


def test_an_interrupted_fit_goes_on_to_the_same_weights(weights, tmp_path):
    X, y, s = pictures(ROWS)
    options = {"pretrained": weights, "refit": "auto", "max_epochs": 3}
    whole = small(**options).fit(X, y, s)
    stopping = [("interruption", Interruption())]
    with pytest.raises(RuntimeError, match="enough"):
        small(**options, checkpoint_dir=tmp_path, callbacks=stopping).fit(X, y, s)
    resumed = small(**options, checkpoint_dir=tmp_path).fit(X, y, s)
    assert len(resumed.history_) == 3
    assert np.array_equal(resumed.head_.coef_, whole.head_.coef_)
    assert resumed.best_epoch_ == whole.best_epoch_


class Interruption(Callback):
    """Ends a fit at the beginning of its second epoch."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) > 1:
            raise RuntimeError("enough")


def test_a_loss_that_is_not_finite_in_the_first_epoch_is_an_error(weights):
    with pytest.raises(NonFiniteLossError, match="first epoch"):
        fitted(weights, "ERM", lr=1e30)


# ---------------------------------------------------------------------------- augmentation


@pytest.mark.parametrize("augment", ["standard", lambda image: image.crop((0, 0, 9, 9))])
@pytest.mark.parametrize("refit_on", ["train", "held_out"])
def test_a_refit_sees_images_as_predict_does(augment, refit_on, monkeypatch):
    from gbmix_sklearn.estimators import _last_layer

    seen = []
    real = _last_layer.refit_head

    def spy(z, *args, **kwargs):
        seen.append(z)
        return real(z, *args, **kwargs)

    monkeypatch.setattr(_last_layer, "refit_head", spy)
    X, y, s = pictures(ROWS)
    photographs = [Image.fromarray(x).resize((40 + i % 5, 44)) for i, x in enumerate(X)]
    model = small(augment=augment, refit="logistic", refit_on=refit_on)
    model.fit(photographs, y, s)
    z = model.transform(photographs)
    distance = np.linalg.norm(z[:, None] - seen[0][None], axis=2).min(0)
    assert (distance < 1e-4 * np.linalg.norm(z, axis=1).mean()).all()


@pytest.mark.parametrize("name", ["JTT", "UMIX"])
@pytest.mark.filterwarnings("ignore::gbmix_sklearn.EmptyErrorSetWarning")
def test_stages_that_judge_training_images_take_them_in_any_size(name):
    X, y, s = pictures(48)
    photographs = [Image.fromarray(x).resize((40 + i % 5, 44)) for i, x in enumerate(X)]
    model = method(
        name,
        backbone="resnet10t",
        pretrained=False,
        image_size=32,
        max_epochs=1,
        first_stage_epochs=1,
        augment="standard",
        device="cpu",
    )
    assert model.fit(photographs, y, s).predict(photographs[:3]).shape == (3,)
