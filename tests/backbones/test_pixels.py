"""Images are decoded once, kept whole wherever they are kept, and found again by content."""

import errno
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_image

from gbmix_sklearn._files import TEMPORARY
from gbmix_sklearn.backbones import _pixels
from gbmix_sklearn.backbones._images import Images
from gbmix_sklearn.backbones._pixels import PixelStore, decode

N = 21  # no multiple of the rows that a thread takes at once
SIZE = (24, 36)
PHOTO = load_sample_image("china.jpg")


@pytest.fixture(scope="module")
def photos():
    """Parts of a photograph, of several sizes."""
    return [np.ascontiguousarray(PHOTO[7 * i :, 5 * i : 500 + 3 * i]) for i in range(N)]


@pytest.fixture
def files(photos, tmp_path):
    paths = [tmp_path / "photos" / f"{i}.png" for i in range(N)]
    paths[0].parent.mkdir()
    for path, pixels in zip(paths, photos, strict=True):
        Image.fromarray(pixels).resize((60, 40)).crop((0, 0, 40 + int(path.stem), 40)).save(path)
    return paths


class Preparation:
    """Resizes to one size, or leaves images as they are; notes the rows."""

    def __init__(self, shape):
        self.shape, self.rows, self.lock = shape, [], threading.Lock()

    def __call__(self, row, picture):
        with self.lock:
            self.rows.append(row)
        image = picture.rgb()
        return np.asarray(image if self.shape is None else image.resize(self.shape[::-1]))


@pytest.fixture(params=[SIZE, None], ids=["uniform", "ragged"])
def prepare(request):
    return Preparation(request.param)


def stored(X, prepare, **options):
    images = X if isinstance(X, Images) else Images(X)
    return decode(images, prepare, shape=prepare.shape, recipe=f"resize {prepare.shape}", **options)


def expected(X, shape, rows=None):
    images, prepare = Images(X), Preparation(shape)
    return [prepare(row, images[row]) for row in (range(len(images)) if rows is None else rows)]


def check(store, arrays):
    assert len(store) == len(arrays)
    for position, array in enumerate(arrays):
        np.testing.assert_array_equal(store[position], array)
    np.testing.assert_array_equal(store.sizes, [array.shape[:2] for array in arrays])
    assert store.rows.dtype == np.int64


