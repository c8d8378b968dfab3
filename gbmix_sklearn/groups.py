"""From a target and sensitive attributes to cells: the one place that knows.

A *cell* is a combination of a class and a value of the sensitive attribute, the paper's group
``z = (y, s)``. Several attributes are one joint attribute, whose values are the combinations that
occur. With ``C`` classes and ``S`` attribute values there are ``C * S`` cells, numbered
``y_code * S + s_code``; a cell without a sample is *absent*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import assert_all_finite, check_consistent_length
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from ._frames import as_pandas
from .exceptions import GroupsError, MissingGroupsError

__all__ = [
    "Attribute",
    "Cells",
    "check_group_columns",
    "check_no_missing_labels",
    "encode_attribute",
    "encode_target",
    "encode_together",
    "make_cells",
    "missing_rows",
    "no_attribute",
    "require_groups",
    "take_groups",
    "too_small",
    "training_cells",
    "validation_codes",
]


#: fewer samples than these say nothing of a cell, beside others that are large
_FEW = 10


@dataclass(frozen=True)
class Attribute:
    """Values of a sensitive attribute, or of a target, as codes.

    Attributes
    ----------
    codes : ndarray of shape (n_samples,), dtype int64
        Index of each sample's value in `values`.
    values : DataFrame of shape (n_values, n_columns)
        The distinct (combinations of) values, sorted.
    """

    codes: np.ndarray
    values: pd.DataFrame

    @property
    def names(self) -> list[str]:
        """Column names as text."""
        return [str(name) for name in self.values.columns]

    @property
    def is_absent(self) -> bool:
        """Whether it stands for the absence of groups, see :func:`no_attribute`."""
        return self.values.to_numpy().tolist() == [["all"]]

    def __len__(self) -> int:
        return len(self.values)


def _sorted_factorize(column: pd.Series) -> tuple[np.ndarray, list[Any]]:
    if column.dtype != object:
        codes, uniques = pd.factorize(column, sort=True)
        return codes.astype(np.int64), list(uniques)
    codes, uniques = pd.factorize(column)
    try:
        order = sorted(range(len(uniques)), key=uniques.__getitem__)
    except TypeError:  # labels of several types have no order: sort by type, then by text
        order = sorted(
            range(len(uniques)), key=lambda i: (type(uniques[i]).__name__, str(uniques[i]))
        )
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[codes], [uniques[i] for i in order]


def _as_frame(groups: Any) -> pd.DataFrame:
    groups = as_pandas(groups)
    if isinstance(groups, pd.DataFrame):
        return groups
    if isinstance(groups, pd.Series):
        return groups.to_frame(name="group" if groups.name is None else groups.name)
    if isinstance(groups, str | bytes | dict) or not hasattr(groups, "__len__"):
        raise TypeError(
            "groups must be an array, Series or DataFrame with one row for each sample, "
            f"got {type(groups).__name__}"
        )
    if isinstance(groups, pd.MultiIndex):
        names = [f"group_{i}" if name is None else name for i, name in enumerate(groups.names)]
        return groups.to_frame(index=False, name=names)
    if isinstance(groups, pd.Categorical | pd.Index):
        return pd.DataFrame({getattr(groups, "name", None) or "group": groups})
    try:
        array = np.asarray(groups)
    except ValueError as error:
        raise GroupsError(
            "groups has rows of different lengths; every sample needs one value for each attribute"
        ) from error
    if not isinstance(groups, np.ndarray) and array.dtype.kind in "US":
        # a list such as ["a", 1, None] would become text: keep its values as they are
        array = np.array(groups, dtype=object)
    if array.ndim == 1:
        return pd.DataFrame({"group": array})
    if array.ndim == 2 and array.shape[1] == 1:
        return pd.DataFrame({"group": array[:, 0]})
    if array.ndim == 2 and array.shape[1] > 1:
        return pd.DataFrame({f"group_{i}": array[:, i] for i in range(array.shape[1])})
    raise GroupsError(
        "groups must be 1-D, or 2-D with a column for each attribute; "
        f"got an array of shape {array.shape}"
    )


def encode_attribute(
    groups: Any, n_samples: int | None = None, *, name: str = "groups", of: str = "X"
) -> Attribute:
    """Encode one or several sensitive attributes as one joint attribute.

    Parameters
    ----------
    groups : array-like of shape (n_samples,) or (n_samples, n_attributes), Series or DataFrame
        Values of any type that can be compared for equality.
    n_samples : int, default=None
        The number of samples that `groups` must have; None accepts any.
    name, of : str
        What messages call the groups and the data that they belong to.

    Returns
    -------
    Attribute
        The codes and the values that they stand for.

    Raises
    ------
    GroupsError
        If the length is not `n_samples`, or a value is missing (NaN, None, NaT).
    TypeError
        If `groups` is no array-like.

    Examples
    --------
    >>> attribute = encode_attribute([["f", 30], ["m", 30], ["f", 60]])
    >>> attribute.codes
    array([0, 2, 1])
    >>> attribute.values
      group_0 group_1
    0       f      30
    1       f      60
    2       m      30
    """
    frame = _as_frame(groups)
    if n_samples is not None and len(frame) != n_samples:
        raise GroupsError(
            f"{name} has {len(frame)} entries for {n_samples} samples; "
            f"give one group value for each row of {of}"
        )
    if not frame.columns.is_unique or not len(frame.columns):
        raise GroupsError(
            f"{name} needs one or more columns with names of their own, got {list(frame.columns)}"
        )
    joint = np.zeros(len(frame), dtype=np.int64)
    values = {}
    for position in range(frame.shape[1]):
        column = frame.iloc[:, position]
        missing = missing_rows(column)
        if len(missing):
            raise GroupsError(
                f"{name} has {len(missing)} missing value(s) in column "
                f"{frame.columns[position]!r}, the first at row {missing[0]}; drop these rows or "
                "give the missing values a value of their own, such as 'unknown'"
            )
        codes, uniques = _sorted_factorize(column)
        values[frame.columns[position]] = codes, uniques
        # dense again after each column: the product of many counts of levels would overflow
        joint = joint * max(len(uniques), 1) + codes
        _, first, joint = np.unique(joint, return_index=True, return_inverse=True)
    table = pd.DataFrame(
        {key: [uniques[i] for i in codes[first]] for key, (codes, uniques) in values.items()}
    )
    return Attribute(joint.astype(np.int64), table)


def encode_together(
    groups: Any,
    further: Any,
    n_further: int | None = None,
    *,
    name: str = "groups_val",
    of: str = "X_val",
) -> tuple[Attribute, Attribute]:
    """Encode the attributes of two sets of samples with the same codes.

    Parameters
    ----------
    groups, further : array-like, Series or DataFrame
        Values of the same attributes; columns of DataFrames are matched by name.
    n_further : int, default=None
        The number of samples that `further` must have; None accepts any.
    name, of : str
        What messages call the second ones and the data that they belong to.

    Returns
    -------
    tuple of Attribute
        One for each, with the same values.

    Raises
    ------
    GroupsError
        If they do not have the same attributes, or have missing values.

    Examples
    --------
    >>> one, other = encode_together(["b", "c"], ["a", "c"])
    >>> one.codes, other.codes
    (array([1, 2]), array([0, 2]))
    """
    encode_attribute(further, n_further, name=name, of=of)  # says what is wrong with these
    first, second = _as_frame(groups), _as_frame(further)
    if set(first.columns) == set(second.columns):
        second = second[first.columns]
    if first.shape[1] != second.shape[1]:
        raise GroupsError(
            f"{name} has {second.shape[1]} column(s) and groups has {first.shape[1]}; give the "
            "same attributes for both"
        )
    n = len(first)
    both = encode_attribute(pd.concat([first, second.set_axis(first.columns, axis=1)]))
    return Attribute(both.codes[:n], both.values), Attribute(both.codes[n:], both.values)


def no_attribute(n_samples: int) -> Attribute:
    """Encode the absence of groups: a single value that all samples share."""
    return Attribute(np.zeros(n_samples, dtype=np.int64), pd.DataFrame({"group": ["all"]}))


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
        known = {row: code for code, row in enumerate(_rows(self.attribute.values))}
        rows = _rows(other.attribute.values)
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
    return present & (counts < min(_FEW, mean / 10))


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


def encode_target(y: Any) -> Attribute:
    """Encode class labels, with errors that speak of y.

    Raises
    ------
    ValueError
        If `y` is not 1-D or has a missing label.
    """
    frame = _as_frame(y)
    if frame.shape[1] != 1:
        raise ValueError(f"y must be 1-D, with one label for each sample; got shape {frame.shape}")
    check_no_missing_labels(frame.iloc[:, 0])
    codes, uniques = _sorted_factorize(frame.iloc[:, 0])
    return Attribute(codes, pd.DataFrame({"target": uniques}))


def missing_rows(column: pd.Series) -> np.ndarray:
    """Rows with a missing value, or the text ``nan``, which NumPy makes of one among texts."""
    missing = column.isna().to_numpy()
    if isinstance(column.dtype, pd.CategoricalDtype):
        looks_so = column.cat.categories.get_indexer(pd.Index(["nan"]))[0]
        missing = missing | ((column.cat.codes == looks_so).to_numpy() & (looks_so >= 0))
    elif column.dtype == object or pd.api.types.is_string_dtype(column):
        missing = missing | (column == "nan").fillna(False).to_numpy(dtype=bool)
    return np.flatnonzero(missing)


def check_no_missing_labels(y: Any, name: str = "y") -> None:
    """Check that no label is missing.

    Raises
    ------
    ValueError
        If one is; the message says how many and where the first is.
    """
    y = as_pandas(y)
    if not isinstance(y, pd.Series | pd.Index | pd.Categorical | np.ndarray):
        y = np.array(y, dtype=object)  # of a list, which would become text
    if not isinstance(y, pd.Series):
        y = pd.Series(np.ravel(y) if isinstance(y, np.ndarray) else y)
    missing = missing_rows(y)
    if len(missing):
        raise ValueError(
            f"{name} has {len(missing)} missing label(s), the first at row {missing[0]}; drop such "
            "rows, or give the missing labels a name of their own"
        )


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
    X = as_pandas(X)
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
        raise GroupsError(
            "every value of groups has samples of one class only. Give the sensitive attribute "
            "itself (such as 'sex'), not the combination of class and attribute"
        )
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
    y = column_or_1d(y)
    check_consistent_length(X, y)
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(f"y_val has classes that y does not have: {unknown.tolist()}")
    return np.searchsorted(classes, y).astype(np.int64)
