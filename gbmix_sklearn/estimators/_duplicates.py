"""Samples that are trained on, and again among those that judge what was trained."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import _num_samples

from .._copies import copies_are_wanted, note_copies
from ..backbones._images import Images
from ..exceptions import DuplicateSamplesWarning

__all__ = [
    "SeenSamples",
    "content_keys",
    "copies_are_suspicious",
    "hash_rows",
    "warn_of_duplicates",
]

#: fewer samples than these are toys, and never reported
_MIN_SAMPLES = 100
#: equal rows are suspicious where so many columns take so many values in a look at the data
_MIN_COLUMNS, _MIN_VALUES = 16, 32
_LOOKED_AT = 512
#: a larger share of copies is no accident
_ON_PURPOSE = 0.9


def hash_rows(X: Any) -> np.ndarray:
    """Hash the bytes of every row, shape (n_samples,), dtype uint64; of doubles as float32.

    A sparse matrix has the hashes that it would have as an array.

    Examples
    --------
    >>> keys = hash_rows(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]))
    >>> (keys == keys[0]).tolist()
    [True, False, True]
    """
    if sparse.issparse(X):
        return _hash_sparse_rows(X.tocsr().astype(np.float32, copy=False))
    if X.dtype == np.float64:  # computed with in float32
        X = X.astype(np.float32)
    rows = np.ascontiguousarray(X).reshape(len(X), -1)
    n_bytes = rows.shape[1] * rows.itemsize
    # few words are fast; but round numbers in 64 bits would leave most bits of a word 0
    widths = (4,) if rows.itemsize == 8 else (8, 4, 2, 1)
    words = rows.view(f"u{next(width for width in widths if n_bytes % width == 0)}")
    # odd factors lose no bit, and sums of products are fast where comparing rows is not
    return np.einsum("ij,j->i", words, _factors(words.shape[1]) | np.uint64(1))


def _hash_sparse_rows(X: Any) -> np.ndarray:
    """Add up what is not zero: words of 8 bytes hold two numbers, which multiply one by one."""
    bits = X.data.view(np.uint32).astype(np.uint64)
    words, n_words = X.indices, X.shape[1]
    if n_words % 2 == 0:
        halves = np.eye(2, dtype=np.uint32).view(np.uint64).ravel()  # of a word, in memory's order
        bits *= halves[words % 2]
        words, n_words = words // 2, n_words // 2
    bits *= _factors(n_words)[words] | np.uint64(1)
    # differences of running sums, in which what overflows cancels
    sums = np.zeros(len(bits) + 1, dtype=np.uint64)
    np.cumsum(bits, out=sums[1:])
    return np.diff(sums[X.indptr])


def _factors(size: int) -> np.ndarray:
    """Mixed bits, the same in every version of NumPy: keys are saved with models (splitmix64)."""
    mixed = np.arange(1, size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def content_keys(X: np.ndarray | Images, rows: np.ndarray | None = None) -> np.ndarray:
    """Number the contents of samples: equal where the samples are, whatever they are called.

    Parameters
    ----------
    X : ndarray, CSR matrix or Images
        The samples as they were given.
    rows : ndarray of int, default=None
        Those of the rows that are wanted; None wants all.

    Returns
    -------
    ndarray of shape (n_rows,), dtype uint64
    """
    pixels = X.stack if isinstance(X, Images) else X
    if pixels is None:
        assert isinstance(X, Images)
        return X.digests(rows).view(np.uint64)[:, 0]
    return hash_rows(pixels if rows is None else pixels[rows])


class SeenSamples:
    """The samples of a fit, by their contents; 8 bytes for each.

    Parameters
    ----------
    keys : ndarray of uint64
        Keys of the samples, see :func:`content_keys`.

    Attributes
    ----------
    keys : ndarray of uint64
        The same, each once.
    told : bool
        Whether copies among samples that were predicted have been reported.
    """

    def __init__(self, keys: np.ndarray):
        self.keys = np.unique(keys)
        self.told = False

    def notice(self, X: np.ndarray | Images, *, warn: bool, stacklevel: int) -> None:
        """Count the samples that are predicted and were in the fit.

        A model warns of them once. Where nearly all are, somebody predicts the training data, and
        knows it. Of many samples some are looked at first, since reading all may take long.
        """
        if copies_are_wanted():
            note_copies(self._count(content_keys(X)))
        n_samples = _num_samples(X)
        if not warn or self.told or not n_samples:
            return
        rows = np.arange(n_samples)[:: -(-n_samples // _LOOKED_AT)]
        share = self._count(content_keys(X, rows)) / len(rows)
        if not 0 < share <= _ON_PURPOSE:
            return
        self.told = True
        warnings.warn(
            f"{self._count(content_keys(X)):,} of the {n_samples:,} samples to predict were in the "
            "fit of this model, and what predictions of them say of others is too good. Leave them "
            "out, or split with keep_together what shows the same person or thing",
            DuplicateSamplesWarning,
            stacklevel=stacklevel + 1,
        )

    def _count(self, keys: np.ndarray) -> int:
        place = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        return int((self.keys[place] == keys).sum())


def copies_are_suspicious(X: np.ndarray | Images) -> bool:
    """Whether equal samples are the same sample, rather than people of the same categories.

    So it is with images, and where many columns take many values each.
    """
    if _num_samples(X) < _MIN_SAMPLES:
        return False
    if isinstance(X, Images):
        return True
    if sparse.issparse(X):
        return int((_values_in_columns(X) > _MIN_VALUES).sum()) >= _MIN_COLUMNS
    rows = X.reshape(len(X), -1)
    some = rows[:: -(-len(rows) // _LOOKED_AT), :: -(-rows.shape[1] // _LOOKED_AT)]
    values = (np.diff(np.sort(some, axis=0), axis=0) != 0).sum(axis=0) + 1
    return int((values > _MIN_VALUES).sum()) >= _MIN_COLUMNS


def _values_in_columns(X: Any) -> np.ndarray:
    """Count the values that some rows have in each column, zero aside."""
    some = X[:: -(-X.shape[0] // _LOOKED_AT)].tocsc()
    column = np.repeat(np.arange(X.shape[1]), np.diff(some.indptr))
    order = np.lexsort((some.data, column))
    column, value = column[order], some.data[order]
    new = np.ones(len(column), dtype=bool)
    new[1:] = (np.diff(column) != 0) | (np.diff(value) != 0)
    return np.bincount(column[new], minlength=X.shape[1])


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
