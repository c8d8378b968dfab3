"""Images that a folder holds or that a column names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ._columns import check_columns
from ._tables import COUNTED, Table, check_complete

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["image_paths", "list_images", "read_images"]

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def read_images(
    data: str, column: str | None, root: str | None, *, all_there: bool
) -> tuple[pd.DataFrame, list[str]]:
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
    """All images in a folder and those in it, in sorted order; hidden files aside."""
    import pandas as pd

    found = sorted(
        path.relative_to(folder).as_posix()
        for path in Path(folder).rglob("*")
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    )
    if not found:
        raise ValueError(
            f"{folder} has no images in it: no file that ends in {', '.join(_SUFFIXES)}"
        )
    return pd.DataFrame({"path": found}), [str(Path(folder, name)) for name in found]


def image_paths(
    frame: pd.DataFrame, column: str, table: Table, root: str | None, *, all_there: bool = True
) -> list[str]:
    """Paths that a column of a table names.

    Raises
    ------
    FileNotFoundError
        If there is no file with one of them, unless not `all_there` need to be.
    """
    check_complete(frame, [column], table.where, "Leave such rows out")
    start = Path(root) if root is not None else table.folder
    if not start.is_dir():
        raise FileNotFoundError(f"there is no folder {start}")
    paths = [str(start / str(name)) for name in frame[column]]
    for row, path in enumerate(paths if all_there else []):
        if not os.path.exists(path):
            raise FileNotFoundError(
                f"{table.where}: there is no image {path}, of row {row} ({COUNTED}); --root names "
                "the folder that paths start from"
            )
    return paths
