"""Pictures of more than 8 bits: from what range of values they become 8, and what that has cut."""

from __future__ import annotations

import math
import warnings
from numbers import Real
from threading import Lock
from typing import Any

import numpy as np

__all__ = ["Depth", "ValueRange", "check_value_range", "name_range", "to_8_bits"]

ValueRange = tuple[float, float]

_MOST = 0xFFFF
_CURE = "value_range=(low, high) says which of them become black and white"


def check_value_range(value_range: Any) -> ValueRange | None:
    """Check the values that become black and white.

    Parameters
    ----------
    value_range : (low, high) or None
        Two numbers, the lower one first.

    Returns
    -------
    (float, float) or None
        The same.

    Raises
    ------
    ValueError
        If it is anything else.

    Examples
    --------
    >>> check_value_range((0, 4095))
    (0.0, 4095.0)
    """
    if value_range is None:
        return None
    values = list(value_range) if np.ndim(value_range) == 1 else []
    numbers = all(isinstance(v, Real) and not isinstance(v, bool | np.bool_) for v in values)
    if len(values) != 2 or not numbers or not -math.inf < values[0] < values[1] < math.inf:
        raise ValueError(
            "value_range must be None or the values that become black and white, the lower one "
            f"first, such as (0, 4095); got {value_range!r}"
        )
    return float(values[0]), float(values[1])


def name_range(values: np.ndarray) -> str:
    """Say from where to where values run, and how to say what they mean.

    Examples
    --------
    >>> print(name_range(np.array([[-1000, 400]])))
    values from -1000 to 400; value_range=(low, high) says which of them become black and white
    """
    return f"values from {values.min():.6g} to {values.max():.6g}; {_CURE}"


def to_8_bits(values: np.ndarray, value_range: ValueRange) -> np.ndarray:
    """Scale values to 0 to 255; what is beyond the range becomes black or white.

    Parameters
    ----------
    values : ndarray
        Numbers of any kind.
    value_range : (float, float)
        What becomes 0, and what becomes 255.

    Returns
    -------
    ndarray, dtype uint8
        Of the same shape.

    Raises
    ------
    ValueError
        If there is a NaN, or values of 8 bits are said to go beyond 255.

    Examples
    --------
    >>> to_8_bits(np.array([-2000, -1000, -300, 400]), (-1000, 400)).tolist()
    [0, 0, 128, 255]
    """
    low, high = value_range
    if values.dtype == np.uint8 and not 0 <= low < high <= 255:
        raise ValueError(f"it has 8 bits, whose values cannot run from {low:g} to {high:g}")
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise ValueError("it has values that are NaN")
    inside = np.clip(values.astype(np.float64), low, high)
    return np.rint((inside - low) * 255 / (high - low)).astype(np.uint8)


class Depth:
    """The values of images of more than 8 bits whose range nobody named.

    They are read as of 16 bits, all of which few cameras and scanners fill. What they had is noted,
    from several threads at once, to warn of it when all are read.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._low, self._high = math.inf, -math.inf
        self._levels = 0
        self._is_guess = False

    def note(self, low: int, high: int, *, is_guess: bool) -> None:
        """Add the range of an image; a guess where its file does not say that it has 16 bits."""
        with self._lock:
            self._low, self._high = min(self._low, low), max(self._high, high)
            self._is_guess |= is_guess

    def warn(self, *, stacklevel: int = 2) -> None:
        """Warn if half of the values that 16 bits can have, or more, were not there."""
        if self._high < 0 or (self._high > _MOST // 2 and not self._is_guess):
            return
        levels = int(self._high) // 256 - int(self._low) // 256 + 1
        warnings.warn(
            f"images of more than 8 bits have values from {self._low} to {self._high} and are read "
            f"as of 0 to {_MOST}: {levels} grey levels of 256 are left of them. "
            f"value_range=({self._low}, {self._high}) would make these black and white, and keep "
            "what is between",
            stacklevel=stacklevel + 1,
        )
