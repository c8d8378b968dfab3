"""Rows to train and to choose by: features or images, classes and groups."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._audit import check_groups
from ._columns import check_columns, match_columns, split_names
from ._images import image_paths
from ._tables import Table, check_complete

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["Columns", "Samples", "find_columns", "find_named", "read_samples"]


#: a target with more values may be no class at all
_MOST_CLASSES = 20


@dataclass(frozen=True)
class Columns:
    """Which columns are what.

    Attributes
    ----------
    target : str
        The class.
    groups : list of str
        The sensitive attributes.
    features : list of str
        What is predicted from; nothing where it is images.
    images : str or None
        The paths of images.
    unit : str or None
        What rows belong to.
    """

    target: str
    groups: list[str]
    features: list[str]
    images: str | None
    unit: str | None = None

    @property
    def labels(self) -> list[str]:
        """The class, the attributes, and what rows belong to."""
        return [self.target, *self.groups, *([self.unit] if self.unit else [])]


@dataclass(frozen=True)
class Samples:
    """Rows of a table.

    Attributes
    ----------
    where : str
        The file, for messages.
    X : DataFrame or list of str
        Columns of features, or paths of images.
    y : ndarray of shape (n_rows,)
        Classes.
    groups : DataFrame
        Sensitive attributes.
    units : ndarray of shape (n_rows,) or None
        What rows belong to.
    """

    where: str
    X: Any
    y: np.ndarray
    groups: pd.DataFrame
    units: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: np.ndarray) -> Samples:
        """Select rows."""
        X = [self.X[row] for row in rows] if isinstance(self.X, list) else self.X.iloc[rows]
        units = None if self.units is None else self.units[rows]
        return Samples(self.where, X, self.y[rows], self.groups.iloc[rows], units)


def find_columns(
    table: Table,
    target: str,
    groups: Sequence[str],
    features: Sequence[str] | None,
    exclude: Sequence[str] | None,
    images: str | None,
    unit: str | None = None,
) -> Columns:
    """Find the columns that are named; features are all others, unless they are named as well.

    What rows belong to is never a feature.

    Raises
    ------
    ValueError
        If there is no such column, or one is to be two things.
    """
    known, where = table.columns, table.where
    attributes = split_names(groups, known)
    check_columns([target, *attributes, *(name for name in (images, unit) if name)], known, where)
    if target in attributes:
        raise ValueError(f"{target!r} is the target, and cannot be a group as well")
    if unit and unit in (target, *attributes, images):
        raise ValueError(
            f"{unit!r} is the target, a group or the image, and cannot say as well which rows "
            "belong together"
        )
    if images:
        if features or exclude:
            raise ValueError(
                "--features and --exclude are for tables; --images predicts from images"
            )
        return Columns(target, attributes, [], images, unit)
    if features:
        chosen = match_columns(features, known, where)
    else:
        chosen = [name for name in known if name not in (target, *attributes)]
        if chosen.count("") > 1:  # one is left out by the schema, as an index
            warnings.warn(f"{where}: columns without a name are left out", stacklevel=2)
            chosen = [name for name in chosen if name]
    if exclude:
        left_out = match_columns(exclude, known, where)
        chosen = [name for name in chosen if name not in left_out]
    chosen = [name for name in chosen if name != unit]
    if target in chosen:
        raise ValueError(f"{target!r} is the target, and cannot be a feature as well")
    if not chosen:
        raise ValueError(f"{where} has no column left to predict from")
    return Columns(target, attributes, chosen, None, unit)


def find_named(
    table: Table, columns: Columns, **given: Sequence[str] | None
) -> dict[str, list[str]]:
    """Find the features that are named to be of some kind.

    Raises
    ------
    ValueError
        If one is no feature, or is to be two things.
    """
    named = {
        kind: match_columns(names, table.columns, table.where)
        for kind, names in given.items()
        if names
    }
    taken: dict[str, str] = {}
    for kind, names in named.items():
        for name in names:
            if name not in columns.features:
                raise ValueError(f"--{kind} names {name!r}, which is not predicted from")
            if name in taken:
                raise ValueError(f"{name!r} cannot be --{taken[name]} and --{kind}")
            taken[name] = kind
    return named


def read_samples(table: Table, columns: Columns, root: str | None) -> Samples:
    """Read what was found.

    Raises
    ------
    ValueError
        If classes, groups or paths are missing, or a column has too many values for groups.
    """
    used = [columns.images] if columns.images else columns.features
    check_columns([*columns.labels, *used], table.columns, table.where)
    frame = table.read([*columns.labels, *used], labels=columns.labels)
    check_complete(frame, columns.labels, table.where, "Leave such rows out")
    check_groups(frame, columns.groups, table.where)
    _check_classes(frame[columns.target], table.where)
    both = {name: str for name in used if name in columns.labels}  # text again, to be read as any
    return Samples(
        table.where,
        image_paths(frame, columns.images, table, root)
        if columns.images
        else frame[used].astype(both),
        frame[columns.target].to_numpy(dtype=object),
        frame[columns.groups],
        frame[columns.unit].to_numpy() if columns.unit else None,
    )


def _check_classes(target: pd.Series, where: str) -> None:
    """Refuse numbers that measure something, and names: a classifier needs classes.

    Raises
    ------
    ValueError
        If the target has many numbers, some of them fractions, or hardly a value twice.
    """
    from ..tables._numbers import PLAIN

    values = target.cat.categories
    if len(values) <= _MOST_CLASSES:
        return
    numbers = PLAIN.parse(values)
    if (numbers % 1 != 0).any() and not (numbers != numbers).any():
        what = "is continuous"
    elif 2 * len(values) > len(target):
        what = "hardly has a value twice"
    else:
        return
    raise ValueError(
        f"{where}: the target {target.name!r} {what}, with {len(values):,} values such as "
        f"{values[0]!r}: classes are needed, such as above and below a limit"
    )
