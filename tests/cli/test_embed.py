"""gbmix embed: images to arrays and tables."""

import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gbmix_sklearn import TimmEmbedder

OPTIONS = ["--backbone", "resnet18", "--image-size", "32"]


@pytest.fixture(autouse=True)
def random_weights(monkeypatch):
    """Whatever backbone is named gets random weights: none are looked for anywhere."""

    class Untrained(TimmEmbedder):
        def __init__(self, backbone, **options):
            super().__init__(backbone, **options | {"pretrained": False})

    monkeypatch.setattr("gbmix_sklearn.backbones.TimmEmbedder", Untrained)


@pytest.fixture
def images(folder):
    """A folder of six images, one of them in a folder of its own."""
    (folder / "images" / "more").mkdir(parents=True)
    names = ["a.png", "b.jpg", "c.PNG", "d.png", "e.png", "more/f.png"]
    rng = np.random.default_rng(0)
    for name in names:
        pixels = rng.integers(256, size=(32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / name)
    (folder / "images" / "notes.txt").write_text("no image")
    (folder / "images" / "._a.png").write_text("what macOS leaves")
    table = {"file": names, "y": list("aabbab"), "age": [1.5, None, 3, 4, 5, 6]}
    pd.DataFrame(table).to_csv("images/table.csv", index=False)
    return names


@pytest.fixture
def expected(images):
    embedder = TimmEmbedder("resnet18", pretrained=False, image_size=32, image_root="images")
    return embedder.transform(images)


def test_a_folder_becomes_arrays(gbmix, images, expected):
    output = gbmix("embed", "images", "-o", "e.npz", *OPTIONS)
    with np.load("e.npz") as saved:
        assert saved["path"].tolist() == images
        np.testing.assert_allclose(saved["embeddings"], expected, rtol=1e-5)
    assert "6/6 images" in output.err
    assert "wrote 6 rows of 512 features to e.npz" in output.err


@pytest.mark.parametrize("name", ["e.parquet", "e.csv"])
def test_a_table_keeps_its_columns(gbmix, images, expected, name):
    options = ["--images", "file", "--batch-size", "4", "-q", "--cache-dir", "cache"]
    output = gbmix("embed", "images/table.csv", "-o", name, *options, *OPTIONS)
    frame = pd.read_parquet(name) if name == "e.parquet" else pd.read_csv(name)
    assert frame.columns[:4].tolist() == ["file", "y", "age", "embedding_0"]
    assert frame["y"].tolist() == list("aabbab")
    np.testing.assert_allclose(frame.filter(like="embedding_"), expected, rtol=1e-5)
    assert "6/6 images" not in output.err


def test_columns_of_a_table_are_arrays_without_pickle(gbmix, images):
    gbmix("embed", "images/table.csv", "--images", "file", "-o", "e.npz", *OPTIONS)
    with np.load("e.npz", allow_pickle=False) as saved:
        assert saved["y"].tolist() == list("aabbab")
        assert saved["age"].tolist() == ["1.5", "", "3.0", "4.0", "5.0", "6.0"]


def test_a_broken_image_stops_everything_or_is_left_out(gbmix, images, folder, expected):
    (folder / "images" / "b.jpg").write_text("no image")
    embed = ["embed", "images/table.csv", "--images", "file", "-o", "e.parquet", *OPTIONS]
    error = gbmix(*embed, code=2).err
    assert "row 1: cannot read the image images/b.jpg" in error
    assert not (folder / "e.parquet").exists()
    error = gbmix(*embed, "--on-error", "skip").err
    assert "Warning: 1 of 6 images cannot be read and are left out: images/b.jpg" in error
    assert "NaN" not in error
    frame = pd.read_parquet("e.parquet")
    assert frame["file"].tolist() == ["a.png", "c.PNG", "d.png", "e.png", "more/f.png"]
    np.testing.assert_allclose(
        frame.filter(like="embedding_"), np.delete(expected, 1, axis=0), rtol=1e-5
    )


def test_a_missing_image_names_file_and_row(gbmix, images, folder):
    (folder / "images" / "d.png").unlink()
    embed = ["embed", "images/table.csv", "--images", "file", "-o", "e.npz", *OPTIONS]
    error = gbmix(*embed, code=2).err
    assert "images/table.csv: there is no image images/d.png, of row 3" in error
    assert "1 of 6 images" in gbmix(*embed, "--on-error", "skip").err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["images", "-o", "e.pkl"], "must end in .csv"),
        (["images/table.csv", "-o", "e.npz"], "--images COLUMN"),
        (["images/table.csv", "-o", "e.npz", "--images", "files"], "did you mean 'file'?"),
        (["images", "-o", "e.npz", "--images", "file"], "images is a folder"),
        (["images/table.csv", "-o", "e.npz", "--images", "file", "--root", "x"], "no folder x"),
        (["empty", "-o", "e.npz"], "empty has no images in it"),
        (["images", "-o", "e.npz", "--backbone", "resnet1"], "resnet1"),
    ],
)
def test_what_cannot_be_embedded_is_exit_code_2(gbmix, images, folder, arguments, message):
    (folder / "empty").mkdir()
    output = gbmix("embed", *arguments, code=2)
    assert message in output.err
    assert not list(folder.glob("e.*"))


