"""Images and weights that are small as files and large in memory, or other than they are named."""

import io
import os
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from gbmix_sklearn import SkippedImagesWarning, TimmEmbedder
from gbmix_sklearn.backbones import _images, _weights
from gbmix_sklearn.backbones._images import Images
from gbmix_sklearn.backbones._weights import read_weights


def png_that_claims(width, height, depth=8, colour=2):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def embedder(**options):
    return TimmEmbedder("test_efficientnet", pretrained=False, image_size=32, **options)


@pytest.fixture
def good(tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "good.png")
    return str(tmp_path / "good.png")


@pytest.mark.parametrize(
    "claim",
    [(20_000, 20_000), (100_000, 10), (6_000, 6_000, 16, 0), (2**31 - 1, 2**31 - 1)],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_pixels_are_counted_before_they_are_decoded(good, tmp_path, claim):
    (tmp_path / "large.png").write_bytes(png_that_claims(*claim))
    paths = [good, str(tmp_path / "large.png")]
    with pytest.raises(ValueError, match=r"row 1: cannot read the image .*large\.png"):
        embedder().transform(paths)
    with pytest.warns(SkippedImagesWarning, match="1 of 2"):
        found = embedder(on_error="skip").transform(paths)
    assert np.isnan(found).any(axis=1).tolist() == [False, True]


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1)])
def test_an_image_that_would_be_enlarged_beyond_all_bounds_is_one_broken_image(
    good, tmp_path, size
):
    Image.new("L", size).save(tmp_path / "thin.png")
    paths = [good, str(tmp_path / "thin.png")]
    large = TimmEmbedder("test_efficientnet", pretrained=False, image_size=64)
    with pytest.raises(ValueError, match=r"row 1.*too long and thin"):
        large.transform(paths)
    with pytest.warns(SkippedImagesWarning, match="too long and thin"):
        assert len(large.set_params(on_error="skip").transform(paths)) == 2


def test_panoramas_are_not_too_thin(tmp_path):
    Image.new("RGB", (2_000, 40)).save(tmp_path / "wide.png")
    assert np.isfinite(embedder().transform([str(tmp_path / "wide.png")])).all()


@pytest.mark.parametrize("kind", ["EPS", "PDF", "PCX", "SGI", "ICNS"])
def test_files_of_other_formats_are_refused_by_their_content(tmp_path, kind):
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (32, 32)).save(path, kind)
    with pytest.raises(ValueError, match=r"photo\.jpg: it is (a .* file|damaged, or no)"):
        Images([str(path)]).rgb(0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "MPO"])
def test_pictures_are_read_whatever_their_name(tmp_path, kind):
    path = tmp_path / "photo"
    Image.new("RGB", (32, 20), (200, 0, 0)).save(path, kind)
    assert Images([str(path)]).rgb(0).size == (32, 20)


def test_files_beyond_a_size_are_not_read(good, monkeypatch):
    monkeypatch.setattr(_images, "_MOST_BYTES", 10)
    with pytest.raises(ValueError, match=r"row 0.*are not read"):
        Images([good]).rgb(0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_one_broken_image(good, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.warns(SkippedImagesWarning, match=r"pipe\.png.*no plain file"):
        embedder(on_error="skip").transform([good, str(tmp_path / "pipe.png")])


def test_an_image_of_pil_is_left_as_it_is():
    given = Image.new("RGB", (8, 8))
    assert Images([given]).rgb(0) is not given


def test_packed_weights_are_not_unpacked(tmp_path):
    plain, packed = io.BytesIO(), tmp_path / "weights.pth"
    torch.save({"w": torch.zeros(2)}, plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    with pytest.raises(ValueError, match="it is packed"):
        read_weights(packed)


def test_weights_beyond_the_memory_are_not_read(tmp_path, monkeypatch):
    torch.save({"w": torch.zeros(2)}, tmp_path / "weights.pth")
    monkeypatch.setattr(_weights, "available_memory", lambda: 100)
    with pytest.raises(ValueError, match="GiB of memory are free"):
        read_weights(tmp_path / "weights.pth")
