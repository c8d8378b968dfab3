"""Checks of the criteria's own parameters."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

__all__ = ["check_number"]


def check_number(name: str, value: Any, high: float = math.inf) -> float:
    """Refuse what is no finite number from 0 to `high`."""
    if not isinstance(value, Real) or not 0 <= float(value) <= high or value == math.inf:
        bounds = "of at least 0" if high == math.inf else f"from 0 to {high}"
        raise ValueError(f"{name} must be a number {bounds}, got {value!r}")
    return float(value)
