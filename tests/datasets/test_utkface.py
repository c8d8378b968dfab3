import hashlib
import inspect
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbmix_sklearn.datasets import load_utkface
from gbmix_sklearn.datasets._image_folders import parts_by_content
from gbmix_sklearn.groups import make_cells

from . import layouts


@pytest.fixture
def folder(tmp_path):
    return layouts.utkface(tmp_path / "UTKFace")


@pytest.fixture(scope="module")
def published(development_data, tmp_path_factory):
    """The published faces, out of the development data."""
    archive = development_data / "utkface.tar"
    if not archive.is_file():
        pytest.skip(f"{archive} not found")
    cache = tmp_path_factory.mktemp("utkface")
    return lambda **parameters: load_utkface(archive, cache_dir=cache, **parameters)


def contents(images):
    return [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in images]


def test_published_names_agree_with_a_slow_reading(published):
    faces = published(groups=["race", "gender"], races=None)
    assert len(faces.images) == 18912 - 3
    assert len(faces.skipped) == 3
    assert list(faces.images) == sorted(faces.images)
    fields = [Path(path).name.split("_") for path in faces.images]
    ages = [int(field[0]) for field in fields]
    bands = ["<20" if age < 20 else "20-59" if age < 60 else "60+" for age in ages]
    assert [faces.target_names[code] for code in faces.target] == bands
    assert faces.groups["gender"].tolist() == [int(field[1]) for field in fields]
    assert faces.groups["race"].tolist() == [int(field[2]) for field in fields]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("groups", ["race", ["gender", "race"]])
