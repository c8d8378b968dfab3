"""Whole batches from random permutations, one after another."""

from __future__ import annotations

import numpy as np

__all__ = ["permuted_batches"]


def permuted_batches(
    pool: np.ndarray, n_batches: int, batch_size: int, rng: np.random.Generator
) -> np.ndarray:
    """Cut random permutations of a pool, one after another, into batches.

    Parameters
    ----------
    pool : ndarray of shape (n_pool,)
        What to draw.
    n_batches, batch_size : int
        How much of it; each entry of the pool is drawn as often as any other, up to one.
    rng : numpy.random.Generator
        Draws the permutations.

    Returns
    -------
    ndarray of shape (n_batches, batch_size)
    """
    n_drawn = n_batches * batch_size
    rounds = -(-n_drawn // len(pool))
    order = rng.permuted(np.broadcast_to(pool, (rounds, len(pool))), axis=1)
    return order.ravel()[:n_drawn].reshape(n_batches, batch_size)
