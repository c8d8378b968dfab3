"""Images that a folder holds or that a column names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .._visible import visible
from ._columns import check_columns
from ._tables import COUNTED, Table, check_complete

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["image_paths", "list_images", "read_images"]

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def read_images(
    data: str, column: str | None, root: str | None, *, all_there: bool
) -> tuple[pd.DataFrame, Sequence[str | None]]:
    """Rows with images, and the path of each.

    Parameters
    ----------
    data : str
        A folder, all of whose images are rows; or a table.
    column : str, default=None
        The column of the table that has the paths.
    root : str, default=None
        Where relative paths start from; None is the folder of the table.
    all_there : bool
        Whether a missing file is an error.
    """
    if os.path.isdir(data):
        if column or root:
            raise ValueError(f"{data} is a folder: --images and --root are for tables")
        return list_images(data)
    table = Table(data)
    if column is None:
        raise ValueError(f"name the column of {table.where} that has the paths: --images COLUMN")
    check_columns([column], table.columns, table.where)
    frame = table.read()
    return frame, image_paths(frame, column, table, root, all_there=all_there)


def list_images(folder: str) -> tuple[pd.DataFrame, list[str]]:
    """All images in a folder and those in it, in sorted order; what is hidden aside.

    Raises
    ------
    ValueError
        If there are none, or a name is no text that a table could have.
    """
    import pandas as pd

    files = list(_files(folder))
    found = sorted(name for name in files if name.lower().endswith(_SUFFIXES))
    if not found:
        others = Counter(os.path.splitext(name)[1].lower() for name in files)
        there = ", ".join(f"{n} {end or 'without ending'}" for end, n in others.most_common(5))
        raise ValueError(
            f"{folder} has no images in it: no file that ends in {', '.join(_SUFFIXES)}"
            + (f". It has {there}" if there else "")
        )
    for name in found:
        if not name.isascii() and name != name.encode(errors="replace").decode():
            raise ValueError(
                f"{folder}: the name of {visible(name)} is not UTF-8, and no table can have it: "
                "rename the file"
            )
    return pd.DataFrame({"path": found}), [str(Path(folder, name)) for name in found]


def _files(folder: str) -> Iterator[str]:
    """Names of all files, with forward slashes; neither hidden ones nor those of hidden folders."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        start = Path(place).relative_to(folder)
        yield from ((start / name).as_posix() for name in files if not name.startswith("."))


def image_paths(
    frame: pd.DataFrame, column: str, table: Table, root: str | None, *, all_there: bool = True
) -> list[str | None]:
    """Paths that a column of a table names; None where it is blank and not all need to be there.

    Raises
    ------
    FileNotFoundError
        If there is no file with one of them, unless not `all_there` need to be.
    """
    if all_there or not len(frame):
        check_complete(frame, [column], table.where, "Leave such rows out")
    start = Path(root) if root is not None else table.folder
    if not start.is_dir():
        raise FileNotFoundError(f"there is no folder {start}")
    blank = frame[column].isna()
    paths = [
        None if is_blank else str(start / str(name))
        for name, is_blank in zip(frame[column], blank, strict=True)
    ]
    for row, path in enumerate(paths):
        if path is not None and all_there and not os.path.exists(path):
            raise FileNotFoundError(
                f"{table.where}: there is no image {path}, of row {row} ({COUNTED}); --root names "
                "the folder that paths start from"
            )
    return paths
