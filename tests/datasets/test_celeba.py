import inspect
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn.datasets import _celeba, load_celeba
from gbmix_sklearn.groups import make_cells

from . import layouts

PAGE = "mmlab.ie.cuhk.edu.hk/projects/CelebA"


@pytest.fixture
def folder(tmp_path):
    return layouts.celeba(tmp_path / "celeba")


@pytest.fixture(scope="module")
def published(development_data, tmp_path_factory):
    """The published files, out of the development data."""
    archive = development_data / "celeba.tar.gz"
    if not archive.is_file():
        pytest.skip(f"{archive} not found")
    cache = tmp_path_factory.mktemp("celeba")
    return lambda **parameters: load_celeba(archive, cache_dir=cache, **parameters)


def counts(bunch, part=0):
    rows = bunch.split == part
    return pd.crosstab(bunch.target[rows], bunch.groups[rows]).to_numpy()


def test_published_files_agree_with_pandas(published):
    faces = published()
    root = faces.images[0].rpartition("/img_align_celeba/")[0]
    table = pd.read_csv(f"{root}/list_attr_celeba.txt", sep=r"\s+", skiprows=1)
    parts = pd.read_csv(f"{root}/list_eval_partition.txt", sep=" ", header=None, index_col=0)[1]
    assert len(table) == 37_355
    assert faces.images.tolist() == [f"{root}/img_align_celeba/{name}" for name in table.index]
    np.testing.assert_array_equal(faces.target, table["Blond_Hair"] == 1)
    np.testing.assert_array_equal(faces.groups, table["Male"] == 1)
    np.testing.assert_array_equal(faces.split, parts.loc[table.index])
    assert faces.target_names == ["non-blond", "blond"]
    assert faces.group_names == ["female", "male"]
    assert [faces[name].dtype for name in ("target", "groups", "split")] == [np.int64] * 3
    assert layouts.size_of(faces.images[-1]) == (64, 78)
    # all 40 columns, one by one
    for name in layouts.CELEBA_ATTRIBUTES:
        groups = "Male" if name != "Male" else "Young"
        np.testing.assert_array_equal(published(target=name, groups=groups).target, table[name] > 0)


