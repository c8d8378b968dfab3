"""Batches from a subsample in which all cells are equally large.

SUBG and SUBY of Idrissi et al., "Simple data balancing achieves competitive worst-group-accuracy",
CLeaR 2022, https://arxiv.org/abs/2110.14503
"""

from __future__ import annotations

import numpy as np

from ._permutations import permuted_batches

__all__ = ["SubsampledSampler"]


class SubsampledSampler:
    """Batches from one fixed subsample: every present cell is cut to the size of the smallest.

    The subsample is drawn once, with the sampler; the samples that it leaves out are never used.
    Batches are random permutations of it, one after another. An epoch has
    ``ceil(n_samples / batch_size)`` batches, as with the other samplers, and thus goes through the
    subsample several times; all are whole, so that batches may hold a sample of a small subsample
    more than once.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Number of each sample's cell or class.
    batch_size : int
        Samples in every batch.
    rng : numpy.random.Generator
        Draws the subsample.

    Attributes
    ----------
    subsample : ndarray
        Ascending positions of the samples that are used.

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.array([0] * 90 + [1] * 7 + [3] * 3)
    >>> rng = np.random.default_rng(0)
    >>> sampler = SubsampledSampler(cells, batch_size=12, rng=rng)
    >>> cells[sampler.subsample]
    array([0, 0, 0, 1, 1, 1, 3, 3, 3])
    >>> sampler.epoch(rng).shape
    (9, 12)
    """

    def __init__(self, codes: np.ndarray, batch_size: int, rng: np.random.Generator):
        self.n_samples = len(codes)
        self.batch_size = batch_size
        present, counts = np.unique(codes, return_counts=True)
        drawn = [
            rng.choice(np.flatnonzero(codes == code), counts.min(), replace=False)
            for code in present
        ]
        self.subsample = np.sort(np.concatenate(drawn))

    def epoch(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one epoch: sample positions of shape (n_batches, batch_size)."""
        n_batches = -(-self.n_samples // self.batch_size)
        return permuted_batches(self.subsample, n_batches, self.batch_size, rng)
