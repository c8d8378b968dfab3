"""Columns of a table as numbers, learnt from training rows and kept as plain JSON."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._tables import COUNTED

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Features"]

#: texts in a column that has more are names or notes, and no categories
MOST_VALUES = 1000
#: a column of text with more numbers than this in it was meant to be one of numbers
_MOSTLY = 0.5


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers, standardised.

    Attributes
    ----------
    name : str
        The column.
    mean, scale : float
        Of the training rows.
    has_missing : bool
        Whether values were missing there: these become the mean, and a column says where.
    """

    name: str
    mean: float
    scale: float
    has_missing: bool

    @classmethod
    def learn(cls, column: pd.Series, where: str) -> NumberColumn:
        """Learn from training rows."""
        values = _numbers(column, where)
        missing = np.isnan(values)
        if missing.all():
            raise ValueError(f"{where}: column {column.name!r} is empty; leave it out (--exclude)")
        scale = float(np.nanstd(values))
        return cls(str(column.name), float(np.nanmean(values)), scale or 1.0, bool(missing.any()))

    @property
    def encoded_names(self) -> list[str]:
        """Names of what it becomes."""
        return [self.name, *[f"{self.name} is missing"] * self.has_missing]

    def encode(self, column: pd.Series, where: str) -> np.ndarray:
        """Encode as an array of shape (n_rows, n_encoded)."""
        values = _numbers(column, where)
        missing = np.isnan(values)
        if missing.any() and not self.has_missing:
            raise ValueError(
                f"{where}: column {self.name!r} has a missing value in row {missing.argmax()} "
                f"({COUNTED}), and the training data had none"
            )
        standard = np.where(missing, 0, (values - self.mean) / self.scale)
        return np.column_stack([standard, missing] if self.has_missing else [standard])


@dataclass(frozen=True)
class TextColumn:
    """A column of categories, one number for each.

    Attributes
    ----------
    name : str
        The column.
    values : sequence of str
        The categories of the training rows, sorted.
    has_missing : bool
        Whether values were missing there, which is then a category.
    """

    name: str
    values: Sequence[str]
    has_missing: bool

    @classmethod
    def learn(cls, column: pd.Series, where: str) -> TextColumn:
        """Learn from training rows."""
        _check_no_numbers(column, where)
        present = column.dropna()
        values = sorted(map(str, present.unique()))
        if len(values) > MOST_VALUES:
            raise ValueError(
                f"{where}: column {column.name!r} has {len(values):,} different texts, too many "
                "for categories; leave it out (--exclude)"
            )
        return cls(str(column.name), values, len(present) < len(column))

    @property
    def encoded_names(self) -> list[str]:
        """Names of what it becomes."""
        return [f"{self.name}={v}" for v in self.values] + [f"{self.name}="] * self.has_missing

    def encode(self, column: pd.Series, where: str) -> np.ndarray:
        """Encode as an array of shape (n_rows, n_encoded)."""
        import pandas as pd

        missing = column.isna().to_numpy()
        codes = pd.Index(self.values).get_indexer(pd.Index(column.astype(object).map(str)))
        codes[missing] = len(self.values) if self.has_missing else -1
        unknown = codes < 0
        if unknown.any():
            first = column.iloc[int(unknown.argmax())]
            warnings.warn(
                f"{where}: column {self.name!r} has {unknown.sum():,} value(s) that the training "
                f"data did not have, such as {'a missing one' if pd.isna(first) else repr(first)}; "
                "they count as none of the known ones",
                UserWarning,
                stacklevel=2,
            )
        return codes[:, None] == np.arange(len(self.encoded_names))


