"""What one process embedded before, it does not embed again, within a bounded memory."""

import os
import pickle
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from gbmix_sklearn.backbones import TimmEmbedder, _memory_cache, load_backbone
from gbmix_sklearn.backbones._embedding import embed
from gbmix_sklearn.backbones._images import Images
from gbmix_sklearn.backbones._memory_cache import _OVERHEAD, MemoryCache, _Store, memory_cache

SIZE = 32
N = 20
SETTINGS = {"pretrained": False, "image_size": SIZE}


@pytest.fixture(autouse=True)
def store(monkeypatch):
    """A store for each test."""
    store = _Store(_memory_cache._store.limit)
    monkeypatch.setattr(_memory_cache, "_store", store)
    return store


@pytest.fixture
def small(store):
    """Room for ten embeddings of three features."""
    store.limit = 10 * (12 + _OVERHEAD)
    return store


@pytest.fixture(scope="module")
def X():
    photo = load_sample_image("flower.jpg")
    return np.stack([photo[10 * i : 10 * i + 40, 15 * i : 15 * i + 40] for i in range(N)])


@pytest.fixture(scope="module")
def expected(X):
    return TimmEmbedder("resnet10t", **SETTINGS).transform(X)


@pytest.fixture
def forwards():
    """Images that the model saw."""
    seen = []
    model = load_backbone("resnet10t", **SETTINGS).model
    hook = model.register_forward_hook(lambda model, inputs, output: seen.append(len(output)))
    yield lambda: sum(seen)
    hook.remove()


def embedded(X, backbone="resnet10t", batch_size=4):
    backbone = load_backbone(backbone, **SETTINGS)
    cache = memory_cache(backbone.fingerprint, backbone.n_features)
    return embed(backbone, Images(X), batch_size=batch_size, cache=cache)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def keys_of(numbers):
    return [int(number).to_bytes(16, "big") for number in numbers]


def rows_of(numbers):
    return np.outer(numbers, np.ones(3)).astype(np.float32)


