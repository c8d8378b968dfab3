"""FairFace, from the label files and images of its authors."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from ._archives import open_folder
from ._common import check_fractions, check_labels, encode_labels, stratified_parts
from ._faces import age_bands, check_age_bins, check_races, race_groups
from ._image_folders import find_file, find_folder, folders_in, image_paths
from ._label_files import check_cells, check_unique, read_columns

__all__ = ["load_fairface"]

ATTRIBUTES = ("age", "gender", "race")
#: the ages in the files, by their first year
AGES = {
    "0-2": 0,
    "3-9": 3,
    "10-19": 10,
    "20-29": 20,
    "30-39": 30,
    "40-49": 40,
    "50-59": 50,
    "60-69": 60,
    "more than 70": 70,
}
GENDERS = ("Male", "Female")
RACES = (
    *("White", "Black", "Latino_Hispanic", "East Asian", "Southeast Asian", "Indian"),
    "Middle Eastern",
)
PARTS = ("train", "val")
#: names of the unpacked archives, and of the folder that some put them into
FOLDERS = (
    "fairface",
    "FairFace",
    "fairface-img-margin025-trainval",
    "fairface-img-margin125-trainval",
)
GET = (
    "FairFace is at https://github.com/joojs/fairface: put fairface-img-margin025-trainval.zip (or "
    "margin125), fairface_label_train.csv and fairface_label_val.csv into one folder and give the "
    "archive, or unpack it there, to train/ and val/, and give the folder"
)

DESCR = """\
FairFace: 97,698 faces, about as many of each of seven races, with age band and gender. By default
the task is to tell the race, whatever the age.

