"""How sure accuracies are where samples come in units, such as several photographs of a person."""

from __future__ import annotations

import numpy as np

from ..groups import Cells
from ..report._worst import n_resamples

__all__ = ["effective_samples", "resample_units"]


def effective_samples(right: np.ndarray, cells: Cells, units: np.ndarray) -> np.ndarray:
    """How many independent samples would tell as much of the accuracy of each cell.

    Korn and Graubard, "Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data", Survey Methodology 24, 1998: the variance between units
    takes the place of the binomial one; where all samples are right, or none, each unit counts
    once.

    Parameters
    ----------
    right : ndarray of shape (n_samples,), dtype bool
        Whether each sample is predicted correctly.
    cells : Cells
        Their cells.
    units : ndarray of shape (n_samples,), dtype int
        What they belong to.

    Returns
    -------
    ndarray of shape (n_cells,)
        At most the number of samples, at least 1 where there are any.

    Examples
    --------
    >>> from gbmix_sklearn.groups import make_cells
    >>> cells = make_cells([0] * 8, ["a"] * 8)
    >>> effective_samples(np.array([1, 1, 0, 0, 1, 1, 0, 0]) > 0, cells, np.arange(8) // 2)
    array([3.])
    """
    influence, n_units = _influence(right.astype(np.float64), cells, units)
    counts = cells.counts.astype(np.float64)
    accuracy = np.bincount(cells.codes, right, minlength=cells.n_cells) / np.maximum(counts, 1)
    variance = (influence**2).sum(axis=0) * n_units / np.maximum(n_units - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(variance > 0, accuracy * (1 - accuracy) / variance, n_units)
    return np.clip(size, np.minimum(counts, 1), counts)


def resample_units(
    first: np.ndarray,
    second: np.ndarray,
    cells: Cells,
    units: np.ndarray,
    deciding: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies of two models in each cell: as if units were drawn anew, and as measured.

    Those of resamples are drawn from the normal distribution with the covariance between units. As
    among the resamples of single samples, one more unit is added, a quarter for each outcome, for
    the sake of cells of which both models get all right.

    Parameters
    ----------
    first, second : ndarray of shape (n_samples,), dtype bool
        Whether each model is right.
    cells : Cells
        The cells.
    units : ndarray of shape (n_samples,), dtype int
        What samples belong to.
    deciding : ndarray of int
        The cells that are wanted.
    rng : Generator
        Source of the draws.

    Returns
    -------
    drawn : ndarray of shape (n_resamples, 2, n_deciding)
    accuracy : ndarray of shape (2, n_deciding)
    """
    parts, measured = [], []
    for right in (first, second):
        influence, n_units = _influence(right.astype(np.float64), cells, units)
        parts.append(
            influence[:, deciding] * np.sqrt(n_units / np.maximum(n_units - 1, 1))[deciding]
        )
        counts = cells.counts[deciding]
        correct = np.bincount(cells.codes, right, minlength=cells.n_cells)[deciding]
        measured.append(correct / counts)
    both = np.hstack(parts)
    covariance = both.T @ both
    one_more = 0.25 / (np.tile(n_units[deciding], 2) + 1.0) ** 2
    covariance[np.diag_indices_from(covariance)] += one_more
    accuracy = np.stack(measured)
    size = n_resamples(len(deciding))
    drawn = rng.multivariate_normal(accuracy.ravel(), covariance, size=size, method="cholesky")
    return drawn.reshape(size, 2, -1), accuracy


def _influence(right: np.ndarray, cells: Cells, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each unit moves the accuracy of each cell, and how many units each cell has."""
    n_units = int(units.max()) + 1
    counts = np.maximum(cells.counts, 1)
    accuracy = np.bincount(cells.codes, right, minlength=cells.n_cells) / counts
    moved = np.zeros((n_units, cells.n_cells))
    np.add.at(moved, (units, cells.codes), (right - accuracy[cells.codes]) / counts[cells.codes])
    there = np.zeros((n_units, cells.n_cells), dtype=bool)
    there[units, cells.codes] = True
    return moved, there.sum(axis=0)