def test_published_files_undersampled(published):
    whole, small = published(), published(undersample="1:4")
    expected = _celeba.undersampled_counts(counts(whole), 4)
    np.testing.assert_array_equal(counts(small), expected)
    assert counts(whole).tolist() == [[12588, 13178], [4001, 293]]
    # 293 blond men of 4,001 women are 1:13; a quarter of them is 4/13
    assert expected[1].tolist() == [4001 * 4 // 13, 293]
    assert expected[0, 1] == 13178 * 4 // 13
    for part in (1, 2):
        np.testing.assert_array_equal(counts(small, part), counts(whole, part))


def test_fields_are_the_documented_ones(folder):
    documented = re.findall(r"^    (\w+) : ", inspect.getdoc(load_celeba), re.MULTILINE)
    layouts.celeba_persons(folder)
    assert documented == list(load_celeba(folder, split="person"))
    documented.remove("person")
    assert documented == list(load_celeba(folder))
    assert documented == list(load_celeba(folder, undersample="1:1"))


def test_the_paper_predicts_hair_across_genders(folder):
    parameters = inspect.signature(load_celeba).parameters
    assert parameters["target"].default == "Blond_Hair"
    assert parameters["groups"].default == "Male"
    faces, rows = load_celeba(folder), np.arange(24)
    np.testing.assert_array_equal(faces.target, rows % 2)
    np.testing.assert_array_equal(faces.groups, rows // 2 % 2)
    np.testing.assert_array_equal(faces.split, rows // 4 % 3)


def test_the_attributes_are_the_40_of_the_file():
    assert list(_celeba.ATTRIBUTES) == layouts.CELEBA_ATTRIBUTES
    assert len(set(_celeba.ATTRIBUTES)) == 40


def test_any_attribute_may_be_the_target(folder):
    faces = load_celeba(folder, target="Smiling", groups="Young")
    _, values, _ = layouts.celeba_rows()
    for field, name in (("target", "Smiling"), ("groups", "Young")):
        column = values[:, layouts.CELEBA_ATTRIBUTES.index(name)]
        np.testing.assert_array_equal(faces[field], column == 1)
    assert faces.target_names == ["not Smiling", "Smiling"]
    assert faces.group_names == ["not Young", "Young"]


def test_several_attributes_are_a_table(folder):
    faces = load_celeba(folder, groups=iter(["Young", "Male"]))
    assert list(faces.groups.columns) == ["Young", "Male"]
    assert (faces.groups.dtypes == np.int64).all()
    assert faces.group_names == {"Young": ["not Young", "Young"], "Male": ["female", "male"]}
    np.testing.assert_array_equal(faces.groups["Male"], load_celeba(folder).groups)
    assert len(make_cells(faces.target, faces.groups).counts) == 8


@pytest.mark.parametrize(
    ("layout", "path"),
    [
        ({}, "."),  # the authors' files in one folder
        ({}, "img_align_celeba"),
        ({"images": "celeba/img_align_celeba", "labels": "celeba", "split": "celeba"}, "."),
        ({"images": "Img/img_align_celeba", "labels": "Anno", "split": "Eval"}, "."),
        ({"images": "Img/img_align_celeba", "labels": "Anno", "split": "Eval"}, "Img"),
        (
            {"images": "Img/img_align_celeba", "labels": "Anno", "split": "Eval"},
            "Img/img_align_celeba",
        ),
        ({"form": "csv"}, "."),  # WILDS
        (
            {
                "images": "celeba/celeba/img_align_celeba",
                "labels": "celeba/celeba",
                "split": "celeba",
            },
            ".",
        ),
        ({"form": "csv", "images": "img_align_celeba/img_align_celeba"}, "."),  # Kaggle
        ({"form": "csv", "images": "img_align_celeba/img_align_celeba"}, "img_align_celeba"),
        (
            {"form": "csv", "images": "img_align_celeba/img_align_celeba"},
            "img_align_celeba/img_align_celeba",
        ),
        (
            {
                "form": "csv",
                "images": "celebA_v1.0/img_align_celeba",
                "labels": "celebA_v1.0",
                "split": "celebA_v1.0",
            },
            ".",
        ),
    ],
)
def test_layouts_that_are_around_are_found(tmp_path, folder, layout, path):
    expected = load_celeba(folder)
    other = layouts.celeba(tmp_path / "other", **layout)
    faces = load_celeba(other / path)
    for field in ("target", "groups", "split"):
        np.testing.assert_array_equal(faces[field], expected[field])
    images = layout.get("images", "img_align_celeba")
    assert faces.images[3] == str(other / images / "000004.jpg")


@pytest.mark.parametrize("labels", ["", "Anno"])
def test_labels_may_lie_beside_the_archive(tmp_path, folder, labels):
    """As downloaded: the images are a zip, and the tables are not in it."""
    expected = load_celeba(folder)
    where = tmp_path / "downloads"
    split = "Eval" if labels else ""
    layouts.celeba(
        tmp_path / "packed", labels="../downloads/" + labels, split="../downloads/" + split
    )
    archive = where / ("Img" if labels else "") / "img_align_celeba.zip"
    archive.parent.mkdir(exist_ok=True)
    layouts.pack(tmp_path / "packed", archive)
    faces = load_celeba(archive, cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(faces.target, expected.target)
    np.testing.assert_array_equal(faces.split, expected.split)
    assert layouts.size_of(faces.images[0]) == (12, 16)
    with pytest.raises(FileNotFoundError, match=r"no folder img_align_celeba in .*|given as path"):
        load_celeba(where)


def test_order_of_the_partition_does_not_matter(folder):
    expected = load_celeba(folder)
    file = folder / "list_eval_partition.txt"
    layouts.write_lines(file, file.read_text().splitlines()[::-1])
    np.testing.assert_array_equal(load_celeba(folder).split, expected.split)


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (1, [[4054, 4179], [1430, 1387]]),
        (2, [[4054, 8359], [2860, 1387]]),
        (4, [[4054, 16718], [5720, 1387]]),
        (8, [[4054, 33437], [11440, 1387]]),
        (16, [[4054, 66874], [22880, 1387]]),
    ],
)
def test_counts_are_those_of_table_8_without_its_errors(ratio, expected):
    whole = [[71629, 66874], [22880, 1387]]
    assert _celeba.undersampled_counts(whole, ratio).tolist() == expected


def test_counts_do_not_depend_on_the_names_of_classes_and_groups():
    whole = np.array([[71629, 66874], [22880, 1387]])
    expected = np.array([[4054, 8359], [2860, 1387]])
    for turn in (np.flipud, np.fliplr, np.flip):
        np.testing.assert_array_equal(_celeba.undersampled_counts(turn(whole), 2), turn(expected))


@pytest.mark.parametrize("seed", range(20))
def test_undersampling_keeps_what_there_is_and_makes_both_classes_equally_skewed(seed):
    rng = np.random.default_rng(seed)
    whole = rng.integers(200, 20000, size=(2, 2))
    most = 1
    while True:
        try:
            kept = _celeba.undersampled_counts(whole, most)
        except ValueError as error:
            assert f"'1:{most}' is out of reach" in str(error)  # noqa: PT017
            break
        assert (kept <= whole).all()
        assert kept.min() > 0
        y, s = np.unravel_index(whole.argmin(), (2, 2))
        skew = kept[y, 1 - s] / kept[y, s], kept[1 - y, s] / kept[1 - y, 1 - s]
        assert skew[0] == pytest.approx(skew[1], rel=0.02)
        assert most <= skew[0] + 0.02
        most += 1
    assert most > 1


def test_undersampling_draws_by_the_seed_and_nests(tmp_path):
    folder = layouts.celeba(tmp_path, n=240)
    # blond men: 2 of the training part; the others stay
    lines = (folder / "list_eval_partition.txt").read_text().splitlines()
    blond_men = [row for row in range(240) if row % 4 == 3]
    for row in blond_men[2:]:
        lines[row] = lines[row][:-1] + "2"
    layouts.write_lines(folder / "list_eval_partition.txt", lines)
    whole = load_celeba(folder)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    bunches = {
        (ratio, seed): load_celeba(folder, undersample=ratio, random_state=seed)
        for ratio in ("1:2", "1:5")
        for seed in (0, 1)
    }
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    again = load_celeba(folder, undersample="1:5")
    np.testing.assert_array_equal(again.images, bunches["1:5", 0].images)
    assert set(again.images) != set(bunches["1:5", 1].images)
    assert set(bunches["1:2", 0].images) < set(again.images) < set(whole.images)
    for bunch in bunches.values():
        # rows keep their order, and their labels
        rows = np.flatnonzero(np.isin(whole.images, bunch.images))
        for field in ("images", "target", "groups", "split"):
            np.testing.assert_array_equal(bunch[field], whole[field][rows])
        assert (bunch.split != 0).sum() == (whole.split != 0).sum()


def test_ratios_beyond_the_data_and_empty_cells_are_refused(folder):
    with pytest.raises(ValueError, match=r"undersample='1:2' is out of reach: .* are at 1:1"):
        load_celeba(folder, undersample="1:2")
    file = folder / "list_eval_partition.txt"
    lines = file.read_text().splitlines()
    for row in range(3, 24, 4):  # the blond men
        lines[row] = lines[row][:-1] + "2"
    layouts.write_lines(file, lines)
    with pytest.raises(ValueError, match="training samples in each of the four cells"):
        load_celeba(folder, undersample="1:1")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target": "Blonde"}, r"target must be one of \['5_o_Clock_Shadow'.*got 'Blonde'"),
        ({"target": ["Male"]}, r"target must be one of"),
        ({"groups": "Gender"}, r"groups must be one of .*got 'Gender'"),
        ({"groups": []}, "groups must be one of"),
        ({"groups": ["Male", "Male"]}, "different ones"),
        ({"groups": "Blond_Hair"}, "target and groups must be different .*'Blond_Hair'"),
        ({"groups": ["Male", "Blond_Hair"]}, "target and groups must be different"),
        ({"undersample": 4}, "undersample must be a ratio such as '1:4', or None; got 4"),
        ({"undersample": "1:0"}, "undersample must be a ratio"),
        ({"undersample": "2:1"}, "undersample must be a ratio"),
        ({"undersample": "1:4", "groups": ["Male"]}, "undersample needs groups of a single"),
    ],
)
def test_bad_parameters_are_refused_before_anything_is_read(tmp_path, parameters, message):
    with pytest.raises(ValueError, match=message):
        load_celeba(tmp_path / "nowhere", **parameters)


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "many", "list_attr_celeba.txt, line 1: 'many', expected the number of images"),
        (1, "25", "list_attr_celeba.txt has 24 rows, but its line 1 says 25"),
        (26, None, "list_attr_celeba.txt has 23 rows, but its line 1 says 24; its download"),
        (2, "Male Young", "list_attr_celeba.txt has no column Blond_Hair, but"),
        (7, "000005.jpg" + 39 * " -1", "list_attr_celeba.txt, line 7: 40 fields, expected 41"),
        (7, "000005.jpg" + 41 * " -1", "list_attr_celeba.txt, line 7: 42 fields, expected 41"),
        (7, "000005.jpg" + 40 * " 0", "line 7, column Blond_Hair: '0', expected -1 or 1"),
        (7, "000004.jpg" + 40 * " 1", "line 7: 000004.jpg comes again, it is in line 6 too"),
    ],
)
def test_malformed_labels_are_named_by_line_and_column(folder, line, text, message):
    layouts.replace_line(folder / "list_attr_celeba.txt", line, text)
    with pytest.raises(ValueError, match=message):
        load_celeba(folder)


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (3, "000003.jpg 3", "partition.txt, line 3, column partition: '3', expected 0 or 1 or 2"),
        (3, "000003.jpg", "partition.txt, line 3: 1 fields, expected 2"),
        (3, "000002.jpg 0", "partition.txt, line 3: 000002.jpg comes again, it is in line 2 too"),
        (3, None, "partition.txt lacks 1 of the 24 images of .*attr_celeba.txt: 000003.jpg"),
        (24, "a 0\nb 1", "partition.txt lacks 1 of the 24 images of .*txt: 000024.jpg"),
        (24, "000024.jpg 0\nb 1", "attr_celeba.txt lacks 1 of the 25 images of .*partition.txt: b"),
    ],
)
def test_malformed_or_foreign_partitions_are_refused(folder, line, text, message):
    layouts.replace_line(folder / "list_eval_partition.txt", line, text)
    with pytest.raises(ValueError, match=message):
        load_celeba(folder)