Source: K. Karkkainen and J. Joo (2021), https://github.com/joojs/fairface
Licence: CC BY 4.0, https://creativecommons.org/licenses/by/4.0/
"""


def load_fairface(
    path: str | os.PathLike[str],
    *,
    target: str = "race",
    groups: str | Iterable[str] = "age",
    age_bins: Iterable[int] = (20, 60),
    races: Iterable[str] | None = ("White", "Black"),
    validation_fraction: float = 0.1,
    random_state: int | np.random.RandomState | None = 0,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Bunch:
    r"""Load FairFace: tell the race of a face, whatever the age.

    FairFace [1]_ does not come with the package and is not downloaded: `path` says where it is.

    =================   ===========================================================
    Samples             97,698: 86,744 train and valid, 10,954 test
    Classes             3: White, Black, Others; or gender, or age band
    Attributes          3 age bands; or gender, or race
    =================   ===========================================================

    Parameters
    ----------
    path : str or path-like
        The folder with ``train`` and ``val``, its parent, or the archive
        ``fairface-img-margin025-trainval.zip`` (or ``margin125``) as downloaded (any tar or zip).
        ``fairface_label_train.csv`` and ``fairface_label_val.csv`` lie in it or beside it.
    target : {"race", "age", "gender"}, default="race"
        The attribute that is predicted.
    groups : {"race", "age", "gender"} or a list of them, default="age"
        The sensitive attribute, or several, whose intersections are then the groups.
    age_bins : iterable of int, default=(20, 60)
        First ages of all age bands but the youngest, increasing, out of those at which a band of
        the files starts: 3, 10, 20, 30, 40, 50, 60 and 70. The default makes the bands ``"<20"``,
        ``"20-59"`` and ``"60+"``, those of the paper's [2]_ Table 5.
    races : iterable of str or None, default=("White", "Black")
        The races that stay as they are, out of White, Black, Latino_Hispanic, East Asian,
        Southeast Asian, Indian and Middle Eastern; the rest is ``"Others"``. The default is the
        paper's. None keeps all seven.
    validation_fraction : float, default=0.1
        Share of the official training rows that becomes the validation part, in each cell of class
        and group alike. With 0 the split has the values 0 and 2 only.
    random_state : int, RandomState instance or None, default=0
        Draws the validation part. The default gives everyone the same one, for the same target and
        groups.
    cache_dir : str or path-like, default=None
        A folder below which an archive is unpacked, once and whole; needed for archives only.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the fields:

        images : ndarray of shape (97698,), dtype object
            Paths of the images, as text, in the order of the files, training rows first. Nothing
            is decoded.
        target : ndarray of shape (97698,), dtype int64
            The class: its place in `target_names`.
        groups : ndarray of shape (97698,) or DataFrame of shape (97698, n_attributes), dtype int64
            The same of the sensitive attribute, or of each in a list of them.
        split : ndarray of shape (97698,), dtype int64
            0 train and 1 valid (rows of the official training file), 2 test (of the official
            validation file).
        target_names : list of str
            Such as ``["White", "Black", "Others"]``.
        group_names : list of str, or dict of them
            Such as ``["<20", "20-59", "60+"]``; of several attributes by their names.
        DESCR : str
            What the data are, their source and licence.

    Raises
    ------
    FileNotFoundError
        If a label file, or images that it names, are missing.
    ValueError
        If a parameter has a value that is not allowed, a file is malformed (the message names
        file, line and column), or the archive is broken or comes without a `cache_dir`.

    See Also
    --------
    load_utkface : Faces with ages in years.
    load_celeba : Faces, where hair colour goes with gender.

    Notes
    -----
    The published files have two parts of 97,698 images together, out of 108,501. The official
    validation part serves as the test here, and a validation part is drawn from the training rows.
    The paper does not say what it did; it selects models on validation data and reports test data,
    which needs a third part from somewhere. Copies of an image among the training rows are not
    looked for.

    Licence: CC BY 4.0, by Kimmo Karkkainen and Jungseock Joo. Races, ages and genders are what
    annotators saw, not statements of the people.

    References
    ----------
    .. [1] K. Karkkainen and J. Joo (2021). FairFace: face attribute dataset for balanced race,
       gender, and age for bias measurement and mitigation. WACV. https://arxiv.org/abs/1908.04913
    .. [2] GBMix, Table 5.

    Examples
    --------
    A folder of the official form, with two images:

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from gbmix_sklearn import load_fairface
    >>> header = "file,age,gender,race,service_test"
    >>> rows = {"train": "1.jpg,3-9,Male,Indian,True", "val": "1.jpg,30-39,Male,White,True"}
    >>> with TemporaryDirectory() as folder:
    ...     for part in ("train", "val"):
    ...         (Path(folder) / part).mkdir()
    ...         Image.new("RGB", (8, 8)).save(Path(folder) / part / "1.jpg")
    ...         labels = Path(folder) / f"fairface_label_{part}.csv"
    ...         _ = labels.write_text(f"{header}\n{part}/{rows[part]}\n")
    ...     faces = load_fairface(folder)
    >>> [faces.target_names[code] for code in faces.target]
    ['Others', 'White']
    >>> faces.split
    array([0, 2])
    """
    check_fractions(validation_fraction=validation_fraction)
    groups = check_labels(ATTRIBUTES, target, groups)
    edges = check_age_bins(age_bins, list(AGES.values())[1:])
    kept = check_races(races, RACES)
    places = open_folder(path, cache_dir, GET)
    root = places[0]
    bases = folders_in(root, FOLDERS)
    # archives may be unpacked into a folder that has their name, and is in one of their name
    candidates = [*bases, *(base / name for base in bases for name in FOLDERS)]
    folder = find_folder(candidates, PARTS, "folder with train and val", GET)
    tables, images = [], []
    beside = [folder, folder.parent, *bases, root.parent, *places[1:]]
    for part in PARTS:
        file = find_file(beside, [f"fairface_label_{part}.csv"], GET)
        table = _read(file, part)
        images.append(image_paths(folder, table["file"].tolist(), file, GET))
        tables.append(table)

    table = pd.concat(tables, ignore_index=True)
    attributes = pd.DataFrame(
        {
            "age": age_bands(table["age"].map(AGES), edges),
            "gender": pd.Categorical(table["gender"], categories=GENDERS),
            "race": race_groups(table["race"], RACES, kept),
        }
    )
    labels = encode_labels(attributes, target, groups)
    n_train = len(tables[0])
    split = np.full(len(table), 2, dtype=np.int64)
    split[:n_train] = stratified_parts(
        labels.target[:n_train],
        labels.groups[:n_train],
        (1 - validation_fraction, validation_fraction),
        random_state,
    )
    return Bunch(
        images=np.concatenate(images),
        target=labels.target,
        groups=labels.groups,
        split=split,
        target_names=labels.target_names,
        group_names=labels.group_names,
        DESCR=DESCR,
    )


def _read(file: Path, part: str) -> pd.DataFrame:
    """Labels of one part; the names of the images become relative to its folder's parent."""
    table = read_columns(file, ["file", *ATTRIBUTES])
    for name, allowed in {"age": list(AGES), "gender": GENDERS, "race": RACES}.items():
        check_cells(file, table[name], table[name].isin(allowed), f"one of {list(allowed)}")
    # some copies of the files write another folder before it
    good = table["file"].str.match(rf"(?:.*/)?{part}/[^/]+$")
    check_cells(file, table["file"], good, f"{part}/<name>")
    table["file"] = [f"{part}/{posixpath.basename(name)}" for name in table["file"]]
    # the part is in the name again, so that names of both files differ
    check_unique(file, table["file"])
    return table
