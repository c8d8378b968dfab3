"""TimmEmbedder as scikit-learn's users handle it."""

import inspect
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_sample_image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from gbmix_sklearn.backbones import Backbone, TimmEmbedder, _memory, _models, load_backbone
from gbmix_sklearn.backbones._embedding import embed
from gbmix_sklearn.backbones._images import Images

SIZE = 32
CPU = torch.device("cpu")


def embedder(**parameters):
    return TimmEmbedder(
        **{"backbone": "resnet10t", "pretrained": False, "image_size": SIZE} | parameters
    )


@pytest.fixture(scope="module")
def X():
    photo = load_sample_image("flower.jpg")
    return np.stack([photo[i : i + 48, 2 * i : 2 * i + 40] for i in range(0, 330, 30)])


@pytest.fixture(scope="module")
def expected(X):
    return embedder().transform(X)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_embeddings_are_those_of_the_model(X, expected):
    assert expected.shape == (11, 512)
    assert expected.dtype == np.float32
    model = load_backbone("resnet10t", pretrained=False, image_size=SIZE).model
    small = X[:, :SIZE, :SIZE]
    normal = (small / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    batch = torch.from_numpy(normal).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        close(embedder().transform(small), model(batch))
    assert not model.training


def test_forms_agree(X, expected, tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(len(X))]
    for pixels, path in zip(X, paths, strict=True):
        Image.fromarray(pixels).save(path)
    np.save(tmp_path / "x.npy", X)
    names = [path.name for path in paths]
    opened = [Image.open(path) for path in paths]
    for form in (
        list(X),
        paths,
        pd.Series([str(path) for path in paths]),
        opened,
        np.load(tmp_path / "x.npy", mmap_mode="r"),
    ):
        np.testing.assert_array_equal(embedder().transform(form), expected)
    np.testing.assert_array_equal(embedder(image_root=tmp_path).transform(names), expected)


def test_memory_map_of_the_right_size(X, tmp_path):
    small = np.ascontiguousarray(X[:, :SIZE, :SIZE])
    np.save(tmp_path / "x.npy", small)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(embedder().transform(mapped), embedder().transform(small))


def test_the_same_image_may_stand_in_many_rows(X, tmp_path):
    Image.fromarray(X[0]).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        result = embedder().transform([image] * 40)
    close(result, np.repeat(result[:1], 40, axis=0))


@pytest.mark.parametrize("batch_size", [1, 4, 11, 100])
def test_batches_do_not_matter(X, expected, batch_size):
    close(embedder(batch_size=batch_size).transform(X), expected)


def test_where_the_device_is_too_small_batches_are_halved(X, expected, monkeypatch):
    model = load_backbone("resnet10t", pretrained=False, image_size=SIZE).model
    forward, tried = type(model).forward, []

    def limited(self, batch):
        tried.append(len(batch))
        if len(batch) > 3:
            raise torch.cuda.OutOfMemoryError("simulated")
        return forward(self, batch)

    monkeypatch.setattr(type(model), "forward", limited)
    close(embedder().transform(X), expected)
    assert tried == [11, 5, 2, 2, 2, 2, 2, 1]
    tried.clear()
    embedder(batch_size=4).transform(X)
    assert tried == [4, 2, 2, 2, 2, 2, 1], "learnt once per call"
    monkeypatch.setattr(
        type(model), "forward", lambda *_: (_ for _ in ()).throw(RuntimeError("else"))
    )
    with pytest.raises(RuntimeError, match="else"):
        embedder().transform(X)


def test_batch_size_follows_the_memory(monkeypatch):
    cpu = torch.device("cpu")
    assert _memory.find_batch_size(1, cpu) == 64
    monkeypatch.setattr(_memory, "available_memory", lambda: 400 << 20)
    assert _memory.find_batch_size(9 << 20, cpu) == 8
    assert _memory.find_batch_size(9 << 30, cpu) == 1
    small, large = (load_backbone("resnet10t", pretrained=False, image_size=s) for s in (32, 64))
    assert large.image_bytes > 3 * small.image_bytes


def test_threads_share_one_model(X, expected):
    _models._load.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: embedder().transform(X), range(4)):
            close(result, expected)
    assert _models._load.cache_info().misses == 1


def test_order_and_company_do_not_matter(X, expected):
    order = np.random.default_rng(0).permutation(len(X))
    close(embedder(batch_size=4).transform(X[order]), expected[order])
    close(embedder(batch_size=4).transform(X[3:6]), expected[3:6])


def test_repeats_are_bit_equal_and_leave_the_generators_alone(X, expected):
    torch.manual_seed(3)
    draw = torch.rand(1)
    torch.manual_seed(3)
    np.testing.assert_array_equal(embedder().fit(X).transform(X), expected)
    assert torch.equal(torch.rand(1), draw)


