"""CelebA, from the files of its authors, of torchvision, WILDS or Kaggle."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state

from ..groups import make_cells
from ..model_selection._units import divide_units
from ._archives import open_folder
from ._common import check_labels, encode_labels
from ._image_folders import find_file, find_folder, folders_in, image_paths, name_some
from ._label_files import check_cells, check_unique, read_columns

__all__ = ["load_celeba"]

ATTRIBUTES = (
    *("5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs"),
    *("Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair"),
    *("Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair"),
    *("Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache"),
    *("Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline"),
    *("Rosy_Cheeks", "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings"),
    *("Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young"),
)
#: names of the values of those that the paper uses; the others are "not X" and "X"
VALUE_NAMES = {"Blond_Hair": ("non-blond", "blond"), "Male": ("female", "male")}

IMAGES = "img_align_celeba"
#: the folder of torchvision, and those of WILDS and others
FOLDERS = ("celeba", "celebA_v1.0", "celebA", "CelebA")
LABEL_FILES = ("list_attr_celeba.txt", "list_attr_celeba.csv")
SPLIT_FILES = ("list_eval_partition.txt", "list_eval_partition.csv")
IDENTITY_FILES = ("identity_CelebA.txt", "identity_CelebA.csv")
#: shares of the parts of a split by person: train, valid, test
PERSON_SHARES = (0.5, 0.1, 0.4)
GET = (
    "CelebA is at https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html: put img_align_celeba.zip, "
    "list_attr_celeba.txt and list_eval_partition.txt into one folder and give the archive, or "
    "unpack it there and give the folder"
)

GET_PERSONS = (
    "split='person' needs identity_CelebA.txt, which is with the labels (Anno) at "
    "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html: put it beside list_attr_celeba.txt, or "
    "take split='official'"
)

DESCR = """\
CelebA: aligned faces of 10,177 celebrities, with 40 attributes that are there or not. By default
the task is to tell blond from other hair, where blond men are rare.

