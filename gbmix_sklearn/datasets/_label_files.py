"""Tables of labels in text files; what is malformed is named by file, line and column."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["check_cells", "check_unique", "read_columns"]


def read_columns(
    file: Path, columns: Sequence[str], *, names: Sequence[str] | None = None, skip: int = 0
) -> pd.DataFrame:
    """Read some columns of a file as text.

    Every line is checked to have as many fields as there are columns; blank lines are left out.

    Parameters
    ----------
    file : Path
        Its fields are separated by commas if it ends in ``.csv``, otherwise by white space.
    columns : sequence of str
        The columns to read, at least two.
    names : sequence of str, default=None
        Names of all columns; None takes the first line.
    skip : int, default=0
        Lines to leave out at the beginning.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns), text
        The index has the lines' numbers.

    Raises
    ------
    ValueError
        If a column is missing, a line has too few or too many fields, or there are no rows.
    """
    rows = _rows(file, skip)
    if names is None:
        names = next(rows, (1, []))[1]
    missing = [name for name in columns if name not in names]
    if missing:
        raise ValueError(f"{file} has no column {', '.join(missing)}, but {list(names)[:8]}")
    take = itemgetter(*(list(names).index(name) for name in columns))
    lines, cells = [], []
    for line, fields in rows:
        if len(fields) != len(names):
            raise ValueError(f"{file}, line {line}: {len(fields)} fields, expected {len(names)}")
        lines.append(line)
        cells.append(take(fields))
    if not cells:
        raise ValueError(f"{file} has no rows; its download may have ended early")
    return pd.DataFrame(cells, columns=list(columns), index=lines, dtype=object)


def check_cells(file: Path, column: pd.Series, good: Any, wanted: str) -> None:
    """Refuse the first bad cell of a column.

    Parameters
    ----------
    file : Path
        Where the column comes from.
    column : Series
        With the lines' numbers as index, as of :func:`read_columns`.
    good : array-like of bool
        Which cells are good.
    wanted : str
        What the cells should be.

    Raises
    ------
    ValueError
        Naming file, line, column and cell.

    Examples
    --------
    >>> column = pd.Series(["0", "x"], index=[2, 3], name="split")
    >>> check_cells(Path("a.csv"), column, column.isin(["0", "1"]), "0 or 1")
    Traceback (most recent call last):
    ...
    ValueError: a.csv, line 3, column split: 'x', expected 0 or 1
    """
    bad = np.flatnonzero(~np.asarray(good))
    if len(bad):
        line, value = column.index[bad[0]], column.iloc[bad[0]]
        more = f" (and {len(bad) - 1:,} more)" if len(bad) > 1 else ""
        raise ValueError(
            f"{file}, line {line}, column {column.name}: {value!r}, expected {wanted}{more}"
        )


def check_unique(file: Path, column: pd.Series) -> None:
    """Refuse a column of images in which one comes twice: it could lie in two parts.

    Raises
    ------
    ValueError
        Naming the file, the image and both lines.
    """
    again = column.duplicated().to_numpy()
    if again.any():
        name = column[again].iloc[0]
        first, second = column.index[(column == name).to_numpy()][:2]
        raise ValueError(f"{file}, line {second}: {name} comes again, it is in line {first} too")


def _rows(file: Path, skip: int) -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers and fields."""
    # bytes that are no text become visible ones: the cell is then refused where it stands
    with file.open(encoding="utf-8-sig", errors="backslashreplace", newline="") as stream:
        for _ in range(skip):
            stream.readline()
        if file.suffix.lower() != ".csv":
            for line, text in enumerate(stream, 1 + skip):
                if fields := text.split():
                    yield line, fields
            return
        reader = csv.reader(stream, strict=True)
        try:
            for fields in reader:
                if fields:
                    yield skip + reader.line_num, fields
        except csv.Error as error:
            raise ValueError(f"{file}, line {skip + reader.line_num}: {error}") from error
