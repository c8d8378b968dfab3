"""The arguments that name labels and groups, checked for those who take them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import assert_all_finite, check_consistent_length
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from .._frames import as_pandas
from ..exceptions import GroupsError, MissingGroupsError
from ._attribute import encode_attribute
from ._cells import Cells, one_class_in_each_group
from ._missing import check_no_missing_labels
from ._rows import check_same_order

__all__ = [
    "check_group_columns",
    "drop_columns",
    "list_columns",
    "require_groups",
    "take_groups",
    "training_cells",
    "validation_codes",
]


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
        If `X` has no named columns.
    """
    if group_columns is None:
        check_same_order(X=X, groups=groups)
        return groups
    if groups is not None:
        raise GroupsError(
            f"groups were given although group_columns={group_columns!r} says which columns of X "
            "to take them from; give one of the two"
        )
    X = as_pandas(X)
    if not isinstance(X, pd.DataFrame):
        raise TypeError(
            f"group_columns={group_columns!r} needs X to have named columns, as a pandas "
            f"DataFrame, got {type(X).__name__}"
        )
    columns = list_columns(group_columns)
    unknown = [column for column in columns if column not in X.columns]
    if unknown:
        raise GroupsError(
            f"group_columns names {', '.join(map(repr, unknown))}, which X does not have; "
            f"its columns are {', '.join(map(repr, X.columns))}"
        )
    return X[columns]


def list_columns(group_columns: Any) -> list[Any]:
    """Names of the columns, also where there is one."""
    columns = check_group_columns(group_columns)
    return columns if isinstance(columns, list) else [columns]


def drop_columns(X: Any, columns: list[Any]) -> Any:
    """Leave columns out of a table of any library; those that are absent do not matter."""
    X = as_pandas(X)
    return X.drop(columns=columns, errors="ignore") if isinstance(X, pd.DataFrame) else X


def require_groups(X: Any, groups: Any, group_columns: Any, *, name: str) -> Any:
    """Return the groups as :func:`take_groups` does, or say how `name` gets some.

    Raises
    ------
    MissingGroupsError
        If there are none.
    """
    groups = take_groups(X, groups, group_columns)
    if groups is None:
        raise MissingGroupsError(
            f"{name} needs groups: give them to fit (in a Pipeline: "
            "stepname__groups=...; in a search call "
            "sklearn.set_config(enable_metadata_routing=True) first), or name the sensitive "
            "columns of a DataFrame X with group_columns=..."
        )
    return groups


def training_cells(X: Any, y: Any, groups: Any, *, name: str) -> tuple[np.ndarray, Cells]:
    """Check the labels and groups that a meta-estimator is fitted with.

    Parameters
    ----------
    X : array-like, or whatever the classifier takes
        Samples; only their number counts.
    y : array-like of shape (n_samples,)
        Class labels of any kind.
    groups : array-like of shape (n_samples,) or (n_samples, n_attributes)
        Sensitive attributes.
    name : str
        What messages call the meta-estimator.

    Returns
    -------
    tuple of (classes, cells)
        The labels, sorted, and the cells of the samples.

    Raises
    ------
    ValueError
        If labels are missing, continuous or all the same, or lengths differ.
    GroupsError
        If the groups have missing values, or give the classes away.
    """
    if y is None:
        raise ValueError(f"{name} requires y to be passed, but the target y is None")
    check_same_order(X=X, y=y, groups=groups)
    check_no_missing_labels(y)
    y = column_or_1d(y, warn=True)
    check_consistent_length(X, y)
    if not len(y):
        raise ValueError("X has 0 samples: there is nothing to fit")
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y has one class, {classes[0]}: a classifier needs at least two")
    cells = Cells(codes.astype(np.int64), list(classes), encode_attribute(groups, len(y)))
    if cells.group_determines_class:
        raise GroupsError(one_class_in_each_group(cells))
    return classes, cells


def validation_codes(X: Any, y: Any, groups: Any, classes: np.ndarray) -> np.ndarray | None:
    """Class codes of the validation data that a meta-estimator is given; None without any.

    Raises
    ------
    ValueError
        If a part of them is missing, or they have classes that the training data do not have.
    """
    if X is None:
        if y is not None or groups is not None:
            raise ValueError("y_val and groups_val need X_val")
        return None
    if y is None:
        raise ValueError("X_val needs y_val, its labels")
    check_same_order(X_val=X, y_val=y, groups_val=groups)
    y = column_or_1d(y)
    check_consistent_length(X, y)
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(f"y_val has classes that y does not have: {unknown.tolist()}")
    return np.searchsorted(classes, y).astype(np.int64)
