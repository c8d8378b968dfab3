"""What the loaders share: choosing target and sensitive attributes, and seeded splits."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state

from ..groups import make_cells

__all__ = [
    "check_fractions",
    "check_labels",
    "encode_labels",
    "select_groups",
    "stratified_parts",
]


def select_groups(attributes: pd.DataFrame, groups: str | Iterable[str]) -> Any:
    """Chosen columns of a table of sensitive attributes.

    Parameters
    ----------
    attributes : DataFrame of shape (n_samples, n_attributes)
        All attributes that the data set has.
    groups : str or iterable of str
        One name, or several.

    Returns
    -------
    Series or DataFrame
        A Series for one name, a DataFrame for an iterable of names.

    Raises
    ------
    ValueError
        If a name is unknown or given twice, or none is given.

    Examples
    --------
    >>> attributes = pd.DataFrame({"sex": ["f", "m"], "race": ["a", "b"]})
    >>> select_groups(attributes, "sex").tolist()
    ['f', 'm']
    """
    choices = list(attributes.columns)
    if isinstance(groups, str) or not isinstance(groups, Iterable):
        names = [groups]
    else:
        names = list(groups)
    known = all(name in choices for name in names)
    if not names or not known or len(set(names)) < len(names):
        raise ValueError(
            f"groups must be one of {choices}, or a list of different ones; got {groups!r}"
        )
    return attributes[groups] if isinstance(groups, str) else attributes[names]


def check_labels(choices: Iterable[str], target: Any, groups: Any) -> str | list[str]:
    """Check the names of a target and of sensitive attributes, which must differ.

    Parameters
    ----------
    choices : iterable of str
        All attributes that the data set has.
    target : str
        The one that is predicted.
    groups : str or iterable of str
        One sensitive attribute, or several.

    Returns
    -------
    str or list of str
        The sensitive attribute as it is, or the several of any iterable as a list.

    Raises
    ------
    ValueError
        If a name is unknown, given twice, or target and sensitive attribute at once.

    Examples
    --------
    >>> check_labels(["age", "race", "gender"], "age", ["race", "gender"])
    ['race', 'gender']
    """
    choices = list(choices)
    if not isinstance(target, str) or target not in choices:
        raise ValueError(f"target must be one of {choices}, got {target!r}")
    selected = select_groups(pd.DataFrame(columns=choices), groups)
    names = [groups] if isinstance(groups, str) else list(selected.columns)
    if target in names:
        raise ValueError(f"target and groups must be different attributes, both have {target!r}")
    return groups if isinstance(groups, str) else names


def encode_labels(attributes: pd.DataFrame, target: str, groups: str | Iterable[str]) -> Bunch:
    """Codes and names of a target and of sensitive attributes.

    Parameters
    ----------
    attributes : DataFrame of shape (n_samples, n_attributes), category
        Their categories are the names, in the order of the codes.
    target : str
        The attribute that is predicted.
    groups : str or iterable of str
        One sensitive attribute, or several.

    Returns
    -------
    Bunch
        With `target`, `groups`, `target_names` and `group_names`.

    Examples
    --------
    >>> attributes = pd.DataFrame({"age": ["old", "young"], "sex": ["m", "f"]}, dtype="category")
    >>> labels = encode_labels(attributes, "age", "sex")
    >>> labels.groups, labels.group_names
    (array([1, 0]), ['f', 'm'])
    """
    codes = attributes.apply(lambda column: column.cat.codes.astype(np.int64))
    names = {str(name): list(attributes[name].cat.categories) for name in attributes}
    labels = Bunch(target=codes[target].to_numpy(), target_names=names[target])
    selected = select_groups(codes, groups)
    if isinstance(groups, str):
        return Bunch(groups=selected.to_numpy(), group_names=names[groups], **labels)
    return Bunch(groups=selected, group_names={name: names[name] for name in selected}, **labels)


def check_fractions(**fractions: Any) -> None:
    """Refuse fractions that are not numbers in [0, 1), or that leave nothing to train on.

    Raises
    ------
    ValueError
        Naming the parameter.

    Examples
    --------
    >>> check_fractions(validation_fraction=0.2, test_fraction=0.2)
    """
    for name, value in fractions.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
            raise ValueError(f"{name} must be a number in [0, 1), got {value!r}")
    if sum(fractions.values()) >= 1:
        raise ValueError(f"{' + '.join(fractions)} must be below 1, got {sum(fractions.values())}")


def stratified_parts(
    target: Any, groups: Any, fractions: Iterable[float], random_state: Any
) -> np.ndarray:
    """Deal samples to parts, the same shares of every cell (class x group) to each.

    Parameters
    ----------
    target : array-like of shape (n_samples,)
        Class labels.
    groups : array-like of shape (n_samples,) or (n_samples, n_attributes)
        Sensitive attributes.
    fractions : iterable of float
        Shares of the parts, with sum 1.
    random_state : int, RandomState instance or None
        Decides which samples of a cell go to which part.

    Returns
    -------
    ndarray of shape (n_samples,), dtype int64
        Number of each sample's part. A part's share of a cell is off by less than one sample.

    Examples
    --------
    >>> stratified_parts(["a", "a", "b", "b"], [0, 0, 0, 0], [0.5, 0.5], random_state=0)
    array([1, 0, 0, 1])
    """
    rng = check_random_state(random_state)
    cells = make_cells(target, groups)
    ends = np.cumsum(list(fractions))[:-1]
    parts = np.empty(len(cells.codes), dtype=np.int64)
    for cell in cells.present:
        members = rng.permutation(cells.members(cell))
        cuts = np.rint(ends * len(members)).astype(int)
        for part, rows in enumerate(np.split(members, cuts)):
            parts[rows] = part
    return parts