def test_an_archive_that_is_still_packed_is_named(tmp_path, folder):
    base = tmp_path / "book" / "celeba"
    shutil.copytree(folder, base)
    layouts.pack(base / "img_align_celeba", tmp_path / "img_align_celeba.zip")
    shutil.rmtree(base / "img_align_celeba")
    (tmp_path / "img_align_celeba.zip").rename(base / "img_align_celeba.zip")
    with pytest.raises(FileNotFoundError, match=r"given as path: .*celeba/img_align_celeba\.zip"):
        load_celeba(base)
    archive = layouts.pack(tmp_path / "book", tmp_path / "book.zip")
    with pytest.raises(FileNotFoundError, match=r"given as path: .*/img_align_celeba\.zip") as told:
        load_celeba(archive, cache_dir=tmp_path / "cache")
    inner = re.search(r"given as path: (\S+)\. ", str(told.value))[1]
    assert Path(inner).is_file()


def test_whole_paths_in_the_tables_stay_as_they_are(tmp_path):
    expected = load_celeba(layouts.celeba(tmp_path, form="csv"))
    for name in ("list_attr_celeba.csv", "list_eval_partition.csv"):
        table = pd.read_csv(tmp_path / name)
        table["image_id"] = list(expected.images)
        table.to_csv(tmp_path / name, index=False)
    np.testing.assert_array_equal(load_celeba(tmp_path).images, expected.images)