Source: Z. Liu, P. Luo, X. Wang and X. Tang (2015),
https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html
Licence: for non-commercial research only.
"""


def load_celeba(
    path: str | os.PathLike[str],
    *,
    target: str = "Blond_Hair",
    groups: str | Iterable[str] = "Male",
    split: str = "official",
    undersample: str | None = None,
    random_state: int | np.random.RandomState | None = 0,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Bunch:
    r"""Load CelebA: tell blond hair from other hair, whatever the gender.

    CelebA [1]_ does not come with the package and is not downloaded: `path` says where it is.

    =================   ===========================================================
    Samples             202,599: 162,770 train, 19,867 valid, 19,962 test
    Classes             2, non-blond and blond; or another of 40 attributes
    Attribute           gender; or others of the 40
    Smallest cell       blond men, 1,387 in the training part
    =================   ===========================================================

    Parameters
    ----------
    path : str or path-like
        The folder ``img_align_celeba``, its parent, or the archive ``img_align_celeba.zip`` as
        downloaded (any tar or zip). ``list_attr_celeba.txt`` and ``list_eval_partition.txt``, or
        the same as ``.csv``, lie beside it, in the archive, or in the official ``Anno`` and
        ``Eval``. The folder ``celeba`` of torchvision, ``celebA_v1.0`` of WILDS and the archive of
        Kaggle have this form, and so may be `path` or in it.
    target : str, default="Blond_Hair"
        The attribute that is predicted, by its name in the file, such as ``"Smiling"``.
    groups : str or list of str, default="Male"
        The sensitive attribute, or several, whose intersections are then the groups.
    split : {"official", "person"}, default="official"
        The parts. ``"person"`` makes larger validation and test parts, 50, 10 and 40 % of the
        images instead of 80, 10 and 10, so that rare cells can be judged: the official parts of
        them are small. All images of a person are in one part, and each part has its share of every
        cell of `target` and `groups`. Needs ``identity_CelebA.txt`` beside the other files, which
        says who is in which image.
    undersample : str, default=None
        A ratio such as ``"1:4"`` makes the training part one in which the target goes with a
        single attribute to that degree, as in the paper's Table 8; see the notes. Training rows
        that are not drawn are left out of all fields. Validation and test parts are as ever.
    random_state : int, RandomState instance or None, default=0
        Draws the persons of each part in a split by person, and the rows that `undersample` keeps.
        The default gives everyone the same ones.
    cache_dir : str or path-like, default=None
        A folder below which an archive is unpacked, once and whole; needed for archives only.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the fields, where n is 202,599, or less with `undersample`:

        images : ndarray of shape (n,), dtype object
            Paths of the images, as text, in the order of the file. Nothing is decoded.
        target : ndarray of shape (n,), dtype int64
            1 where the target attribute is there, else 0.
        groups : ndarray of shape (n,) or DataFrame of shape (n, n_attributes), dtype int64
            The same of the sensitive attribute, or of each in a list of them.
        split : ndarray of shape (n,), dtype int64
            0 train, 1 valid, 2 test. No person is in two parts.
        person : ndarray of shape (n,), dtype int64
            Only with ``split="person"``: the number of the person in each image, for
            `keep_together` of splitters and classifiers.
        target_names : list of str
            What 0 and 1 mean: ``["non-blond", "blond"]``, or such as ``["not Smiling",
            "Smiling"]``.
        group_names : list of str, or dict of them
            The same of the sensitive attribute, ``["female", "male"]``; of several by their names.
        DESCR : str
            What the data are, their source and licence.

    Raises
    ------
    FileNotFoundError
        If a file or images that it names are missing.
    ValueError
        If a parameter has a value that is not allowed, a file is malformed (the message names
        file, line and column), the two files do not fit each other, or the archive is broken or
        comes without a `cache_dir`.

    See Also
    --------
    load_waterbirds : Birds, where the background goes with the kind.
    load_utkface : Faces with ages and races.

    Notes
    -----
    The paper's [2]_ undersampled variants: the two rare cells (blond men; dark-haired women) are
    made equally rare in their classes, the others keep a share of their samples. With all 66,874
    dark-haired men and 22,880 blond women of the training part and its 1,387 blond men, 4,054 of
    the dark-haired women are as rare; that is 1:16.5, and named 1:16. A ratio 1:r then keeps r/16
    of the two frequent cells, rounded down:

    ======  ===========  =========  ============  ==========
    ratio   dark female  dark male  blond female  blond male
    ======  ===========  =========  ============  ==========
    1:2     4,054        8,359      2,860         1,387
    1:4     4,054        16,718     5,720         1,387
    1:8     4,054        33,437     11,440        1,387
    1:16    4,054        66,874     22,880        1,387
    ======  ===========  =========  ============  ==========

    Table 8 of the paper has 66,874 and 22,880, the counts of 1:16, in its row 1:4, and 2,680 for
    2,860 in its row 1:2; the ratios themselves give the counts here. With other attributes the
    rule is the same: the smallest cell and the one opposite to it are the rare ones. The rows of a
    smaller ratio are among those of a larger one with the same seed.

    Licence: the images are for non-commercial research only, says their source.

    References
    ----------
    .. [1] Z. Liu, P. Luo, X. Wang and X. Tang (2015). Deep learning face attributes in the wild.
       ICCV. https://arxiv.org/abs/1411.7766
    .. [2] GBMix, Tables 5 and 8.

    Examples
    --------
    A folder of the official form, with two images and two of the attributes:

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from gbmix_sklearn import load_celeba
    >>> with TemporaryDirectory() as folder:
    ...     labels = "2\nBlond_Hair Male\n1.jpg  1 -1\n2.jpg -1  1\n"
    ...     _ = (Path(folder) / "list_attr_celeba.txt").write_text(labels)
    ...     _ = (Path(folder) / "list_eval_partition.txt").write_text("1.jpg 0\n2.jpg 2\n")
    ...     (Path(folder) / "img_align_celeba").mkdir()
    ...     for name in ("1.jpg", "2.jpg"):
    ...         Image.new("RGB", (8, 8)).save(Path(folder) / "img_align_celeba" / name)
    ...     faces = load_celeba(folder)
    >>> [faces.target_names[code] for code in faces.target]
    ['blond', 'non-blond']
    >>> [faces.group_names[code] for code in faces.groups]
    ['female', 'male']
    """
    if split not in ("official", "person"):
        raise ValueError(f"split must be 'official' or 'person', got {split!r}")
    groups = check_labels(ATTRIBUTES, target, groups)
    names = [target, *([groups] if isinstance(groups, str) else groups)]
    ratio = _check_ratio(undersample, groups)
    places = open_folder(path, cache_dir, GET)
    root = places[0]
    if root.name == IMAGES:
        bases = [root.parent, root.parent.parent]  # Kaggle has the folder in one of its name
    else:
        bases = folders_in(root, FOLDERS)
    folder = find_folder(
        [base / name for base in bases for name in (f"{IMAGES}/{IMAGES}", IMAGES, f"Img/{IMAGES}")],
        [],
        f"folder {IMAGES}",
        GET,
    )
    beside = [place for start in (folder.parent, *places[1:]) for place in (start, start.parent)]
    labels_file = find_file([b / name for b in beside for name in ("", "Anno")], LABEL_FILES, GET)
    official = split == "official"
    if official:
        where, wanted, get = "Eval", SPLIT_FILES, GET
    else:
        where, wanted, get = "Anno", IDENTITY_FILES, GET_PERSONS
    parts_file = find_file([b / name for b in beside for name in ("", where)], wanted, get)

    labels = _read_labels(labels_file, names)
    parts = (_read_split if official else _read_persons)(
        parts_file, labels["image_id"], labels_file
    )
    images = image_paths(folder, labels["image_id"].tolist(), labels_file, GET)
    attributes = pd.DataFrame(
        {
            name: pd.Categorical.from_codes(
                (labels[name] == "1").to_numpy().astype(int),
                pd.Index(VALUE_NAMES.get(name, (f"not {name}", name))),
            )
            for name in names
        }
    )
    bunch = Bunch(images=images, **encode_labels(attributes, target, groups))
    of_samples = ["images", "target", "groups", "split"]
    if official:
        bunch.split = parts
    else:
        bunch.split = _parts_of_persons(bunch, parts, random_state)
        bunch.person = parts
        of_samples.append("person")
    if ratio is not None:
        rows = _undersampled(bunch, ratio, random_state)
        for field in of_samples:
            bunch[field] = bunch[field][rows]
    fields = (*of_samples, "target_names", "group_names")
    return Bunch(**{field: bunch[field] for field in fields}, DESCR=DESCR)


def undersampled_counts(cells: Any, ratio: int) -> np.ndarray:
    """Sizes of the four training cells in an undersampled variant.

    Parameters
    ----------
    cells : array-like of shape (2, 2), dtype int
        Counts of the whole training part, classes in rows and groups in columns.
    ratio : int
        How many of a frequent cell there are, about, for one of the rare cell of its class.

    Returns
    -------
    ndarray of shape (2, 2), dtype int64
        Counts to keep.

    Raises
    ------
    ValueError
        If a cell is empty, or the ratio is larger than that of all samples.

    Examples
    --------
    >>> undersampled_counts([[71629, 66874], [22880, 1387]], 2)
    array([[4054, 8359],
           [2860, 1387]])
    """
    cells = np.asarray(cells, dtype=np.int64)
    if cells.min() == 0:
        raise ValueError("undersample needs training samples in each of the four cells")
    y, s = np.unravel_index(cells.argmin(), cells.shape)
    rare, frequent = int(cells[y, s]), int(cells[y, 1 - s])
    opposite_rare, opposite_frequent = int(cells[1 - y, 1 - s]), int(cells[1 - y, s])
    whole = frequent // rare
    if ratio > whole:
        raise ValueError(
            f"undersample='1:{ratio}' is out of reach: all training samples are at 1:{whole}"
        )
    counts = np.empty((2, 2), dtype=np.int64)
    counts[y, s], counts[y, 1 - s] = rare, frequent * ratio // whole
    # as rare in its class as the smallest cell is in the other: whole numbers, rounded
    as_rare = (2 * opposite_frequent * rare + frequent) // (2 * frequent)
    as_frequent = (2 * opposite_rare * frequent + rare) // (2 * rare)
    counts[1 - y, 1 - s] = min(opposite_rare, as_rare)
    counts[1 - y, s] = min(opposite_frequent, as_frequent) * ratio // whole
    return counts


def _undersampled(bunch: Bunch, ratio: int, random_state: Any) -> np.ndarray:
    """Rows to keep, ascending: all of the validation and test parts, and those drawn."""
    rng = check_random_state(random_state)
    train = bunch.split == 0
    members = [
        [np.flatnonzero(train & (bunch.target == y) & (bunch.groups == s)) for s in (0, 1)]
        for y in (0, 1)
    ]
    counts = undersampled_counts([[len(rows) for rows in of_class] for of_class in members], ratio)
    drawn = [rng.permutation(members[y][s])[: counts[y, s]] for y in (0, 1) for s in (0, 1)]
    return np.sort(np.concatenate([np.flatnonzero(~train), *drawn]))


def _parts_of_persons(bunch: Bunch, person: np.ndarray, random_state: Any) -> np.ndarray:
    """Number of each image's part, with all images of a person in one."""
    cells = make_cells(bunch.target, bunch.groups)
    rng = check_random_state(random_state)
    return divide_units(cells.codes, person, PERSON_SHARES, rng, keeps=0)