def entries(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def is_mapped(store):
    base = store[0]
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    return isinstance(base, np.memmap)


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(_pixels, "available_memory", lambda: 2 * 20000)


@pytest.fixture
def temporary(monkeypatch, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_each_image_is_decoded_once(files, prepare):
    done = []
    store = stored(files, prepare, update=done.append)
    assert sorted(prepare.rows) == list(range(N))
    assert done == [8, 16, N]
    check(store, expected(files, prepare.shape))
    np.testing.assert_array_equal(store.rows, np.arange(N))
    assert store.broken == {}
    assert not is_mapped(store)


def test_real_photographs(photos):
    prepare = Preparation(None)
    check(stored(photos, prepare), photos)


def test_tensors_may_be_prepared_as_well(photos):
    def prepare(row, picture):
        return torch.full((2, 3, 3), row, dtype=torch.uint8)

    store = decode(Images(photos), prepare, shape=(2, 3), recipe="")
    np.testing.assert_array_equal(store.take(np.array([5, 3]))[:, 0, 0, 0], [5, 3])


@pytest.mark.parametrize("where", ["memory", "file"])
def test_batches_are_fresh_copies(files, prepare, where, tmp_path):
    store = stored(files, prepare, folder=tmp_path if where == "file" else None)
    arrays = expected(files, prepare.shape)
    positions = np.array([4, 0, 4] if prepare.shape else [4, 4])
    batch = store.take(positions)
    assert batch.dtype == torch.uint8
    assert batch.is_contiguous()
    np.testing.assert_array_equal(batch, np.stack([arrays[p] for p in positions]))
    batch[:] = 0
    check(store, arrays)


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_a_stack_is_taken_as_it_is(channels, tmp_path):
    X = np.random.default_rng(0).integers(0, 256, (5, 6, 7, *channels), dtype=np.uint8)
    np.save(tmp_path / "x.npy", X)
    colour = X.reshape(5, 6, 7, -1)[..., :3]
    colour = np.broadcast_to(colour, (5, 6, 7, 3))
    for stack in (X, np.load(tmp_path / "x.npy", mmap_mode="r")):
        store = PixelStore.of_stack(stack)
        assert np.shares_memory(store[0], stack)
        check(store, list(colour))
        batch = store.take(np.array([3, 1, 1]))
        np.testing.assert_array_equal(batch, colour[[3, 1, 1]])
        assert batch.is_contiguous()
        batch[0] = 0  # which would fail for three channels that are one in memory
        np.testing.assert_array_equal(stack, X)


def test_what_does_not_fit_into_memory_goes_into_a_file(files, prepare, little_memory, temporary):
    store = stored(files, prepare)
    assert sorted(prepare.rows) == list(range(N))
    assert is_mapped(store)
    check(store, expected(files, prepare.shape))
    with pytest.raises(ValueError, match="read-only"):
        store[0][0] = 0


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_the_temporary_file_goes_with_the_store(files, prepare, little_memory, temporary):
    def mapped():
        return str(temporary) in Path("/proc/self/maps").read_text()

    store = stored(files, prepare)
    assert mapped()
    view = store[N - 1]
    del store
    gc.collect()
    np.testing.assert_array_equal(view, expected(files, prepare.shape)[-1])
    del view
    gc.collect()
    assert not mapped()
    assert entries(temporary) == [], "not even while it was in use"


def test_found_again_without_decoding(files, prepare, tmp_path):
    first = stored(files, prepare, folder=tmp_path / "cache")
    assert is_mapped(first)
    assert sorted(prepare.rows) == list(range(N))
    done = []
    again = stored(files, prepare, folder=tmp_path / "cache", update=done.append)
    assert len(prepare.rows) == N
    assert done == [N]
    for store in (first, again):
        check(store, expected(files, prepare.shape))
    assert len(entries(tmp_path / "cache")) == 1


def test_content_counts_and_not_names(files, prepare, tmp_path):
    folder = tmp_path / "cache"
    stored(files, prepare, folder=folder)
    renamed = [path.rename(path.with_name(f"new {path.name}")) for path in files]
    stored(renamed, prepare, folder=folder)
    assert len(prepare.rows) == N
    stored(renamed[::-1], prepare, folder=folder)
    assert len(prepare.rows) == 2 * N, "in another order they are another store"
    Image.fromarray(PHOTO[:40, :40]).save(renamed[3])
    store = stored(renamed, prepare, folder=folder)
    assert len(prepare.rows) == 3 * N
    check(store, expected(renamed, prepare.shape))
    decode(Images(renamed), prepare, shape=prepare.shape, recipe="another", folder=folder)
    assert len(prepare.rows) == 4 * N


def cut(data):
    return data[:-1]


def longer(data):
    return data + b"x"


def fewer_pixels(data):
    return data[100:]


def other_index(data):
    return data[:-60] + bytes([data[-60] ^ 1]) + data[-59:]


def absurd_length(data):
    return data[:-40] + b"\xff" * 8 + data[-32:]


@pytest.mark.parametrize(
    "damage",
    [cut, longer, fewer_pixels, other_index, absurd_length, lambda data: b"", lambda data: b"abc"],
)
def test_damaged_files_are_made_anew(files, prepare, tmp_path, damage):
    stored(files, prepare, folder=tmp_path / "cache")
    [path] = entries(tmp_path / "cache")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=r"cannot be used: .*decoded anew") as caught:
        store = stored(files, prepare, folder=tmp_path / "cache")
    assert caught[0].filename == __file__
    check(store, expected(files, prepare.shape))
    assert len(prepare.rows) == 2 * N
    stored(files, prepare, folder=tmp_path / "cache")
    assert len(prepare.rows) == 2 * N
    assert entries(tmp_path / "cache") == [path]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.integers(1, 255))
def test_no_damage_of_the_index_goes_unnoticed(tmp_path_factory, place, change):
    folder = tmp_path_factory.mktemp("cache")
    X = [np.full((2, 2 + i), i, np.uint8) for i in range(9)]
    prepare = Preparation(None)
    stored(X, prepare, folder=folder)
    [path] = entries(folder)
    data = bytearray(path.read_bytes())
    pixels = 3 * sum(array.size for array in X)
    place = len(data) - 1 - place % (len(data) - pixels)
    data[place] ^= change
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="cannot be used"):
        store = stored(X, prepare, folder=folder)
    check(store, expected(X, None))


