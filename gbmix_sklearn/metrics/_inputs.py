"""Checks of what every metric takes: labels, groups and sample weights."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._frames import as_pandas
from ..exceptions import MissingGroupsError
from ..groups import Cells, check_no_missing_labels, make_cells


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
    truth, predicted = _labels(y_true, "y_true"), _labels(y_pred, "y_pred")
    if len(truth) != len(predicted):
        raise ValueError(f"y_true has {len(truth)} labels and y_pred has {len(predicted)}")
    if len(truth) == 0:
        raise ValueError("y_true and y_pred are empty; a score needs at least one sample")
    _check_same_kind(truth, predicted)
    cells = make_cells(y_true, groups)
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


def _check_same_kind(truth: pd.Series, predicted: pd.Series) -> None:
    # "1" == 1 is False: without this check such a mistake reads as an accuracy of 0
    known, given = truth.unique(), predicted.unique()
    kinds, other_kinds = {_kind(label) for label in known}, {_kind(label) for label in given}
    if kinds.isdisjoint(other_kinds):
        raise ValueError(
            f"y_true and y_pred have labels of different types: {', '.join(sorted(kinds))} such "
            f"as {known[0]!r} and {', '.join(sorted(other_kinds))} such as {given[0]!r}"
        )
    fractions = [label for label in given if _is_fraction(label)]
    if fractions and not any(_is_fraction(label) for label in known):
        raise ValueError(
            f"y_pred has values that are no labels, such as {fractions[0]!r}; "
            "give predicted labels, not probabilities or decision values"
        )
    # all of several classes wrong, with labels that the truth does not have, is no classifier
    folded = {str(label).strip().casefold() for label in known}
    alike = any(str(label).strip().casefold() in folded for label in given)
    if set(known).isdisjoint(given) and (len(known) > 1 or alike):
        raise ValueError(
            f"y_true and y_pred share no label: {_some(known)} and {_some(given)}. Spell the "
            "classes alike in both"
        )


def _some(labels: np.ndarray) -> str:
    shown = ", ".join(repr(label) for label in labels[:3])
    return shown + (" and so on" if len(labels) > 3 else "")


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
