"""Whether the worst cell is really the worst."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._tests import fisher, holm

__all__ = ["WorstCell", "find_worst", "n_resamples"]

#: resamples of a bootstrap, and how many numbers it may draw for all cells together
RESAMPLES, MOST_DRAWS = 9999, 20_000_000


def n_resamples(n_cells: int) -> int:
    """Resamples of a bootstrap; fewer for thousands of cells, for the sake of memory."""
    return min(RESAMPLES, max(MOST_DRAWS // n_cells, 999))


@dataclass(frozen=True)
class WorstCell:
    """The worst cell beside the others; cells are numbers.

    Attributes
    ----------
    cell : int
        The worst one, the largest of several.
    next : int or None
        The one with the next higher (or the same) accuracy.
    pvalues : ndarray of shape (n_cells,)
        Adjusted p-values of its difference to each other cell; NaN for itself.
    rank_confidence : float
        Share of the bootstrap resamples in which it is the worst of all.
    """

    cell: int
    next: int | None
    pvalues: np.ndarray
    rank_confidence: float


def find_worst(correct: np.ndarray, count: np.ndarray, rng: np.random.Generator) -> WorstCell:
    """Find the worst cell, compare it with each other one, and resample its rank.

    Parameters
    ----------
    correct, count : ndarray of shape (n_cells,), dtype int
        Correct predictions and samples of each cell.
    rng : Generator
        Source of the resamples.
    """
    order = np.lexsort((-count, correct / count))  # of the same accuracy, the surest first
    worst = int(order[0])
    others = order[1:]
    pvalues = np.full(len(count), np.nan)
    if len(others):
        # The data chose the worst cell: any pair could have been compared, so all of them count.
        n_pairs = len(count) * (len(count) - 1) // 2
        single = fisher(correct[worst], count[worst], correct[others], count[others])
        pvalues[others] = holm(single, n_pairs)
    return WorstCell(
        cell=worst,
        next=int(others[0]) if len(others) else None,
        pvalues=pvalues,
        rank_confidence=_rank_confidence(worst, correct, count, rng),
    )


def _rank_confidence(
    worst: int, correct: np.ndarray, count: np.ndarray, rng: np.random.Generator
) -> float:
    # To resample the samples of a cell is to draw its number of correct ones. Half a sample of
    # each kind is added: a cell of one sample would be the same in every resample, and look sure.
    chance = (correct + 0.5) / (count + 1)
    # a row for each cell: draws with the same parameters in a row are twice as fast
    shape = (len(count), n_resamples(len(count)))
    drawn = rng.binomial(count[:, None], chance[:, None], size=shape) / count[:, None]
    lowest = drawn == drawn.min(axis=0)
    return float(np.mean(lowest[worst] / lowest.sum(axis=0)))