def test_a_file_that_is_made_anew_leaves_those_who_use_it_alone(files, prepare, tmp_path):
    first = stored(files, prepare, folder=tmp_path / "cache")
    [path] = entries(tmp_path / "cache")
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-1])
    with pytest.warns(UserWarning, match="cannot be used"):
        stored(files, prepare, folder=tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    check(first, expected(files, prepare.shape))


PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from gbmix_sklearn.backbones._images import Images
from gbmix_sklearn.backbones._pixels import decode
paths = sorted(Path(sys.argv[1]).glob("*.png"), key=lambda path: int(path.stem))
store = decode(Images(paths), lambda row, picture: np.asarray(picture.rgb()), shape=None,
               recipe="resize None", folder=Path(sys.argv[2]))
print(sum(int(image.sum()) for image in store))
"""


def test_processes_share_a_folder(files, tmp_path):
    folder = tmp_path / "cache"
    arguments = [sys.executable, "-c", PROGRAM, str(files[0].parent), str(folder)]
    processes = [subprocess.Popen(arguments, stdout=subprocess.PIPE) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    total = sum(int(array.sum()) for array in expected(files, None))
    assert [int(output) for output in outputs] == [total, total]
    prepare = Preparation(None)
    check(stored(files, prepare, folder=folder), expected(files, None))
    assert prepare.rows == []
    assert len(entries(folder)) == 1


def test_threads_share_a_folder_and_a_store(files, prepare, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        stores = list(
            pool.map(lambda _: stored(files, prepare, folder=tmp_path / "cache"), range(4))
        )
        arrays = expected(files, prepare.shape)
        list(pool.map(lambda store: check(store, arrays), stores * 3))
    assert len(entries(tmp_path / "cache")) == 1


@pytest.fixture
def some_broken(files):
    files[2].write_text("no image")
    files[9].unlink()
    files[10].write_bytes(files[11].read_bytes()[:200])
    return files


@pytest.mark.parametrize("where", ["memory", "temporary", "folder"])
def test_broken_images_are_left_out(some_broken, prepare, where, tmp_path, monkeypatch):
    if where == "temporary":
        monkeypatch.setattr(_pixels, "available_memory", lambda: 0)
    folder = tmp_path / "cache" if where == "folder" else None
    rows = [row for row in range(N) if row not in (2, 9, 10)]
    for _ in range(2):
        store = stored(some_broken, prepare, on_error="skip", folder=folder)
        check(store, expected(some_broken, prepare.shape, rows))
        assert store.rows.tolist() == rows
        assert sorted(store.broken) == [2, 9, 10]
        for row, reason in [(2, "no picture but text"), (9, "there is no image file"), (10, "")]:
            assert store.broken[row].startswith(f"row {row}: ")
            assert str(some_broken[row]) in store.broken[row]
            assert reason in store.broken[row]


def test_broken_images_raise(some_broken, prepare, tmp_path):
    with pytest.raises(ValueError, match=r"row 2: cannot read the image .*2\.png"):
        stored(some_broken, prepare)
    with pytest.raises(FileNotFoundError, match=r"row 9: there is no image file .*9\.png"):
        stored(some_broken, prepare, folder=tmp_path / "cache")  # noticed before any is decoded
    some_broken[9].write_text("no image either")
    for _ in range(2):
        with pytest.raises(ValueError, match="row 2: cannot read the image"):
            stored(some_broken, prepare, folder=tmp_path / "cache")
        # what was kept with gaps is no excuse
        stored(some_broken, prepare, folder=tmp_path / "cache", on_error="skip")


def test_broken_images_are_named_as_they_are_called_now(some_broken, prepare, tmp_path):
    stored(some_broken, prepare, folder=tmp_path / "cache", on_error="skip")
    n = len(prepare.rows)
    moved = some_broken[0].parent.rename(tmp_path / "moved")
    files = [moved / path.name for path in some_broken]
    store = stored(files, prepare, folder=tmp_path / "cache", on_error="skip")
    assert len(prepare.rows) == n
    for row, message in store.broken.items():
        assert str(files[row]) in message
        assert str(some_broken[row]) not in message
    Image.fromarray(PHOTO[:40, :40]).save(files[9])  # found at last
    assert 9 in stored(files, prepare, folder=tmp_path / "cache", on_error="skip").rows


def test_no_image_at_all(tmp_path, prepare):
    for folder in (None, tmp_path / "cache"):
        with pytest.raises(ValueError, match=r"none of the 12 images.*row 0: .*; row 1: "):
            stored(["gone.png"] * 12, prepare, on_error="skip", folder=folder)
    assert entries(tmp_path) == []


@pytest.mark.parametrize("where", ["memory", "folder"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RuntimeError, OSError])
def test_what_is_not_about_an_image_ends_everything(files, where, error, tmp_path):
    def prepare(row, picture):
        if row == 9:
            raise error("stop")
        return np.zeros((*SIZE, 3), np.uint8)

    folder = tmp_path / "cache" if where == "folder" else None
    threads = threading.active_count()
    with pytest.raises(error, match="stop"):
        decode(Images(files), prepare, shape=SIZE, recipe="", on_error="skip", folder=folder)
    assert threading.active_count() == threads
    assert not (tmp_path / "cache").exists() or entries(tmp_path / "cache") == []


def test_a_lack_of_memory_is_no_broken_image(files, monkeypatch):
    def fails(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(Image, "open", fails)
    with pytest.raises(ValueError, match="row 0") as caught:
        stored(files, Preparation(SIZE), on_error="skip")
    assert isinstance(caught.value.__cause__, MemoryError)


def test_pixels_of_another_shape_or_type_are_refused(files):
    for pixels in (np.zeros((2, 2, 3), np.uint8), np.zeros((*SIZE, 3))):
        with pytest.raises(TypeError, match=r"row 0 is prepared as"):
            decode(
                Images(files),
                lambda row, picture, pixels=pixels: pixels,
                shape=SIZE,
                recipe="",
                on_error="skip",
            )


def test_a_disk_that_is_known_to_be_too_small(files, little_memory, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    prepare = Preparation((2000, 3000))
    full = "need 0.4 GiB, but {} has 0.0 GiB.*cache_dir"
    with pytest.raises(OSError, match=full.format(tempfile.gettempdir())):
        stored(files, prepare)
    with (
        pytest.warns(UserWarning, match=full.format(tmp_path / "cache")),
        pytest.raises(OSError, match=full.format(tempfile.gettempdir())),
    ):
        stored(files, prepare, folder=tmp_path / "cache")
    assert prepare.rows == []


def test_a_disk_that_turns_out_to_be_full(
    files, prepare, little_memory, temporary, tmp_path, monkeypatch
):
    def fails(file, decoding, decoded):
        file.write(next(iter(decoded)).data)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_pixels, "_write", fails)
    full = r"decoded images need .* GiB.*cache_dir="
    with pytest.raises(OSError, match=full) as caught:
        stored(files, prepare)
    assert caught.value.errno == errno.ENOSPC
    with pytest.warns(UserWarning, match=full), pytest.raises(OSError, match=full):
        stored(files, prepare, folder=tmp_path / "cache")
    assert entries(temporary) == []
    assert entries(tmp_path / "cache") == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_and_no_crash(files, prepare, little_memory, monkeypatch):
    def full(**arguments):
        return open("/dev/full", "w+b", buffering=0)

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(OSError, match="cache_dir="):
        stored(files, prepare)


def test_leftovers_of_killed_processes_are_removed(files, prepare, tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    names = (f".a.pixels.1{TEMPORARY}", f".b.pixels.2{TEMPORARY}", "c.tmp")
    old, new, other = (folder / name for name in names)
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (0, 0))
    stored(files, prepare, folder=folder)
    assert [path.exists() for path in (old, new, other)] == [False, True, True]


@pytest.mark.parametrize("place", [0, 1234, -400])
def test_a_flipped_bit_is_noticed_and_decoded_anew(files, prepare, tmp_path, place):
    stored(files, prepare, folder=tmp_path)
    (path,) = tmp_path.glob("*.pixels")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=r"pixels cannot be used.*damaged.*anew"):
        store = stored(files, prepare, folder=tmp_path)
    check(store, expected(files, prepare.shape))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored(files, prepare, folder=tmp_path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_folder_that_takes_nothing_is_gone_without(files, prepare, tmp_path, monkeypatch, number):
    def broken(path, write):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(_pixels, "replace_file", broken)
    with pytest.warns(UserWarning, match=r"cannot be kept in .*cache.*for this fit alone"):
        store = stored(files, prepare, folder=tmp_path / "cache")
    check(store, expected(files, prepare.shape))


def test_a_file_in_place_of_the_folder_is_gone_without(files, prepare, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.warns(UserWarning, match="cannot be kept"):
        store = stored(files, prepare, folder=tmp_path / "cache" / "pixels")
    check(store, expected(files, prepare.shape))


def test_a_missing_image_is_no_fault_of_the_folder(files, prepare, tmp_path):
    with pytest.raises(FileNotFoundError, match="row 2"):
        stored([*files[:2], "missing.png"], prepare, folder=tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_processes_read_and_leave_all_in_place(files, prepare, little_memory, temporary):
    store = stored(files, prepare)
    total = sum(int(image.sum()) for image in store)
    child = os.fork()
    if child == 0:
        right = sum(int(image.sum()) for image in store) == total
        del store
        gc.collect()
        os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0
    check(store, expected(files, prepare.shape))
