"""Every form and mode of image is read as upright 8-bit RGB, or refused by name."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torch.utils.data import Dataset, IterableDataset, Subset

from gbmix_sklearn.backbones._images import Images
from gbmix_sklearn.backbones._rgb import to_rgb


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def rgb(image):
    return np.asarray(to_rgb(image))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "YCbCr", "HSV"])
def test_modes_become_what_pillow_makes_of_them(pixels, mode):
    image = Image.fromarray(pixels).convert(mode)
    result = to_rgb(image)
    assert result.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(result), np.asarray(image.convert("RGB")))


def test_grey_is_repeated(pixels):
    np.testing.assert_array_equal(
        rgb(Image.fromarray(pixels[:, :, 0])), np.repeat(pixels[:, :, :1], 3, axis=2)
    )


def test_transparency_is_dropped_without_a_warning(pixels, tmp_path):
    alpha = np.full((6, 5, 1), 7, dtype=np.uint8)
    image = Image.fromarray(np.concatenate([pixels, alpha], axis=2))
    np.testing.assert_array_equal(rgb(image), pixels)
    palette = Image.fromarray(pixels).quantize(8)
    expected = np.asarray(palette.convert("RGB"))
    palette.save(tmp_path / "p.png", transparency=bytes([0, 9, 255]))
    with Image.open(tmp_path / "p.png") as image:
        assert isinstance(image.info["transparency"], bytes)
    np.testing.assert_array_equal(np.asarray(Images([tmp_path / "p.png"]).rgb(0)), expected)


def test_cmyk_jpeg(pixels, tmp_path):
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "c.jpg", quality=95)
    with Image.open(tmp_path / "c.jpg") as image:
        assert image.mode == "CMYK"
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(Images([tmp_path / "c.jpg"]).rgb(0)), expected)


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "int32"])
def test_16_bit_grey_keeps_its_upper_bits(tmp_path, dtype):
    values = np.arange(0, 2**16, 2**12 + 255).reshape(4, 4)
    expected = np.repeat((values >> 8)[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(rgb(Image.fromarray(values.astype(dtype))), expected)
    Image.fromarray(values.astype("<u2")).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(np.asarray(Images([tmp_path / "deep.png"]).rgb(0)), expected)


@pytest.mark.parametrize("values", [np.full((2, 2), 0.5, np.float32), np.full((2, 2), 1 << 20)])
def test_images_without_an_8_bit_meaning_are_refused(values):
    image = Image.fromarray(values.astype(np.float32 if values.dtype == np.float32 else np.int32))
    with pytest.raises(ValueError, match=r"row 1: cannot read the image.*mode"):
        Images([Image.new("L", (2, 2)), image]).rgb(1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(pixels, tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
        np.testing.assert_array_equal(rgb(image), upright)
    np.testing.assert_array_equal(np.asarray(Images([tmp_path / "turned.png"]).rgb(0)), upright)
    assert upright.shape == ((6, 5, 3) if orientation < 5 else (5, 6, 3))


@pytest.mark.parametrize(
    "form",
    [
        list,
        tuple,
        np.array,
        pd.Series,
        pd.DataFrame,
        pd.Index,
        lambda x: list(map(Path, x)),
        lambda x: pd.Series(x, index=[7, 3]),
        lambda x: np.array(x, dtype=object)[:, None],
    ],
)
def test_forms_of_paths(pixels, tmp_path, form):
    names = [str(tmp_path / f"{i}.png") for i in range(2)]
    for i, name in enumerate(names):
        Image.fromarray(pixels // (i + 1)).save(name)
    images = Images(form(names))
    assert len(images) == 2
    assert images.stack is None
    for i in range(2):
        np.testing.assert_array_equal(np.asarray(images.rgb(i)), pixels // (i + 1))


def test_relative_paths_start_at_the_root(pixels, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for item, root in [("a.png", tmp_path), ("a.png", str(tmp_path)), (tmp_path / "a.png", "/x")]:
        np.testing.assert_array_equal(np.asarray(Images([item], root).rgb(0)), pixels)


class Lazy(Dataset):
    """A dataset that notes what it was asked for."""

    def __init__(self, items):
        self.items, self.read = items, []

    def __len__(self):
        return len(self.items)

    def __getitem__(self, row):
        self.read.append(row)
        return self.items[row]


def forms_of_items(pixels):
    image = Image.fromarray(pixels)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    return [image, pixels, tensor, (image, 1), (pixels, 1, "a"), (tensor, {})]


def test_torch_datasets(pixels):
    dataset = Lazy(forms_of_items(pixels))
    images = Images(dataset)
    assert dataset.read == [], "nothing is read before it is asked for"
    for row in range(len(dataset)):
        np.testing.assert_array_equal(np.asarray(images.rgb(row)), pixels)
    assert dataset.read == list(range(len(dataset)))
    parts = Images(Subset(dataset, [1, 0]))
    np.testing.assert_array_equal(np.asarray(parts.rgb(1)), pixels)
    # what a search makes of a dataset
    images = Images([dataset[row] for row in range(len(dataset))])
    for row in range(len(images)):
        np.testing.assert_array_equal(np.asarray(images.rgb(row)), pixels)


@pytest.mark.parametrize(
    ("item", "error", "message"),
    [
        (3, TypeError, "row 0 is of type int"),
        ((), TypeError, "row 0 is of type tuple"),
        (torch.zeros(3, 4, 4), ValueError, "row 0: .*not converted to float.*float32"),
        (torch.zeros(5, 4, 3, dtype=torch.uint8), ValueError, r"uint8 tensor \(3, height"),
        (np.zeros((3, 5, 5), np.uint8), ValueError, r"row 0: .*uint8 array \(height"),
    ],
)
def test_items_of_datasets_that_are_no_images(item, error, message):
    with pytest.raises(error, match=message):
        Images(Lazy([item])).rgb(0)


def test_datasets_that_fail_name_the_row(pixels):
    class Failing(Lazy):
        def __getitem__(self, row):
            raise FileNotFoundError("gone.png") if row else OSError("truncated")

    images = Images(Failing([1, 2]))
    with pytest.raises(ValueError, match="row 0: cannot read the image: truncated; replace it"):
        images.rgb(0)
    with pytest.raises(FileNotFoundError, match=r"row 1: .*gone\.png"):
        images.rgb(1)

    class Stream(IterableDataset):
        def __iter__(self):
            return iter([pixels])

    with pytest.raises(TypeError, match=r"Stream, which has no length.*list\(dataset\)"):
        Images(Stream())


def test_columns_of_tables(pixels, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    table = pd.DataFrame({"age": [1, 2], "file": ["a.png", "a.png"]}, index=[5, 9])
    for X, column in [(table, "file"), (table[["file"]], None), (table["file"], "ignored")]:
        np.testing.assert_array_equal(np.asarray(Images(X, tmp_path, column).rgb(1)), pixels)
    with pytest.raises(ValueError, match=r"in image_column: X has the columns \['age', 'file'\]"):
        Images(table)
    with pytest.raises(ValueError, match=r"image_column='path': X has no such column, but.*'file'"):
        Images(table, column="path")
    with pytest.raises(TypeError, match="row 0 is of type int"):
        Images(table, column="age")


def test_hub_datasets(pixels, tmp_path):
    datasets = pytest.importorskip("datasets", reason="pip install datasets")
    paths = [str(tmp_path / f"{i}.png") for i in range(3)]
    for i, path in enumerate(paths):
        Image.fromarray(pixels // (i + 1)).save(path)
    files = datasets.Dataset.from_dict({"image": paths, "label": [0, 1, 0], "file": paths})
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    stored = datasets.Dataset.from_dict(
        {"image": [Image.fromarray(pixels // (i + 1)) for i in range(3)], "label": [0, 1, 0]},
        features=features,
    )
    encoded = files.cast_column("image", datasets.Image())
    for X, column in [
        (encoded, None),
        (files, "file"),
        (stored, None),
        (stored.with_format("numpy"), None),
        (stored["image"], None),
        (stored[:3], None),
    ]:
        images = Images(X, column=column)
        for i in range(3):
            np.testing.assert_array_equal(np.asarray(images.rgb(i)), pixels // (i + 1))
    assert isinstance(Images(encoded)[1].data, bytes), "read as the file is, not decoded"
    assert Images(encoded)[1].digest() == Images(paths)[1].digest()
    with pytest.raises(ValueError, match="name the column"):
        Images(files)
    with pytest.raises(TypeError, match=r"several splits \['train'\]"):
        Images(datasets.DatasetDict({"train": stored}))
    with pytest.raises(TypeError, match="without streaming=True"):
        Images(stored.to_iterable_dataset())


def test_reading_from_many_threads(pixels, tmp_path):
    class Fragile(Lazy):
        busy = False

        def __getitem__(self, row):
            assert not self.busy, "read by two threads at once"
            self.busy = True
            time.sleep(0.001)
            self.busy = False
            return super().__getitem__(row)

    images = Images(Fragile([pixels] * 20))
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(images.rgb, range(20)))) == 20


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_arrays(channels):
    shape = (2, 6, 5) if channels is None else (2, 6, 5, channels)
    X = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    colour = X.reshape(2, 6, 5, -1)
    expected = np.repeat(colour, 3, axis=3) if colour.shape[3] == 1 else colour[..., :3]
    for images in (Images(X), Images(list(X))):
        np.testing.assert_array_equal(np.stack([images.rgb(i) for i in range(2)]), expected)


def test_broken_and_missing_files_name_row_and_file(pixels, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "good.jpg")
    data = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) - 40])
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.jpg").touch()
    names = ["good.jpg", "cut.jpg", "text.jpg", "empty.jpg", "gone.jpg", ""]
    images = Images(names, tmp_path)
    images.rgb(0)
    for row, reason in (
        (1, "truncated"),
        (2, "text, which begins with 'no image'"),
        (3, "is empty"),
    ):
        with pytest.raises(ValueError, match=f"row {row}: .* image .*{names[row]}: .*{reason}"):
            images.rgb(row)
    with pytest.raises(FileNotFoundError, match=r"row 4: there is no image file .*gone\.jpg"):
        images.rgb(4)
    with pytest.raises(FileNotFoundError, match="row 5 has no path"):
        images.rgb(5)


@pytest.mark.parametrize("blank", [None, float("nan"), pd.NA, pd.NaT, "", " "])
@pytest.mark.parametrize("form", [list, pd.Series, lambda x: pd.DataFrame({"path": x})])
def test_blank_paths_are_rows_that_cannot_be_read(pixels, tmp_path, blank, form):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    images = Images(form([str(tmp_path / "a.png"), blank]))
    images.rgb(0)
    with pytest.raises(FileNotFoundError, match="row 1 has no path"):
        images.rgb(1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(128) + b"DICM" + bytes(50), "it is a DICOM file, .* as an array, of np.uint8"),
        (b"\x93NUMPY\x01\x00", r"array of NumPy \(\.npy\), .* value_range="),
        (b"PK\x03\x04" + bytes(20), "zip archive"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x1f\x8b\x08\x00", r"\.nii\.gz"),
        (b"<!DOCTYPE html><title>Quota exceeded</title>", "text, which begins with '<!DOCTYPE"),
        (b"\xff\xd8\xff\xe0", "damaged, or no picture of a kind .*JPEG"),
        (b"", "the file is empty"),
    ],
)
def test_files_of_other_kinds_are_named_without_an_address(tmp_path, content, message):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        Images([tmp_path / "a.jpg"]).rgb(0)
    assert " at 0x" not in str(caught.value)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("image.jpg", "a single str, put it into a list"),
        (Image.new("L", (2, 2)), "a single Image"),
        (5, "got int"),
        (["a.jpg", 3], "row 1 is of type int"),
        (pd.Series(["a.jpg", 0.5]), "row 1 is of type float"),
        (np.zeros((2, 4, 4, 3)), "array of float64.*0 to 255"),
    ],
)
def test_other_types_are_refused(X, message):
    with pytest.raises(TypeError, match=message):
        Images(X)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((8, 8, 3), np.uint8), r"a single image goes in as X\[np.newaxis\]"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"channels come last"),
        (np.zeros((2, 64), np.uint8), r"shape \(2, 64\)"),
        (np.array([["a", "b"]]), r"shape \(1, 2\)"),
        ([], "no images"),
        (np.zeros((0, 8, 8), np.uint8), "no images"),
    ],
)
def test_other_shapes_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        Images(X)


def test_a_list_of_wrong_arrays_names_the_row():
    with pytest.raises(ValueError, match=r"row 0: cannot read.*float64 of shape \(4, 4\)"):
        Images([np.zeros((4, 4))]).rgb(0)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=200))
def test_no_file_content_breaks_out_of_the_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "x.img"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="row 0"):
        Images([path]).rgb(0)
