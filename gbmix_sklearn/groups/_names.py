"""Names of attributes, by which groups of training and of a test find each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..exceptions import GroupsError

__all__ = ["order_of_attributes"]

#: what attributes without a name are called
_UNNAMED = re.compile(r"group(_\d+)?")


def order_of_attributes(names: Iterable[Any], wanted: Iterable[Any], *, name: str, of: str) -> list:
    """Find the order in which attributes have the names that others have.

    Parameters
    ----------
    names : iterable
        Names of the attributes.
    wanted : iterable
        Names of the others.
    name, of : str
        What messages call the two.

    Returns
    -------
    list of int
        Positions in `names`. Where one of the two has no names of its own, as arrays have none,
        positions stay as they are.

    Raises
    ------
    GroupsError
        If the names are those of other attributes, or some are missing.

    Examples
    --------
    >>> order_of_attributes(["race", "sex"], ["sex", "race"], name="groups_val", of="groups")
    [1, 0]
    >>> order_of_attributes(["group_0", "group_1"], ["sex", "race"], name="groups", of="weights")
    [0, 1]
    """
    mine, theirs = list(map(str, names)), list(map(str, wanted))
    if mine == theirs or not (_are_names(names, mine) and _are_names(wanted, theirs)):
        return list(range(len(mine)))
    if sorted(mine) != sorted(theirs):
        raise GroupsError(
            f"{name} has the attributes {', '.join(map(repr, mine))}, and {of} has "
            f"{', '.join(map(repr, theirs))}: give the same ones, and where only the names differ "
            "rename the columns"
        )
    return [mine.index(name) for name in theirs]


def _are_names(given: Iterable[Any], texts: list[str]) -> bool:
    return not any(
        name is None or _UNNAMED.fullmatch(text) for name, text in zip(given, texts, strict=True)
    )
