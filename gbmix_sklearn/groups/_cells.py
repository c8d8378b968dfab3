"""Cells: the combinations of classes and values of a sensitive attribute."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..exceptions import SmallCellWarning
from ._attribute import Attribute, encode_attribute, encode_target, no_attribute

__all__ = [
    "FEW_SAMPLES",
    "Cells",
    "hint_at_units",
    "make_cells",
    "one_class_in_each_group",
    "too_small",
    "warn_of_cells_without_judge",
]

#: fewer samples than these say hardly anything of a cell
FEW_SAMPLES = 10


@dataclass(frozen=True)
class Cells:
    """The cells (class x attribute value) of a set of samples.

    Attributes
    ----------
    y : ndarray of shape (n_samples,), dtype int64
        Class codes.
    classes : list
        The classes that the codes stand for.
    attribute : Attribute
        The sensitive attribute.
    """

    y: np.ndarray
    classes: Sequence[Any]
    attribute: Attribute

    @property
    def s(self) -> np.ndarray:
        """Attribute codes, shape (n_samples,)."""
        return self.attribute.codes

    @property
    def n_cells(self) -> int:
        """Number of cells, absent ones included."""
        return len(self.classes) * len(self.attribute)

    @cached_property
    def codes(self) -> np.ndarray:
        """Cell number of each sample, shape (n_samples,)."""
        return self.y * len(self.attribute) + self.s

    @cached_property
    def counts(self) -> np.ndarray:
        """Samples in each cell, shape (n_cells,); 0 for absent cells."""
        return np.bincount(self.codes, minlength=self.n_cells)

    @property
    def present(self) -> np.ndarray:
        """Numbers of the cells that have samples, ascending."""
        return np.flatnonzero(self.counts)

    def members(self, cell: int) -> np.ndarray:
        """Positions of the samples of one cell, ascending."""
        return np.flatnonzero(self.codes == cell)

    @cached_property
    def index(self) -> pd.MultiIndex:
        """A row for each cell: its class and its attribute values."""
        n_values = len(self.attribute)
        columns = [np.repeat(np.asarray(list(self.classes), dtype=object), n_values)]
        for position in range(self.attribute.values.shape[1]):
            column = self.attribute.values.iloc[:, position].to_numpy(dtype=object)
            columns.append(np.tile(column, len(self.classes)))
        return pd.MultiIndex.from_arrays(columns, names=["target", *self.attribute.names])

    @cached_property
    def labels(self) -> list[str]:
        """One line for each cell, such as ``'>50K, sex=Female'``."""
        names = self.attribute.names
        return [
            ", ".join([str(row[0]), *(f"{n}={v}" for n, v in zip(names, row[1:], strict=True))])
            for row in self.index
        ]

    @property
    def table(self) -> pd.DataFrame:
        """Counts and shares of all cells, absent ones included."""
        share = self.counts / max(len(self.y), 1)
        return pd.DataFrame({"count": self.counts, "share": share}, index=self.index)

    def absent_from(self, other: Cells) -> list[str]:
        """Labels of the cells that have samples here and none in another set of samples."""
        theirs = other.attribute.in_order_of(self.attribute, name="groups_val", of="groups")
        rows = _rows(theirs.values)
        known = {
            (other.classes[cell // len(rows)], rows[cell % len(rows)]) for cell in other.present
        }
        mine = _rows(self.attribute.values)
        return [
            self.labels[cell]
            for cell in self.present
            if (self.classes[cell // len(mine)], mine[cell % len(mine)]) not in known
        ]

    @property
    def group_determines_class(self) -> bool:
        """Whether each of several attribute values has samples of a single class only."""
        classes_of_value = (self.counts.reshape(-1, len(self.attribute)) > 0).sum(axis=0)
        return len(self.attribute) > 1 and bool((classes_of_value <= 1).all())

    @property
    def small(self) -> np.ndarray:
        """Numbers of the cells that are too small to be balanced, see :func:`too_small`."""
        return np.flatnonzero(too_small(self.counts))

    def without_small(self) -> Cells:
        """Count the samples of cells that are too small as members of the largest of their class.

        Three samples of a rare attribute value can say nothing of a whole cell; were they balanced
        as one, they would take as much of every batch as thousands of others.
        """
        if not len(self.small):
            return self
        s = self.s.copy()
        n_values = len(self.attribute)
        for cell in self.small:
            label = cell // n_values
            of_class = self.counts[label * n_values : (label + 1) * n_values]
            s[self.codes == cell] = of_class.argmax()
        return Cells(self.y, self.classes, Attribute(s, self.attribute.values))

    def followed_by(self, other: Cells) -> Cells:
        """Append further samples of the same classes; new attribute values come last."""
        theirs = other.attribute.in_order_of(self.attribute, name="groups_val", of="groups")
        known = {row: code for code, row in enumerate(_rows(self.attribute.values))}
        rows = _rows(theirs.values)
        new = [row for row in rows if row not in known]
        known |= {row: len(known) + number for number, row in enumerate(new)}
        values = self.attribute.values
        if new:
            more = pd.DataFrame(new, columns=values.columns).astype(object)
            values = pd.concat([values.astype(object), more], ignore_index=True)
        code = np.array([known[row] for row in rows], dtype=np.int64)
        attribute = Attribute(np.r_[self.s, code[other.s]], values)
        return Cells(np.r_[self.y, other.y], self.classes, attribute)

    @property
    def groups_look_like_units(self) -> bool:
        """Whether the values look like persons or other units rather than an attribute.

        So it is with more than 50 values, most of which have samples of one class only, and with
        half of all samples in values of at most 30. The crossing of several attributes has many
        small values too, but most of its samples are in large ones.
        """
        if len(self.attribute) <= 50:
            return False
        of_value = self.counts.reshape(-1, len(self.attribute))
        one_class = ((of_value > 0).sum(axis=0) <= 1).mean()
        sizes = of_value.sum(axis=0)
        return one_class > 0.5 and bool(np.median(sizes[self.s]) <= 30)

    def take(self, indices: np.ndarray) -> Cells:
        """Restrict to a part of the samples; the cells keep their numbers."""
        attribute = Attribute(self.s[indices], self.attribute.values)
        return Cells(self.y[indices], self.classes, attribute)


def warn_of_cells_without_judge(trained: Cells, judged: Cells, *, stacklevel: int) -> None:
    """Warn of cells of the training data that validation data have no sample of.

    Parameters
    ----------
    trained, judged : Cells
        Those of the training data and of `X_val`, with the same classes. Where one of them has no
        groups, classes are all that is judged.
    stacklevel : int
        Where the warning points, seen from the caller.
    """
    if trained.attribute.is_absent or judged.attribute.is_absent:
        trained, judged = (
            Cells(cells.y, cells.classes, no_attribute(len(cells.y))) for cells in (trained, judged)
        )
    absent = trained.absent_from(judged)
    if absent:
        named = "; ".join(absent[:5]) + (f"; and {len(absent) - 5} more" * (len(absent) > 5))
        warnings.warn(
            f"X_val has no sample of {len(absent)} of the {len(trained.present)} cells (class x "
            f"group) that are trained on, so that nothing says how good these are: {named}",
            SmallCellWarning,
            stacklevel=stacklevel + 1,
        )


def one_class_in_each_group(cells: Cells) -> str:
    """Say what may be wrong where every value of groups has samples of one class only."""
    if len(cells.attribute) == len(cells.classes):
        labels, values = map(str, cells.classes), map(str, cells.attribute.values.iloc[:, 0])
        same = cells.attribute.values.shape[1] == 1 and sorted(labels) == sorted(values)
        what = "the classes themselves" if same else "another name of the classes"
        return (
            f"groups and y coincide in these data: every value of groups has samples of one class "
            f"only, so that groups may be {what}. Give the sensitive attribute (such as 'sex'); if "
            "this is it, these data cannot tell it from the class: leave groups out"
        )
    return (
        f"each of the {len(cells.attribute)} values of groups has samples of one class only. Give "
        "the sensitive attribute itself (such as 'sex'), not the combination of class and "
        "attribute: the cells are made here. A continuous attribute (such as age) must be binned "
        "first. Persons, whose samples belong together, are no attribute: give them as "
        "keep_together"
    )


def hint_at_units(cells: Cells) -> str:
    """Say so where the groups look like persons or other units; else nothing."""
    if not cells.groups_look_like_units:
        return ""
    return (
        f"groups has {len(cells.attribute)} values with few samples each, and most have samples of "
        "one class only: they look like persons or other units, not like a sensitive attribute. "
        "Give the attribute (such as 'sex') as groups, and what belongs together as keep_together; "
        "a number (such as age) must be binned first"
    )


def _rows(values: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(values.itertuples(index=False, name=None))


def too_small(counts: np.ndarray) -> np.ndarray:
    """Say which cells are too small to decide anything by themselves.

    Parameters
    ----------
    counts : ndarray of shape (n_cells,)
        Samples of each cell.

    Returns
    -------
    ndarray of shape (n_cells,), dtype bool
        Those with fewer than 10 samples, and less than a tenth of what cells have on average: where
        all cells are small, none is too small beside the others.

    Examples
    --------
    >>> too_small(np.array([800, 400, 3, 0, 40]))
    array([False, False,  True, False, False])
    >>> too_small(np.array([8, 5, 3]))
    array([False, False, False])
    """
    present = counts > 0
    mean = counts[present].mean() if present.any() else 0
    return present & (counts < min(FEW_SAMPLES, mean / 10))


def make_cells(y: Any, groups: Any = None) -> Cells:
    """Cells of labels and sensitive attributes, both in their original form.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Class labels of any kind.
    groups : array-like of shape (n_samples,) or (n_samples, n_attributes), default=None
        Sensitive attributes; None puts all samples into one group, so that cells are classes.

    Returns
    -------
    Cells
        Codes, counts and names of the cells.

    Raises
    ------
    GroupsError
        If `groups` does not fit `y`, see :func:`encode_attribute`.

    Examples
    --------
    >>> cells = make_cells(["cat", "dog", "cat"], ["indoor", "indoor", "outdoor"])
    >>> cells.table
                    count     share
    target group
    cat    indoor       1  0.333333
           outdoor      1  0.333333
    dog    indoor       1  0.333333
           outdoor      0  0.000000
    """
    target = encode_target(y)
    attribute = (
        no_attribute(len(target.codes))
        if groups is None
        else encode_attribute(groups, len(target.codes))
    )
    return Cells(target.codes, list(target.values.iloc[:, 0]), attribute)
