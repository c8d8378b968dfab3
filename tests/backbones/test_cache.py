"""What was embedded once is found again: by content, across processes, whatever breaks."""

import errno
import hashlib
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn.backbones import (
    Backbone,
    TimmEmbedder,
    _cache,
    create_model,
    load_backbone,
)
from gbmix_sklearn.backbones._cache import CacheWriter, EmbeddingCache
from gbmix_sklearn.backbones._embedding import embed
from gbmix_sklearn.backbones._images import Images

SIZE = 32
N = 30
SETTINGS = {"backbone": "resnet10t", "pretrained": False, "image_size": SIZE}


@pytest.fixture(scope="module")
def X():
    photo = load_sample_image("flower.jpg")
    return np.stack([photo[10 * i : 10 * i + 40, 15 * i : 15 * i + 40] for i in range(N)])


@pytest.fixture(scope="module")
def expected(X):
    return TimmEmbedder(**SETTINGS).transform(X)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def forwards():
    """Images that the model saw, in this process."""
    seen = []
    model = load_backbone("resnet10t", pretrained=False, image_size=SIZE).model
    hook = model.register_forward_hook(lambda model, inputs, output: seen.append(len(output)))
    yield lambda: sum(seen)
    hook.remove()


def embedder(folder, **parameters):
    return TimmEmbedder(**SETTINGS | {"cache_dir": folder} | parameters)


def shards(folder):
    return sorted(folder.rglob("*.embeddings"))


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_again_in_another_order_and_in_part_costs_nothing(X, expected, folder, forwards):
    first = embedder(folder).transform(X)
    close(first, expected)
    assert forwards() == N
    order = np.random.default_rng(0).permutation(N)
    for rows in (np.arange(N), order, order[:7], [3, 3, 3]):
        result = embedder(str(folder), batch_size=4).transform(X[rows])
        np.testing.assert_array_equal(result, first[rows])
    assert forwards() == N


def test_equal_images_in_one_call_go_through_once(X, expected, folder, forwards):
    rows = [0, 1, 0, 0, 2, 1] * 7
    close(embedder(folder, batch_size=2).transform(X[rows]), expected[rows])
    assert forwards() == 3


def test_files_are_known_by_content_and_pixels_by_pixels(X, folder, forwards, tmp_path):
    for i, pixels in enumerate(X[:4]):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    first = embedder(folder).transform(paths)
    (tmp_path / "moved").mkdir()
    moved = [path.rename(tmp_path / "moved" / f"x{path.name}") for path in paths]
    np.testing.assert_array_equal(embedder(folder).transform(moved), first)
    assert forwards() == 4
    moved[1].write_bytes(moved[0].read_bytes())
    np.testing.assert_array_equal(embedder(folder).transform(moved), first[[0, 0, 2, 3]])
    assert forwards() == 4
    embedder(folder).transform(X[:4])
    assert forwards() == 8, "pixels are not known by their files"
    embedder(folder).transform([Image.fromarray(pixels) for pixels in X[:4]])
    embedder(folder).transform([torch.from_numpy(pixels).permute(2, 0, 1) for pixels in X[:4]])
    assert forwards() == 8


def test_shapes_distinguish_equal_bytes(folder, forwards):
    X = np.arange(24 * 3, dtype=np.uint8)
    embedder(folder).transform([X.reshape(4, 6, 3), X.reshape(6, 4, 3), X.reshape(6, 12)])
    assert forwards() == 3


def test_whatever_changes_the_embedding_changes_the_key(X, folder, tmp_path):
    state = create_model("resnet10t", pretrained=False).state_dict()
    save_file(state, tmp_path / "same.safetensors")
    save_file(
        state | {"conv1.0.weight": state["conv1.0.weight"] * 1.001}, tmp_path / "w.safetensors"
    )
    for changes in (
        {},
        {"image_size": 33},
        {"image_size": None},
        {"backbone": "mobilenetv2_050"},
        {"precision": "bf16"},
        {"pretrained": tmp_path / "w.safetensors"},
    ):
        before = len(list(folder.glob("*")))
        result = embedder(folder, **changes).transform(X[:2])
        close(result, embedder(None, **changes).transform(X[:2]))
        assert len(list(folder.glob("*"))) == before + 1, changes
    for changes in ({"pretrained": tmp_path / "same.safetensors"}, {"batch_size": 1, "verbose": 0}):
        embedder(folder, **changes).transform(X[:2])
        assert len(list(folder.glob("*"))) == before + 1, f"{changes} change no embedding"


