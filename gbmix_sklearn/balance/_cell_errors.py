"""Errors of cells, as far as few samples can tell them."""

from __future__ import annotations

import numpy as np

from ..groups import Cells

__all__ = ["PRIOR_SAMPLES", "shrunken_errors"]

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
    n_classes, n_values = len(cells.classes), len(cells.attribute)
    counts = cells.counts.reshape(n_classes, n_values).astype(np.float64)
    sums = np.bincount(cells.codes, weights=wrong, minlength=cells.n_cells)
    sums = sums.reshape(n_classes, n_values)
    present = counts > 0
    error = np.divide(sums, counts, out=np.zeros_like(sums), where=present)
    evidence = np.where(present, counts / np.maximum(counts + prior_samples, 1), 0)
    class_error = (evidence * error).sum(1) / np.maximum(evidence.sum(1), np.finfo(float).tiny)
    prior = prior_samples * class_error[:, None]
    shrunken = (sums + prior) / np.maximum(counts + prior_samples, np.finfo(float).tiny)
    return np.where(present, shrunken, np.nan).ravel()