def test_a_pickle_is_small_and_embeds_the_same_elsewhere(X, expected, tmp_path):
    fitted = embedder().fit(X)
    fitted.transform(X)
    data = pickle.dumps(fitted)
    assert len(data) < 2000
    _models._load.cache_clear()
    np.testing.assert_array_equal(pickle.loads(data).transform(X), expected)
    (tmp_path / "e.pkl").write_bytes(data)
    np.save(tmp_path / "x.npy", X)
    code = (
        "import pickle, sys, numpy as np; folder = sys.argv[1]; "
        "e = pickle.load(open(folder + '/e.pkl', 'rb')); "
        "np.save(folder + '/out.npy', e.transform(np.load(folder + '/x.npy')))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    close(np.load(tmp_path / "out.npy"), expected)


def test_clones_share_one_model(X, monkeypatch):
    fitted = embedder().fit(X)

    def fail(*args, **kwargs):
        raise AssertionError("the model was created again")

    monkeypatch.setattr(_models, "create_model", fail)
    assert clone(fitted).fit(X).transform(X[:1]).shape == (1, 512)
    assert clone(fitted).get_params() == fitted.get_params()


def test_pipeline_and_search(X):
    y = np.arange(len(X)) % 2
    pipe = make_pipeline(embedder(), LogisticRegression())
    search = GridSearchCV(pipe, {"timmembedder__batch_size": [3, 40]}, cv=2, error_score="raise")
    search.fit(X, y)
    assert search.predict(X).shape == y.shape
    listed = GridSearchCV(pipe, {"logisticregression__C": [1]}, cv=2, error_score="raise")
    listed.fit([Image.fromarray(pixels) for pixels in X], y)


def test_column_of_paths_in_a_table(X, tmp_path):
    Image.fromarray(X[0]).save(tmp_path / "a.png")
    table = pd.DataFrame({"age": [1, 2], "file": ["a.png", "a.png"]}, index=[5, 9])
    columns = make_column_transformer(
        ("passthrough", ["age"]), (embedder(image_root=tmp_path), "file")
    )
    assert columns.fit_transform(table).shape == (2, 513)
    framed = columns.set_output(transform="pandas").fit_transform(table)
    assert list(framed.index) == [5, 9]
    assert framed.columns[1] == "timmembedder__timmembedder0"


def test_set_output_and_names(X, expected):
    framed = embedder().set_output(transform="pandas").transform(X)
    assert isinstance(framed, pd.DataFrame)
    assert list(framed.columns) == list(embedder().get_feature_names_out())
    assert framed.columns[-1] == "timmembedder511"
    np.testing.assert_array_equal(framed.to_numpy(), expected)


def test_tags():
    tags = get_tags(TimmEmbedder())
    assert not tags.requires_fit
    assert tags.input_tags.three_d_array
    assert not tags.input_tags.two_d_array


def test_set_params_takes_effect(X):
    assert embedder().set_params(backbone="mobilenetv2_050").transform(X[:1]).shape == (1, 1280)
    with pytest.raises(ValueError, match="Invalid parameter 'image_sise'"):
        embedder().set_params(image_sise=3)


def test_init_only_stores_parameters():
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(TimmEmbedder).parameters.items()
    }
    assert TimmEmbedder().get_params() == defaults
    assert vars(TimmEmbedder()) == defaults


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"backbone": "resnet_18"}, "did you mean"),
        ({"image_size": 0}, "image_size must be a positive integer or None; got 0"),
        ({"image_size": 32.5}, "image_size must be a positive integer"),
        ({"batch_size": None}, "batch_size must be a positive integer or 'auto'; got None"),
        ({"batch_size": True}, "batch_size must be a positive integer"),
        ({"device": "gpu"}, "device must be 'auto' or"),
        ({"device": "cuda:99"}, "device must be 'auto' or"),
        ({"precision": "fp8"}, "precision must be one of.*'fp8'"),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'skip'; got 'ignore'"),
        ({"image_size": 1}, None),
    ],
)
def test_wrong_values_are_refused(X, parameters, message):
    if message is None:  # tiny, but possible
        assert embedder(**parameters).fit(X).transform(X[:1]).shape == (1, 512)
        return
    for method in ("fit", "transform"):
        with pytest.raises(ValueError, match=message):
            getattr(embedder(**parameters), method)(X)


def test_bf16_is_close(X, expected):
    result = embedder(precision="bf16").transform(X)
    assert result.dtype == np.float32
    assert 0 < np.abs(result - expected).max() < 0.1 * np.abs(expected).max()


