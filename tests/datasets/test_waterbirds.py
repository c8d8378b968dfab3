import inspect
import os
import re

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn import ERMClassifier, TimmEmbedder
from gbmix_sklearn.datasets import load_waterbirds

from . import layouts

NAME = "waterbird_complete95_forest2water2"


@pytest.fixture
def folder(tmp_path):
    return layouts.waterbirds(tmp_path / NAME)


def test_fields_are_those_of_the_table(folder):
    birds = load_waterbirds(folder)
    rows = np.arange(24)
    for name, values in {
        "target": rows % 2,
        "groups": rows // 2 % 2,
        "split": rows // 4 % 3,
    }.items():
        assert birds[name].dtype == np.int64
        np.testing.assert_array_equal(birds[name], values)
    assert birds.target_names == ["landbird", "waterbird"]
    assert birds.group_names == ["land background", "water background"]
    assert birds.images[1] == str(
        folder / "001.Black_footed_Albatross" / "Black_footed_Albatross_0001_1.jpg"
    )
    assert [layouts.size_of(path) for path in birds.images] == [(12, 16)] * 24


def test_fields_are_the_documented_ones(folder):
    documented = re.findall(r"^    (\w+) : ", inspect.getdoc(load_waterbirds), re.MULTILINE)
    assert documented == list(load_waterbirds(folder))


@pytest.mark.parametrize("name", [NAME, "waterbirds_v1.0", f"{NAME}/{NAME}", "birds/data", "b"])
def test_path_may_be_the_parent(tmp_path, name):
    layouts.waterbirds(tmp_path / name)
    birds = load_waterbirds(str(tmp_path))
    np.testing.assert_array_equal(birds.images, load_waterbirds(tmp_path / name).images)


def test_whole_paths_in_the_table_stay_as_they_are(folder, tmp_path):
    expected = load_waterbirds(folder)
    table = pd.read_csv(folder / "metadata.csv")
    table["img_filename"] = list(expected.images)
    table.to_csv(folder / "metadata.csv", index=False)
    np.testing.assert_array_equal(load_waterbirds(folder).images, expected.images)
    os.remove(expected.images[3])
    with pytest.raises(FileNotFoundError, match="1 of the 24 images"):
        load_waterbirds(folder)


def test_paths_do_not_depend_on_the_working_directory(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    birds = load_waterbirds(NAME)
    monkeypatch.chdir("/")
    assert layouts.size_of(birds.images[0]) == (12, 16)


def test_nothing_is_decoded(folder):
    for file in folder.rglob("*.jpg"):
        file.write_bytes(b"")
    assert len(load_waterbirds(folder).images) == 24


def test_images_go_into_classifiers_by_masks_and_by_index_arrays(folder, tmp_path):
    birds = load_waterbirds(folder)
    train, test = birds.split == 0, np.flatnonzero(birds.split == 2)
    model = ERMClassifier(
        "resnet10t",
        pretrained=False,
        image_size=32,
        max_epochs=1,
        validation_fraction=None,
        device="cpu",
    )
    model.fit(birds.images[train], birds.target[train], birds.groups[train])
    assert model.predict(birds.images[test]).shape == (8,)
    embedder = TimmEmbedder("resnet10t", pretrained=False, image_size=32, device="cpu")
    assert embedder.fit_transform(birds.images[test]).shape == (8, 512)


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (3, "2,a.jpg,2,0,1,x", "line 3, column y: '2', expected 0 or 1$"),
        (3, "2,a.jpg,,0,1,x", "line 3, column y: '', expected 0 or 1$"),
        (5, "2,a.jpg,1,3,1,x", "line 5, column split: '3', expected 0 or 1 or 2$"),
        (5, "2,a.jpg,1,0,land,x", "line 5, column place: 'land', expected 0 or 1$"),
        (25, "24,a.jpg,1", "line 25: 3 fields, expected 6$"),
        (4, "24,a.jpg,1,0,1,x,y", "line 4: 7 fields, expected 6$"),
        (4, '24,"a.jpg,1,0,1,x', "line 2[0-9]: unexpected end of data"),
        (1, "img_id,img_filename,label,split,place,place_filename", "has no column y, but"),
        (1, "<!DOCTYPE html>", "has no column img_filename, y, split, place, but"),
    ],
)
def test_malformed_tables_are_named_by_line_and_column(folder, line, text, message):
    file = folder / "metadata.csv"
    layouts.replace_line(file, line, text)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(file))},? ?{message}"):
        load_waterbirds(folder)


def test_bytes_that_are_no_text_are_refused_where_they_stand(folder):
    file = folder / "metadata.csv"
    file.write_bytes(file.read_bytes().replace(b",0,2,0,", b",\xff,2,0,", 1))
    with pytest.raises(ValueError, match=r"line 10, column y: '\\\\xff', expected 0 or 1"):
        load_waterbirds(folder)


def test_more_bad_cells_are_counted(folder):
    for line in (3, 7, 9):
        layouts.replace_line(folder / "metadata.csv", line, "1,a.jpg,x,0,1,x")
    with pytest.raises(ValueError, match=r"line 3, column y: 'x', .* \(and 2 more\)"):
        load_waterbirds(folder)


@pytest.mark.parametrize("content", ["", "img_id,img_filename,y,split,place\n"])
def test_tables_without_rows_are_refused(folder, content):
    (folder / "metadata.csv").write_text(content)
    with pytest.raises(ValueError, match=r"metadata.csv has no (column|rows)"):
        load_waterbirds(folder)


def test_blank_lines_and_other_line_ends_are_no_errors(folder):
    expected = load_waterbirds(folder)
    file = folder / "metadata.csv"
    text = file.read_text().replace("\n", "\r\n")
    file.write_bytes(b"\xef\xbb\xbf" + (text + "\r\n\r\n").encode())  # as spreadsheets write it
    np.testing.assert_array_equal(load_waterbirds(folder).images, expected.images)


def test_an_image_in_two_rows_is_refused(folder):
    lines = (folder / "metadata.csv").read_text().splitlines()
    layouts.replace_line(folder / "metadata.csv", 20, lines[4])
    with pytest.raises(ValueError, match=r"line 20: .*_0003_3.jpg comes again, it is in line 5"):
        load_waterbirds(folder)


def test_missing_images_are_counted_and_the_first_are_named(folder):
    gone = sorted(folder.glob("001.*/*.jpg"))[2:7]
    for file in gone:
        file.unlink()
    with pytest.raises(FileNotFoundError) as caught:
        load_waterbirds(folder)
    text = str(caught.value)
    names = ", ".join(file.relative_to(folder).as_posix() for file in gone[:3])
    assert f"5 of the 24 images that {folder / 'metadata.csv'} names are not in" in text
    assert f"{folder}: {names} and 2 more. " in text
    assert "https://github.com/kohpangwei/group_DRO" in text


def test_a_missing_folder_of_images_counts_too(folder, tmp_path):
    (folder / "059.California_Gull").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"12 of the 24 images"):
        load_waterbirds(folder)


def test_missing_table_says_what_to_download(folder):
    (folder / "metadata.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"no metadata.csv in .*group_DRO.*tar\.gz"):
        load_waterbirds(folder)


def test_missing_path_says_what_to_download(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist\. .*group_DRO"):
        load_waterbirds(tmp_path / "nowhere")
