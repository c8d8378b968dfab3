"""Fitted tables as lists and arrays in the state of an estimator, for more than pickle to write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["PlainState"]

#: the key by which a table in a state is known, and the values that need no pickle
_MARK = "__table__"
_PLAIN = (str, bool, int, float, np.bool_, np.integer, np.floating)


class PlainState:
    """Mixin of estimators whose fitted attributes have tables of pandas.

    skops, which MLflow writes scikit-learn's models with, knows no such tables. They are lists and
    arrays in the state, where these are all there is to them, and tables again when it is read.
    """

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        return {name: _to_plain(value) for name, value in state.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        tables = {name: _from_plain(value) for name, value in state.items()}
        super().__setstate__(tables)  # type: ignore[misc]


def _to_plain(value: Any) -> Any:
    """Take a table apart, unless it would not come back as what it is.

    Examples
    --------
    >>> table = pd.DataFrame({"count": [3, 4]}, index=pd.Index(["a", "b"], name="group"))
    >>> _from_plain(_to_plain(table)).equals(table)
    True
    """
    if not isinstance(value, pd.DataFrame | pd.Series):
        return value
    frame = value.to_frame() if isinstance(value, pd.Series) else value
    index = frame.index
    plain = {
        _MARK: type(value).__name__,
        "columns": [_item(name) for name in frame.columns],
        "values": [_column(frame.iloc[:, place]) for place in range(frame.shape[1])],
        "names": [_item(name) for name in index.names],
        "levels": [[_item(v) for v in index.get_level_values(n)] for n in range(index.nlevels)],
    }
    try:
        same = _is_plain(plain) and _equal(_from_plain(plain), value)
    except (TypeError, ValueError):
        same = False
    return plain if same else value


def _from_plain(value: Any) -> Any:
    if not (isinstance(value, dict) and _MARK in value):
        return value
    levels, names = value["levels"], value["names"]
    index: Any = pd.Index(levels[0], name=names[0])
    if len(levels) > 1:
        index = pd.MultiIndex.from_arrays(levels, names=names)
    frame = pd.DataFrame(dict(enumerate(value["values"])), index=index)
    frame.columns = pd.Index(value["columns"])
    return frame if value[_MARK] == "DataFrame" else frame.iloc[:, 0]


def _column(column: pd.Series) -> Any:
    """Numbers as an array, texts as a list."""
    return column.to_numpy() if column.dtype.kind in "biuf" else column.tolist()


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _is_plain(plain: dict[str, Any]) -> bool:
    texts = [column for column in plain["values"] if isinstance(column, list)]
    lists = [plain["columns"], *plain["levels"], *texts]
    names = all(name is None or isinstance(name, _PLAIN) for name in plain["names"])
    return names and all(isinstance(item, _PLAIN) for items in lists for item in items)


def _equal(found: Any, table: Any) -> bool:
    same = found.index.equals(table.index) and found.index.names == table.index.names
    if isinstance(table, pd.Series):
        return bool(same and found.equals(table) and found.name == table.name)
    columns = found.columns.equals(table.columns) and found.dtypes.equals(table.dtypes)
    return bool(same and columns and found.equals(table))
