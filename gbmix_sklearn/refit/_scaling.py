"""What standardises features, leaves constant ones alone, and keeps sparse ones sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

__all__ = ["scaling_of", "sparse_scale", "standardised", "unit_where_constant"]

#: a feature that varies by no more than a few rounding steps of its mean is constant
_ROUNDING_STEPS = 8


def scaling_of(z: Any) -> tuple[np.ndarray, np.ndarray]:
    """What to subtract from every feature, and what to divide it by: mean, standard deviation.

    Of sparse features nothing is subtracted, see :func:`sparse_scale`.

    Parameters
    ----------
    z : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32 or float64
        Embeddings.

    Returns
    -------
    tuple of (mean, scale)
        Each of shape (n_features,), in the type of `z`; the scale of a constant feature is 1.

    Notes
    -----
    As in scikit-learn's StandardScaler, a feature is constant if it varies by no more than rounding
    does, here in the precision of the data: the mean of many equal numbers need not be one of them.

    Examples
    --------
    >>> scaling_of(np.array([[1, 0.1], [3, 0.1]], dtype=np.float32))[1]
    array([1., 1.], dtype=float32)
    """
    if sparse.issparse(z):
        scale = sparse_scale(z).astype(z.dtype)
        return np.zeros_like(scale), scale
    mean = z.mean(axis=0, dtype=np.float64)
    scale = z.std(axis=0, dtype=np.float64)
    # sums over rows round at each of them, if only in double precision
    eps = max(float(np.finfo(z.dtype).eps), len(z) * float(np.finfo(np.float64).eps))
    scale = unit_where_constant(mean, scale, eps)
    return mean.astype(z.dtype), scale.astype(z.dtype)


def unit_where_constant(mean: np.ndarray, scale: np.ndarray, eps: float) -> np.ndarray:
    """Scales of which those of constant features are 1.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_features,)
        Of each feature.
    eps : float
        Distance from 1 to the next number in the precision of the data.

    Returns
    -------
    ndarray of shape (n_features,)
    """
    return np.where(scale <= _ROUNDING_STEPS * eps * np.abs(mean), 1.0, scale)


def sparse_scale(z: Any) -> np.ndarray:
    """Root mean square of the values that each column stores.

    Parameters
    ----------
    z : CSR matrix of shape (n_samples, n_features)
        Features.

    Returns
    -------
    ndarray of shape (n_features,), dtype float64
        1 for a column without values.
    """
    n_stored = np.bincount(z.indices, minlength=z.shape[1])
    squares = np.bincount(z.indices, z.data.astype(np.float64) ** 2, minlength=z.shape[1])
    scale = np.sqrt(squares / np.maximum(n_stored, 1))
    return np.where(scale > 0, scale, 1.0)


def standardised(z: Any, scaling: tuple[np.ndarray, np.ndarray]) -> Any:
    """Subtract the mean and divide by the scale; of sparse features by the scale alone.

    Parameters
    ----------
    z : ndarray or CSR matrix of shape (n_samples, n_features)
        Features.
    scaling : tuple of (mean, scale)
        From :func:`scaling_of`, of these features or of others.

    Returns
    -------
    ndarray or CSR matrix
        New; a sparse matrix shares its indices with `z`.
    """
    mean, scale = scaling
    if not sparse.issparse(z):
        scaled = z - mean
        scaled /= scale
        return scaled
    data = z.data / scale.astype(z.dtype, copy=False)[z.indices]
    return type(z)((data, z.indices, z.indptr), shape=z.shape)
