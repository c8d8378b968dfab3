"""Columns as numbers: what was learned of each, small enough to be kept as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from ._numbers import PLAIN, NumberFormat
from ._values import as_texts, in_order

__all__ = ["CategoryColumn", "Column", "NumberColumn", "Seen", "TextColumn", "unique_names"]

#: pieces of a number's curve at most, and the rows that each of them needs
_MOST_PIECES, _ROWS_OF_PIECE = 5, 200
#: categories that are told apart at most; rows that each needs, in tables of 1000 rows and more
_MOST_CATEGORIES, _ROWS_OF_CATEGORY = 100, 10
#: columns that words of a text are hashed to
_HASHED = 64
#: a column that varies by no more than rounding does is constant, and has the scale 1
_ROUNDING = 8 * np.finfo(np.float64).eps


class Seen(NamedTuple):
    """Values that the training rows did not have.

    Attributes
    ----------
    n_rows : int
        How many rows have one.
    example : str
        One of them.
    counts_as : str
        What becomes of them.
    """

    n_rows: int
    example: str
    counts_as: str


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers, piecewise linear between quantiles and constant beyond the last ones.

    Attributes
    ----------
    name : str
        The column.
    center, scale : float
        Median and range of the training rows. A missing value counts as the median.
    knots : tuple of float
        Where the pieces end, as ``(value - center) / scale``; increasing.
    has_missing : bool
        Whether values were missing in training: a column of its own says where.
    format : NumberFormat
        How numbers are written where they are text.
    """

    name: str
    center: float
    scale: float
    knots: tuple[float, ...]
    has_missing: bool
    format: NumberFormat = PLAIN

    coded_width: ClassVar[int] = 1

    @classmethod
    def learn(cls, name: str, column: pd.Series, format: NumberFormat) -> NumberColumn:
        """Learn from training rows, of which one or more have a value."""
        values = _numbers(column, format)
        present = np.sort(values[~np.isnan(values)])
        center = float(present[len(present) // 2])
        scale = float(present[-1] - present[0])
        if not _ROUNDING * np.abs(present[[0, -1]]).max() < scale < np.inf:
            scale = 1.0
        knots = _find_knots((present - center) / scale)
        return cls(name, center, scale, knots, len(present) < len(values), format)

    def read(self, column: pd.Series) -> np.ndarray:
        return _numbers(column, self.format)

    def new(self, values: np.ndarray, column: pd.Series) -> Seen | None:
        n_missing = 0 if self.has_missing else int(np.isnan(values).sum())
        return Seen(n_missing, "a missing one", "the median") if n_missing else None

    def encode(self, values: np.ndarray, out: np.ndarray) -> None:
        # what SplineTransformer(degree=1, extrapolation="constant") does, in a tenth of its time
        knots = np.asarray(self.knots)
        missing = np.isnan(values)
        place = np.where(missing, 0.0, (values - self.center) / self.scale)
        place = place.clip(knots[0], knots[-1])
        slopes = 1 / np.diff(knots)
        for end in range(1, len(knots)):
            height = (place - knots[end - 1]) * slopes[end - 1]
            if end + 1 < len(knots):
                height = np.minimum(height, (knots[end + 1] - place) * slopes[end])
            out[:, end - 1] = height.clip(0, 1)
        if self.has_missing:
            out[:, -1] = missing

    def typed(self, values: np.ndarray) -> Any:
        return values

    def coded(self, values: np.ndarray) -> np.ndarray:
        return values[:, None].astype(np.float64)

    def encoded_names(self, name: str) -> list[str]:
        ends = [knot * self.scale + self.center for knot in self.knots[1:]]
        names = [f"{name} ({end:g})" for end in ends] if len(ends) > 1 else [name]
        return names + [f"{name} is missing"] * self.has_missing

    def to_json(self) -> dict[str, Any]:
        return {"kind": "number", **asdict(self)}


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories, a number for each.

    Attributes
    ----------
    name : str
        The column.
    values : tuple of str
        The categories that are told apart.
    has_rare : bool
        Whether training rows had others, which are one category. One that is new counts as those,
        or where there are none, as none of the known ones: all numbers are 0.
    has_missing : bool
        Whether values were missing in training, which is then a category.
    is_flag : bool
        Whether the values are true and false, in any spelling.
    """

    name: str
    values: tuple[str, ...]
    has_rare: bool
    has_missing: bool
    is_flag: bool = False

    coded_width: ClassVar[int] = 1

    @classmethod
    def learn(cls, name: str, column: pd.Series) -> CategoryColumn | None:
        """Learn from training rows; None where no category has enough of them."""
        codes, texts = as_texts(column)
        is_flag = {text.casefold() for text in texts} <= {"true", "false"}
        if is_flag:
            codes, texts = _titled(codes, texts)
        counts = np.bincount(codes[codes >= 0], minlength=len(texts))
        enough = max(1, min(_ROWS_OF_CATEGORY, len(column) // 100))
        by_count = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]
        values = [texts[code] for code in by_count if counts[code] >= enough]
        if not values:
            return None
        has_rare = len(values) < len(texts)
        return cls(name, tuple(in_order(values)), has_rare, bool((codes < 0).any()), is_flag)

    @cached_property
    def _index(self) -> pd.Index:
        return pd.Index(self.values, dtype=object)

    def read(self, column: pd.Series) -> np.ndarray:
        """Codes: of the categories, then of the rare ones, of missing ones, and -1 of none."""
        codes, texts = as_texts(column)
        if self.is_flag:
            codes, texts = _titled(codes, texts)
        known = self._index.get_indexer(pd.Index(texts, dtype=object))
        known[known < 0] = len(self.values) if self.has_rare else -1
        missing = len(self.values) + self.has_rare if self.has_missing else -1
        return np.append(known, missing)[codes]

    def new(self, values: np.ndarray, column: pd.Series) -> Seen | None:
        # what was rare in training is no news
        if not (values < 0).any():
            return None
        value = column.iloc[int((values < 0).argmax())]
        shown = "a missing one" if pd.isna(value) else repr(value)
        return Seen(int((values < 0).sum()), shown, "none of the known ones")

    def encode(self, values: np.ndarray, out: np.ndarray) -> None:
        rows = np.flatnonzero(values >= 0)
        out[rows, values[rows]] = 1

    @property
    def _labels(self) -> list[str]:
        return [*self.values, *["(rare)"] * self.has_rare, *["(missing)"] * self.has_missing]

    def typed(self, values: np.ndarray) -> Any:
        n_known = len(self.values) + self.has_rare
        codes = np.where(values < n_known, values, -1)
        labels = unique_names(self._labels[:n_known])
        return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(labels))

    def coded(self, values: np.ndarray) -> np.ndarray:
        n_known = len(self.values) + self.has_rare
        return np.where((values < 0) | (values >= n_known), np.nan, values)[:, None]

    def encoded_names(self, name: str) -> list[str]:
        return [f"{name}={label}" for label in self._labels]

    def to_json(self) -> dict[str, Any]:
        return {"kind": "category", **asdict(self)}


@dataclass(frozen=True)
class TextColumn:
    """A column of free text, whose words are hashed to a fixed number of columns.

    Attributes
    ----------
    name : str
        The column.
    """

    name: str

    coded_width: ClassVar[int] = _HASHED

    def read(self, column: pd.Series) -> np.ndarray:
        codes, texts = as_texts(column)
        return np.append(texts, "")[codes]

    def new(self, values: np.ndarray, column: pd.Series) -> Seen | None:
        return None

    def encode(self, values: np.ndarray, out: np.ndarray) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        out[:] = HashingVectorizer(n_features=_HASHED).transform(values).toarray()

    def typed(self, values: np.ndarray) -> Any:
        return values

    def coded(self, values: np.ndarray) -> np.ndarray:
        words = np.zeros((len(values), _HASHED))
        self.encode(values, words)
        return words

    def encoded_names(self, name: str) -> list[str]:
        return [f"{name} words {number}" for number in range(_HASHED)]

    def to_json(self) -> dict[str, Any]:
        return {"kind": "text", **asdict(self)}


#: all of them have a name and a way from values to numbers: `read` gives floats, codes or texts,
#: `new` finds those among them that training rows did not have, `encode` writes them into zeros
#: of shape (n_rows, n_encoded), `typed` makes a column of pandas of them, `coded` `coded_width`
#: columns of numbers for trees
Column = NumberColumn | CategoryColumn | TextColumn


def unique_names(names: Sequence[str]) -> list[str]:
    """Names of which those that occur twice get an underscore.

    Examples
    --------
    >>> unique_names(["a", "b", "a"])
    ['a', 'b', 'a_']
    """
    taken: set[str] = set()
    unique = []
    for name in names:
        while name in taken:
            name += "_"
        taken.add(name)
        unique.append(name)
    return unique


def _numbers(column: pd.Series, format: NumberFormat) -> np.ndarray:
    """Numbers of a column of any type; NaN where one is missing.

    Raises
    ------
    ValueError
        If a value is no finite number; the message says which, and in which row.
    """
    if (is_numeric_dtype(column) or is_bool_dtype(column)) and not _is_complex(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = np.isinf(values)
    else:
        codes, texts = as_texts(column)
        values = np.append(format.parse(texts), np.nan)[codes]
        wrong = ~np.isfinite(values) & (codes >= 0)
    if wrong.any():
        row = int(wrong.argmax())
        value = column.iloc[row]
        shown = repr(value) if isinstance(value, str) else str(value)
        alike = "" if format == PLAIN else ", written as those in training"
        raise ValueError(f"must have finite numbers{alike}, and has {shown} in row {row}")
    return values


def _is_complex(column: pd.Series) -> bool:
    return getattr(column.dtype, "kind", "") == "c"


def _titled(codes: np.ndarray, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the words true and false one spelling."""
    titled = [text.title() if text.casefold() in ("true", "false") else text for text in texts]
    again, distinct = pd.factorize(np.array(titled, dtype=object))
    return np.append(again, -1)[codes], distinct


def _find_knots(values: np.ndarray) -> tuple[float, ...]:
    """Ends of pieces with the same number of rows; values that fill a piece alone are ends too.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        Sorted.
    """
    starts = np.flatnonzero(np.append(True, np.diff(values) > 0))
    counts = np.diff(np.append(starts, len(values)))
    distinct = values[starts]
    if len(distinct) == 1:
        return float(distinct[0]), float(distinct[0]) + 1.0
    n_pieces = min(max(1, len(values) // _ROWS_OF_PIECE), _MOST_PIECES, len(distinct) - 1)
    if n_pieces == 1:  # a straight line
        return float(distinct[0]), float(distinct[-1])
    heavy = counts * n_pieces >= len(values)
    ends = np.union1d(distinct[[0, -1]], distinct[heavy])
    rest = np.repeat(distinct[~heavy], counts[~heavy])
    n_more = n_pieces + 1 - len(ends)
    if n_more > 0 and len(rest):
        places = np.linspace(0, len(rest) - 1, n_more + 2)[1:-1]
        ends = np.union1d(ends, rest[places.round().astype(np.int64)])
    return tuple(float(end) for end in ends)
