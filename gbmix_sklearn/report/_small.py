"""Cells that are too small to say anything."""

from __future__ import annotations

import numpy as np

from ._text import listed, samples

__all__ = ["TOO_WIDE", "small_cells_message", "too_small"]

#: A cell whose interval is wider than this is too small to say anything: anything from a good to
#: a bad model fits. At an accuracy of 80 % those are the cells of fewer than 19 samples.
TOO_WIDE = 0.4


def too_small(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Tell which cells are too small, from their intervals."""
    return high - low > TOO_WIDE


def small_cells_message(
    labels: list[str], count: np.ndarray, low: np.ndarray, high: np.ndarray
) -> str | None:
    """Say which cells are too small and what to do; None where there are none."""
    small = [
        f"{labels[cell]} ({samples(int(count[cell]))}: "
        f"{100 * low[cell]:.0f} to {100 * high[cell]:.0f} %)"
        for cell in np.flatnonzero(too_small(low, high))
    ]
    if not small:
        return None
    return (
        "These cells are too small to say anything of them, their intervals are wider than "
        f"{100 * TOO_WIDE:.0f} points: {listed(small)}. Audit more samples, or merge groups"
    )
