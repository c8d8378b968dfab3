"""Columns from JSON that a stranger may have written: every type and range is checked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._columns import CategoryColumn, Column, NumberColumn, TextColumn
from ._numbers import NumberFormat

__all__ = ["columns_from_json"]

#: signs that a number is written with
_LONGEST_SIGN = 8


def columns_from_json(saved: Any) -> list[Column]:
    """Restore columns.

    Parameters
    ----------
    saved : list of dict
        What their ``to_json`` gave.

    Returns
    -------
    list of Column

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is something else; the message says what.

    Examples
    --------
    >>> columns_from_json([{"kind": "text", "name": "note"}])
    [TextColumn(name='note')]
    """
    if not isinstance(saved, list) or not saved:
        raise ValueError("it names no columns of features")
    return [_column(column) for column in saved]


def _column(saved: Any) -> Column:
    if not isinstance(saved, dict):
        raise ValueError("a column is no object")
    saved = dict(saved)
    kind, name = saved.pop("kind"), saved["name"]
    _check(isinstance(name, str), "a column has no name")
    for flag in ("has_rare", "has_missing", "is_flag"):
        _check(isinstance(saved.get(flag, False), bool), f"{flag} of column {name!r} is no truth")
    if kind == "number":
        return _number(name, saved)
    if kind == "category":
        values = saved["values"]
        of_text = isinstance(values, list) and all(isinstance(value, str) for value in values)
        _check(
            of_text and 0 < len(set(values)) == len(values),
            f"the categories of column {name!r} are no different texts",
        )
        return CategoryColumn(**(saved | {"values": tuple(values)}))
    if kind == "text":
        return TextColumn(**saved)
    raise ValueError(f"there is no kind of column {kind!r}")


def _number(name: str, saved: dict[str, Any]) -> NumberColumn:
    numbers = [saved["center"], saved["scale"], *saved["knots"]]
    finite = all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
    _check(finite and saved["scale"] > 0, f"the scale of column {name!r} is none")
    knots = tuple(float(knot) for knot in saved["knots"])
    increase = len(knots) > 1 and bool(np.all(np.diff(knots) > 0))
    _check(increase, f"the knots of column {name!r} do not increase")
    signs = saved["format"]
    short = isinstance(signs, dict) and all(
        isinstance(sign, str) and len(sign) <= _LONGEST_SIGN for sign in signs.values()
    )
    _check(short, f"the format of column {name!r} is none")
    center, scale = float(saved["center"]), float(saved["scale"])
    known = {"knots": knots, "format": NumberFormat(**signs), "center": center, "scale": scale}
    return NumberColumn(**(saved | known))


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
