"""Rows that belong to one another, as far as an index tells."""

from __future__ import annotations

from typing import Any

import pandas as pd

__all__ = ["check_same_order"]


def check_same_order(**given: Any) -> None:
    """Refuse the right rows in the wrong order; rows of other labels are taken one by one.

    Parameters
    ----------
    **given : Series, DataFrame or object
        What was given for the same samples, under the names that messages use. The first that has
        an index is what the others are compared with.

    Raises
    ------
    ValueError
        If an index has the same labels in another order.

    Examples
    --------
    >>> X = pd.DataFrame({"a": [1, 2]}, index=["p", "q"])
    >>> check_same_order(X=X, y=[0, 1], groups=pd.Series(["f", "m"], index=["p", "q"]))
    """
    indexed = {
        name: value.index
        for name, value in given.items()
        if isinstance(value, pd.Series | pd.DataFrame)
    }
    if not indexed:
        return
    (of, theirs), *others = indexed.items()
    for name, mine in others:
        if len(mine) != len(theirs) or mine.equals(theirs):
            continue
        if mine.is_unique and theirs.is_unique and mine.isin(theirs).all():
            raise ValueError(
                f"the index of {name} has the labels of that of {of} in another order, so that "
                f"rows would be taken for others; align it first: {name}.loc[{of}.index]. If the "
                f"rows fit one another as they are, give {name}.to_numpy()"
            )