def test_caches_of_earlier_versions_are_found():
    backbone = load_backbone("resnet10t", pretrained=False, image_size=SIZE)
    settings = (timm.__version__, "resnet10t", backbone.preprocess.recipe, "torch.float32")
    content = [repr(settings).encode()]
    for name, tensor in sorted(backbone.model.state_dict().items()):
        content.append(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        content.append(tensor.numpy().tobytes())
    assert backbone.fingerprint == hashlib.sha256(b"".join(content)).hexdigest()[:32]


class Maps(torch.nn.Module):
    def __init__(self, body, pool):
        super().__init__()
        self.body, self.pool = body, pool

    def forward(self, images):
        maps = self.body(images)
        return maps.mean((2, 3)) if self.pool else maps


def of_maps(pool):
    whole = load_backbone("resnet10t", pretrained=False, image_size=SIZE)
    body = torch.nn.Sequential(whole.model.conv1, whole.model.bn1)
    return Backbone.of(
        "maps", Maps(body, pool), whole.preprocess, torch.device("cpu"), torch.float32
    )


def test_feature_maps_are_found_again_in_their_shape(X, folder):
    backbone, seen = of_maps(pool=False), []
    backbone.model.register_forward_hook(lambda model, inputs, output: seen.append(len(output)))
    rows = [*range(N), 3, 3]  # equal images are copied
    for _ in range(2):
        cache = EmbeddingCache(folder, backbone.n_features)
        result = embed(backbone, Images(X[rows]), batch_size=4, cache=cache)
        assert result.shape == (N + 2, 64, 16, 16)
        assert sum(seen) == N
        close(result, embed(of_maps(pool=False), Images(X[rows])))


def test_maps_and_pooled_maps_of_the_same_weights_have_caches_of_their_own():
    assert of_maps(pool=True).fingerprint != of_maps(pool=False).fingerprint
    assert of_maps(pool=True).fingerprint == of_maps(pool=True).fingerprint


@pytest.mark.parametrize("memory", [None, "of_the_pipeline"])
def test_search_embeds_each_image_once(X, folder, forwards, memory):
    y = np.arange(N) % 2
    pipe = make_pipeline(
        embedder(folder),
        StandardScaler(),
        LogisticRegression(max_iter=10_000),
        memory=None if memory is None else str(folder.parent / memory),
    )
    grid = {"logisticregression__C": np.logspace(-3, 2, 12)}
    GridSearchCV(pipe, grid, cv=5, error_score="raise").fit(X, y)
    assert forwards() == N


class CountingEmbedder(TimmEmbedder):
    """Notes what its process sends through the model in a file beside the cache."""

    def transform(self, X):
        def count(model, inputs, output):
            with open(Path(self.cache_dir).parent / f"{os.getpid()}.count", "a") as file:
                file.write(f"{len(output)}\n")

        hook = self._load().model.register_forward_hook(count)
        try:
            return super().transform(X)
        finally:
            hook.remove()


def test_search_in_two_processes(X, expected, folder, forwards):
    y = np.arange(N) % 2
    pipe = make_pipeline(
        CountingEmbedder(**SETTINGS, cache_dir=folder, batch_size=5),
        LogisticRegression(max_iter=10_000),
    )
    counts = []
    for _ in range(2):
        search = GridSearchCV(
            pipe, {"logisticregression__C": [0.1, 1, 10]}, cv=3, n_jobs=2, error_score="raise"
        ).fit(X, y)
        files = list(folder.parent.glob("*.count"))
        counts.append(sum(int(line) for file in files for line in file.read_text().split()))
    assert N <= counts[0] <= 2 * N + 10, "at worst, both begin with the same images"
    assert counts[1] == counts[0]
    before = forwards()
    close(search.best_estimator_[0].transform(X), expected)
    assert forwards() == before


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "header", "embedding", "key"])
def test_a_damaged_file_is_named_and_written_anew(X, folder, forwards, damage):
    first = embedder(folder).transform(X)
    (path,) = shards(folder)
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        del data[-1000:]
    elif damage == "empty":
        data.clear()
    elif damage == "garbage":
        data = bytearray(os.urandom(len(data)))
    else:
        data[{"header": 9, "embedding": len(data) - 100, "key": 30}[damage]] ^= 1
    for in_memory in (True, False):
        path.write_bytes(data)
        if in_memory and damage in ("garbage", "header", "key"):
            continue  # an index that was read already is not read again
        if not in_memory:
            _cache._open.cache_clear()
        before = forwards()
        if damage == "key":  # an image that is no longer found, and nothing else
            assert np.abs(embedder(folder).transform(X) - first).max() < 1e-4
            assert forwards() == before + 1
            return
        with pytest.warns(UserWarning, match=f"{path}.*embedded anew"):
            close(embedder(folder).transform(X), first)
        assert before < forwards() <= before + N
        if in_memory and damage != "empty":
            assert forwards() == before + 1, "what is whole is kept"
        assert path not in shards(folder)
        before = forwards()
        close(embedder(folder).transform(X), first)
        assert forwards() == before
        for other in shards(folder):
            other.unlink()


