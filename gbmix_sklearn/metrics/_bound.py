"""Groups that are bound to a scorer by the index of the samples."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pandas as pd

from ..exceptions import GroupsError, MissingGroupsError

__all__ = ["BoundScore", "check_bound", "groups_by_index"]


class BoundScore:
    """A score function as others take it out of a scorer, to call it without an X.

    Parameters
    ----------
    function : callable
        ``score(y_true, y_pred, *, groups, **kwargs)``.
    groups : Series or DataFrame, default=None
        Groups that are found by the index of `y_true`.
    """

    def __init__(
        self, function: Callable[..., float], groups: pd.Series | pd.DataFrame | None = None
    ):
        functools.update_wrapper(self, function)
        self.__wrapped__ = function
        self._groups = groups

    def __call__(self, y_true: Any, y_pred: Any, *, groups: Any = None, **kwargs: Any) -> float:
        """Score predictions."""
        if groups is None and self._groups is not None:
            groups = groups_by_index(self._groups, y_true)
        if groups is None:
            raise MissingGroupsError(
                "the scorer was called without X, and so cannot read the groups from its columns: "
                "bind them with make_group_scorer(..., groups=series) and give y as a Series with "
                "the same index; or without group_columns turn metadata routing on, with "
                "sklearn.set_config(enable_metadata_routing=True), and pass groups=..."
            )
        return self.__wrapped__(y_true, y_pred, groups=groups, **kwargs)


def check_bound(groups: Any, group_columns: Any) -> None:
    """Check groups that are to be found by their index.

    Raises
    ------
    TypeError
        If they have none.
    GroupsError
        If a label is there twice, or `group_columns` says where to find others.
    """
    if not isinstance(groups, pd.Series | pd.DataFrame):
        raise TypeError(
            "groups are bound to a scorer by their index: give a Series or DataFrame with the "
            f"index of X, got {type(groups).__name__}; or pass groups=... where the scorer is used"
        )
    if group_columns is not None:
        raise GroupsError("groups and group_columns were both given; give one of the two")
    if not groups.index.is_unique:
        label = groups.index[groups.index.duplicated()].tolist()[0]
        raise GroupsError(f"the index of groups has the label {label!r} twice")


def groups_by_index(groups: pd.Series | pd.DataFrame, *samples: Any) -> Any:
    """Find the groups of samples by the first index there is.

    Raises
    ------
    GroupsError
        If there is none, or it has labels that `groups` does not have.
    """
    for given in samples:
        if isinstance(given, pd.Series | pd.DataFrame):
            unknown = given.index[~given.index.isin(groups.index)]
            if len(unknown):
                raise GroupsError(
                    f"{len(unknown)} of the {len(given)} samples have labels that the groups of "
                    f"the scorer do not have, the first {unknown.tolist()[0]!r}"
                )
            return groups.loc[given.index]
    raise GroupsError(
        "the groups of this scorer are found by index: give X as a DataFrame, or y as a Series, "
        "with the index that they have"
    )
