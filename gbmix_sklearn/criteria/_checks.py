"""Checks of the criteria's own parameters."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import torch
from torch import Tensor

__all__ = ["check_counts", "check_number"]


def check_counts(counts: Any, n_groups: int | None = None) -> Tensor:
    """Refuse what are no counts of classes, or, where `n_groups` is given, of cells."""
    tensor = torch.as_tensor(counts).float()
    each = 1 if n_groups is None else n_groups
    whole = tensor.dim() == 1 and each > 0 and len(tensor) % each == 0
    if not whole or not (tensor >= 0).all() or not tensor.any():
        what = "class" if n_groups is None else f"cell, n_groups={n_groups} for each class"
        raise ValueError(
            f"counts must have the number of samples of each {what}; got {tensor.tolist()}"
        )
    return tensor


def check_number(name: str, value: Any, high: float = math.inf) -> float:
    """Refuse what is no finite number from 0 to `high`."""
    if not isinstance(value, Real) or not 0 <= float(value) <= high or value == math.inf:
        bounds = "of at least 0" if high == math.inf else f"from 0 to {high}"
        raise ValueError(f"{name} must be a number {bounds}, got {value!r}")
    return float(value)