class Features:
    """Columns that become numbers.

    Parameters
    ----------
    columns : list of NumberColumn or TextColumn
        What they hold and what was learnt of it.
    """

    def __init__(self, columns: list[NumberColumn | TextColumn]):
        self.columns = columns

    @classmethod
    def learn(cls, frame: pd.DataFrame, where: str) -> Features:
        """Learn from the columns of training rows.

        Raises
        ------
        ValueError
            If a column cannot be used; the message says which and why.
        """
        return cls(
            [
                (NumberColumn if _holds_numbers(frame[name], where) else TextColumn).learn(
                    frame[name], where
                )
                for name in frame.columns
            ]
        )

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [column.name for column in self.columns]

    def encode(self, frame: pd.DataFrame, where: str) -> pd.DataFrame:
        """Encode rows as float32.

        Raises
        ------
        ValueError
            If a value cannot be used; the message says which.
        """
        import pandas as pd

        parts = [column.encode(frame[column.name], where) for column in self.columns]
        names = [name for column in self.columns for name in column.encoded_names]
        return pd.DataFrame(np.hstack(parts, dtype=np.float32, casting="unsafe"), columns=names)

    def to_json(self) -> list[dict[str, Any]]:
        """Return what :meth:`from_json` takes."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_json(cls, saved: list[dict[str, Any]]) -> Features:
        """Restore what was learnt.

        Raises
        ------
        ValueError, KeyError, TypeError, AttributeError
            If it was not written by :meth:`to_json`.
        """
        if not isinstance(saved, list) or not saved:
            raise ValueError("it names no columns of features")
        return cls([_restored(column) for column in saved])


def _restored(saved: dict[str, Any]) -> NumberColumn | TextColumn:
    name, has_missing = saved["name"], saved["has_missing"]
    if not isinstance(name, str) or not isinstance(has_missing, bool):
        raise ValueError("a column has no name")
    if "values" in saved:
        values = saved["values"]
        of_text = isinstance(values, list) and all(isinstance(value, str) for value in values)
        if not of_text or len(set(values)) < len(values):
            raise ValueError(f"the categories of column {name!r} are no different texts")
        return TextColumn(name, values, has_missing)
    mean, scale = saved["mean"], saved["scale"]
    for number in (mean, scale):
        if type(number) not in (int, float) or not math.isfinite(number):
            raise ValueError(f"mean and scale of column {name!r} are no numbers")
    if not scale > 0:
        raise ValueError(f"the scale of column {name!r} is not above 0")
    return NumberColumn(name, float(mean), float(scale), has_missing)


def _holds_numbers(column: pd.Series, where: str) -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if column.dtype.kind in "mM" or str(column.dtype).startswith(("period", "interval")):
        raise ValueError(
            f"{where}: column {column.name!r} holds {column.dtype}; make it a number, or leave it "
            "out (--exclude)"
        )
    return is_numeric_dtype(column) or is_bool_dtype(column)


def _to_numbers(column: pd.Series) -> pd.Series:
    """Numbers; NaN where there is none, and infinity where none of 64 bits is so large."""
    import pandas as pd

    try:
        return pd.to_numeric(column, errors="coerce")
    except OverflowError:  # whole numbers of hundreds of digits
        return column.map(_as_float)


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return math.nan


def _numbers(column: pd.Series, where: str) -> np.ndarray:
    values = _to_numbers(column).to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = (np.isnan(values) & column.notna().to_numpy()) | np.isinf(values)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"{where}: column {column.name!r} must have finite numbers, and has "
            f"{column.iloc[row]!r} in row {row} ({COUNTED})"
        )
    return values


def _check_no_numbers(column: pd.Series, where: str) -> None:
    """Refuse numbers among which a few texts make all of them text."""
    present = column.notna().to_numpy()
    numbers = _to_numbers(column.astype(object))
    is_text = numbers.isna().to_numpy() & present
    large = (numbers.abs() >= 2**63).to_numpy()
    if large.any() and not is_text.any():
        row = int(large.argmax())
        raise ValueError(
            f"{where}: column {column.name!r} holds whole numbers beyond 64 bits, such as "
            f"{str(column.iloc[row])[:30]} in row {row} ({COUNTED}); leave it out (--exclude)"
        )
    if is_text.sum() < _MOSTLY * present.sum() and is_text.any():
        row = int(is_text.argmax())
        raise ValueError(
            f"{where}: column {column.name!r} holds numbers, but {column.iloc[row]!r} in row {row} "
            f"({COUNTED}); make such fields empty, or leave the column out (--exclude)"
        )