def test_backbones_of_one_size_take_others_where_they_can(X):
    assert embedder(backbone="vit_tiny_patch16_224").transform(X[:2]).shape == (2, 192)
    with pytest.raises(
        ValueError, match=r"size \(32, 32\): it takes no other size than \(224, 224"
    ):
        embedder(backbone="mixer_s32_224").fit(X)


def test_a_broken_file_among_many_names_row_and_file(X, tmp_path):
    names = [f"{i}.png" for i in range(9)]
    for name in names:
        Image.fromarray(X[0]).save(tmp_path / name)
    (tmp_path / names[7]).write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"row 7: cannot read the image .*7\.png"):
        embedder(image_root=tmp_path, batch_size=2).fit_transform(names)


def test_progress_only_when_asked(X, capfd):
    embedder().transform(X)
    assert capfd.readouterr() == ("", "")
    embedder(verbose=1).transform(X)
    out, err = capfd.readouterr()
    assert out == ""
    assert "TimmEmbedder: 11/11 images" in err
    assert err.rstrip(" \n").endswith("done")


def test_progress_tells_the_time_left(monkeypatch, capsys):
    from gbmix_sklearn.backbones import _progress

    clock = iter([0.0, 0.1, 60.0])
    monkeypatch.setattr(_progress, "monotonic", lambda: next(clock))
    progress = _progress.Progress("Name", 4000, verbose=1)
    progress.update(1)
    assert capsys.readouterr().err == "", "too early to be worth a line"
    progress.update(60)
    assert "Name: 60/4000 images, 1 images/s, 1:05:40 left" in capsys.readouterr().err


@pytest.fixture(scope="module")
def stages():
    """The first stages of a model: feature maps of shape (64, 8, 8)."""
    whole = load_backbone("resnet10t", pretrained=False, image_size=SIZE)
    model = whole.model
    first = torch.nn.Sequential(model.conv1, model.bn1, model.act1, model.maxpool, model.layer1)
    return Backbone.of("stages", first, whole.preprocess, CPU, torch.float32)


@pytest.mark.parametrize("batch_size", [None, 1, 4])
def test_feature_maps_keep_their_shape(X, stages, batch_size):
    assert stages.shape == (64, 8, 8)
    assert stages.n_features == 64 * 8 * 8
    images = Images(X)
    pixels = stages.preprocess.load(images, range(len(X)))
    with torch.inference_mode():
        maps = stages.model(stages.preprocess.normalize(pixels, CPU))
    result = embed(stages, images, batch_size=batch_size)
    assert result.dtype == np.float32
    assert result.shape == (len(X), 64, 8, 8)
    close(result, maps)


def test_a_backbone_of_any_module_evaluates():
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4)).train()
    preprocess = load_backbone("resnet10t", pretrained=False, image_size=SIZE).preprocess
    backbone = Backbone.of("own", module, preprocess, CPU, torch.bfloat16)
    assert not any(part.training for part in module.modules())
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert module[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert backbone.shape == (4, SIZE, SIZE)
    assert backbone.forward(torch.zeros(2, SIZE, SIZE, 3, dtype=torch.uint8)).shape[0] == 2
    assert backbone.image_bytes >= 4 * 4 * SIZE * SIZE


class Several(torch.nn.Module):
    def forward(self, images):
        return images, images


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (torch.nn.Linear(7, 2), "'own' cannot embed images of size .32, 32.: .*shapes"),
        (Several(), "'own' cannot embed.*it yields no tensor but tuple"),
    ],
)
def test_modules_that_are_no_backbone_are_refused(module, message):
    preprocess = load_backbone("resnet10t", pretrained=False, image_size=SIZE).preprocess
    with pytest.raises(ValueError, match=message):
        Backbone.of("own", module, preprocess, CPU, torch.float32)


def test_embedding_into_a_file(X, stages, tmp_path):
    images = Images(X)
    shape = (len(X), *stages.shape)
    mapped = np.memmap(tmp_path / "maps", dtype=np.float32, mode="w+", shape=shape)
    assert embed(stages, images, batch_size=4, out=mapped) is mapped
    mapped.flush()
    written = np.fromfile(tmp_path / "maps", dtype=np.float32).reshape(shape)
    close(written, embed(stages, images))
    half = embed(stages, images, out=np.zeros(shape, dtype=np.float16))
    np.testing.assert_allclose(half, written, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    "out", [np.zeros((11, 64, 8, 9), np.float32), np.zeros((11, 64, 8, 8), dtype=int)]
)
def test_arrays_that_do_not_fit_the_embeddings_are_refused(X, stages, out):
    with pytest.raises(ValueError, match=r"float array \(11, 64, 8, 8\); got (float32|int64)"):
        embed(stages, Images(X), out=out)
