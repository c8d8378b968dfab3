"""Samples that are in the training part and in a part that judges what was trained."""

from __future__ import annotations

import warnings

import numpy as np

from ..backbones._images import Images
from ..exceptions import DuplicateSamplesWarning
from ..training import ArrayInputs, Inputs

__all__ = ["content_keys", "copies_are_suspicious", "hash_rows", "warn_of_duplicates"]

#: fewer samples than these are toys, and never reported
_MIN_SAMPLES = 100
#: equal rows are suspicious where so many columns take so many values in a look at the data
_MIN_COLUMNS, _MIN_VALUES = 16, 32
_LOOKED_AT = 512


def hash_rows(X: np.ndarray) -> np.ndarray:
    """Hash the bytes of every row, shape (n_samples,), dtype uint64.

    Examples
    --------
    >>> keys = hash_rows(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]))
    >>> (keys == keys[0]).tolist()
    [True, False, True]
    """
    rows = np.ascontiguousarray(X).reshape(len(X), -1)
    n_bytes = rows.shape[1] * rows.itemsize
    # few words are fast; but round numbers in 64 bits would leave most bits of a word 0
    widths = (4,) if rows.itemsize == 8 else (8, 4, 2, 1)
    words = rows.view(f"u{next(width for width in widths if n_bytes % width == 0)}")
    # odd factors lose no bit, and sums of products are fast where comparing rows is not
    factors = np.random.default_rng(0).integers(2**64, size=words.shape[1], dtype=np.uint64)
    return np.einsum("ij,j->i", words, factors | np.uint64(1))


def content_keys(X: np.ndarray | Images, inputs: Inputs, rows: np.ndarray | None) -> np.ndarray:
    """Number the contents of samples: equal where the samples are, whatever they are called.

    Parameters
    ----------
    X : ndarray or Images
        The samples as they were given.
    inputs : Inputs
        The same, loaded.
    rows : ndarray of int or None
        Rows in X of those that could be loaded; None where that is all of them.

    Returns
    -------
    ndarray of shape (n_inputs,), dtype uint64
    """
    if isinstance(X, np.ndarray):
        return hash_rows(X)
    if X.stack is not None:
        keys = hash_rows(X.stack)
    elif isinstance(inputs, ArrayInputs) and inputs.x.ndim == 2:
        return hash_rows(inputs.x.cpu().numpy())  # equal images have one embedding, read already
    else:
        keys = X.digests().view(np.uint64)[:, 0]
    return keys if rows is None else keys[rows]


def copies_are_suspicious(X: np.ndarray | Images) -> bool:
    """Whether equal samples are the same sample, rather than people of the same categories.

    So it is with images, and where many columns take many values each.
    """
    if len(X) < _MIN_SAMPLES:
        return False
    if not isinstance(X, np.ndarray):
        return True
    rows = X.reshape(len(X), -1)
    some = rows[:: -(-len(rows) // _LOOKED_AT), :: -(-rows.shape[1] // _LOOKED_AT)]
    values = (np.diff(np.sort(some, axis=0), axis=0) != 0).sum(axis=0) + 1
    return int((values > _MIN_VALUES).sum()) >= _MIN_COLUMNS


def warn_of_duplicates(
    trained_on: np.ndarray, others: np.ndarray, *, of: str, stacklevel: int
) -> None:
    """Warn where samples that judge are among those that were trained on.

    Parameters
    ----------
    trained_on, others : ndarray of uint64
        Keys of both parts, see :func:`content_keys`.
    of : str
        What messages call the others, such as ``"samples of X_val"``.
    stacklevel : int
        Where the warning points, seen from the caller.
    """
    n_copies = int(np.isin(others, trained_on).sum())
    if n_copies:
        warnings.warn(
            f"{n_copies:,} of the {len(others):,} {of} are also in the training part, and what "
            "they say of other samples is too good. Give samples that are the same, or show the "
            "same person or thing, one value in keep_together, or leave the copies out",
            DuplicateSamplesWarning,
            stacklevel=stacklevel + 1,
        )
