"""Samples counted by class, sensitive attributes and prediction: all that an audit needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..exceptions import MissingGroupsError
from ..groups import as_frame, check_same_order
from ..metrics._inputs import check_scored, warn_of_odd_groups

__all__ = ["Outcomes", "check_groups", "count_outcomes"]


@dataclass(frozen=True)
class Outcomes:
    """Samples as kinds, the distinct combinations of class, attribute values and prediction.

    There are few kinds however many samples there are. Cells are those that have samples, numbered
    in the order of `index`.

    Attributes
    ----------
    kind : ndarray of shape (n_samples,), dtype int32
        Kind of each sample.
    kinds : dict
        Class, prediction, attribute values and number of samples of each kind: the arguments of a
        score function, with the numbers as weights.
    cell_of_kind : ndarray of shape (n_kinds,), dtype int64
        Cell of each kind.
    hit_of_kind : ndarray of shape (n_kinds,), dtype bool
        Whether its prediction is correct.
    index : MultiIndex of length n_cells
        Class and attribute values of each cell.
    labels : list of str
        One line for each cell, such as ``'>50K, sex=Female'``.
    attribute : ndarray of shape (n_cells,), dtype int64
        Number of each cell's attribute value.
    count, correct : ndarray of shape (n_cells,), dtype int64
        Samples, and those of them that are predicted correctly.
    """

    kind: np.ndarray
    kinds: dict[str, Any]
    cell_of_kind: np.ndarray
    hit_of_kind: np.ndarray
    index: pd.MultiIndex
    labels: list[str]
    attribute: np.ndarray
    count: np.ndarray
    correct: np.ndarray

    @property
    def cell(self) -> np.ndarray:
        """Cell of each sample."""
        return self.cell_of_kind[self.kind]


def check_groups(groups: Any) -> Any:
    """Return the groups as they are.

    Raises
    ------
    MissingGroupsError
        If there are none.
    """
    if groups is None:
        raise MissingGroupsError(
            "groups is required: give the value of the sensitive attribute of each sample, as "
            "groups=..., or where it is a column of the DataFrame X, group_columns='column'"
        )
    return groups


def count_outcomes(y_true: Any, y_pred: Any, groups: Any) -> Outcomes:
    """Count samples by class, attribute values and prediction.

    Raises
    ------
    MissingGroupsError, GroupsError, ValueError, TypeError
        As the metrics: the labels, predictions or groups cannot be scored.
    """
    check_same_order(y_true=y_true, y_pred=y_pred, groups=groups)
    found = _find_kinds(y_true, y_pred, check_groups(groups))
    if found is None:
        # checks sample by sample, and says in the words of the metrics what is wrong and where
        check_scored(y_true, y_pred, groups)
        raise ValueError("y_true, y_pred or groups cannot be read as columns of labels")
    kind, example = found
    n_samples = np.bincount(kind)
    truth, predicted, attributes = (part.iloc[example] for part in _parts(y_true, y_pred, groups))
    kinds = {
        "y_true": truth.iloc[:, 0].reset_index(drop=True),
        "y_pred": predicted.iloc[:, 0].reset_index(drop=True),
        "groups": attributes.reset_index(drop=True),
        "sample_weight": n_samples.astype(np.float64),
    }
    scored = check_scored(*kinds.values())
    cells = scored.cells
    present, cell_of_kind = np.unique(cells.codes, return_inverse=True)
    hit_of_kind = np.asarray(scored.truth == scored.predicted, dtype=bool)
    count = np.zeros(len(present), dtype=np.int64)
    np.add.at(count, cell_of_kind, n_samples)
    correct = np.zeros(len(present), dtype=np.int64)
    np.add.at(correct, cell_of_kind[hit_of_kind], n_samples[hit_of_kind])
    warn_of_odd_groups(cells, count)
    return Outcomes(
        kind=kind,
        kinds=kinds,
        cell_of_kind=cell_of_kind,
        hit_of_kind=hit_of_kind,
        index=cells.index[present].remove_unused_levels(),
        labels=[cells.labels[cell] for cell in present],
        attribute=present % len(cells.attribute),
        count=count,
        correct=correct,
    )


def _parts(*parts: Any) -> tuple[pd.DataFrame, ...]:
    return tuple(map(as_frame, parts))


def _find_kinds(y_true: Any, y_pred: Any, groups: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Kind of each sample and a sample of each kind; None where the input is not usable."""
    try:
        truth, predicted, attributes = _parts(y_true, y_pred, groups)
    except (TypeError, ValueError):
        return None
    n_samples = len(truth)
    if not (0 < n_samples == len(predicted) == len(attributes)):
        return None
    if truth.shape[1] != 1 or predicted.shape[1] != 1:
        return None
    columns = [
        part.iloc[:, position]
        for part in (truth, predicted, attributes)
        for position in range(part.shape[1])
    ]
    kind = np.zeros(n_samples, dtype=np.int64)
    n_kinds = 1
    for column in columns:
        codes, levels = pd.factorize(column)
        if codes.min() < 0 or "nan" in levels:  # a missing value, or text made of one
            return None
        kind, n_kinds = _dense(kind * len(levels) + codes, n_kinds * len(levels))
    example = np.empty(n_kinds, dtype=np.int64)
    example[kind] = np.arange(n_samples)
    return kind.astype(np.int32), example


def _dense(codes: np.ndarray, size: int) -> tuple[np.ndarray, int]:
    """Renumber codes below `size` without gaps."""
    if size > 4 * len(codes) + 1000:  # values that hardly repeat
        distinct, codes = np.unique(codes, return_inverse=True)
        return codes, len(distinct)
    occurs = np.bincount(codes, minlength=size) > 0
    return (np.cumsum(occurs) - 1)[codes], int(occurs.sum())
