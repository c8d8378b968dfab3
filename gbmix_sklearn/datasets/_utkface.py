"""UTKFace, the aligned and cropped faces: their labels are in the names of the files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from ._archives import open_folder
from ._common import check_fractions, check_labels, encode_labels
from ._faces import age_bands, check_age_bins, check_races, race_groups
from ._image_folders import folders_in, join_paths, name_some, not_found, parts_by_content

__all__ = ["load_utkface"]

ATTRIBUTES = ("age", "gender", "race")
GENDERS = ("Male", "Female")
RACES = ("White", "Black", "Asian", "Indian", "Others")
FOLDERS = ("UTKFace", "utkface_aligned_cropped/UTKFace")
LABELS = r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_"
#: three of the names have age, gender and date only
WITHOUT_RACE = r"\d{1,3}_[01]_\d{8,}"
SUFFIXES = (".jpg", ".jpeg", ".png")
GET = (
    "UTKFace is at https://susanqq.github.io/UTKFace/: give the archive UTKFace.tar.gz of the "
    "aligned and cropped faces, or the folder UTKFace that comes out of it"
)

DESCR = """\
UTKFace: aligned and cropped faces of people from 0 to 116 years, with age, gender and race. By
default the task is to tell the age band, whatever the race.

Source: Z. Zhang, Y. Song and H. Qi (2017), https://susanqq.github.io/UTKFace/
Licence: for non-commercial research only.
"""


def load_utkface(
    path: str | os.PathLike[str],
    *,
    target: str = "age",
    groups: str | Iterable[str] = "race",
    age_bins: Iterable[int] = (20, 60),
    races: Iterable[str] | None = ("White", "Black"),
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
    random_state: int | np.random.RandomState | None = 0,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Bunch:
    """Load UTKFace: tell the age band of a face, whatever the race.

    UTKFace [1]_ does not come with the package and is not downloaded: `path` says where it is.

    =================   ===========================================================
    Samples             23,705 of 23,708; no official split
    Classes             3 age bands; or gender, or race
    Attributes          race: White, Black, Others; or gender, or age
    =================   ===========================================================

    Parameters
    ----------
    path : str or path-like
        The folder ``UTKFace`` of the aligned and cropped faces, its parent, or the archive
        ``UTKFace.tar.gz`` as downloaded (any tar or zip).
    target : {"age", "gender", "race"}, default="age"
        The attribute that is predicted.
    groups : {"age", "gender", "race"} or a list of them, default="race"
        The sensitive attribute, or several, whose intersections are then the groups.
    age_bins : iterable of int, default=(20, 60)
        First ages of all age bands but the youngest, increasing, between 1 and 116. The default
        makes the bands ``"<20"``, ``"20-59"`` and ``"60+"``, those of the paper's [2]_ Table 5.
    races : iterable of str or None, default=("White", "Black")
        The races that stay as they are, out of White, Black, Asian, Indian and Others; the rest is
        ``"Others"``. The default is the paper's. None keeps all five.
    validation_fraction, test_fraction : float, default=0.2
        Shares of the validation and test parts, in each cell of class and group alike.
    random_state : int, RandomState instance or None, default=0
        Draws the split. The default gives everyone the same one, for the same target and groups.
    cache_dir : str or path-like, default=None
        A folder below which an archive is unpacked, once and whole; needed for archives only.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the fields, where n is 23,705 for the full data:

        images : ndarray of shape (n,), dtype object
            Paths of the images, as text, sorted by name. Nothing is decoded.
        target : ndarray of shape (n,), dtype int64
            The class: its place in `target_names`.
        groups : ndarray of shape (n,) or DataFrame of shape (n, n_attributes), dtype int64
            The same of the sensitive attribute, or of each in a list of them.
        split : ndarray of shape (n,), dtype int64
            0 train, 1 valid, 2 test. Files of the same bytes are in the same part.
        target_names : list of str
            Such as ``["<20", "20-59", "60+"]``.
        group_names : list of str, or dict of them
            Such as ``["White", "Black", "Others"]``; of several attributes by their names.
        skipped : list of str
            Names of files that are left out because they lack the race.
        DESCR : str
            What the data are, their source and licence.

    Raises
    ------
    FileNotFoundError
        If there are no images.
    ValueError
        If a parameter has a value that is not allowed, names of images have another form, or the
        archive is broken or comes without a `cache_dir`.

    See Also
    --------
    load_fairface : More faces, about as many of each race.
    load_celeba : Faces, where hair colour goes with gender.

    Notes
    -----
    Three names of the full data have no race (such as ``39_1_20170116174525125.jpg.chip.jpg``).
    They are left out whatever target and groups are, so that all choices have the same rows.

    About 375 sets of files have the same bytes under different names, and most of them are labelled
    with different ages: had a split torn them apart, the test part would hold training images. The
    files are read to find them, which takes a few seconds, and nothing is left out. Different
    photographs of one person are not recognised and may be in different parts.

    The paper does not say how it split the data; splits here are drawn for each cell of class and
    group. Files that are no images, or whose names begin with a point, are passed over.

    Licence: the images are for non-commercial research only, says their source. Ages, genders and
    races are estimates that annotators have checked, not statements of the people.

    References
    ----------
    .. [1] Z. Zhang, Y. Song and H. Qi (2017). Age progression/regression by conditional
       adversarial autoencoder. CVPR. https://arxiv.org/abs/1702.08423
    .. [2] GBMix, Table 5.

    Examples
    --------
    A folder of the official form, with two images:

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from gbmix_sklearn import load_utkface
    >>> with TemporaryDirectory() as folder:
    ...     for age, race in ((7, 0), (64, 3)):
    ...         name = f"{age}_1_{race}_20170109150557335.jpg.chip.jpg"
    ...         Image.new("RGB", (8, 8), (age, race, 0)).save(Path(folder) / name)
    ...     faces = load_utkface(folder)
    >>> [faces.target_names[code] for code in faces.target]
    ['60+', '<20']
    >>> [faces.group_names[code] for code in faces.groups]
    ['Others', 'White']
    """
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    groups = check_labels(ATTRIBUTES, target, groups)
    edges = check_age_bins(age_bins, range(1, 117))
    kept = check_races(races, RACES)
    root = open_folder(path, cache_dir, GET)[0]
    outer, *inner = folders_in(root, FOLDERS)
    folder = next((place for place in [*inner, outer] if _has_images(place)), root)
    names, skipped = _image_names(folder)
    images = join_paths(folder, names)

    fields = names.str.extract(LABELS).astype(int)
    attributes = pd.DataFrame(
        {
            "age": age_bands(fields["age"], edges),
            "gender": pd.Categorical.from_codes(fields["gender"].to_numpy(), pd.Index(GENDERS)),
            "race": race_groups(np.array(RACES, dtype=object)[fields["race"]], RACES, kept),
        }
    )
    labels = encode_labels(attributes, target, groups)
    fractions = (1 - validation_fraction - test_fraction, validation_fraction, test_fraction)
    return Bunch(
        images=images,
        target=labels.target,
        groups=labels.groups,
        split=parts_by_content(images, labels.target, labels.groups, fractions, random_state),
        target_names=labels.target_names,
        group_names=labels.group_names,
        skipped=skipped,
        DESCR=DESCR,
    )


def _has_images(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    with os.scandir(folder) as files:
        return any(_is_image(file.name) for file in files)


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _image_names(folder: Path) -> tuple[pd.Series, list[str]]:
    """Sorted names of the images, and of those that lack the race."""
    with os.scandir(folder) as files:
        found = sorted(file.name for file in files)
    images = [name for name in found if _is_image(name)]
    if not images:
        raise FileNotFoundError(not_found("images", [folder], GET))
    names = pd.Series(images)
    labelled = names.str.match(LABELS)
    without_race = ~labelled & names.str.match(WITHOUT_RACE)
    unknown = names[~labelled & ~without_race].tolist()
    if unknown:
        raise ValueError(
            f"{len(unknown):,} of the {len(names):,} images in {folder} are not named "
            f"<age>_<gender>_<race>_<date> with gender 0 or 1 and race 0 to 4: "
            f"{name_some(unknown)}. {GET}"
        )
    if not labelled.any():
        raise ValueError(f"no image in {folder} has a race in its name. {GET}")
    return names[labelled].reset_index(drop=True), names[without_race].tolist()