def _check_ratio(undersample: Any, groups: Any) -> int | None:
    if undersample is None:
        return None
    found = re.fullmatch(r"1:([1-9]\d*)", undersample) if isinstance(undersample, str) else None
    if found is None:
        raise ValueError(f"undersample must be a ratio such as '1:4', or None; got {undersample!r}")
    if not isinstance(groups, str):
        raise ValueError(f"undersample needs groups of a single attribute, got {groups!r}")
    return int(found[1])


def _read_labels(file: Path, columns: list[str]) -> pd.DataFrame:
    """Names of the images, and the attributes as text; a text file also says how many rows."""
    wanted = ["image_id", *columns]
    if file.suffix == ".csv":
        table = read_columns(file, wanted)
    else:
        with file.open(encoding="utf-8", errors="backslashreplace") as stream:
            count, header = stream.readline().strip(), stream.readline().split()
        if not count.isdecimal():
            raise ValueError(f"{file}, line 1: {count[:40]!r}, expected the number of images")
        table = read_columns(file, wanted, names=["image_id", *header], skip=2)
        if len(table) != int(count):
            raise ValueError(
                f"{file} has {len(table):,} rows, but its line 1 says {int(count):,}; its download "
                "may have ended early"
            )
    for name in columns:
        check_cells(file, table[name], table[name].isin(["-1", "1"]), "-1 or 1")
    check_unique(file, table["image_id"])
    return table


