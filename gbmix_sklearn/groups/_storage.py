"""Tables of cells as JSON, with attribute values of the types that they had."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["table_from_json", "table_to_json"]

#: what is written by its own ISO text
_BY_ISO: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "timestamp": (pd.Timestamp, lambda value: value.isoformat(), pd.Timestamp),
    "timedelta": (pd.Timedelta, lambda value: value.isoformat(), pd.Timedelta),
    "date": (datetime.date, lambda value: value.isoformat(), datetime.date.fromisoformat),
    "time": (datetime.time, lambda value: value.isoformat(), datetime.time.fromisoformat),
}


def table_to_json(table: pd.DataFrame) -> dict[str, Any]:
    """Write a table of cells: names of the attributes, cells, and columns.

    Raises
    ------
    TypeError
        If an attribute value has no representation in JSON.

    Examples
    --------
    >>> ages = pd.MultiIndex.from_arrays([[0], pd.cut([45], [30, 60])], names=["target", "age"])
    >>> table_to_json(pd.DataFrame({"count": [7]}, ages))["cells"]
    [[0, {'interval': [30, 60], 'closed': 'right'}]]
    >>> table_from_json(table_to_json(pd.DataFrame({"count": [7]}, ages))).index[0][1]
    Interval(30, 60, closed='right')
    """
    return {
        "names": list(table.index.names),
        "cells": [[_to_json(value) for value in row] for row in table.index],
        **{str(name): column.tolist() for name, column in table.items()},
    }


def table_from_json(saved: dict[str, Any]) -> pd.DataFrame:
    """Make a table of what :func:`table_to_json` has written."""
    columns = {key: value for key, value in saved.items() if key not in ("names", "cells")}
    levels = zip(*saved["cells"], strict=True)
    index = pd.MultiIndex.from_arrays(list(map(_as_level, levels)), names=saved["names"])
    return pd.DataFrame(columns, index=index)


def _as_level(values: tuple[Any, ...]) -> np.ndarray:
    level = np.empty(len(values), dtype=object)  # one by one: a tuple is a value, and no row
    level[:] = [_from_json(value) for value in values]
    return level


def _to_json(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, pd.Interval):
        ends = [_to_json(value.left), _to_json(value.right)]
        return {"interval": ends, "closed": value.closed}
    if isinstance(value, tuple):
        return {"tuple": [_to_json(part) for part in value]}
    if isinstance(value, datetime.datetime) and not isinstance(value, pd.Timestamp):
        value = pd.Timestamp(value)
    if isinstance(value, pd.Period):
        return {"period": str(value), "freq": value.freqstr}
    for name, (kind, to_text, _) in _BY_ISO.items():
        if isinstance(value, kind):
            return {name: to_text(value)}
    if isinstance(value, str | bool | int | float):
        return value
    raise TypeError(
        f"the attribute value {value!r} has no representation in JSON; make the groups text, or "
        "pickle the classifier instead"
    )


def _from_json(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "interval" in value:
        left, right = map(_from_json, value["interval"])
        return pd.Interval(left, right, closed=value["closed"])
    if "tuple" in value:
        return tuple(map(_from_json, value["tuple"]))
    if "period" in value:
        return pd.Period(value["period"], freq=value["freq"])
    ((name, text),) = value.items()
    return _BY_ISO[name][2](text)
