"""Groups that are columns of the DataFrame X."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..exceptions import GroupsError

__all__ = ["check_group_columns", "take_groups"]


def check_group_columns(group_columns: Any) -> Any:
    """Return the column name as it is, or several as a list."""
    if not isinstance(group_columns, list | tuple | np.ndarray | pd.Index):
        return group_columns
    if len(group_columns) == 0:
        raise GroupsError("group_columns names no column")
    return list(group_columns)


def take_groups(X: Any, groups: Any, group_columns: Any) -> Any:
    """Return the groups given, or the columns of X that `group_columns` names.

    Raises
    ------
    GroupsError
        If both are given, or a column is not in X.
    TypeError
        If `X` is no DataFrame.
    """
    if group_columns is None:
        return groups
    if groups is not None:
        raise GroupsError(
            f"groups were given although group_columns={group_columns!r} says which columns of X "
            "to take them from; give one of the two"
        )
    if not isinstance(X, pd.DataFrame):
        raise TypeError(
            f"group_columns={group_columns!r} needs X to be a pandas DataFrame, "
            f"got {type(X).__name__}"
        )
    columns = check_group_columns(group_columns)
    columns = columns if isinstance(columns, list) else [columns]
    unknown = [column for column in columns if column not in X.columns]
    if unknown:
        raise GroupsError(
            f"group_columns names {', '.join(map(repr, unknown))}, which X does not have; "
            f"its columns are {', '.join(map(repr, X.columns))}"
        )
    return X[columns]
