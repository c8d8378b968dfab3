"""Errors of cells, as far as few samples can tell them."""

from __future__ import annotations

import numpy as np

from ..groups import Cells

__all__ = ["PRIOR_SAMPLES", "shrink", "shrunken_errors", "start_shares"]

#: samples that the mean of its class counts for in the error of a cell
PRIOR_SAMPLES = 25.0


def shrunken_errors(
    wrong: np.ndarray, cells: Cells, prior_samples: float = PRIOR_SAMPLES
) -> np.ndarray:
    """Error rate of each cell, drawn towards that of its class where the cell is small.

    Two samples cannot tell whether a cell is the worst. Each cell counts as if `prior_samples`
    more had been seen of it, with the mean error of the cells of its class: a cell of a handful of
    samples has nearly that mean, one of hundreds its own error.

    Parameters
    ----------
    wrong : ndarray of shape (n_samples,)
        Whether each sample is misclassified, or any other loss.
    cells : Cells
        Their cells.
    prior_samples : float, default=25.0
        Weight of the mean of the class; 0 leaves the errors as they are.

    Returns
    -------
    ndarray of shape (n_cells,)
        NaN for absent cells.

    Notes
    -----
    The mean of the class weighs each sample by its cell's own evidence, ``n / (n + prior)``: a cell
    of two samples hardly moves the others of its class.

    Examples
    --------
    >>> from gbmix_sklearn.groups import make_cells
    >>> cells = make_cells([0] * 102 + [1] * 50, ["a"] * 100 + ["b"] * 2 + ["a"] * 50)
    >>> wrong = np.r_[np.zeros(90), np.ones(10), np.ones(2), np.zeros(50)]
    >>> shrunken_errors(wrong, cells, prior_samples=0)
    array([0.1, 1. , 0. , nan])
    >>> shrunken_errors(wrong, cells).round(2)
    array([0.12, 0.24, 0.  ,  nan])
    """
    sums = np.bincount(cells.codes, weights=wrong, minlength=cells.n_cells)
    return shrink(sums, cells, prior_samples)


def shrink(sums: np.ndarray, cells: Cells, prior_samples: float = PRIOR_SAMPLES) -> np.ndarray:
    """Shrink error rates as :func:`shrunken_errors` does, for many models at once.

    Parameters
    ----------
    sums : ndarray of shape (..., n_cells)
        Errors of each cell, summed over its samples.
    cells : Cells
        The cells, whose counts belong to the sums.
    prior_samples : float, default=25.0
        Weight of the mean of the class.

    Returns
    -------
    ndarray of shape (..., n_cells)
        NaN for absent cells.
    """
    shape = len(cells.classes), len(cells.attribute)
    counts = cells.counts.reshape(shape).astype(np.float64)
    sums = sums.reshape(*sums.shape[:-1], *shape)
    present = counts > 0
    error = sums / np.maximum(counts, 1)
    evidence = np.where(present, counts / np.maximum(counts + prior_samples, 1), 0)
    of_class = np.maximum(evidence.sum(1), np.finfo(float).tiny)
    class_error = (evidence * error).sum(-1) / of_class
    prior = prior_samples * class_error[..., None]
    shrunken = (sums + prior) / np.maximum(counts + prior_samples, np.finfo(float).tiny)
    return np.where(present, shrunken, np.nan).reshape(*shrunken.shape[:-2], -1)


def start_shares(cells: Cells) -> np.ndarray:
    """Share of each cell in the loss to begin with: equal, but for cells of very few samples.

    A cell of ``n`` samples has ``n / (n + m)`` of a full share, with ``m`` the smaller of 25 and a
    tenth of the mean count of the cells: three samples of a rare value cannot take as much of the
    loss as thousands of others.

    Parameters
    ----------
    cells : Cells
        The cells of the training samples.

    Returns
    -------
    ndarray of shape (n_cells,)
        With sum 1; 0 for absent cells.

    Examples
    --------
    >>> from gbmix_sklearn.groups import make_cells
    >>> cells = make_cells([0] * 503 + [1] * 1000, ["a"] * 500 + ["b"] * 3 + ["a"] * 1000)
    >>> cells.counts
    array([ 500,    3, 1000,    0])
    >>> start_shares(cells).round(3)
    array([0.468, 0.053, 0.479, 0.   ])
    """
    counts = cells.counts.astype(np.float64)
    few = min(PRIOR_SAMPLES, counts[cells.present].mean() / 10)
    shares = counts / (counts + few)
    return shares / shares.sum()
