"""Sensitive attributes and targets as codes."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse

from .._frames import as_pandas
from ..exceptions import GroupsError
from ._missing import check_no_missing_labels, missing_rows, text_is_whole
from ._names import order_of_attributes

__all__ = [
    "Attribute",
    "as_frame",
    "encode_attribute",
    "encode_target",
    "encode_together",
    "no_attribute",
]


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

    def in_order_of(self, other: Attribute, *, name: str, of: str) -> Attribute:
        """Bring the columns into the order that those of another attribute have.

        Raises
        ------
        GroupsError
            If these are other attributes.
        """
        order = order_of_attributes(self.values.columns, other.values.columns, name=name, of=of)
        return Attribute(self.codes, self.values.iloc[:, order])


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


def as_frame(values: Any) -> pd.DataFrame:
    """Columns with their names, whatever they were given as.

    Raises
    ------
    GroupsError
        If rows have different lengths, or there are more than two dimensions.
    TypeError
        If `values` is no array-like.
    """
    values = as_pandas(values)
    if isinstance(values, pd.DataFrame):
        return values
    if isinstance(values, pd.Series):
        return values.to_frame(name="group" if values.name is None else values.name)
    if isinstance(values, pd.MultiIndex):
        names = [f"group_{i}" if name is None else name for i, name in enumerate(values.names)]
        return values.to_frame(index=False, name=names, allow_duplicates=True)
    if isinstance(values, pd.Index):
        return pd.DataFrame({"group" if values.name is None else values.name: values})
    if isinstance(values, pd.Categorical):
        return pd.DataFrame({"group": values})
    if issparse(values):
        raise TypeError("groups are a sparse matrix, and must be an array: give groups.toarray()")
    if isinstance(values, str | bytes | dict) or not hasattr(values, "__len__"):
        raise TypeError(
            "groups must be an array, Series or DataFrame with one row for each sample, "
            f"got {type(values).__name__}"
        )
    with text_is_whole("groups"):
        return _frame_of_array(values)


def _frame_of_array(values: Any) -> pd.DataFrame:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise GroupsError(
            "groups has rows of different lengths; every sample needs one value for each attribute"
        ) from error
    if not isinstance(values, np.ndarray) and array.dtype.kind in "US":
        # a list such as ["a", 1, None] would become text: keep its values as they are
        array = np.array(values, dtype=object)
    elif array.dtype.kind == "U" and (array == "nan").any():
        # which is what NumPy makes of NaN among texts
        missing = array == "nan"
        array = array.astype(object)
        array[missing] = None
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
        If the length is not `n_samples`, a value is missing (NaN, None, NaT), or a column has
        continuous numbers.
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
    frame = as_frame(groups)
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
        if is_continuous(uniques, len(codes)):
            raise GroupsError(
                f"{name} has {len(uniques):,} different numbers in column "
                f"{frame.columns[position]!r}, and so hardly a sample of each: a continuous "
                "attribute must be binned first, as in pandas.cut(age, [0, 30, 60, 120])"
            )
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
    first, second = as_frame(groups), as_frame(further)
    if first.shape[1] != second.shape[1]:
        raise GroupsError(
            f"{name} has {second.shape[1]} column(s) and groups has {first.shape[1]}; give the "
            "same attributes for both"
        )
    order = order_of_attributes(second.columns, first.columns, name=name, of="groups")
    second = second.iloc[:, order]
    n = len(first)
    both = encode_attribute(pd.concat([first, second.set_axis(first.columns, axis=1)]))
    return Attribute(both.codes[:n], both.values), Attribute(both.codes[n:], both.values)


def is_continuous(values: list[Any], n_samples: int) -> bool:
    """Whether the values are fractions of which each has hardly a sample."""
    if len(values) <= max(20, n_samples / 10):
        return False
    are_numbers = all(
        isinstance(value, Real) and not isinstance(value, bool | np.bool_) for value in values
    )
    return are_numbers and any(value % 1 != 0 for value in values)


def no_attribute(n_samples: int) -> Attribute:
    """Encode the absence of groups: a single value that all samples share."""
    return Attribute(np.zeros(n_samples, dtype=np.int64), pd.DataFrame({"group": ["all"]}))


def encode_target(y: Any) -> Attribute:
    """Encode class labels, with errors that speak of y.

    Raises
    ------
    ValueError
        If `y` is not 1-D or has a missing label.
    """
    frame = as_frame(y)
    if frame.shape[1] != 1:
        raise ValueError(f"y must be 1-D, with one label for each sample; got shape {frame.shape}")
    check_no_missing_labels(frame.iloc[:, 0])
    codes, uniques = _sorted_factorize(frame.iloc[:, 0])
    return Attribute(codes, pd.DataFrame({"target": uniques}))
