import inspect
import re
import shutil
import tarfile

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn.datasets import load_fairface
from gbmix_sklearn.groups import make_cells

from . import layouts

MARGIN = "fairface-img-margin025-trainval"


@pytest.fixture
def folder(tmp_path):
    return layouts.fairface(tmp_path / "fairface")


@pytest.fixture(scope="module")
def published(development_data, tmp_path_factory):
    """The published label files beside empty images: only what is read late is missing."""
    archive = development_data / "fairface_labels.tar.gz"
    if not archive.is_file():
        pytest.skip(f"{archive} not found")
    folder = tmp_path_factory.mktemp("fairface")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    for part, n in (("train", 86744), ("val", 10954)):
        (folder / "fairface" / part).mkdir()
        for number in range(1, n + 1):
            open(f"{folder}/fairface/{part}/{number}.jpg", "wb").close()
    yield folder / "fairface"
    shutil.rmtree(folder)


def test_published_labels_agree_with_pandas(published):
    faces = load_fairface(published.parent, groups=["age", "gender"], races=None)
    files = [published / f"fairface_label_{part}.csv" for part in ("train", "val")]
    table = pd.concat([pd.read_csv(file) for file in files], ignore_index=True)
    assert len(faces.images) == 97698
    assert faces.images[[0, 86743, 86744, -1]].tolist() == [
        str(published / name)
        for name in ("train/1.jpg", "train/86744.jpg", "val/1.jpg", "val/10954.jpg")
    ]
    assert [faces.target_names[code] for code in faces.target] == table["race"].tolist()
    assert [["Male", "Female"][code] for code in faces.groups["gender"]] == table["gender"].tolist()
    starts = table["age"].str.extract(r"(\d+)")[0].astype(int)
    np.testing.assert_array_equal(faces.groups["age"], np.digitize(starts, [20, 60]))


def test_published_parts_have_the_paper_s_nine_cells(published):
    faces = load_fairface(published)
    assert np.bincount(faces.split).tolist() == [86744 - 8675, 8675, 10954]
    assert (faces.split[86744:] == 2).all()
    cells = make_cells(faces.target, faces.groups).codes
    sizes = np.array([np.bincount(cells[faces.split == part], minlength=9) for part in range(3)])
    assert (sizes > 0).all()
    assert (np.abs(sizes[1] - 0.1 * sizes[:2].sum(axis=0)) < 1).all()
    # counted in the files by hand: White, Black and the five others of the test part
    assert sizes[2].reshape(3, 3).sum(axis=1).tolist() == [2085, 1556, 7313]
    assert sizes[2].reshape(3, 3).sum(axis=0).tolist() == [2736, 7779, 439]


def test_fields_are_the_documented_ones(folder):
    documented = re.findall(r"^    (\w+) : ", inspect.getdoc(load_fairface), re.MULTILINE)
    assert documented == list(load_fairface(folder))


def test_the_paper_predicts_three_races_across_age_bands(folder):
    faces = load_fairface(folder, validation_fraction=0)
    rows = np.concatenate([np.arange(63), np.arange(21)])
    np.testing.assert_array_equal(faces.target, np.minimum(rows % 7, 2))
    np.testing.assert_array_equal(
        faces.groups, [0, 0, 0, 1, 1, 1, 1, 2, 2] * 7 + [0, 0, 0, 1, 1, 1, 1, 2, 2] * 2 + [0, 0, 0]
    )
    assert faces.split.tolist() == 63 * [0] + 21 * [2]
    assert faces.target_names == ["White", "Black", "Others"]
    assert faces.group_names == ["<20", "20-59", "60+"]
    assert faces.images[0] == str(folder / "train" / "1.jpg")
    assert faces.images[-1] == str(folder / "val" / "21.jpg")
    assert [faces[name].dtype for name in ("target", "groups", "split")] == [np.int64] * 3
    assert {layouts.size_of(path) for path in faces.images} == {(12, 16)}


def test_target_and_groups_may_be_any_two(folder):
    faces = load_fairface(folder, target="age", groups=["race", "gender"], races=["Indian"])
    assert faces.target_names == ["<20", "20-59", "60+"]
    assert faces.group_names == {"race": ["Indian", "Others"], "gender": ["Male", "Female"]}
    np.testing.assert_array_equal(faces.groups["gender"][:63], np.arange(63) % 2)
    np.testing.assert_array_equal(faces.groups["race"][:63], np.arange(63) % 7 != 5)


def test_age_bands_start_where_those_of_the_files_do(folder):
    faces = load_fairface(folder, groups="age", age_bins=[3, 10, 20, 30, 40, 50, 60, 70])
    np.testing.assert_array_equal(faces.groups[:63], np.arange(63) % 9)
    assert faces.group_names[0] == "<3"
    assert faces.group_names[-2:] == ["60-69", "70+"]


