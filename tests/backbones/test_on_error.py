"""Images that cannot be read stop everything, or leave rows of NaN and a warning behind."""

import warnings
from contextlib import ExitStack

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image
from torch.utils.data import Dataset

from gbmix_sklearn import SkippedImagesWarning
from gbmix_sklearn.backbones import TimmEmbedder, load_backbone
from gbmix_sklearn.backbones._broken import skipped_images_message
from gbmix_sklearn.backbones._cache import EmbeddingCache
from gbmix_sklearn.backbones._embedding import embed
from gbmix_sklearn.backbones._images import Images, Picture
from gbmix_sklearn.backbones._memory_cache import MemoryCache

SIZE = 32
SETTINGS = {"backbone": "resnet10t", "pretrained": False, "image_size": SIZE}
GOOD = [0, 2, 3, 5, 7, 9, 10, 12, 13, 14]
BROKEN = {1: "cut.jpg", 4: "gone.jpg", 6: "text.jpg", 8: "empty.jpg", 11: "cut.jpg"}
N = 15


@pytest.fixture(scope="module")
def pixels():
    photo = load_sample_image("flower.jpg")
    return np.stack([photo[10 * i : 10 * i + 40, 15 * i : 15 * i + 40] for i in range(N)])


@pytest.fixture(scope="module")
def expected(pixels):
    """Embeddings, with NaN where images are broken."""
    expected = TimmEmbedder(**SETTINGS).transform(pixels)
    expected[list(BROKEN)] = np.nan
    return expected


@pytest.fixture
def paths(pixels, tmp_path):
    """Files, some of them broken in all ways."""
    folder = tmp_path / "images"
    folder.mkdir()
    for row in GOOD:
        Image.fromarray(pixels[row]).save(folder / f"{row}.png")
    Image.fromarray(pixels[0]).save(folder / "cut.jpg")
    data = (folder / "cut.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(data[: len(data) - 50])
    (folder / "text.jpg").write_text("no image")
    (folder / "empty.jpg").touch()
    return [folder / BROKEN.get(row, f"{row}.png") for row in range(N)]


@pytest.fixture(params=["no cache", "cache"])
def cache_dir(request, tmp_path):
    return tmp_path / "cache" if request.param == "cache" else None


@pytest.fixture
def forwards():
    """Images that the model saw."""
    seen = []
    model = load_backbone("resnet10t", pretrained=False, image_size=SIZE).model
    hook = model.register_forward_hook(lambda model, inputs, output: seen.append(len(output)))
    yield lambda: sum(seen)
    hook.remove()


def skipping(**parameters):
    return TimmEmbedder(**SETTINGS, on_error="skip", **parameters)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def skipped(embedder, X):
    """Embeddings and the message of the only warning."""
    with pytest.warns(SkippedImagesWarning) as caught:
        embeddings = embedder.fit(X).transform(X)
    assert len(caught) == 1
    return embeddings, str(caught[0].message)


@pytest.mark.parametrize("batch_size", [1, 4, "auto"])
@pytest.mark.parametrize(
    "form",
    [
        list,
        lambda paths: pd.Series(list(map(str, paths)), index=range(50, 50 + N)),
        lambda paths: np.array(list(map(str, paths))),
        lambda paths: pd.DataFrame({"age": 1, "file": list(map(str, paths))}),
    ],
    ids=["list", "Series", "array", "DataFrame"],
)
def test_broken_files_become_rows_of_nan(paths, expected, form, cache_dir, batch_size):
    embedder = skipping(cache_dir=cache_dir, image_column="file", batch_size=batch_size)
    embeddings, message = skipped(embedder, form(paths))
    close(embeddings, expected)
    assert message.startswith(f"5 of {N} images cannot be read:\n")
    for row, name in BROKEN.items():
        assert f"row {row}: " in message
        assert name in message
    assert "there is no image file" in message
    assert r"keep = ~np.isnan(Z).any(axis=1)" in message
    assert "X, y and groups together" in message
    assert "row 0" not in message


@pytest.mark.parametrize("row", BROKEN)
def test_by_default_the_first_one_stops_everything(paths, cache_dir, row):
    embedder = TimmEmbedder(**SETTINGS, cache_dir=cache_dir)
    error = FileNotFoundError if BROKEN[row] == "gone.jpg" else ValueError
    X = [paths[0], paths[2], paths[row]]
    with pytest.raises(error, match=f"row 2: .*{BROKEN[row]}"):
        embedder.transform(X)


def test_what_the_message_says_to_do_works(paths, expected):
    Z, _ = skipped(skipping().set_output(transform="pandas"), paths)
    keep = ~np.isnan(Z).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(keep), GOOD)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rest = skipping().transform([path for path, kept in zip(paths, keep, strict=True) if kept])
    close(rest, expected[GOOD])


def test_broken_images_are_not_cached_and_read_again(paths, expected, pixels, tmp_path, forwards):
    embedder = skipping(cache_dir=tmp_path / "cache")
    first, _ = skipped(embedder, paths)
    (folder,) = (tmp_path / "cache").iterdir()
    cache = EmbeddingCache(folder, 512)
    assert len(cache) == len(GOOD) == forwards()
    assert all(np.isfinite(row).all() for row in cache.get(cache._places).values())
    again, _ = skipped(embedder, paths)
    np.testing.assert_array_equal(again, first)
    assert forwards() == len(GOOD)
    Image.fromarray(pixels[4]).save(paths[4])
    repaired, message = skipped(embedder, paths)
    assert "row 4" not in message
    close(repaired[4], TimmEmbedder(**SETTINGS).transform([paths[4]])[0])


