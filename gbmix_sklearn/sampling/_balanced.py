"""Group-balanced batches: an equal number of samples from every present cell.

GBMix (Hong et al., 2023), section V-A; the same batches serve RWG and GroupDRO.
"""

from __future__ import annotations

import numpy as np

__all__ = ["GroupBalancedSampler"]


class GroupBalancedSampler:
    """Batches with an equal number from each present cell.

    A cell with at least as many samples as its place in the batch gives distinct ones; a smaller
    cell is repeated evenly. Places that remain when the batch size does not divide go to distinct
    cells drawn at random for each batch, which is also what happens when there are more cells than
    places. An epoch has ``ceil(n_samples / batch_size)`` batches, none of them smaller.

    Parameters
    ----------
    cell_codes : ndarray of shape (n_samples,)
        Cell number of each sample, see :class:`gbmix_sklearn.groups.Cells`.
    batch_size : int
        Samples in every batch.

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.array([0] * 90 + [1] * 7 + [3] * 3)
    >>> batches = GroupBalancedSampler(cells, batch_size=12).epoch(np.random.default_rng(0))
    >>> batches.shape
    (9, 12)
    >>> np.unique(cells[batches[0]], return_counts=True)
    (array([0, 1, 3]), array([4, 4, 4]))
    """

    def __init__(self, cell_codes: np.ndarray, batch_size: int):
        self.n_samples = len(cell_codes)
        self.batch_size = batch_size
        order = np.argsort(cell_codes, kind="stable")
        counts = np.bincount(cell_codes)
        self.members = [
            cell for cell in np.split(order, np.cumsum(counts)[:-1]) if len(cell)
        ]  # present cells only

    def epoch(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one epoch: sample positions of shape (n_batches, batch_size)."""
        n_batches = -(-self.n_samples // self.batch_size)
        n_cells = len(self.members)
        share, rest = divmod(self.batch_size, n_cells)
        # one place more than the share, for the batches in which the cell gets an extra place
        places = share + (rest > 0)
        drawn = np.stack([self._draw(cell, n_batches, places, rng) for cell in self.members], 1)
        batches = drawn[:, :, :share].reshape(n_batches, share * n_cells)
        if rest:
            cells = np.broadcast_to(np.arange(n_cells), (n_batches, n_cells))
            extra = rng.permuted(cells, axis=1)[:, :rest]
            last = np.take_along_axis(drawn[:, :, share], extra, axis=1)
            batches = np.concatenate([batches, last], axis=1)
        return batches

    @staticmethod
    def _draw(
        cell: np.ndarray, n_batches: int, places: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Samples of one cell for all batches, shape (n_batches, places)."""
        if len(cell) < places:  # every sample equally often, up to one
            tiled = np.broadcast_to(cell, (n_batches, len(cell)))
            repeats = -(-places // len(cell))
            rows = [rng.permuted(tiled, axis=1) for _ in range(repeats)]
            return np.concatenate(rows, axis=1)[:, :places]
        # cut random permutations of the cell into whole batches; the left-over samples of each
        # permutation are dropped, so that no batch holds a sample twice
        batches_each = len(cell) // places
        rounds = -(-n_batches // batches_each)
        order = rng.permuted(np.broadcast_to(cell, (rounds, len(cell))), axis=1)
        whole = order[:, : batches_each * places].reshape(rounds * batches_each, places)
        return whole[:n_batches]