def test_all_races_may_stay(folder):
    faces = load_fairface(folder, races=None)
    assert faces.target_names == layouts.FAIRFACE_RACES
    named = load_fairface(folder, races=layouts.FAIRFACE_RACES[::-1])
    assert named.target_names == layouts.FAIRFACE_RACES[::-1]
    np.testing.assert_array_equal(named.target, 6 - faces.target)


@pytest.mark.parametrize(
    ("images", "labels", "path"),
    [
        (".", "", "."),
        ("fairface", "", "."),
        (MARGIN, "", "."),
        (MARGIN, "..", "."),
        (MARGIN, "..", MARGIN),
        (f"{MARGIN}/{MARGIN}", "../..", "."),
        (f"{MARGIN}/{MARGIN}", "..", MARGIN),
    ],
)
def test_layouts_that_are_around_are_found(tmp_path, folder, images, labels, path):
    expected = load_fairface(folder)
    other = tmp_path / "other"
    layouts.fairface(other / images, labels=labels)
    faces = load_fairface(other / path)
    np.testing.assert_array_equal(faces.target, expected.target)
    assert faces.images[0] == str(other / images / "train" / "1.jpg")


def test_labels_may_lie_beside_the_archive(tmp_path, folder):
    """As downloaded: the images are a zip, and the tables are not in it."""
    expected = load_fairface(folder)
    (tmp_path / "packed").mkdir()
    for part in ("train", "val"):
        (folder / part).rename(tmp_path / "packed" / part)
    archive = layouts.pack(tmp_path / "packed", folder / f"{MARGIN}.zip")
    faces = load_fairface(archive, cache_dir=tmp_path / "cache")
    for field in ("target", "groups", "split"):
        np.testing.assert_array_equal(faces[field], expected[field])
    with pytest.raises(FileNotFoundError, match=rf"no folder with train and val.*{MARGIN}\.zip"):
        load_fairface(folder)


def test_another_folder_before_the_names_does_not_matter(folder):
    expected = load_fairface(folder)
    file = folder / "fairface_label_val.csv"
    file.write_text(file.read_text().replace("\nval/", "\nfairface/val/"))
    np.testing.assert_array_equal(load_fairface(folder).images, expected.images)


def test_validation_part_follows_the_seed_and_leaves_the_global_state_alone(folder):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (
        load_fairface(folder, validation_fraction=0.4, random_state=seed).split
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert set(first[:63]) == {0, 1}
    assert set(first[63:]) == {2}
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (
            3,
            "train/2.jpg,20-30,Male,White,True",
            r"line 3, column age: '20-30', expected one of \[",
        ),
        (3, "train/2.jpg,3-9,male,White,True", r"line 3, column gender: 'male', expected one of"),
        (3, "train/2.jpg,3-9,Male,,True", r"line 3, column race: '', expected one of \['White', "),
        (3, "val/2.jpg,3-9,Male,White,True", "line 3, column file: 'val/2.jpg', expected train/"),
        (3, "2.jpg,3-9,Male,White,True", "line 3, column file: '2.jpg', expected train/<name>"),
        (
            3,
            "a/train/1.jpg,3-9,Male,White,True",
            "line 3: train/1.jpg comes again, it is in line 2",
        ),
        (3, "train/2.jpg,3-9,Male", "line 3: 3 fields, expected 5"),
        (1, "file,age,gender,race7,service_test", "has no column race, but"),
    ],
)
def test_malformed_labels_are_named_by_line_and_column(folder, line, text, message):
    file = folder / "fairface_label_train.csv"
    layouts.replace_line(file, line, text)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(file))},? ?{message}"):
        load_fairface(folder)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("fairface_label_train.csv", "no fairface_label_train.csv in"),
        ("fairface_label_val.csv", "no fairface_label_val.csv in"),
        ("train", "no folder with train and val in"),
        ("val", "no folder with train and val in"),
    ],
)
def test_missing_files_say_what_to_download(folder, gone, message):
    (folder / gone).rename(folder / "hidden")
    with pytest.raises(FileNotFoundError, match=rf"{message} .*github.com/joojs/fairface"):
        load_fairface(folder)


def test_missing_images_are_counted_and_the_first_are_named(folder):
    for number in (7, 9):
        (folder / "val" / f"{number}.jpg").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=r"2 of the 21 images that .*label_val.csv names are .*: val/7.jpg, val/9.jpg\. Fair",
    ):
        load_fairface(folder)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target": "age"}, "target and groups must be different attributes, both have 'age'"),
        ({"groups": "hair"}, "groups must be one of"),
        ({"age_bins": (25,)}, r"out of \[3, 10, 20, 30, 40, 50, 60, 70\]; got \(25,\)"),
        ({"age_bins": (0, 20)}, "age_bins must be increasing"),
        ({"races": ("Asian",)}, "races must be different ones of"),
        ({"validation_fraction": 1}, "validation_fraction must be a number in"),
    ],
)
def test_bad_parameters_are_refused_before_anything_is_read(tmp_path, parameters, message):
    with pytest.raises(ValueError, match=message):
        load_fairface(tmp_path / "nowhere", **parameters)
