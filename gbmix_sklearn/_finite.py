"""Outputs of networks that are NaN or infinite, from which no class follows."""

from __future__ import annotations

import numpy as np

from .exceptions import NonFiniteOutputError

__all__ = ["refuse_non_finite"]


def refuse_non_finite(z: np.ndarray, rows: np.ndarray, *, half: bool) -> None:
    """Refuse outputs of a network that are no numbers.

    Parameters
    ----------
    z : ndarray of shape (n_samples, ...)
        The outputs.
    rows : ndarray of shape (n_samples,)
        Numbers of the samples, for the message.
    half : bool
        Whether they were computed in float16, whose largest number is 65,504.

    Raises
    ------
    NonFiniteOutputError
        If some are NaN or infinite.

    Examples
    --------
    >>> refuse_non_finite(np.array([[1.0], [np.nan]]), np.arange(2), half=False)
    Traceback (most recent call last):
    ...
    gbmix_sklearn.exceptions.NonFiniteOutputError: the network gives NaN ...
    """
    if np.isfinite(z.sum(dtype=np.float64)):  # no copy; infinities do not cancel out
        return
    bad = ~np.isfinite(z.reshape(len(z), -1)).all(axis=1)
    if not bad.any():
        return
    cure = (
        "precision='fp16' overflows at 65,504: take 'bf16' or 'fp32'"
        if half
        else "look for NaN or very large numbers in its weights and buffers"
    )
    raise NonFiniteOutputError(
        f"the network gives NaN or infinite values for {bad.sum()} of {len(z)} samples, first for "
        f"row {rows[bad.argmax()]}: {cure}"
    )
