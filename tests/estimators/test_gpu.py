"""On a GPU: training never waits for it within an epoch, and gives what it gives elsewhere."""

import warnings

import numpy as np
import pytest
import torch

from gbmix_sklearn import group_report, load_model

from .problems import ON_MATRICES, method, problem

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.fixture(scope="module")
def data():
    return problem(1200, n_classes=3, n_values=3)


def waits(classifier, *data):
    """How often a fit waits for the GPU."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            classifier.fit(*data)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchronizing CUDA operation" in str(warning.message) for warning in caught)


@pytest.mark.parametrize("name", list(ON_MATRICES))
def test_more_steps_are_no_more_waits(name, data):
    few, many = (
        method(name, hidden_units=(16,), batch_size=size, device="cuda") for size in (64, 16)
    )
    assert waits(few, *data) == waits(many, *data)


@pytest.mark.parametrize("name", ["ERM", "GBMix", "CutMix"])
def test_more_steps_on_images_are_no_more_waits(name, data):
    pixels = np.random.default_rng(0).integers(256, size=(192, 32, 32, 3), dtype=np.uint8)
    few, many = (
        method(
            name,
            backbone="test_efficientnet",
            pretrained=False,
            image_size=32,
            batch_size=size,
            device="cuda",
        )
        for size in (64, 16)
    )
    y, s = data[1][:192], data[2][:192]
    assert waits(few, pixels, y, s) == waits(many, pixels, y, s)


def test_a_seed_gives_the_same_model(data):
    one, other = (method("GBMix", hidden_units=(16,), device="cuda").fit(*data) for _ in range(2))
    assert (one.predict_proba(data[0]) == other.predict_proba(data[0])).all()


def test_a_gpu_learns_what_the_cpu_learns(data):
    scores = [
        group_report(
            data[1],
            method("GBMix", max_epochs=10, device=device).fit(*data).predict(data[0]),
            groups=data[2],
        ).attrs["mean_group_accuracy"]
        for device in ("cpu", "cuda")
    ]
    assert scores[0] > 0.8
    assert scores[1] == pytest.approx(scores[0], abs=0.05)


def test_a_model_of_a_gpu_is_loaded_without_one(data, tmp_path):
    model = method("GBMix", hidden_units=(16,), device="cuda").fit(*data)
    model.save(tmp_path / "model")
    there = load_model(tmp_path / "model", device="cpu")
    np.testing.assert_allclose(
        there.predict_proba(data[0]), model.predict_proba(data[0]), atol=1e-3
    )
