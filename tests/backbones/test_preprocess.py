"""Preprocessing is timm's own, for every form of image."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from gbmix_sklearn.backbones._images import Images
from gbmix_sklearn.backbones._preprocess import Preprocess

CPU = torch.device("cpu")
PHOTO = Image.fromarray(load_sample_image("china.jpg"))


def prepared(preprocess, X):
    images = Images(X)
    pixels = preprocess.load(images, range(len(images)))
    assert pixels.dtype == torch.uint8
    return preprocess.normalize(pixels, CPU)


@pytest.fixture(scope="module")
def model():
    return timm.create_model("resnet18")


@pytest.mark.parametrize("crop_mode", ["center", "border", "squash"])
@pytest.mark.parametrize("crop_pct", [0.875, 1.0])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_equals_timms_own_transform(model, monkeypatch, crop_mode, crop_pct, interpolation):
    changes = {"crop_mode": crop_mode, "crop_pct": crop_pct, "interpolation": interpolation}
    monkeypatch.setattr(model, "pretrained_cfg", model.pretrained_cfg | changes)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    photos = [PHOTO, PHOTO.crop((0, 0, 100, 301)), PHOTO.resize((224, 224))]
    expected = torch.stack([transform(photo) for photo in photos])
    result = prepared(Preprocess.of(model), photos)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)


def test_image_size_takes_the_whole_short_side(model):
    result = prepared(Preprocess.of(model, 64), [PHOTO])
    width = int(64 * PHOTO.width / PHOTO.height)
    resized = PHOTO.resize((width, 64), Image.Resampling.BICUBIC)
    left = round((width - 64) / 2)
    expected = np.asarray(resized.crop((left, 0, left + 64, 64))) / 255
    expected = (expected - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(result[0].permute(1, 2, 0), expected, atol=1e-5)


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_images_of_the_right_size_pass_untouched(model, channels):
    X = np.random.default_rng(0).integers(0, 256, (3, 32, 32, *channels), dtype=np.uint8)
    preprocess = Preprocess.of(model, 32)
    result = prepared(preprocess, X)
    back = result.permute(0, 2, 3, 1) * torch.tensor(preprocess.std) + torch.tensor(preprocess.mean)
    colour = X.reshape(3, 32, 32, -1)[..., :3]
    np.testing.assert_array_equal(
        (back * 255).round().numpy(), np.broadcast_to(colour, (3, 32, 32, 3))
    )
    # the short cut for whole arrays gives what the way of single images gives
    torch.testing.assert_close(result, prepared(preprocess, list(X)), rtol=0, atol=0)


def test_the_models_own_margin_applies_to_images_of_the_right_size(model):
    X = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    expected = transform(Image.fromarray(X[0]))
    torch.testing.assert_close(prepared(Preprocess.of(model), X)[0], expected, atol=1e-5, rtol=1e-5)


def test_batches_are_channels_last_in_memory(model):
    X = np.zeros((2, 32, 32, 3), np.uint8)
    batch = prepared(Preprocess.of(model, 32), X)
    assert batch.shape == (2, 3, 32, 32)
    assert batch.is_contiguous(memory_format=torch.channels_last)