def test_equal_images_and_equal_broken_ones(paths, expected, cache_dir):
    rows = [0, 1, 0, 1, 2, 4, 4, 0] * 5
    embeddings, message = skipped(skipping(cache_dir=cache_dir), [paths[row] for row in rows])
    close(embeddings, expected[rows])
    assert message.startswith("20 of 40 images")


@pytest.mark.parametrize("n", [8, 9, 20])
def test_stretches_of_broken_images(paths, expected, cache_dir, n):
    X = [paths[0], *[paths[8]] * n, paths[2], *[paths[8]] * n]
    embeddings, message = skipped(skipping(cache_dir=cache_dir, batch_size=4), X)
    close(embeddings[[0, n + 1]], expected[[0, 2]])
    assert np.isnan(embeddings).all(axis=1).sum() == 2 * n
    assert message.count("\n  row ") == 10
    assert f"\n  and {2 * n - 10} more\n" in message
    assert [f"row {row}: " in message for row in (1, 2, 7)] == [True] * 3


@pytest.mark.parametrize("n", [1, 12])
def test_where_all_are_broken_there_is_an_error(paths, cache_dir, n):
    with pytest.raises(ValueError, match=rf"{n} of {n} images(.|\n)*row 0: .*text\.jpg") as caught:
        skipping(cache_dir=cache_dir).transform([paths[6]] * n)
    assert "row 9" in str(caught.value) or n == 1
    assert "image_root" not in str(caught.value)
    with pytest.raises(ValueError, match="check the paths, or image_root="):
        skipping(cache_dir=cache_dir).transform([paths[4]] * n)


def test_pil_images_that_load_late(paths, expected, cache_dir):
    with ExitStack() as opened:
        X = [opened.enter_context(Image.open(path)) for path in paths[:3]]
        embeddings, message = skipped(skipping(cache_dir=cache_dir), X)
    close(embeddings, expected[:3])
    assert "row 1: cannot read the image: " in message


class Items(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, row):
        if isinstance(self.items[row], Exception):
            raise self.items[row]
        return self.items[row]


def test_datasets_with_items_that_are_no_images(pixels, expected, cache_dir):
    X = Items([(pixels[0], 1), KeyError("lost"), "", 5, np.zeros((2, 2)), pixels[2]])
    embeddings, message = skipped(skipping(cache_dir=cache_dir), X)
    close(embeddings[[0, 5]], expected[[0, 2]])
    assert np.isnan(embeddings[1:5]).all()
    for reason in ("'lost'", "row 2 has no path", "row 3 is of type int", "float64 of shape"):
        assert reason in message


def test_whole_arrays_have_nothing_to_skip(pixels):
    small = np.ascontiguousarray(pixels[:, :SIZE, :SIZE])
    for X in (pixels, small):
        np.testing.assert_array_equal(
            skipping().transform(X), TimmEmbedder(**SETTINGS).transform(X)
        )


@pytest.mark.parametrize("error", [ValueError, TypeError, FileNotFoundError])
def test_errors_of_the_model_are_not_skipped(paths, cache_dir, monkeypatch, error):
    model = load_backbone("resnet10t", pretrained=False, image_size=SIZE).model

    def failing(self, batch):
        raise error("of the model")

    monkeypatch.setattr(type(model), "forward", failing)
    with pytest.raises(error, match="of the model"):
        skipping(cache_dir=cache_dir).transform(paths)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, RuntimeError])
def test_errors_that_are_not_of_the_image_are_not_skipped(paths, cache_dir, monkeypatch, error):
    def failing(self):
        raise error("while reading")

    monkeypatch.setattr(Picture, "rgb", failing)
    with pytest.raises(error, match="while reading"):
        skipping(cache_dir=cache_dir).transform(paths)


def test_too_little_memory_for_a_decoder_breaks_no_image(paths, cache_dir, monkeypatch):
    def failing(file, **options):
        raise MemoryError("too little")

    monkeypatch.setattr(Image, "open", failing)
    with pytest.raises(ValueError, match=r"row 0: .*too little") as caught:
        skipping(cache_dir=cache_dir).transform(paths)
    assert isinstance(caught.value.__cause__, MemoryError)


def test_progress_counts_skipped_rows(paths, cache_dir, capfd):
    skipped(skipping(cache_dir=cache_dir, verbose=1), paths)
    assert f"{N}/{N} images" in capfd.readouterr().err


def test_the_warning_points_at_the_users_line(paths):
    with pytest.warns(SkippedImagesWarning) as caught:
        skipping().transform(paths)
    assert caught[0].filename == __file__


def test_embed_collects_rows_in_order_and_leaves_others_alone(paths, expected):
    backbone = load_backbone("resnet10t", pretrained=False, image_size=SIZE)
    broken = {0: "of an earlier call"}
    close(embed(backbone, Images(paths), broken=broken), expected)
    assert list(broken) == [0, *BROKEN]
    assert broken[0] == "of an earlier call"


class Forgetful(MemoryCache):
    """Says that it has everything, and has nothing."""

    def __contains__(self, key):
        return True

    def get(self, keys):
        return {}


def test_files_that_break_between_two_looks_at_them(paths, expected, monkeypatch):
    backbone = load_backbone("resnet10t", pretrained=False, image_size=SIZE)
    broken: dict[int, str] = {}
    close(embed(backbone, Images(paths), broken=broken, cache=Forgetful("a", 512)), expected)
    assert list(broken) == list(BROKEN)


def test_the_advice_of_single_errors_is_not_repeated(paths):
    with pytest.raises(ValueError, match="; replace it or leave its row out") as caught:
        Images(paths).rgb(1)
    message = skipped_images_message({1: str(caught.value)}, 3, "Go on.")
    assert "leave its row out" not in message
    assert message.endswith("\nGo on.")