def test_no_part_of_the_published_faces_has_a_file_of_another(published, groups, seed):
    faces = published(groups=groups, random_state=seed)
    digests = np.array(contents(faces.images))
    times = Counter(digests)
    assert sum(count > 1 for count in times.values()) == 300  # or there would be nothing to see
    parts = [set(digests[faces.split == part]) for part in range(3)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    # and the parts have their shares of each cell, give or take some copies
    cells = make_cells(faces.target, faces.groups).codes
    sizes = np.array([np.bincount(cells[faces.split == part]) for part in range(3)])
    shares = np.array([[0.6], [0.2], [0.2]])
    assert (np.abs(sizes - shares * sizes.sum(axis=0)) < 2 + 0.015 * sizes.sum(axis=0)).all()


def test_fields_are_the_documented_ones(folder):
    documented = re.findall(r"^    (\w+) : ", inspect.getdoc(load_utkface), re.MULTILINE)
    assert documented == list(load_utkface(folder))


def test_the_paper_predicts_age_bands_across_three_races(folder):
    faces = load_utkface(folder)
    assert faces.target_names == ["<20", "20-59", "60+"]
    assert faces.group_names == ["White", "Black", "Others"]
    assert len(make_cells(faces.target, faces.groups).present) == 9
    for path, band, race in zip(faces.images, faces.target, faces.groups, strict=True):
        age, _, original, _ = Path(path).name.split("_")
        assert band == (int(age) >= 20) + (int(age) >= 60)
        assert race == min(int(original), 2)
    assert [faces[name].dtype for name in ("target", "groups", "split")] == [np.int64] * 3


def test_target_and_groups_may_be_any_two(folder):
    faces = load_utkface(folder, target="gender", groups=("age", "race"), races=None)
    assert faces.target_names == ["Male", "Female"]
    assert list(faces.groups.columns) == ["age", "race"]
    assert (faces.groups.dtypes == np.int64).all()
    assert faces.group_names["race"] == ["White", "Black", "Asian", "Indian", "Others"]
    assert faces.group_names["age"] == ["<20", "20-59", "60+"]
    genders = [int(Path(path).name.split("_")[1]) for path in faces.images]
    np.testing.assert_array_equal(faces.target, genders)


@pytest.mark.parametrize(
    ("races", "names"),
    [
        (["Indian"], ["Indian", "Others"]),
        (["Others", "White"], ["Others", "White"]),
        (("Asian", "White", "Black"), ["Asian", "White", "Black", "Others"]),
    ],
)
def test_races_that_are_not_named_become_others(folder, races, names):
    faces = load_utkface(folder, races=races)
    assert faces.group_names == names
    all_names = ["White", "Black", "Asian", "Indian", "Others"]
    for path, code in zip(faces.images, faces.groups, strict=True):
        race = all_names[int(Path(path).name.split("_")[2])]
        assert names[code] == (race if race in races else "Others")


def test_age_bands_start_at_the_given_ages(folder):
    faces = load_utkface(folder, age_bins=[10, 30, 50, 116])
    assert faces.target_names == ["<10", "10-29", "30-49", "50-115", "116+"]
    ages = np.array([int(Path(path).name.split("_")[0]) for path in faces.images])
    np.testing.assert_array_equal(faces.target, np.digitize(ages, [10, 30, 50, 116]))


@pytest.mark.parametrize("path", ["UTKFace", "."])
def test_path_may_be_the_folder_or_its_parent(folder, path):
    faces = load_utkface(folder.parent / path)
    assert faces.images[0] == str(folder / sorted(file.name for file in folder.iterdir())[0])


@pytest.mark.parametrize("place", ["UTKFace/UTKFace", "utkface_aligned_cropped/UTKFace", "a/b"])
def test_folders_in_folders_are_found(folder, tmp_path, place):
    expected = [Path(path).name for path in load_utkface(folder).images]
    inner = tmp_path / "archive" / place
    shutil.copytree(folder, inner)
    (tmp_path / "archive" / ".DS_Store").touch()
    faces = load_utkface(tmp_path / "archive")
    assert list(faces.images) == [str(inner / name) for name in expected]


def test_names_without_a_race_are_left_out_and_listed(folder):
    expected = load_utkface(folder)
    lacking = ["39_1_20170116174525125.jpg.chip.jpg", "61_1_20170109142408075.jpg.chip.jpg"]
    layouts.write_images(folder, lacking)
    faces = load_utkface(folder)
    assert faces.skipped == lacking
    np.testing.assert_array_equal(faces.images, expected.images)
    np.testing.assert_array_equal(faces.split, expected.split)
    assert expected.skipped == []


@pytest.mark.parametrize(
    "name",
    [
        "24_0_1_20170116220224657 .jpg.chip.jpg",
        "55_0_0_20170116232725357jpg.chip.jpg",
        "44_1_4_20170116235150272.pg.chip.jpg",
    ],
)
def test_slips_in_the_official_names_do_not_matter(folder, name):
    layouts.write_images(folder, [name], contents=[1000])
    assert str(folder / name) in load_utkface(folder).images


@pytest.mark.parametrize(
    "name", ["cat.jpg", "24_2_1_2017.jpg", "24_0_5_2017.jpg", "1000_0_0_2017.jpg", "53__0_2017.JPG"]
)
def test_other_names_of_images_are_refused(folder, name):
    layouts.write_images(folder, [name])
    with pytest.raises(
        ValueError, match=rf"1 of the 61 images in .* not named <age>_<gender>.*: {name}\. UTKFace"
    ):
        load_utkface(folder)


def test_what_is_no_image_is_passed_over(folder):
    for name in ("Thumbs.db", "readme.txt", "._24_0_1_2017.jpg", ".hidden.jpg"):
        (folder / name).write_text("")
    (folder / "folder").mkdir()
    assert len(load_utkface(folder).images) == 60


def test_folders_without_faces_say_what_to_download(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no images in .*susanqq.github.io/UTKFace"):
        load_utkface(tmp_path)
    layouts.write_images(tmp_path, ["39_1_20170116174525125.jpg.chip.jpg"])
    with pytest.raises(ValueError, match=r"no image in .* has a race in its name.*susanqq"):
        load_utkface(tmp_path)


def test_copies_stay_in_one_part_whatever_their_labels(tmp_path):
    rng = np.random.default_rng(0)
    numbers = rng.integers(40, size=120)
    for seed in range(5):
        faces = load_utkface(layouts.utkface(tmp_path, 120, contents=numbers), random_state=seed)
        parts = pd.Series(faces.split).groupby(contents(faces.images)).nunique()
        assert len(parts) == len(set(numbers))
        assert (parts == 1).all()
        assert set(faces.split) == {0, 1, 2}


@settings(max_examples=50, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_split_by_content_is_one_part_for_each_content_and_has_its_shares(
    tmp_path_factory, data, seed
):
    folder = tmp_path_factory.getbasetemp() / "by-content"
    folder.mkdir(exist_ok=True)
    numbers = data.draw(st.lists(st.integers(0, 20), min_size=1, max_size=60))
    labels = data.draw(st.lists(st.integers(0, 1), min_size=len(numbers), max_size=len(numbers)))
    for number in set(numbers):
        (folder / str(number)).write_bytes(b"%d" % number)
    paths = [str(folder / str(number)) for number in numbers]
    split = parts_by_content(paths, labels, np.zeros(len(labels)), (0.5, 0.25, 0.25), seed)
    part_of = dict(zip(numbers, split, strict=True))
    assert [part_of[number] for number in numbers] == split.tolist()
    # each content counts once, in the cell of the first copy
    first = dict(zip(numbers[::-1], labels[::-1], strict=True))
    for label in set(first.values()):
        of_cell = [part_of[number] for number in first if first[number] == label]
        sizes = np.bincount(of_cell, minlength=3)
        assert (np.abs(sizes - len(of_cell) * np.array([0.5, 0.25, 0.25])) < 1).all()


def test_split_follows_the_seed_and_leaves_the_global_state_alone(folder):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    default, zero, other = (
        load_utkface(folder, **seed).split
        for seed in ({}, {"random_state": 0}, {"random_state": 1})
    )
    np.testing.assert_array_equal(default, zero)
    assert (default != other).any()
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_fractions_may_be_zero(folder):
    assert set(load_utkface(folder, validation_fraction=0).split) == {0, 2}
    assert set(load_utkface(folder, validation_fraction=0, test_fraction=0).split) == {0}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target": "sex"}, r"target must be one of \['age', 'gender', 'race'\], got 'sex'"),
        ({"groups": "age"}, "target and groups must be different attributes, both have 'age'"),
        ({"groups": ["race", "hair"]}, "groups must be one of"),
        ({"age_bins": (60, 20)}, "age_bins must be increasing whole numbers out of 1 to 116"),
        ({"age_bins": (0,)}, "age_bins must be increasing"),
        ({"age_bins": (20.5,)}, "age_bins must be increasing"),
        ({"age_bins": ()}, "age_bins must be increasing"),
        ({"age_bins": 20}, "age_bins must be increasing"),
        ({"races": ("White", "Green")}, r"races must be different ones of \['White'.*'Green'"),
        ({"races": ()}, "races must be different ones"),
        ({"races": "White"}, "races must be different ones"),
        ({"races": ("White", "White")}, "races must be different ones"),
        ({"test_fraction": 1.0}, "test_fraction must be a number in"),
        ({"validation_fraction": 0.5, "test_fraction": 0.5}, r"validation_fraction \+ test_fract"),
    ],
)
def test_bad_parameters_are_refused_before_anything_is_read(tmp_path, parameters, message):
    with pytest.raises(ValueError, match=message):
        load_utkface(tmp_path / "nowhere", **parameters)