def test_again_in_another_order_and_in_part_costs_no_forward(X, expected, forwards):
    first = embedded(X)
    close(first, expected)
    assert forwards() == N
    order = np.random.default_rng(0).permutation(N)
    for rows in (np.arange(N), order, order[:7], [3, 3, 3]):
        np.testing.assert_array_equal(embedded(X[rows]), first[rows])
    assert forwards() == N
    embedded(np.concatenate([X, X[:2] // 2]))
    assert forwards() == N + 2, "only what is new"


def test_backbones_do_not_see_each_others_embeddings(X):
    embedded(X)
    assert embedded(X, "mobilenetv2_050").shape == (N, 1280)
    first, second = MemoryCache("a", 3), MemoryCache("b", 3)
    first.add(keys_of([1]), rows_of([1]))
    assert keys_of([1])[0] not in second
    assert second.get(keys_of([1])) == {}


def test_whoever_changes_embeddings_does_not_change_the_cache(X, expected):
    embedded(X)[:] = 0
    close(embedded(X), expected)
    cache, rows = MemoryCache("a", 3), rows_of([1])
    cache.add(keys_of([1]), rows)
    rows[:] = 7
    found = cache.get(keys_of([1]))[keys_of([1])[0]]
    np.testing.assert_array_equal(found, [1, 1, 1])
    with pytest.raises(ValueError, match="read-only"):
        found[:] = 7


def test_the_least_recently_used_make_room(small):
    cache = MemoryCache("a", 3)
    cache.add(keys_of(range(10)), rows_of(range(10)))
    assert len(cache.get(keys_of(range(10)))) == 10, "all fit"
    cache.get(keys_of([0, 1]))
    cache.add(keys_of(range(10, 13)), rows_of(range(10, 13)))
    kept = [n for n in range(13) if keys_of([n])[0] in cache]
    assert kept == [0, 1, *range(5, 13)]
    found = cache.get(keys_of(range(13)))
    assert [int(row[0]) for row in found.values()] == kept


def test_the_bound_is_for_all_backbones_together(small):
    for name in ("a", "b", "c"):
        MemoryCache(name, 3).add(keys_of(range(6)), rows_of(range(6)))
    counts = [len(MemoryCache(name, 3).get(keys_of(range(6)))) for name in ("a", "b", "c")]
    assert counts == [0, 4, 6]


def test_what_is_added_again_counts_once(small):
    cache = MemoryCache("a", 3)
    for _ in range(5):
        cache.add(keys_of(range(9)), rows_of(range(9)))
    cache.add(keys_of([3]), rows_of([33]))
    found = cache.get(keys_of(range(9)))
    assert len(found) == 9
    assert found[keys_of([3])[0]][0] == 33


def test_an_embedding_larger_than_the_bound_is_not_kept(small):
    cache = MemoryCache("a", 10_000)
    assert cache.add(keys_of([1]), np.ones((1, 10_000)))
    assert cache.get(keys_of([1])) == {}
    assert small.size == 0


@pytest.mark.parametrize("room", [0, 3])
def test_without_room_results_are_the_same(X, expected, store, room):
    store.limit = room * (4 * 512 + _OVERHEAD)
    rows = [*range(N), 1, 1, 2]
    for _ in range(2):
        close(embedded(X[rows]), expected[rows])
    assert len(store.rows) == room


@pytest.mark.parametrize("n_features", [1, 500])
def test_the_bound_is_of_memory_and_not_of_numbers(store, n_features):
    store.limit = 1 << 20
    cache = MemoryCache("a", n_features)
    hot = []
    tracemalloc.start()
    for _ in range(40):
        keys = [os.urandom(16) for _ in range(500)]
        cache.add(keys, np.zeros((500, n_features), dtype=np.float32))
        hot.append(keys[0])
        cache.get(hot)  # one of each batch stays, which must not keep the whole batch
    del keys
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert 0.5 * store.limit < used < 1.2 * store.limit


@pytest.mark.parametrize(("available", "limit"), [(400, 100), (1 << 40, 1 << 30)])
def test_the_bound_is_a_quarter_of_the_memory_and_at_most_a_gigabyte(monkeypatch, available, limit):
    monkeypatch.setattr(_memory_cache, "available_memory", lambda: available)
    assert _memory_cache._find_limit() == limit


def test_threads_may_share_it(small):
    def work(worker):
        cache = MemoryCache("a", 3)
        draw = np.random.default_rng(worker)
        for _ in range(300):
            numbers = draw.integers(0, 30, 4)
            cache.add(keys_of(numbers), rows_of(numbers))
            for key, row in cache.get(keys_of(draw.integers(0, 30, 4))).items():
                assert row[0] == int.from_bytes(key, "big")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
    finally:
        sys.setswitchinterval(interval)
    assert small.size == len(small.rows) * (12 + _OVERHEAD) <= small.limit


def test_threads_embed_the_same(X, expected):
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: embedded(X), range(4)):
            close(result, expected)


def test_a_pickle_has_no_content(store, monkeypatch):
    cache = MemoryCache("a", 512)
    cache.add(keys_of(range(100)), np.ones((100, 512)))
    data = pickle.dumps(cache)
    assert len(data) < 200
    assert len(pickle.loads(data).get(keys_of(range(100)))) == 100, "in the same process"
    monkeypatch.setattr(_memory_cache, "_store", _Store(store.limit))
    again = pickle.loads(data)
    assert again.get(keys_of(range(100))) == {}, "as in another one"
    assert (again.fingerprint, again.n_features) == ("a", 512)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_begins_anew_even_while_a_thread_writes():
    code = (
        "import os, numpy as np\n"
        "from gbmix_sklearn.backbones import _memory_cache as m\n"
        "cache = m.memory_cache('a', 3)\n"
        "key = bytes(16)\n"
        "cache.add([key], np.ones((1, 3)))\n"
        "m._store.lock.acquire()\n"  # as of another thread, which the child does not have
        "child = os.fork()\n"
        "if child == 0:\n"
        "    assert cache.get([key]) == {}\n"
        "    cache.add([key], np.zeros((1, 3)))\n"
        "    assert cache.get([key])[key].sum() == 0\n"
        "    os._exit(7)\n"
        "m._store.lock.release()\n"
        "assert os.waitpid(child, 0)[1] == 7 << 8\n"
        "assert cache.get([key])[key].sum() == 3\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
