"""Columns that are predicted from: the schema that a model keeps, and rows read by it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from ..tables import Schema
    from ..tables._columns import Seen

__all__ = ["encode", "learn", "numbers_for"]


def learn(frame: pd.DataFrame, where: str, named: Mapping[str, Sequence[str]]) -> Schema:
    """Find out what the columns of training rows hold, and warn of what is left out.

    Raises
    ------
    ValueError
        If columns cannot be used; the message names the file and all of them.
    """
    from ..tables import Schema

    with _naming(where):
        schema = Schema.learn(frame, **named)
    for note in schema.notes:
        warnings.warn(f"{where}: {note}", UserWarning, stacklevel=2)
    return schema


def numbers_for(schema: Schema, frame: pd.DataFrame, where: str, *, codes: bool) -> Any:
    """Encode rows for trees, which take categories as codes, or for all others."""
    if not codes:
        return encode(schema, frame, where)
    with _naming(where):
        coded, new = schema.coded(frame)
    _warn_of(new, where)
    return coded


def encode(schema: Schema, frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Encode rows as float32, and warn of values that the training rows did not have.

    Raises
    ------
    ValueError
        If a value cannot be used; the message says which.
    """
    import pandas as pd

    with _naming(where):
        encoded, new = schema.encode(frame)
    _warn_of(new, where)
    return pd.DataFrame(encoded, columns=schema.encoded_names(), copy=False)


def _warn_of(new: Mapping[str, Seen], where: str) -> None:
    for name, seen in new.items():
        warnings.warn(
            f"{where}: column {name!r} has {seen.n_rows:,} value(s) that the training data did "
            f"not have, such as {seen.example}; they count as {seen.counts_as}",
            UserWarning,
            stacklevel=3,
        )


@contextmanager
def _naming(where: str) -> Iterator[Any]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}: {error} (rows are counted from 0, below the header)") from None
