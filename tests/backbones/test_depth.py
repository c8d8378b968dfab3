"""Pictures of more than 8 bits: their range of values is named, or a warning says what was cut."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from gbmix_sklearn.backbones import TimmEmbedder
from gbmix_sklearn.backbones._depth import check_value_range, to_8_bits
from gbmix_sklearn.backbones._images import Images

SETTINGS = {"backbone": "test_resnet", "pretrained": False, "image_size": 32}


@pytest.fixture
def film():
    """All values of 12 bits."""
    return np.linspace(0, 4095, 32 * 32).round().astype(np.uint16).reshape(32, 32)


def rgb(X, value_range=None):
    return np.asarray(Images(X, value_range=value_range).rgb(0))[..., 0]


def told(X, value_range=None):
    """What a look at all images is warned of."""
    images = Images(X, value_range=value_range)
    for row in range(len(images)):
        images.rgb(row)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images.depth.warn()
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("end", ["png", "tif"])
def test_files_of_12_of_16_bits_are_told_of_and_read_whole_with_a_range(film, tmp_path, end):
    path = tmp_path / f"film.{end}"
    Image.fromarray(film).save(path)
    (message,) = told([path])
    assert "values from 0 to 4095 and are read as of 0 to 65535: 16 grey levels" in message
    assert "value_range=(0, 4095)" in message
    assert told([path], (0, 4095)) == []
    assert len(np.unique(rgb([path], (0, 4095)))) == 256
    np.testing.assert_array_equal(rgb([path], (0, 4095)), np.rint(film / 4095 * 255))


def test_one_image_that_uses_all_16_bits_speaks_for_the_others(film, tmp_path):
    for name, pixels in (("dark", film), ("bright", film * 15)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    assert told([tmp_path / "dark.png", tmp_path / "bright.png"]) == []
    assert len(told([tmp_path / "dark.png"])) == 1


def test_integers_of_32_bits_are_a_guess_whatever_they_hold(film, tmp_path):
    Image.fromarray((film * 15).astype(np.int32)).save(tmp_path / "wide.tif")
    (message,) = told([tmp_path / "wide.tif"])
    assert "values from 0 to 61425" in message
    assert told([Image.fromarray((film * 15).astype(np.int32))]) == [message]


def test_colours_of_16_bits_keep_their_upper_8_and_are_told_of(film, tmp_path):
    import struct
    import zlib

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    colour = np.repeat(film[:, :, None], 3, axis=2).astype(">u2")
    lines = b"".join(b"\0" + row.tobytes() for row in colour)
    header = struct.pack(">IIBBBBB", 32, 32, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    path = tmp_path / "colour.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    np.testing.assert_array_equal(rgb([path]), film >> 8)
    assert "values from 0 to 4095" in told([path])[0]
    with pytest.raises(ValueError, match="its pixels as an array"):
        rgb([path], (0, 4095))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[-1024, 3071]], np.int32), "values from -1024 to 3071; value_range="),
        (np.array([[0, 70000]], np.int32), "values from 0 to 70000; value_range="),
        (np.array([[0.25, 1]], np.float32), r"values from 0\.25 to 1; value_range="),
    ],
)
def test_values_without_a_meaning_are_refused_with_their_range(tmp_path, values, message):
    Image.fromarray(values).save(tmp_path / "v.tif")
    for X in ([tmp_path / "v.tif"], [Image.fromarray(values)], [values], [torch.tensor(values)]):
        with pytest.raises(ValueError, match=message):
            rgb(X)
    low, high = float(values.min()), float(values.max())
    for X in ([tmp_path / "v.tif"], [Image.fromarray(values)], [values], [torch.tensor(values)]):
        assert rgb(X, (low, high)).tolist() == [[0, 255]]


@pytest.mark.parametrize(
    "dtype", [np.uint16, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64]
)
def test_arrays_of_any_numbers(dtype):
    X = np.array([[[-2, 0], [50, 200]]]).astype(dtype)
    X[0, 0, 0] = 0 if dtype == np.uint16 else -2
    with pytest.raises(TypeError, match=r"first image has values from -?\d+ to 200; value_range="):
        Images(X)
    assert rgb(X, (0, 100)).tolist() == [[0, 0], [128, 255]]
    colour = np.repeat(X[..., None], 3, axis=3)
    assert rgb(colour, (0, 100)).tolist() == [[0, 0], [128, 255]]


def test_tensors_of_half_precision():
    X = torch.tensor([[[0.0, 0.5], [1.0, 2.0]]], dtype=torch.bfloat16)
    assert rgb(X, (0, 1)).tolist() == rgb(list(X), (0, 1)).tolist() == [[0, 128], [255, 255]]


def test_8_bits_are_scaled_as_well_and_cannot_have_more(tmp_path):
    grey = np.array([[0, 50, 200]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    for X in ([grey], [tmp_path / "grey.png"], [Image.fromarray(grey)]):
        assert rgb(X, (0, 100)).tolist() == [[0, 128, 255]]
        with pytest.raises(ValueError, match="has 8 bits, whose values cannot run from 0 to 4095"):
            rgb(X, (0, 4095))


def test_nan_is_refused():
    with pytest.raises(ValueError, match=r"row 0: .*NaN"):
        rgb([np.array([[0, np.nan]])], (0, 1))
    assert to_8_bits(np.array([-np.inf, np.inf]), (0, 1)).tolist() == [0, 255]


@pytest.mark.parametrize(
    "wrong", [5, (1,), (1, 2, 3), (2, 1), (1, 1), (0, np.inf), (np.nan, 1), ("a", "b"), (True, 2)]
)
def test_ranges_that_are_none(wrong):
    with pytest.raises(ValueError, match="value_range must be None or the values"):
        check_value_range(wrong)


def test_embedder_warns_once_and_its_cache_tells_ranges_apart(film, tmp_path):
    Image.fromarray(film).save(tmp_path / "film.png")
    paths = [tmp_path / "film.png"] * 3
    embedder = TimmEmbedder(**SETTINGS, cache_dir=tmp_path / "cache")
    with pytest.warns(UserWarning, match="16 grey levels") as caught:
        coarse = embedder.transform(paths)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    fine = embedder.set_params(value_range=(0, 4095)).transform(paths)
    assert not np.allclose(coarse, fine)
    window = embedder.set_params(value_range=(1000, 2000)).transform(paths)
    assert not np.allclose(fine, window)
    array = embedder.set_params(value_range=(0, 4095)).transform(film[None])
    np.testing.assert_allclose(array[0], fine[0], rtol=1e-5)