def test_a_folder_that_is_deleted_in_between(X, folder, forwards):
    embedder(folder).transform(X)
    for path in shards(folder):
        path.unlink()
    embedder(folder).transform(X)
    assert forwards() == 2 * N


def test_where_nothing_can_be_written_a_warning_says_so(X, expected, folder, monkeypatch):
    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(_cache, "replace_file", full)
    with pytest.warns(UserWarning, match=rf"cannot be kept in {folder}.*No space") as caught:
        close(embedder(folder, batch_size=4).transform(X), expected)
    assert len(caught) == 1
    folder.write_text("a file")
    with pytest.raises(NotADirectoryError):
        embedder(folder).transform(X)


def test_a_broken_image_does_not_lose_the_rest(X, folder, forwards, tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(N)]
    for pixels, path in zip(X, paths, strict=True):
        Image.fromarray(pixels).save(path)
    paths[25].write_bytes(b"broken")
    with pytest.raises(ValueError, match="row 25"):
        embedder(folder, batch_size=2).transform(paths)
    done = forwards()
    assert done >= 10
    embedder(folder, batch_size=2).transform(paths[:25])
    assert forwards() <= 25 + 2, "all that was embedded was kept, bar the batch under way"


def test_a_killed_process_loses_little_and_the_next_goes_on(X, expected, folder, forwards):
    code = (
        "import os, pickle, sys, numpy as np\n"
        "from gbmix_sklearn.backbones import _cache\n"
        "embedder, X = pickle.load(sys.stdin.buffer)\n"
        "_cache.CacheWriter.__init__.__defaults__ = (4, 30)\n"
        "seen = []\n"
        "def forward(model, inputs, output):\n"
        "    seen.append(len(output))\n"
        "    if sum(seen) > 20: os._exit(9)\n"
        "embedder._load().model.register_forward_hook(forward)\n"
        "embedder.transform(X)\n"
    )
    data = pickle.dumps((embedder(folder, batch_size=2), X))
    assert subprocess.run([sys.executable, "-c", code], input=data).returncode == 9
    kept = len(EmbeddingCache(next(folder.iterdir()), 512))
    assert 14 <= kept <= 20
    close(embedder(folder).transform(X), expected)
    assert forwards() == N - kept


def keys_of(numbers):
    return [int(number).to_bytes(16, "big") for number in numbers]


def rows_of(numbers):
    return np.outer(numbers, np.ones(3)).astype(np.float32)


def test_many_small_files_become_few(folder):
    cache = EmbeddingCache(folder, 3)
    for number in range(200):
        cache.add(keys_of([number]), rows_of([number]))
    assert len(shards(folder)) <= _cache._MOST_SMALL
    for reader in (cache, EmbeddingCache(folder, 3)):
        found = reader.get(keys_of(range(200)))
        np.testing.assert_array_equal([found[k] for k in keys_of(range(200))], rows_of(range(200)))
    assert not list(folder.glob(".*"))


