"""Checks of what every metric takes: labels, groups and sample weights."""

from __future__ import annotations

import numbers
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._frames import as_pandas
from ..exceptions import DisjointLabelsWarning, GroupsWarning, MissingGroupsError
from ..groups import (
    Cells,
    as_frame,
    check_no_missing_labels,
    check_same_order,
    hint_at_units,
    make_cells,
    one_class_in_each_group,
    text_is_whole,
)

#: samples from which on it is no chance that all are of one class, or wrong
_ENOUGH = 10


@dataclass(frozen=True)
class Scored:
    """Checked inputs of a metric; all arrays have one entry for each sample."""

    truth: np.ndarray
    predicted: np.ndarray
    cells: Cells
    weight: np.ndarray


def check_scored(y_true: Any, y_pred: Any, groups: Any, sample_weight: Any = None) -> Scored:
    """Check the inputs of a metric and find the cells of its samples."""
    if groups is None:
        raise MissingGroupsError(
            "groups is required: give the value of the sensitive attribute of each sample, "
            "as groups=..."
        )
    check_same_order(y_true=y_true, y_pred=y_pred, groups=groups, sample_weight=sample_weight)
    truth, predicted = _labels(y_true, "y_true"), _labels(y_pred, "y_pred")
    if len(truth) != len(predicted):
        raise ValueError(f"y_true has {len(truth)} labels and y_pred has {len(predicted)}")
    if len(truth) == 0:
        raise ValueError("y_true and y_pred are empty; a score needs at least one sample")
    _check_same_kind(truth, predicted, groups)
    _check_labels_meet(truth, predicted, groups)
    cells = make_cells(y_true, groups)
    if sample_weight is None:  # which may stand for many samples, as the kinds of an audit do
        warn_of_odd_groups(cells, cells.counts)
    return Scored(
        truth.to_numpy(), predicted.to_numpy(), cells, _check_weight(sample_weight, cells)
    )


def _labels(values: Any, name: str) -> pd.Series:
    """1-D labels as Python objects, so that labels of any two types can be compared."""
    values = as_pandas(values)
    if isinstance(values, pd.DataFrame) or not isinstance(
        values, list | tuple | pd.Series | pd.Index | pd.Categorical
    ):
        values = np.asarray(values)
    shape = np.shape(values)
    if len(shape) == 2 and shape[1] == 1:
        values = np.asarray(values)[:, 0]
    elif len(shape) != 1:
        raise ValueError(f"{name} must be 1-D, with one label for each sample; got shape {shape}")
    with text_is_whole(name):
        labels = pd.Series(values).astype(object).reset_index(drop=True)
    check_no_missing_labels(labels, name)
    return labels


def _kind(label: Any) -> str:
    if isinstance(label, str):
        return "text"
    if isinstance(label, numbers.Number | np.bool_):
        return "number"
    return type(label).__name__


def _is_fraction(label: Any) -> bool:
    return isinstance(label, numbers.Real) and label % 1 != 0


def _check_same_kind(truth: pd.Series, predicted: pd.Series, groups: Any) -> None:
    # "1" == 1 is False: without this check such a mistake reads as an accuracy of 0
    known, given = truth.unique(), predicted.unique()
    kinds, other_kinds = {_kind(label) for label in known}, {_kind(label) for label in given}
    if kinds.isdisjoint(other_kinds):
        raise ValueError(
            f"y_true and y_pred have labels of different types: {', '.join(sorted(kinds))} such "
            f"as {known[0]!r} and {', '.join(sorted(other_kinds))} such as {given[0]!r}"
            + _hint_at_swap(groups, given)
        )
    fractions = [label for label in given if _is_fraction(label)]
    if fractions and not any(_is_fraction(label) for label in known):
        raise ValueError(
            f"y_pred has values that are no labels, such as {fractions[0]!r}; "
            "give predicted labels, not probabilities or decision values"
        )


def _check_labels_meet(truth: pd.Series, predicted: pd.Series, groups: Any) -> None:
    # ">50K." is not ">50K": without this check such a difference reads as an accuracy of 0
    known, given = truth.unique(), predicted.unique()
    if not set(known).isdisjoint(given):
        return
    message = (
        f"no predicted label is among the true ones: y_true has {_some(known)}, y_pred has "
        f"{_some(given)}. Labels that mean the same must be spelt the same"
        + _hint_at_swap(groups, given)
    )
    spelt = {str(label).strip().casefold() for label in known}
    alike = any(str(label).strip().casefold() in spelt for label in given)
    if alike or (len(known) > 1 and len(given) > 1):
        raise ValueError(message)
    # of a single class all may simply be wrong, and true is not spelt in two ways
    if len(truth) >= _ENOUGH and not isinstance(known[0], bool | np.bool_):
        warnings.warn(message, DisjointLabelsWarning, stacklevel=4)


def _hint_at_swap(groups: Any, given: np.ndarray) -> str:
    frame = as_frame(groups)
    if frame.shape[1] != 1 or set(frame.iloc[:, 0].unique()).isdisjoint(given):
        return ""
    return "; groups has labels such as these: are y_true and groups swapped?"


def _some(labels: np.ndarray) -> str:
    return ", ".join(map(repr, labels[:3])) + (", ..." if len(labels) > 3 else "")


def warn_of_odd_groups(cells: Cells, counts: np.ndarray) -> None:
    """Warn where the groups are hardly a sensitive attribute; `counts` are samples by cell."""
    if hint := hint_at_units(cells):
        warnings.warn(hint, GroupsWarning, stacklevel=4)
    elif (
        len(cells.classes) == len(cells.attribute)  # more may be cells, which score the same
        and cells.group_determines_class
        and counts[counts > 0].min() >= _ENOUGH  # a few of each may all be of one class
    ):
        warnings.warn(one_class_in_each_group(cells), GroupsWarning, stacklevel=4)


def _check_weight(sample_weight: Any, cells: Cells) -> np.ndarray:
    n_samples = len(cells.y)
    if sample_weight is None:
        return np.ones(n_samples)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n_samples,):
        raise ValueError(
            f"sample_weight must have one weight for each of the {n_samples} samples; "
            f"got shape {weight.shape}"
        )
    wrong = np.flatnonzero(~np.isfinite(weight) | (weight < 0))
    if len(wrong):
        raise ValueError(
            "sample_weight must be finite and not negative; "
            f"got {weight[wrong[0]]} at row {wrong[0]}"
        )
    total = np.bincount(cells.codes, weight, minlength=cells.n_cells)
    empty = [cells.labels[cell] for cell in cells.present if total[cell] == 0]
    if empty:
        raise ValueError(
            f"sample_weight is zero for every sample of: {'; '.join(empty)}. The accuracy of such "
            "a cell is undefined; leave these samples out or give them weight"
        )
    return weight
