"""Shuffled batches, as empirical risk minimisation draws them."""

from __future__ import annotations

import numpy as np

__all__ = ["ShuffledSampler"]


class ShuffledSampler:
    """Every sample once an epoch, in random order.

    Parameters
    ----------
    cell_codes : ndarray of shape (n_samples,)
        Cell number of each sample; only its length matters here.
    batch_size : int
        Samples in a batch; the last one of an epoch may be smaller. A last batch of one, of which
        batch normalization cannot take statistics, gets a second sample from the batch before it.

    Examples
    --------
    >>> import numpy as np
    >>> sampler = ShuffledSampler(np.zeros(5, dtype=int), batch_size=2)
    >>> [len(batch) for batch in sampler.epoch(np.random.default_rng(0))]
    [2, 2, 1]
    >>> sampler = ShuffledSampler(np.zeros(9, dtype=int), batch_size=4)
    >>> [len(batch) for batch in sampler.epoch(np.random.default_rng(0))]
    [4, 3, 2]
    """

    def __init__(self, cell_codes: np.ndarray, batch_size: int):
        self.n_samples = len(cell_codes)
        self.batch_size = batch_size

    def epoch(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Draw the batches of one epoch, each an array of sample positions."""
        order = rng.permutation(self.n_samples)
        cuts = np.arange(self.batch_size, self.n_samples, self.batch_size)
        if self.batch_size > 2 and self.n_samples % self.batch_size == 1:
            cuts[-1:] -= 1  # none to move where there is a single batch
        return np.split(order, cuts)
