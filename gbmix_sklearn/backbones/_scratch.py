"""Arrays for as long as a fit takes: in memory where they fit, else in a file without a name."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import numpy as np

from ._memory import available_memory

__all__ = ["room_on_disk", "scratch_array", "without_gaps"]

#: numbers moved at once
_CHUNK = 1 << 22


def scratch_array(shape: tuple[int, ...], what: str) -> np.ndarray:
    """Make a float32 array to be filled.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    what : str
        What it is for, in an error about the disk.

    Returns
    -------
    ndarray of the given shape, dtype float32
        In memory where it fits into half of what is free; else a map of a temporary file, which is
        gone with the array, even where the process is killed.

    Raises
    ------
    OSError
        If the disk is too small for the file.

    Examples
    --------
    >>> scratch_array((2, 3), "feature maps").shape
    (2, 3)
    """
    n_bytes = 4 * prod(shape)
    if n_bytes <= available_memory() // 2:
        return np.empty(shape, dtype=np.float32)
    folder = Path(tempfile.gettempdir())
    with room_on_disk(folder, n_bytes, what), tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):  # or a full disk would end the process
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        return np.asarray(np.memmap(file, dtype=np.float32, mode="r+", shape=shape))


def without_gaps(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Keep some rows of an array, in its own memory.

    Parameters
    ----------
    values : ndarray of shape (n, ...)
        Is overwritten.
    rows : ndarray of int
        Ascending rows.

    Returns
    -------
    ndarray of shape (n_rows, ...)
        A view.

    Examples
    --------
    >>> without_gaps(np.arange(5.0), np.array([0, 2, 3]))
    array([0., 2., 3.])
    """
    moved = np.flatnonzero(rows != np.arange(len(rows)))
    step = max(1, _CHUNK // max(1, prod(values.shape[1:])))
    for start in range(moved[0] if len(moved) else len(rows), len(rows), step):
        some = rows[start : start + step]
        values[start : start + len(some)] = values[some]
    return values[: len(rows)]


@contextmanager
def room_on_disk(folder: Path, n_bytes: int | None, what: str, cure: str = "") -> Iterator[None]:
    """Explain a full disk, before anything is written where the size is known.

    Parameters
    ----------
    folder : Path
        Where something is written.
    n_bytes : int or None
        How much; None where that is unknown.
    what : str
        What it is.
    cure : str
        What else an error says.

    Raises
    ------
    OSError
        If the disk is too small.
    """
    before = shutil.disk_usage(folder).free
    needed = f"more than {before / 2**30:.1f}" if n_bytes is None else f"{n_bytes / 2**30:.1f}"
    full = OSError(
        errno.ENOSPC,
        f"the {what} need {needed} GiB, but {folder} has {before / 2**30:.1f} GiB free{cure}",
    )
    if n_bytes is not None and n_bytes > before:
        raise full
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise full from error
