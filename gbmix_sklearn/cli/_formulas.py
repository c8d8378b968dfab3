"""Text that a spreadsheet would run when a table is opened in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .._visible import visible
from ._console import tell_warning
from ._tables import is_parquet

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["defused", "warn_of_formulas"]

#: how formulas begin, in some languages with wide signs; white space before them is passed over
_FORMULA = re.compile("[\\s\ufeff]*[=+\\-@\uff1d\uff0b\uff0d\uff20\t\r].", re.DOTALL)
#: numbers begin with the same signs, and are none
_NUMBER = re.compile(r"\s*[+-]?(\d[\d,. _]*|\.\d+)(e[+-]?\d+)?\s*%?|[+-](inf|nan)", re.IGNORECASE)


def defused(frame: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before formulas in names and fields, as spreadsheets themselves do.

    For tables that are read by people; in data that programs read it would be another value.
    """
    safe = frame.copy()
    safe.columns = safe.columns.map(_defuse)
    for place in range(frame.shape[1]):
        if _is_text(frame.iloc[:, place]):
            safe.isetitem(place, frame.iloc[:, place].astype(object).map(_defuse).array)
    return safe


def warn_of_formulas(name: str, frame: pd.DataFrame) -> None:
    """Warn of formulas in a table that is to be written as text."""
    if is_parquet(name):
        return
    for place, column in enumerate(frame.columns):
        found = column if _is_formula(column) else None
        if found is None and _is_text(frame.iloc[:, place]):
            found = next(filter(_is_formula, frame.iloc[:, place].unique()), None)
        if found is not None:
            tell_warning(
                f"column {visible(str(column))!r} of {name} has text that a spreadsheet would run "
                f"as a formula, such as {visible(str(found))[:60]!r}: import it as text, or write "
                ".parquet"
            )
            return


def _is_text(column: pd.Series) -> bool:
    return column.dtype.kind not in "biufcmM"


def _is_formula(value: object) -> bool:
    return (
        isinstance(value, str)
        and _FORMULA.match(value) is not None
        and _NUMBER.fullmatch(value) is None
    )


def _defuse(value: object) -> object:
    return f"'{value}" if _is_formula(value) else value
