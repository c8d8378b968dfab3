"""The report of a fitted model, which knows the cells that it was trained on."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..exceptions import GroupsError
from ..groups import as_frame, check_same_order, order_of_attributes
from ._report import GroupReport, group_report

__all__ = ["refuse_swapped", "report_of", "weights_for"]


def report_of(model: Any, X: Any, y: Any, groups: Any) -> GroupReport:
    """Report the accuracy of every cell.

    Parameters
    ----------
    model : classifier
        A fitted one, with a `group_table_`.
    X : array-like
        Samples.
    y : array-like of shape (n_samples,)
        Their classes.
    groups : array-like
        Their sensitive attributes.

    Returns
    -------
    GroupReport
        With the adjusted average where all cells are known from training.

    Raises
    ------
    GroupsError
        If `y` and `groups` look swapped, or the groups cannot be used.
    ValueError
        If the labels cannot be scored.
    """
    check_same_order(X=X, y=y, groups=groups)
    refuse_swapped(y, groups, model.group_table_)
    y_pred = model.predict(X)
    report = group_report(y, y_pred, groups=groups)
    weights = weights_for(report.index, model.group_table_)
    if weights is None:
        return report
    return group_report(y, y_pred, groups=groups, cell_weights=weights)


def weights_for(cells: pd.Index, training: pd.DataFrame) -> pd.DataFrame | None:
    """Training cells with their attributes in the order of other cells.

    Parameters
    ----------
    cells : MultiIndex
        Class and attribute values of cells that are scored.
    training : DataFrame
        The `group_table_` of a fitted model.

    Returns
    -------
    DataFrame or None
        None where these are cells of other attributes, or some are not known from training.
    """
    try:
        order = order_of_attributes(
            training.index.names[1:], cells.names[1:], name="the training data", of="groups"
        )
    except GroupsError:
        return None
    training = training.reorder_levels([0, *(1 + place for place in order)])
    if not cells.isin(training.index).all():
        return None
    return training if training.loc[list(cells), "count"].sum() > 0 else None


def refuse_swapped(y: Any, groups: Any, training: pd.DataFrame | None) -> None:
    """Refuse labels under the name of an attribute of the training data, and groups under another.

    Raises
    ------
    GroupsError
        If that is so.
    """
    name = getattr(y, "name", None)
    if training is None or not isinstance(name, str) or groups is None:
        return
    known = list(training.index.names[1:])
    if name in known and not set(map(str, as_frame(groups).columns)) & set(known):
        raise GroupsError(
            f"y is called {name!r}, as an attribute of the training data is, and groups is not: "
            "are y and groups swapped?"
        )