def test_malformed_tables_of_kaggle_are_named_too(tmp_path):
    folder = layouts.celeba(tmp_path, form="csv")
    layouts.replace_line(folder / "list_attr_celeba.csv", 5, "000004.jpg" + 40 * ",x")
    with pytest.raises(ValueError, match=r"csv, line 5, column Blond_Hair: 'x', expected -1 or 1"):
        load_celeba(folder)
    layouts.replace_line(folder / "list_attr_celeba.csv", 1, "<html>")
    with pytest.raises(ValueError, match=r"list_attr_celeba.csv has no column image_id, Blond_"):
        load_celeba(folder)


def test_empty_files_are_refused(folder):
    (folder / "list_attr_celeba.txt").write_text("")
    with pytest.raises(ValueError, match="line 1: '', expected the number of images"):
        load_celeba(folder)
    layouts.celeba(folder)
    (folder / "list_eval_partition.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"list_eval_partition.txt has no rows"):
        load_celeba(folder)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("list_attr_celeba.txt", "no list_attr_celeba.txt or list_attr_celeba.csv in"),
        ("list_eval_partition.txt", "no list_eval_partition.txt or list_eval_partition.csv in"),
        ("img_align_celeba", "no folder img_align_celeba in"),
    ],
)
def test_missing_files_say_what_to_download(folder, gone, message):
    (folder / gone).rename(folder / "hidden")
    with pytest.raises(FileNotFoundError, match=rf"{message} .*{PAGE}"):
        load_celeba(folder)