@pytest.mark.parametrize(
    ("column", "output", "message"),
    [
        ("embedding_3", "e.csv", "has a column 'embedding_3' already"),
        ("embeddings", "e.npz", "has a column 'embeddings' already"),
        ("a", "folder", "does not say"),
        ("a", "folder.csv", "is a folder; name a file"),
        ("a", "images/a.png/e.csv", "images/a.png is a file"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_embedded(
    gbmix, images, folder, column, output, message
):
    (folder / "folder.csv").mkdir()
    pd.DataFrame({"file": images, column: range(6)}).to_csv("t.csv", index=False)
    options = ["--images", "file", "--root", "images", "--cache-dir", "cache", *OPTIONS]
    assert message in gbmix("embed", "t.csv", "-o", output, *options, code=2).err
    assert not (folder / "cache").exists()


def test_hidden_folders_are_passed_over(gbmix, images, folder):
    for name in (".ipynb_checkpoints", "more/.thumbs"):
        (folder / "images" / name).mkdir()
        pixels = (folder / "images" / "a.png").read_bytes()
        (folder / "images" / name / "a.png").write_bytes(pixels)
    (folder / "images" / "album.png").mkdir()
    gbmix("embed", "images", "-o", "e.npz", *OPTIONS)
    with np.load("e.npz") as saved:
        assert saved["path"].tolist() == images


def test_a_hidden_folder_that_is_named_is_read(gbmix, images, folder):
    (folder / "images").rename(folder / ".images")
    assert "wrote 6 rows" in gbmix("embed", ".images", "-o", "e.npz", *OPTIONS).err


def test_a_name_that_is_not_utf_8_is_shown_before_anything_is_embedded(gbmix, images, folder):
    place = os.fsencode(folder / "images")
    try:
        os.rename(place + b"/e.png", place + b"/caf\xe9.png")
    except OSError:
        pytest.skip("this file system takes no such names")
    options = ["-o", "e.csv", "--cache-dir", "cache", *OPTIONS]
    error = gbmix("embed", "images", *options, code=2).err
    assert "the name of caf\\udce9.png is not UTF-8" in error
    assert not (folder / "cache").exists()


def test_a_folder_of_other_files_says_what_is_there(gbmix, folder):
    (folder / "films").mkdir()
    for name in ("a.dcm", "b.DCM", "notes"):
        (folder / "films" / name).touch()
    assert "It has 2 .dcm, 1 without ending" in gbmix("embed", "films", "-o", "e.npz", code=2).err


def test_rows_without_a_path_are_left_out_where_that_is_asked_for(gbmix, images, folder, expected):
    paths = [None, *images[1:]]
    pd.DataFrame({"file": paths, "n": range(6)}).to_csv("t.csv", index=False)
    embed = ["embed", "t.csv", "--images", "file", "--root", "images", "-o", "e.parquet", *OPTIONS]
    assert "column 'file' has 1 missing value(s), the first in row 0" in gbmix(*embed, code=2).err
    assert (
        "1 of 6 images cannot be read and are left out: row 0"
        in gbmix(*embed, "--on-error", "skip").err
    )
    assert pd.read_parquet("e.parquet")["file"].tolist() == images[1:]


def test_images_of_12_bits_need_a_range(gbmix, folder):
    (folder / "films").mkdir()
    film = np.linspace(0, 4095, 32 * 32).astype(np.uint16).reshape(32, 32)
    Image.fromarray(film).save(folder / "films" / "a.png")
    assert "16 grey levels of 256" in gbmix("embed", "films", "-o", "a.npz", *OPTIONS).err
    options = [*OPTIONS, "--value-range", "0", "4095"]
    assert "grey levels" not in gbmix("embed", "films", "-o", "b.npz", *options).err
    with np.load("a.npz") as a, np.load("b.npz") as b:
        assert not np.allclose(a["embeddings"], b["embeddings"])
