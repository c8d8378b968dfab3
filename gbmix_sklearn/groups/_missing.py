"""Missing labels and attribute values, also those that NumPy has made text of; broken text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from .._frames import as_pandas
from .._visible import visible

__all__ = ["check_no_missing_labels", "missing_rows", "text_is_whole"]


@contextmanager
def text_is_whole(name: str) -> Iterator[None]:
    """Name values that have half a character, as names of files may: newer pandas takes none.

    Raises
    ------
    ValueError
        If pandas has met one.
    """
    try:
        yield
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} has a value {visible(str(error.object))!r} with half a character, which is no "
            "text: it comes from bytes that are not UTF-8. Decode these by their own encoding, or "
            "replace what is broken, value.encode(errors='replace').decode()"
        ) from error


def missing_rows(column: pd.Series) -> np.ndarray:
    """Rows with a missing value, or the text ``nan``, which NumPy makes of one among texts."""
    missing = column.isna().to_numpy()
    if isinstance(column.dtype, pd.CategoricalDtype):
        looks_so = column.cat.categories.get_indexer(pd.Index(["nan"]))[0]
        missing = missing | ((column.cat.codes == looks_so).to_numpy() & (looks_so >= 0))
    elif column.dtype == object or pd.api.types.is_string_dtype(column):
        missing = missing | (column == "nan").fillna(False).to_numpy(dtype=bool)
    return np.flatnonzero(missing)


def check_no_missing_labels(y: Any, name: str = "y") -> None:
    """Check that no label is missing.

    Raises
    ------
    ValueError
        If one is; the message says how many and where the first is.
    """
    y = as_pandas(y)
    if not isinstance(y, pd.Series | pd.Index | pd.Categorical | np.ndarray):
        y = np.array(y, dtype=object)  # of a list, which would become text
    if not isinstance(y, pd.Series):
        with text_is_whole(name):
            y = pd.Series(np.ravel(y) if isinstance(y, np.ndarray) else y)
    missing = missing_rows(y)
    if len(missing):
        raise ValueError(
            f"{name} has {len(missing)} missing label(s), the first at row {missing[0]}; drop such "
            "rows, or give the missing labels a name of their own"
        )
