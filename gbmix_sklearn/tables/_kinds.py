"""What a column holds: numbers, categories, text, or nothing to learn from."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype, is_bool_dtype, is_numeric_dtype

from ._columns import CategoryColumn, Column, NumberColumn
from ._numbers import PLAIN, find_format, has_leading_zero, looks_like_number
from ._values import as_texts

__all__ = ["Nothing", "learn_column"]

#: a column with no value twice is one of ids from so many rows on
_IDS_FROM = 20
#: so many pairs of equal numbers would be expected, were they drawn at random
_EXPECTED_PAIRS = 10
#: words of a text that is more than a name
_WORDS = 4
_ID = re.compile(r"(?:^|[\W_])(?i:id|uuid|guid|index)$|(?<=[a-z])I[dD]$")
#: what pandas finds in columns of objects
_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")
_NO_NAME = re.compile(r"(?:Unnamed: \d+)?")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?(?:[T ].*)?|\d{1,2}([./-])\d{1,2}\1\d{2,4}|\d{4}/\d\d?/\d\d?")


class Nothing(Exception):
    """There is nothing in a column to learn from; the message says why."""


def learn_column(name: str, column: pd.Series) -> Column:
    """Find out what a column holds, and learn from it.

    Raises
    ------
    Nothing
        If it is left out: it is empty, an index, or has a value of its own in every row.
    ValueError
        If it is not clear what it holds; the message says what to do.
    """
    if _NO_NAME.fullmatch(name):
        raise Nothing("has no name, as an index that was saved")
    kind = infer_dtype(column, skipna=True)
    if column.dtype.kind in "mM" or kind.startswith(("date", "time", "period", "interval")):
        raise ValueError(f"holds {column.dtype if column.dtype != object else kind}s; {_DATES}")
    is_number = is_numeric_dtype(column) and not is_bool_dtype(column)
    if (is_number or kind in _NUMBERS) and not isinstance(column.dtype, pd.CategoricalDtype):
        if not column.notna().any():
            raise Nothing("is empty")
        learned = NumberColumn.learn(name, column, PLAIN)
        _refuse_ids(name, learned.read(column))
        return learned
    codes, texts = as_texts(column)
    if not len(texts):
        raise Nothing("is empty")
    if not isinstance(column.dtype, pd.CategoricalDtype):
        numbers = _learn_numbers(name, column, codes, texts)
        if numbers is not None:
            look = "" if numbers.format == PLAIN else "looks like numbers with separators, and "
            _refuse_ids(name, numbers.read(column), look)
            return numbers
        if all(map(_DATE.fullmatch, texts)):
            raise ValueError(f"holds dates such as {texts[0]!r}; {_DATES}")
    categories = None
    if len(texts) < (codes >= 0).sum() or len(texts) < _IDS_FROM:
        categories = CategoryColumn.learn(name, column)
    if categories is None:
        if np.mean([len(text.split()) for text in texts]) >= _WORDS:
            raise Nothing("is free text (name it under text to use its words)")
        raise Nothing("hardly has a value twice, as names and ids")
    return categories


_DATES = (
    "make it a number such as an age, exclude it, or in Python have it encoded by skrub "
    "(skrub=[...], with pip install 'gbmix-sklearn[tables]')"
)


def _learn_numbers(
    name: str, column: pd.Series, codes: np.ndarray, texts: np.ndarray
) -> NumberColumn | None:
    """Learn from text that is numbers; None where it is not."""
    if any(map(has_leading_zero, texts)):
        return None
    numeric = ~np.isnan(PLAIN.parse(texts))
    if numeric.all():
        return NumberColumn.learn(name, column, PLAIN)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    alike = np.array([looks_like_number(text) for text in texts]) | numeric
    if alike.all() and all(map(_DATE.fullmatch, texts)):
        return None
    format = find_format(texts) if alike.all() else None
    if format is not None:
        return NumberColumn.learn(name, column, format)
    if 2 * counts[alike].sum() > counts.sum():
        if alike.all():
            what = "look like numbers, written in several ways"
            odd = texts[np.isnan(PLAIN.parse(texts))][0]
        else:
            what, odd = "holds numbers", texts[~alike][0]
        row = int((codes == np.flatnonzero(texts == odd)[0]).argmax())
        raise ValueError(
            f"{what}, but {odd!r} in row {row}; make such fields empty or write them alike, or "
            "name the column under category"
        )
    return None


def _refuse_ids(name: str, values: np.ndarray, look: str = "") -> None:
    """Refuse numbers that are counted on from row to row, in whatever order the rows are now.

    Whole numbers that are drawn from a range at random meet sooner or later; where many pairs would
    be expected and there is none, they were given out.
    """
    n = len(values)
    if n < _IDS_FROM or not (values == np.floor(values)).all():
        return
    n_possible = np.ptp(values) + 1
    pairs = n * (n - 1) / 2 / n_possible
    if n_possible < n or (pairs < _EXPECTED_PAIRS and not _ID.search(name)):
        return
    if len(np.unique(values)) == n:
        cure = "name it under number to use it all the same"
        raise Nothing(f"{look}numbers the rows, as an id ({cure})")