def test_missing_images_are_counted_and_the_first_are_named(folder):
    for number in (2, 5, 11, 12):
        (folder / "img_align_celeba" / f"{number:06d}.jpg").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=rf"4 of the 24 images .*: 000002.jpg, 000005.jpg, 000011.jpg and 1 more. .*{PAGE}",
    ):
        load_celeba(folder)


class TestSplitByPerson:
    @pytest.fixture
    def persons(self, tmp_path):
        """Images of 120 persons, three of each."""
        folder = layouts.celeba(tmp_path, n=360)
        return layouts.celeba_persons(folder, n=360, per_person=3)

    def test_nobody_is_in_two_parts_and_cells_have_their_shares(self, persons):
        faces = load_celeba(persons, split="person")
        np.testing.assert_array_equal(faces.person, 7 + np.arange(360) // 3)
        assert pd.Series(faces.split).groupby(faces.person).nunique().max() == 1
        for part, share in enumerate(_celeba.PERSON_SHARES):
            assert abs(counts(faces, part) - 90 * share).max() <= 3

    def test_all_else_is_as_in_the_official_split(self, persons):
        faces, official = load_celeba(persons, split="person"), load_celeba(persons)
        assert "person" not in official
        for field in ("images", "target", "groups"):
            np.testing.assert_array_equal(faces[field], official[field])
        np.testing.assert_array_equal(load_celeba(persons, split="official").split, official.split)

    def test_the_seed_decides_and_the_order_of_the_file_does_not(self, persons):
        first = load_celeba(persons, split="person").split
        assert (first != load_celeba(persons, split="person", random_state=1).split).any()
        file = persons / "identity_CelebA.txt"
        layouts.write_lines(file, file.read_text().splitlines()[::-1])
        np.testing.assert_array_equal(load_celeba(persons, split="person").split, first)

    def test_the_official_partition_is_not_needed(self, persons):
        (persons / "list_eval_partition.txt").unlink()
        assert set(load_celeba(persons, split="person").split) == {0, 1, 2}

    def test_rows_that_are_left_out_take_their_persons_along(self, persons):
        whole = load_celeba(persons, split="person")
        small = load_celeba(persons, split="person", undersample="1:1")
        rows = np.flatnonzero(np.isin(whole.images, small.images))
        np.testing.assert_array_equal(small.person, whole.person[rows])
        np.testing.assert_array_equal(small.split, whole.split[rows])

    def test_the_file_may_lie_with_the_annotations(self, tmp_path):
        folder = layouts.celeba(tmp_path, images="Img/img_align_celeba", labels="Anno")
        layouts.celeba_persons(folder / "Anno")
        assert load_celeba(folder, split="person").person.tolist()[:3] == [7, 7, 8]

    def test_what_is_missing_or_malformed_is_named(self, folder):
        with pytest.raises(
            FileNotFoundError, match=r"no identity_CelebA\.txt.*split='person' needs"
        ):
            load_celeba(folder, split="person")
        file = layouts.celeba_persons(folder) / "identity_CelebA.txt"
        layouts.replace_line(file, 3, "000003.jpg nobody")
        with pytest.raises(ValueError, match="line 3, column identity: 'nobody', expected the num"):
            load_celeba(folder, split="person")
        layouts.replace_line(file, 3, None)
        with pytest.raises(ValueError, match="lacks 1 of the 24 images"):
            load_celeba(folder, split="person")
        with pytest.raises(ValueError, match="split must be 'official' or 'person', got 'people'"):
            load_celeba(folder, split="people")

    def test_on_the_development_data(self, development_data, tmp_path_factory):
        archive = development_data / "celeba.tar.gz"
        if not archive.is_file():
            pytest.skip(f"{archive} not found")
        faces = load_celeba(archive, split="person", cache_dir=tmp_path_factory.mktemp("faces"))
        assert pd.Series(faces.split).groupby(faces.person).nunique().max() == 1
        everything = pd.crosstab(faces.target, faces.groups).to_numpy()
        for part, share in enumerate(_celeba.PERSON_SHARES):
            assert abs(counts(faces, part) - share * everything).max() <= 5
