"""Group-balanced batches: an equal number of samples from every present cell, or set shares.

GBMix (Hong et al., 2024), section V-A; the same batches serve RWG and GroupDRO.
"""

from __future__ import annotations

import numpy as np

__all__ = ["GroupBalancedSampler"]

#: a share of a batch that is a whole number of places may be off by as much
_ROUNDING = 1e-9


class GroupBalancedSampler:
    """Batches with an equal number from each present cell.

    A cell with at least as many samples as its place in the batch gives distinct ones; a smaller
    cell is repeated evenly. Places that remain when the batch size does not divide go to distinct
    cells drawn at random for each batch, which is also what happens when there are more cells than
    places. An epoch has ``ceil(n_samples / batch_size)`` batches, none of them smaller. With shares
    that are not equal, places go by them, on average over the batches exactly.

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
        self.present = np.flatnonzero(counts)
        self.members = [cell for cell in np.split(order, np.cumsum(counts)[:-1]) if len(cell)]
        self.shares = np.full(len(self.present), 1 / len(self.present))

    def set_cell_shares(self, shares: np.ndarray) -> None:
        """Change the shares of the cells in the batches of coming epochs.

        Parameters
        ----------
        shares : ndarray of shape (n_cells,)
            Share of each cell, of any sum; those of absent cells are not looked at.
        """
        of_present = np.asarray(shares, dtype=np.float64)[self.present]
        self.shares = of_present / of_present.sum()

    def epoch(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one epoch: sample positions of shape (n_batches, batch_size)."""
        n_batches = -(-self.n_samples // self.batch_size)
        places = self.shares * self.batch_size
        whole = np.floor(places + _ROUNDING).astype(int)
        part = np.clip(places - whole, 0, 1)
        rest = self.batch_size - whole.sum()
        # one place more than the whole ones, for the batches in which the cell gets an extra place
        drawn = [
            self._draw(cell, n_batches, max(1, n_places + (rest > 0)), rng)
            for cell, n_places in zip(self.members, whole, strict=True)
        ]
        columns = [of_cell[:, :n_places] for of_cell, n_places in zip(drawn, whole, strict=True)]
        if rest:
            batch, cell = np.nonzero(_distinct_cells(part, rest, n_batches, rng))
            last = np.stack([of_cell[:, -1] for of_cell in drawn])
            columns.append(last[cell, batch].reshape(n_batches, rest))
        return np.concatenate(columns, axis=1)

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


def _distinct_cells(
    probability: np.ndarray, n_drawn: int, n_batches: int, rng: np.random.Generator
) -> np.ndarray:
    """Whether each cell is among the `n_drawn` distinct ones of each batch, (n_batches, n_cells).

    Systematic sampling: the cells lie on a line in random order, as long as they are probable, and
    those are drawn that marks at distance one from another meet.
    """
    order = rng.permuted(np.tile(np.arange(len(probability)), (n_batches, 1)), axis=1)
    ends = np.cumsum(probability[order], axis=1) + rng.random((n_batches, 1))
    starts = ends[:, :1] - probability[order[:, :1]]
    ends[:, -1:] = starts + n_drawn
    is_met = np.diff(np.floor(np.hstack([starts, ends])), axis=1) > 0
    drawn = np.empty_like(is_met)
    np.put_along_axis(drawn, order, is_met, axis=1)
    return drawn
