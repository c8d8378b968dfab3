"""Waterbirds, from the folder or archive of its authors or of WILDS."""

from __future__ import annotations

import os

import numpy as np
from sklearn.utils import Bunch

from ._archives import open_folder
from ._image_folders import find_file, folders_in, image_paths
from ._label_files import check_cells, check_unique, read_columns

__all__ = ["load_waterbirds"]

TARGET_NAMES = ("landbird", "waterbird")
GROUP_NAMES = ("land background", "water background")
#: names that the folder has in the authors' archive, and where WILDS puts it
FOLDERS = ("waterbird_complete95_forest2water2", "waterbirds_v1.0")
GET = (
    "Waterbirds is at https://github.com/kohpangwei/group_DRO: give the archive "
    "waterbird_complete95_forest2water2.tar.gz, or the folder that comes out of it, with "
    "metadata.csv and a folder of images for each kind of bird"
)

DESCR = """\
Waterbirds: photographs of birds from CUB-200-2011 on backgrounds from Places. The task is to tell
waterbirds from landbirds. In the training part 95 per cent of each are on the background of their
kind; in the validation and test parts half of them are.

Source: S. Sagawa, P. W. Koh, T. B. Hashimoto and P. Liang (2020),
https://github.com/kohpangwei/group_DRO
Licence: none of its own; the terms of CUB-200-2011 and Places apply.
"""


def load_waterbirds(
    path: str | os.PathLike[str], *, cache_dir: str | os.PathLike[str] | None = None
) -> Bunch:
    """Load Waterbirds: tell waterbirds from landbirds, whatever the background.

    Waterbirds [1]_ does not come with the package and is not downloaded: `path` says where it is.

    =================   ===========================================================
    Samples             11,788: 4,795 train, 1,199 valid, 5,794 test
    Classes             2, landbirds and waterbirds
    Attribute           the background, land or water
    Smallest cell       waterbirds on land, 56 in the training part
    =================   ===========================================================

    Parameters
    ----------
    path : str or path-like
        The folder with ``metadata.csv`` and the images, its parent, or the archive
        ``waterbird_complete95_forest2water2.tar.gz`` as downloaded (any tar or zip). The folder
        ``waterbirds_v1.0`` of WILDS [2]_ has the same form.
    cache_dir : str or path-like, default=None
        A folder below which an archive is unpacked, once and whole; needed for archives only.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the fields:

        images : ndarray of shape (11788,), dtype object
            Paths of the images, as text, in the order of the file. Nothing is decoded.
        target : ndarray of shape (11788,), dtype int64
            The class, 0 or 1.
        groups : ndarray of shape (11788,), dtype int64
            The background, 0 or 1.
        split : ndarray of shape (11788,), dtype int64
            The official one: 0 train, 1 valid, 2 test.
        target_names : list of str
            ``["landbird", "waterbird"]``.
        group_names : list of str
            ``["land background", "water background"]``.
        DESCR : str
            What the data are, their source and licence.

    Raises
    ------
    FileNotFoundError
        If ``metadata.csv``, or images that it names, are missing.
    ValueError
        If the file is malformed (the message names file, line and column), or the archive is
        broken or comes without a `cache_dir`.

    See Also
    --------
    make_waterdigits : A stand-in that needs no download.
    load_celeba : Faces, where hair colour goes with gender.

    References
    ----------
    .. [1] S. Sagawa, P. W. Koh, T. B. Hashimoto and P. Liang (2020). Distributionally robust
       neural networks for group shifts. ICLR. https://arxiv.org/abs/1911.08731
    .. [2] P. W. Koh et al. (2021). WILDS: a benchmark of in-the-wild distribution shifts. ICML.
       https://arxiv.org/abs/2012.07421

    Examples
    --------
    A folder of the official form, with two images:

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from gbmix_sklearn import load_waterbirds
    >>> metadata = '''img_id,img_filename,y,split,place,place_filename
    ... 1,001.Albatross/a.jpg,1,0,1,/o/ocean/1.jpg
    ... 2,002.Sparrow/b.jpg,0,2,1,/o/ocean/2.jpg
    ... '''
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "metadata.csv").write_text(metadata)
    ...     for name in ("001.Albatross/a.jpg", "002.Sparrow/b.jpg"):
    ...         (Path(folder) / name).parent.mkdir()
    ...         Image.new("RGB", (8, 8)).save(Path(folder) / name)
    ...     birds = load_waterbirds(folder)
    >>> [birds.target_names[code] for code in birds.target]
    ['waterbird', 'landbird']
    >>> birds.images[birds.split == 0].shape
    (1,)
    """
    places = open_folder(path, cache_dir, GET)
    root = places[0]
    file = find_file(folders_in(root, FOLDERS), ["metadata.csv"], GET)
    table = read_columns(file, ["img_filename", "y", "split", "place"])
    for name, allowed in {"y": "01", "split": "012", "place": "01"}.items():
        wanted = " or ".join(allowed)
        check_cells(file, table[name], table[name].isin(list(allowed)), wanted)
    check_unique(file, table["img_filename"])
    return Bunch(
        images=image_paths(file.parent, table["img_filename"].tolist(), file, GET),
        target=table["y"].to_numpy().astype(np.int64),
        groups=table["place"].to_numpy().astype(np.int64),
        split=table["split"].to_numpy().astype(np.int64),
        target_names=list(TARGET_NAMES),
        group_names=list(GROUP_NAMES),
        DESCR=DESCR,
    )
