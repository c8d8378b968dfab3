"""What the loaders of image folders share: finding files, paths, splits that keep copies together.

Images are paths, as an array of objects: it takes masks and index arrays, every classifier and
:class:`~gbmix_sklearn.TimmEmbedder` read it, and nothing is decoded before it is asked for.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._files import open_plain
from ..groups import make_cells
from ._common import stratified_parts

__all__ = [
    "find_file",
    "find_folder",
    "folders_in",
    "image_paths",
    "join_paths",
    "name_some",
    "not_found",
    "parts_by_content",
]

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
#: what unpacking on a Mac leaves beside the content
_BESIDE = "__MACOSX"


def folders_in(root: Path, names: Sequence[str]) -> list[Path]:
    """Folders in which a data set may lie that was unpacked into `root`.

    Parameters
    ----------
    root : Path
        The folder that was given.
    names : sequence of str
        Names that the data set's own folder may have.

    Returns
    -------
    list of Path
        The folder; those of the names in it, and in one of their own name, as some programs unpack;
        and what lies in any of them where they hold a folder and nothing else.
    """
    found = [root, *(root / name for name in names)]
    found += [folder / folder.name for folder in found]
    inner = [inside for folder in found for inside in _alone_in(folder)]
    return list(dict.fromkeys([*found, *inner]))


def _alone_in(folder: Path, most: int = 3) -> Iterator[Path]:
    """The folder that is all there is in a folder, the one in that, and so on."""
    for _ in range(most):
        if not folder.is_dir():
            return
        content = [f for f in folder.iterdir() if f.name[0] != "." and f.name != _BESIDE]
        if len(content) != 1 or not content[0].is_dir():
            return
        folder = content[0]
        yield folder


def find_file(folders: Iterable[Path], names: Sequence[str], get: str) -> Path:
    """Find the first file of some names in the first folder that has one.

    Parameters
    ----------
    folders : iterable of Path
        Where to look, in this order.
    names : sequence of str
        Names that the file may have.
    get : str
        Where the data set is found and how to lay it out, for the message.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileNotFoundError
        If there is none; archives in the folders are named.
    """
    folders = list(dict.fromkeys(folders))
    for folder in folders:
        for name in names:
            if (folder / name).is_file():
                return folder / name
    raise FileNotFoundError(not_found(" or ".join(names), folders, get))


def find_folder(folders: Iterable[Path], inside: Sequence[str], what: str, get: str) -> Path:
    """Find the first of some folders that exists and has what must be inside.

    Parameters
    ----------
    folders : iterable of Path
        Candidates, in this order.
    inside : sequence of str
        Names of folders that must be in it.
    what : str
        What the folder is, for the message.
    get : str
        Where the data set is found and how to lay it out, for the message.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    FileNotFoundError
        If none fits.
    """
    folders = list(folders)
    for folder in folders:
        if folder.is_dir() and all((folder / name).is_dir() for name in inside):
            return folder
    raise FileNotFoundError(not_found(what, folders, get))


def not_found(what: str, folders: Sequence[Path], get: str) -> str:
    """Say what is missing where, and which archives in these folders could be given instead."""
    existing = list(dict.fromkeys(map(_existing, folders)))
    packed = sorted(
        str(file)
        for folder in existing
        for file in folder.iterdir()
        if file.name.lower().endswith(ARCHIVES) and file.is_file()
    )
    advice = f" Archives can be given as path: {name_some(packed)}." if packed else ""
    where = name_some([str(folder) for folder in existing])
    return f"no {what} in {where}.{advice} {get}"


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def name_some(names: Sequence[str], most: int = 3) -> str:
    """Name the first few of many.

    Examples
    --------
    >>> name_some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def image_paths(folder: Path, names: Sequence[str], source: Path, get: str) -> np.ndarray:
    """Paths of the images that a table names; each folder is listed once.

    Parameters
    ----------
    folder : Path
        What the names are relative to.
    names : sequence of str
        Names with forward slashes, or whole paths, which stay as they are.
    source : Path
        The table, for the message.
    get : str
        Where the data set is found and how to lay it out, for the message.

    Returns
    -------
    ndarray of shape (n_samples,), dtype object
        Paths as text.

    Raises
    ------
    FileNotFoundError
        If images are missing; the message says how many and names the first.
    """
    present: set[str] = set()
    for parent in {name[: name.rfind("/") + 1] for name in names}:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder / parent) as files:
            present.update(parent + file.name for file in files)
    missing = [name for name in names if name not in present]
    if missing:
        raise FileNotFoundError(
            f"{len(missing):,} of the {len(names):,} images that {source} names are not in "
            f"{folder}: {name_some(missing)}. {get}"
        )
    return join_paths(folder, names)


def join_paths(folder: Path, names: Iterable[str]) -> np.ndarray:
    """Paths of files in a folder, as text; names that are whole paths stay as they are.

    Returns
    -------
    ndarray of shape (n_files,), dtype object
        In the order of the names.
    """
    return np.array([os.path.join(folder, name) for name in names], dtype=object)


def parts_by_content(
    paths: Iterable[str], target: Any, groups: Any, fractions: Iterable[float], random_state: Any
) -> np.ndarray:
    """Deal samples to parts as :func:`stratified_parts`, with files of equal bytes in one part.

    Parameters
    ----------
    paths : iterable of str
        The files; they are read, not decoded.
    target : array-like of shape (n_samples,)
        Class labels.
    groups : array-like of shape (n_samples,) or (n_samples, n_attributes)
        Sensitive attributes.
    fractions : iterable of float
        Shares of the parts, with sum 1.
    random_state : int, RandomState instance or None
        Decides which samples of a cell go to which part.

    Returns
    -------
    ndarray of shape (n_samples,), dtype int64
        Number of each sample's part. Copies count once, in the cell of the first of them.
    """
    digests = [_digest(path) for path in paths]
    contents, _ = pd.factorize(np.array(digests, dtype=object))
    _, first = np.unique(contents, return_index=True)
    cells = make_cells(target, groups).codes
    return stratified_parts(cells[first], None, fractions, random_state)[contents]


def _digest(path: str) -> bytes:
    file: Any
    with open_plain(path) as file:
        return hashlib.file_digest(file, lambda: blake2b(digest_size=16)).digest()
