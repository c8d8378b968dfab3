"""Tables of other libraries as pandas has them, so that names and types are kept everywhere."""

from __future__ import annotations

from typing import Any

__all__ = ["as_pandas"]

_OTHERS = ("polars", "pyarrow")


def as_pandas(data: Any) -> Any:
    """Give tables and columns of polars and pyarrow as those of pandas; all else as it is.

    Examples
    --------
    >>> as_pandas([1, 2])
    [1, 2]
    """
    if type(data).__module__.partition(".")[0] not in _OTHERS:
        return data
    if hasattr(data, "collect"):  # a query of polars that has not run yet
        data = data.collect()
    if hasattr(data, "schema") and hasattr(data, "to_batches"):  # pandas' own index is a column
        return data.to_pandas(ignore_metadata=True)
    return data.to_pandas() if hasattr(data, "to_pandas") else data
