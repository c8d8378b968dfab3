"""Embeddings as other programs hand them over: tensors, lists of them, columns of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from .._tensors import as_readable

__all__ = ["as_readable_numbers", "vector_columns"]


def as_readable_numbers(X: Any) -> Any:
    """Make one array of tensors, of a list of tensors, or of a column of vectors.

    Parameters
    ----------
    X : object
        Whatever came as X.

    Returns
    -------
    object
        A tensor that NumPy can read, an array, or X itself where it is something else, or its
        vectors have different shapes.

    Examples
    --------
    >>> as_readable_numbers([torch.ones(3, dtype=torch.bfloat16)] * 2).shape
    torch.Size([2, 3])
    >>> as_readable_numbers(pd.Series([[1.0, 2.0], [3.0, 4.0]])).shape
    (2, 2)
    """
    if isinstance(X, torch.Tensor):
        return as_readable(X)
    if isinstance(X, list | tuple) and X and all(isinstance(row, torch.Tensor) for row in X):
        same = all(row.shape == X[0].shape for row in X)
        return torch.stack([as_readable(row) for row in X]) if same else X
    of_objects = isinstance(X, pd.Series) or (isinstance(X, np.ndarray) and X.ndim == 1)
    if of_objects and X.dtype != float and len(X) and all(map(_is_vector, X)):
        rows = [_numbers_of(row) for row in X]
        return np.stack(rows) if len({row.shape for row in rows}) == 1 else X
    return X


def vector_columns(X: pd.DataFrame) -> list[Any]:
    """Names of the columns whose cells are vectors.

    Examples
    --------
    >>> vector_columns(pd.DataFrame({"age": [30], "embedding": [[0.1, 0.2]]}))
    ['embedding']
    """
    return [
        name
        for position, name in enumerate(X.columns)
        if any(map(_is_vector, X.iloc[:, position].dropna().head(1)))
    ]


def _is_vector(cell: Any) -> bool:
    return isinstance(cell, list | tuple | np.ndarray | torch.Tensor)


def _numbers_of(row: Any) -> np.ndarray:
    return as_readable(row).numpy() if isinstance(row, torch.Tensor) else np.asarray(row)
