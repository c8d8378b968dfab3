"""Paired intervals over samples and seeds for the difference of two methods' worst groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["PairedBootstrap", "Outcomes"]

N_RESAMPLES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Outcomes:
    """What methods got right of the test part of a seed.

    Attributes
    ----------
    cells : ndarray of shape (n_samples,)
        Cell of each sample.
    units : ndarray of shape (n_samples,)
        What is drawn together: a sample, or a person in several. The same number is the same unit
        with every seed.
    right : mapping of str to ndarray of shape (n_samples,), dtype bool
        Whether each sample is predicted correctly, by method.
    """

    cells: np.ndarray
    units: np.ndarray
    right: Mapping[str, np.ndarray]


class PairedBootstrap:
    """Intervals for differences of worst groups, from the same resamples for all methods.

    Parameters
    ----------
    outcomes : sequence of Outcomes
        One for each seed.

    Notes
    -----
    Units are drawn by weights from an exponential distribution (Bayesian bootstrap), each with the
    same weight for every method and seed. Deviations of the seeds' differences from their mean are
    drawn with replacement and widened for their small number. Where the seeds divide the data anew
    their differences are of other samples as well, so that these intervals are rather too wide.

    Percentiles would not do: the smallest of several accuracies is smaller yet in a resample. The
    interval is that of the deviations from the resamples' own mean, around what was measured.
    """

    def __init__(self, outcomes: Sequence[Outcomes]):
        rng = np.random.default_rng(0)
        known, units = np.unique(np.concatenate([t.units for t in outcomes]), return_inverse=True)
        weights = rng.standard_exponential((N_RESAMPLES, len(known)), dtype=np.float32)
        ends = np.cumsum([len(part.units) for part in outcomes])[:-1]
        self._worst = [
            _worst_groups(part, codes, weights)
            for part, codes in zip(outcomes, np.split(units, ends), strict=True)
        ]
        self._draws = rng.random((N_RESAMPLES, len(outcomes)))

    def difference(self, method: str, other: str) -> tuple[float, float, float]:
        """Mean difference of the worst groups over the seeds that both have, and its interval."""
        pairs = [(w[method], w[other]) for w in self._worst if method in w and other in w]
        measured = np.array([one[0] - two[0] for one, two in pairs])
        drawn = np.mean([one[1] - two[1] for one, two in pairs], axis=0)
        deviation = drawn - drawn.mean()
        n_seeds = len(measured)
        if n_seeds > 1:
            seeds = (self._draws[:, :n_seeds] * n_seeds).astype(np.int64)
            of_seeds = (measured - measured.mean())[seeds].mean(axis=1)
            deviation = deviation + of_seeds * np.sqrt(n_seeds / (n_seeds - 1))
        reach = float(np.quantile(np.abs(deviation), CONFIDENCE))
        mean = float(measured.mean())
        return mean, mean - reach, mean + reach


def _worst_groups(
    part: Outcomes, units: np.ndarray, weights: np.ndarray
) -> dict[str, tuple[float, np.ndarray]]:
    """Accuracy of the worst cell of each method, as measured and in the resamples."""
    n_units, n_cells = weights.shape[1], int(part.cells.max()) + 1
    place = units * n_cells + part.cells

    def sums(of_samples: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Of the samples of each cell that there is, as measured and in the resamples."""
        of_units = np.bincount(place, of_samples, n_units * n_cells).reshape(n_units, n_cells)
        of_units = of_units[:, present].astype(np.float32)
        return of_units.sum(0), weights @ of_units

    present = np.bincount(part.cells) > 0
    count, drawn_count = sums()
    found = {}
    for method, right in part.right.items():
        correct, drawn = sums(right)
        found[method] = float((correct / count).min()), (drawn / drawn_count).min(axis=1)
    return found
