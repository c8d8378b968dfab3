"""Two samplers at once: each batch is a batch of the first followed by one of the second."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ._balanced import GroupBalancedSampler

__all__ = ["PairedSampler"]


class _Sampler(Protocol):
    def epoch(self, rng: np.random.Generator) -> Any: ...


class PairedSampler:
    """Batches of two halves, each drawn by a sampler of its own.

    Parameters
    ----------
    first : sampler
        Draws the first half of each batch, and decides how many batches there are and how large
        they are.
    second : sampler
        Draws the second half. Its batches must be as many and at least as large. They are put into
        random order, so that who meets whom is random whatever the order of a sampler, and then cut
        to the length of the first half.

    Examples
    --------
    >>> import numpy as np
    >>> from gbmix_sklearn.sampling import GroupBalancedSampler, PairedSampler, ShuffledSampler
    >>> y = np.array([0] * 9 + [1])
    >>> sampler = PairedSampler(ShuffledSampler(y, 4), GroupBalancedSampler(y, 4))
    >>> batches = sampler.epoch(np.random.default_rng(0))
    >>> [len(batch) for batch in batches]
    [8, 8, 4]
    >>> np.bincount(y[batches[0][4:]])  # the second half
    array([2, 2])
    """

    def __init__(self, first: _Sampler, second: _Sampler):
        self.first = first
        self.second = second

    def set_cell_shares(self, shares: np.ndarray) -> None:
        """Change the shares of the cells in both halves, where their samplers know them."""
        for sampler in (self.first, self.second):
            if isinstance(sampler, GroupBalancedSampler):
                sampler.set_cell_shares(shares)

    def epoch(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Draw the batches of one epoch, each an array of sample positions."""
        pairs = zip(self.first.epoch(rng), self.second.epoch(rng), strict=True)
        return [np.concatenate([one, rng.permutation(other)[: len(one)]]) for one, other in pairs]
