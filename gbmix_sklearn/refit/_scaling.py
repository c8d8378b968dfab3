"""What standardises features, and leaves constant ones alone."""

from __future__ import annotations

import numpy as np

__all__ = ["scaling_of", "unit_where_constant"]

#: a feature that varies by no more than a few rounding steps of its mean is constant
_ROUNDING_STEPS = 8


def scaling_of(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of every feature.

    Parameters
    ----------
    z : ndarray of shape (n_samples, n_features), dtype float32 or float64
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