def _read_split(file: Path, images: pd.Series, labels_file: Path) -> np.ndarray:
    """Parts of the images, in their order."""
    table = _read_of_images(file, "partition")
    check_cells(file, table["partition"], table["partition"].isin(list("012")), "0 or 1 or 2")
    return _in_order(table, "partition", file, images, labels_file)


def _read_persons(file: Path, images: pd.Series, labels_file: Path) -> np.ndarray:
    """Numbers of the persons in images, in their order."""
    table = _read_of_images(file, "identity")
    numbers = table["identity"].str.fullmatch("[0-9]{1,9}")
    check_cells(file, table["identity"], numbers, "the number of a person")
    return _in_order(table, "identity", file, images, labels_file)


def _read_of_images(file: Path, column: str) -> pd.DataFrame:
    columns = ["image_id", column]
    return read_columns(file, columns, names=None if file.suffix == ".csv" else columns)


def _in_order(
    table: pd.DataFrame, column: str, file: Path, images: pd.Series, labels_file: Path
) -> np.ndarray:
    """Numbers in a column, in the order of the images, which both files must name alike."""
    check_unique(file, table["image_id"])
    for one, other, source, lacking in (
        (images, table["image_id"], labels_file, file),
        (table["image_id"], images, file, labels_file),
    ):
        unknown = one[~one.isin(other)].tolist()
        if unknown:
            raise ValueError(
                f"{lacking} lacks {len(unknown):,} of the {len(one):,} images of {source}: "
                f"{name_some(unknown)}"
            )
    return table.set_index("image_id")[column].loc[images].to_numpy().astype(np.int64)
