"""The schema of a table: learned once, kept as JSON, and what every later table is read by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ._columns import (
    CategoryColumn,
    Column,
    NumberColumn,
    Seen,
    TextColumn,
    unique_names,
)
from ._kinds import Nothing, learn_column
from ._numbers import PLAIN, NumberFormat, find_format
from ._saved import columns_from_json
from ._values import as_texts

__all__ = ["Schema"]

#: rows that are encoded at once, which bounds what is needed beside the result
_BLOCK = 65_536


class Schema:
    """Types, categories and formats of the columns of a table.

    Parameters
    ----------
    columns : list of Column
        What was learned of each column that is used.
    left_out : dict, default=None
        Why others are not.
    """

    def __init__(self, columns: Sequence[Column], left_out: dict[str, str] | None = None):
        self.columns = list(columns)
        self.left_out = dict(left_out or {})

    @classmethod
    def learn(
        cls,
        frame: pd.DataFrame,
        *,
        number: Sequence[str] = (),
        category: Sequence[str] = (),
        text: Sequence[str] = (),
    ) -> Schema:
        """Learn from training rows.

        Parameters
        ----------
        frame : DataFrame
            Columns that may be used.
        number, category, text : sequence of str
            Columns that are taken as such, whatever they look like.

        Raises
        ------
        ValueError
            If columns cannot be used; the message names all of them, and says what to do.
        """
        columns: list[Column] = []
        left_out, wrong = {}, []
        for name in map(str, frame.columns):
            column = frame[name]
            try:
                if name in number:
                    columns.append(NumberColumn.learn(name, column, _format(column)))
                elif name in category:
                    columns.append(_category(name, column))
                elif name in text:
                    columns.append(TextColumn(name))
                else:
                    columns.append(learn_column(name, column))
            except Nothing as reason:
                left_out[name] = str(reason)
            except ValueError as error:
                wrong.append(f"column {name!r} {error}")
        if wrong:
            raise ValueError("; ".join(wrong))
        if not columns:
            raise ValueError(f"there is no column to learn from: {_listed(left_out)}")
        return cls(columns, left_out)

    @property
    def names(self) -> list[str]:
        """Names of the columns that are used."""
        return [column.name for column in self.columns]

    @property
    def notes(self) -> list[str]:
        """What somebody who knows the table should hear: what is left out, what is read how."""
        left_out = [f"left out: {_listed(self.left_out)}"] if self.left_out else []
        return left_out + [
            f"column {column.name!r} looks like numbers with separators or signs, and is read so "
            f"({column.format.thousands!r} between thousands, {column.format.decimal!r} before "
            "decimals)"
            for column in self.columns
            if isinstance(column, NumberColumn) and column.format != PLAIN
        ]

    def encoded_names(self, names: Sequence[str] | None = None) -> list[str]:
        """Names of what the columns become; `names` is what they are called, by default the same.

        None is there twice, whatever the columns of the table are called.
        """
        called = self.names if names is None else names
        return unique_names(
            [
                encoded
                for column, name in zip(self.columns, called, strict=True)
                for encoded in column.encoded_names(name)
            ]
        )

    def encode(self, frame: pd.DataFrame) -> tuple[np.ndarray, dict[str, Seen]]:
        """Encode rows as float32, and find values that the training rows did not have.

        Raises
        ------
        ValueError
            If a value cannot be read; the message names column, row and value.
        """
        widths = [len(column.encoded_names("")) for column in self.columns]
        ends = np.cumsum([0, *widths])
        out = np.zeros((len(frame), ends[-1]), dtype=np.float32)
        new: dict[str, Seen] = {}
        for column, start, end in zip(self.columns, ends, ends[1:], strict=False):
            of_column = frame[column.name]
            for first in range(0, len(frame), _BLOCK):
                rows = of_column.iloc[first : first + _BLOCK]
                try:
                    values = column.read(rows)
                except ValueError:
                    _read(column, frame)  # says which row of the table, and not of the block
                    raise
                column.encode(values, out[first : first + _BLOCK, start:end])
                seen = column.new(values, rows)
                if seen is not None:
                    before = new.get(column.name, seen._replace(n_rows=0))
                    new[column.name] = before._replace(n_rows=before.n_rows + seen.n_rows)
        return out, new

    def coded(self, frame: pd.DataFrame) -> tuple[np.ndarray, dict[str, Seen]]:
        """Read rows as trees take them, float64: numbers as they are, categories as codes.

        What is missing, or a category that training rows did not have, is NaN.

        Raises
        ------
        ValueError
            As :meth:`encode`.
        """
        parts, new = [], {}
        for column in self.columns:
            values = _read(column, frame)
            parts.append(column.coded(values))
            seen = column.new(values, frame[column.name])
            if seen is not None:
                new[column.name] = seen._replace(counts_as="missing")
        return np.hstack(parts), new

    @property
    def codes_categories(self) -> np.ndarray:
        """Which columns of :meth:`coded` are codes of categories."""
        return np.concatenate(
            [
                np.full(column.coded_width, isinstance(column, CategoryColumn))
                for column in self.columns
            ]
        )

    def typed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Read rows as pandas has them: numbers as floats, categories as such, the rare as one.

        Raises
        ------
        ValueError
            As :meth:`encode`.
        """
        columns = {column.name: column.typed(_read(column, frame)) for column in self.columns}
        return pd.DataFrame(columns, index=frame.index)

    def to_json(self) -> list[dict[str, Any]]:
        """Return what :meth:`from_json` takes."""
        return [column.to_json() for column in self.columns]

    @classmethod
    def from_json(cls, saved: list[dict[str, Any]]) -> Schema:
        """Restore what was learned.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is damaged.
        """
        return cls(columns_from_json(saved))


def _read(column: Column, frame: pd.DataFrame) -> np.ndarray:
    try:
        return column.read(frame[column.name])
    except ValueError as error:
        raise ValueError(f"column {column.name!r} {error}") from None


def _format(column: pd.Series) -> NumberFormat:
    """The format of a column that was named a number."""
    if not column.notna().any():
        raise Nothing("is empty")
    if column.dtype.kind in "biufc":
        return PLAIN
    texts = as_texts(column)[1]
    if not len(texts):
        raise Nothing("is empty")
    return PLAIN if not np.isnan(PLAIN.parse(texts)).any() else find_format(texts) or PLAIN


def _category(name: str, column: pd.Series) -> CategoryColumn:
    learned = CategoryColumn.learn(name, column)
    if learned is None:
        raise Nothing("has no category that is frequent enough to learn from")
    return learned


def _listed(left_out: dict[str, str]) -> str:
    return "; ".join(f"{name!r} {reason}" for name, reason in left_out.items())
