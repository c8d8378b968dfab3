"""Batches from a pool that holds some samples several times.

The upsampled data of JTT: Liu et al., "Just Train Twice: Improving Group Robustness without
Training Group Information", ICML 2021, https://arxiv.org/abs/2107.09044
"""

from __future__ import annotations

import numpy as np

from ._permutations import permuted_batches

__all__ = ["RepeatedSampler"]


class RepeatedSampler:
    """Batches from a pool that holds each sample a given number of times.

    Batches are random permutations of the pool, one after another. An epoch has
    ``ceil(n_samples / batch_size)`` batches, as with the other samplers, all of them whole; of a
    pool that is larger it thus uses a part, which is drawn anew in every epoch.

    Parameters
    ----------
    repeats : ndarray of shape (n_samples,), dtype int
        How often the pool holds each sample; 0 leaves it out.
    batch_size : int
        Samples in every batch.

    Raises
    ------
    ValueError
        If the numbers are no integers, or negative, or all 0.

    Examples
    --------
    >>> import numpy as np
    >>> sampler = RepeatedSampler(np.array([1, 0, 3, 1]), batch_size=5)
    >>> np.sort(sampler.epoch(np.random.default_rng(0)))
    array([[0, 2, 2, 2, 3]])
    """

    def __init__(self, repeats: np.ndarray, batch_size: int):
        if repeats.dtype.kind not in "iu" or (repeats < 0).any() or not repeats.any():
            raise ValueError(
                "repeats must have an integer of at least 0 for each sample, not all 0"
            )
        self.n_samples = len(repeats)
        self.batch_size = batch_size
        self.pool = np.repeat(np.arange(self.n_samples), repeats)

    def epoch(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one epoch: sample positions of shape (n_batches, batch_size)."""
        n_batches = -(-self.n_samples // self.batch_size)
        return permuted_batches(self.pool, n_batches, self.batch_size, rng)
