"""Values of a column as text: what a file, a DataFrame and JSON have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["MISSING", "as_texts", "in_order", "text_of"]

#: texts that stand for a missing value
MISSING = frozenset(["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>", "NaT"])
#: from here on whole numbers are not exact as floats
_EXACT = 2.0**53


def text_of(value: Any) -> str:
    """Write a value so that it reads the same in any type: 1.0 as ``1``, without blanks around it.

    Examples
    --------
    >>> text_of(1.0), text_of(" yes "), text_of(True), text_of(0.5)
    ('1', 'yes', 'True', '0.5')
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and abs(value) < _EXACT and value == int(value):
        return str(int(value))
    return str(value)


def as_texts(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values of a column as text, and which of them each row has.

    Parameters
    ----------
    column : Series
        Values of any type.

    Returns
    -------
    tuple of (codes, texts)
        Codes of shape (n_rows,), -1 where a value is missing, and the texts they stand for.

    Raises
    ------
    ValueError
        If a value is a list or another thing that is no single value.
    """
    try:
        codes, values = pd.factorize(column)
    except TypeError:
        kinds = sorted({type(v).__name__ for v in column if not np.isscalar(v) and v is not None})
        raise ValueError(
            f"holds values of type {', '.join(kinds)}: an argument must be a string or a number"
        ) from None
    texts = np.array([text_of(value) for value in values], dtype=object)
    again, texts = pd.factorize(texts)  # 1 and 1.0, or "a" and "a ", are the same
    again = np.append(again, -1)  # what a code of -1 picks
    stands_for_missing = np.array([text in MISSING for text in texts], dtype=bool)
    if stands_for_missing.any():
        kept = np.where(stands_for_missing, -1, np.cumsum(~stands_for_missing) - 1)
        again = np.append(kept, -1)[again]
        texts = texts[~stands_for_missing]
    return again[codes], texts


def in_order(texts: Any) -> list[str]:
    """Sort texts: numbers by their value, then all others.

    Examples
    --------
    >>> in_order(["b", "10", "9", "2+"])
    ['9', '10', '2+', 'b']
    """

    def key(text: str) -> tuple[bool, float, str]:
        try:
            value = float(text)
        except ValueError:
            return True, 0.0, text
        return (True, 0.0, text) if np.isnan(value) else (False, value, text)

    return sorted(texts, key=key)
