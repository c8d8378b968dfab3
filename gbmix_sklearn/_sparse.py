"""Sparse matrices: whether one is sound, and what differs from arrays where both are taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

__all__ = [
    "canonical",
    "check_indices",
    "content_of",
    "is_csr",
    "mean_squared_length",
    "stack_rows",
]


def is_csr(X: Any) -> bool:
    """Whether it is a matrix in compressed rows, of scipy's old kind or of the new."""
    return sparse.issparse(X) and X.format == "csr"


def check_indices(X: Any, name: str = "X") -> None:
    """Refuse a sparse matrix whose indices point outside of it.

    scipy checks them only where it is told to, and reads and writes beyond its arrays where they
    are wrong.

    Parameters
    ----------
    X : object
        Anything; what is not sparse passes.
    name : str, default="X"
        What messages call it.

    Raises
    ------
    ValueError
        If an index is no integer, negative or too large.

    Examples
    --------
    >>> X = sparse.csr_array(np.eye(2))
    >>> X.indices[0] = -1
    >>> check_indices(X)
    Traceback (most recent call last):
    ValueError: X is a broken sparse matrix of format 'csr': indices must be >= 0...
    """
    if not sparse.issparse(X):
        return
    fields = {"coo": ("row", "col")}.get(X.format, ("indices", "indptr"))
    if not all(hasattr(X, field) for field in fields):  # other formats have no such arrays
        return
    parts = [getattr(X, field) for field in fields]
    try:
        if any(part.dtype.kind not in "iu" for part in parts):
            raise ValueError(f"its indices are of dtype {parts[0].dtype}, {parts[1].dtype}")
        # data of one byte, so that nothing of X is copied, cast or changed
        if X.format == "coo":
            sparse.coo_matrix((np.zeros(len(X.data), dtype=bool), tuple(parts)), shape=X.shape)
        elif X.format in ("csr", "csc"):
            make = sparse.csr_matrix if X.format == "csr" else sparse.csc_matrix
            data = np.zeros(len(X.data), dtype=bool)
            make((data, *parts), shape=X.shape).check_format(full_check=True)
        else:
            X.check_format(full_check=True)
    except ValueError as error:
        raise ValueError(
            f"{name} is a broken sparse matrix of format {X.format!r}: {error}. Build it anew, as "
            "with scipy.sparse.coo_array((data, (rows, columns)), shape).tocsr()"
        ) from error


def canonical(X: Any) -> Any:
    """The same rows with each value stored once, in the order of the columns, and no zeros.

    Parameters
    ----------
    X : CSR matrix
        Not written to.

    Returns
    -------
    CSR matrix
        `X` itself where it is so already.
    """
    if not (X.has_canonical_format and X.data.all()):
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
    if X.indices.dtype == np.int64 and max(X.nnz, *X.shape) <= np.iinfo(np.int32).max:
        # some solvers of scikit-learn's take no others
        parts = X.data, X.indices.astype(np.int32), X.indptr.astype(np.int32)
        X = type(X)(parts, shape=X.shape)
    return X


def content_of(X: Any) -> tuple[Any, ...]:
    """What is equal for equal rows: scipy's objects also hold what has been asked of them."""
    return X.shape, X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)


def stack_rows(parts: Sequence[Any]) -> Any:
    """Put matrices below one another; sparse ones stay so."""
    if len(parts) == 1:
        return parts[0]
    if any(sparse.issparse(part) for part in parts):
        return sparse.vstack(parts, format="csr")
    return np.concatenate(parts)


def mean_squared_length(X: Any) -> float:
    """Of the rows of a sparse matrix: of standardised features it would be their number."""
    data = X.data.astype(np.float64, copy=False)
    return float(data @ data) / max(1, X.shape[0])