def test_many_writers_lose_nothing_while_they_merge(folder, monkeypatch):
    monkeypatch.setattr(_cache, "_MOST_SMALL", 4)
    monkeypatch.setattr(_cache, "_MERGED", 3)
    reader = EmbeddingCache(folder, 3)

    def work(worker):
        cache = EmbeddingCache(folder, 3)
        for step in range(25):
            numbers = [1000 * worker + step, 10_000 + step]  # one of its own, one of everyone's
            cache.add(keys_of(numbers), rows_of(numbers))
            cache.refresh()
            for key, row in reader.get(keys_of([10_000 + step // 2])).items():
                assert row[0] == int.from_bytes(key, "big")
            reader.refresh()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    numbers = [1000 * w + s for w in range(4) for s in range(25)] + list(range(10_000, 10_025))
    for cache in (EmbeddingCache(folder, 3), reader):
        cache.refresh()
        found = cache.get(keys_of(numbers))
        assert len(found) == len(numbers)
        np.testing.assert_array_equal(
            [found[key] for key in keys_of(numbers)], rows_of(numbers), strict=False
        )


def test_a_reader_follows_files_that_others_merged(folder):
    writer = EmbeddingCache(folder, 3)
    writer.add(keys_of([1]), rows_of([1]))
    reader = EmbeddingCache(folder, 3)
    for number in range(2, 60):
        writer.add(keys_of([number]), rows_of([number]))
    assert reader.get(keys_of([1]))[keys_of([1])[0]][0] == 1


def test_the_writer_writes_in_pieces_and_at_the_end(folder):
    cache = EmbeddingCache(folder, 3)

    def interrupted():
        with CacheWriter(cache, every=4) as writer:
            for number in range(6):
                writer.add(keys_of([number]), rows_of([number]))
                assert len(EmbeddingCache(folder, 3)) == (0 if number < 3 else 4)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(EmbeddingCache(folder, 3)) == 6
    with CacheWriter(cache, seconds=0) as writer:
        writer.add(keys_of([9]), rows_of([9]))
        assert len(EmbeddingCache(folder, 3)) == 7


def test_the_writer_collects_few_where_they_are_large(folder, monkeypatch):
    monkeypatch.setattr(_cache, "_MOST_COLLECTED", 5 * rows_of([0]).nbytes)
    with CacheWriter(EmbeddingCache(folder, 3)) as writer:
        for number in range(12):
            writer.add(keys_of([number]), rows_of([number]))
            assert len(EmbeddingCache(folder, 3)) == (number + 1) // 5 * 5


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("when", ["opening", "reading", "merging"])
def test_an_error_of_the_disk_deletes_nothing(folder, monkeypatch, number, when):
    cache = EmbeddingCache(folder, 3)
    cache.add(keys_of([1, 2]), rows_of([1, 2]))
    before = shards(folder)

    def busy(*_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(_cache, "read_plain" if when == "merging" else "open_plain", busy)
        if when == "merging":  # damage is seen, and what is whole cannot be read
            with pytest.warns(UserWarning, match="cannot be read"):
                cache._repair(before[0].name, "damaged")
        else:
            with pytest.warns(UserWarning, match="cannot be read"):
                (EmbeddingCache(folder, 3) if when == "opening" else cache).get(keys_of([1]))
    assert shards(folder) == before
    assert set(EmbeddingCache(folder, 3).get(keys_of([1, 2]))) == set(keys_of([1, 2]))


def test_what_is_whole_in_a_damaged_shard_is_kept_though_the_disk_is_full(folder, monkeypatch):
    cache = EmbeddingCache(folder, 3)
    cache.add(keys_of([1, 2]), rows_of([1, 2]))
    (path,) = shards(folder)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_cache, "replace_file", full)
        with pytest.warns(UserWarning, match="cannot be kept"):
            assert set(cache.get(keys_of([1, 2]))) <= {*keys_of([1])}
    assert shards(folder) == [path]
    with pytest.warns(UserWarning, match="damaged"):
        assert set(EmbeddingCache(folder, 3).get(keys_of([1, 2]))) == {*keys_of([1])}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_in_place_of_a_shard_is_passed_over(folder):
    folder.mkdir(exist_ok=True)
    os.mkfifo(folder / "a.embeddings")
    with pytest.warns(UserWarning, match="no plain file"):
        cache = EmbeddingCache(folder, 3)
    assert len(cache) == 0
    assert (folder / "a.embeddings").exists()
