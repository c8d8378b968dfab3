"""A table of cell accuracies that reads like scikit-learn's ``classification_report``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .._visible import visible
from ._scores import adjusted_average, cell_accuracies, plain_cell
from ._summary import SUMMARY, SummaryScores

__all__ = ["GroupReport", "cell_names", "group_name", "group_report"]

_COLUMNS = ("accuracy", "count", "share")


class GroupReport(SummaryScores, pd.DataFrame):
    """The table that :func:`group_report` returns; parts of it are plain DataFrames.

    A row for each cell, with the columns ``accuracy``, ``count`` and ``share``, all numbers. The
    scores that sum it up are in ``attrs``, under the names of the properties.

    See Also
    --------
    group_report : Makes it from labels and groups.
    """

    @property
    def summary(self) -> dict[str, float]:
        """The scores by name."""
        return {name: self.attrs[name] for name in SUMMARY if name in self.attrs}

    @property
    def worst_cell(self) -> tuple:
        """Class and attribute values of the worst cell, the first of several."""
        return plain_cell(self.index[int(np.argmin(self["accuracy"].to_numpy()))])

    def __repr__(self) -> str:
        if not set(SUMMARY[:-1]) <= set(self.attrs) or not set(_COLUMNS) <= set(self.columns):
            return super().__repr__()  # changed in place: no longer the report that was made
        names = [*map(visible, cell_names(self.index))]
        summary = {name.replace("_", " "): score for name, score in self.summary.items()}
        width = max(map(len, [*names, *summary]))
        worst = self["accuracy"] == self["accuracy"].min()
        marks = np.where(worst, "  <- worst", "")
        lines = [f"{'':>{width}}  accuracy     count   share", ""]
        lines += [
            f"{name:>{width}}{accuracy:10.3f}{count:10,.0f}{share:8.1%}{mark}"
            for name, accuracy, count, share, mark in zip(
                names, self["accuracy"], self["count"], self["share"], marks, strict=True
            )
        ]
        lines.append("")
        lines += [f"{name:>{width}}{score:10.3f}" for name, score in summary.items()]
        return "\n".join(lines)

    def _repr_html_(self) -> None:
        """Notebooks fall back on the text, which has the summary."""


def group_report(
    y_true: Any,
    y_pred: Any,
    *,
    groups: Any,
    sample_weight: Any = None,
    cell_weights: Any = None,
) -> GroupReport:
    """Accuracy of each cell and the scores that sum it up, as a table to read and to use.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of any kind.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    groups : array-like of shape (n_samples,) or (n_samples, n_attributes)
        Sensitive attributes. The cells are their values combined with the classes of `y_true`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.
    cell_weights : mapping, Series or DataFrame, default=None
        Weights of the cells in the training set; adds the adjusted average accuracy, see
        :func:`adjusted_average_accuracy_score`.

    Returns
    -------
    GroupReport
        A DataFrame with a row for each cell that has samples, and the columns ``accuracy``,
        ``count`` and ``share`` (of the samples, or of their weight). Its properties
        ``worst_group_accuracy``, ``robust_gap``, ``average_accuracy``, ``mean_group_accuracy``,
        ``adjusted_average_accuracy`` and ``worst_cell`` sum it up.

    Raises
    ------
    MissingGroupsError
        If `groups` is None.
    GroupsError
        If `groups` has another length than `y_true`, or missing values.
    ValueError
        If labels or weights cannot be scored, see :func:`cell_accuracies`.

    See Also
    --------
    worst_group_accuracy_score : The score to select models by.
    adjusted_average_accuracy_score : The average on data like the training set.

    Examples
    --------
    >>> from gbmix_sklearn.metrics import group_report
    >>> y_true = ["cat", "cat", "cat", "dog", "dog"]
    >>> y_pred = ["cat", "cat", "dog", "dog", "dog"]
    >>> place = ["indoor", "indoor", "outdoor", "outdoor", "outdoor"]
    >>> report = group_report(y_true, y_pred, groups=place)
    >>> print(report)
                          accuracy     count   share
    <BLANKLINE>
      cat, group=indoor     1.000         2   40.0%
     cat, group=outdoor     0.000         1   20.0%  <- worst
     dog, group=outdoor     1.000         2   40.0%
    <BLANKLINE>
    worst group accuracy     0.000
             robust gap     1.000
        average accuracy     0.800
     mean group accuracy     0.667
    >>> report.worst_cell
    ('cat', 'outdoor')
    >>> report.loc["dog", "accuracy"].to_dict()
    {'outdoor': 1.0}
    """
    table = cell_accuracies(y_true, y_pred, groups=groups, sample_weight=sample_weight)
    accuracy = table["accuracy"]
    report = GroupReport(table)
    report.attrs = {
        "worst_group_accuracy": float(accuracy.min()),
        "robust_gap": float(accuracy.max() - accuracy.min()),
        "average_accuracy": float((accuracy * table["share"]).sum()),
        "mean_group_accuracy": float(accuracy.mean()),
    }
    if cell_weights is not None:
        report.attrs["adjusted_average_accuracy"] = adjusted_average(table, cell_weights)
    return report


def cell_names(index: pd.Index) -> list[str]:
    """Name cells as the report prints them, ``">50K, sex=Female"``."""
    return [f"{cell[0]}, {group_name(index.names[1:], cell[1:])}" for cell in index]


def group_name(attributes: Sequence[Any], values: Sequence[Any]) -> str:
    """Name a combination of attribute values, ``"sex=Female, age=old"``."""
    return ", ".join(f"{name}={value}" for name, value in zip(attributes, values, strict=True))
