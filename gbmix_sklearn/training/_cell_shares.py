"""Shares of the cells in training, moved after each epoch by errors on the validation part."""

from __future__ import annotations

from typing import Any

import numpy as np
from skorch.callbacks import Callback

from ..balance import next_shares, shrink
from ..sampling import GroupBalancedSampler, PairedSampler
from ._source import EvaluationSource

__all__ = ["CellShares"]

#: step size: an epoch's errors are less settled than those of a fit that has ended
_ETA = 1.0
#: how far from its share at the beginning a cell may get, as a factor. Training learns small cells
#: by heart: their held-out errors stay whatever share they have, and would take it all in the end
_FARTHEST = 4.0


class CellShares(Callback):
    """Let errors of the cells on the validation part decide their shares in the next epoch.

    The rule is that of the learned balance of last layers, see :func:`learn_balance`. The history
    has the shares of each epoch as ``event_cell_shares``; with the accuracies there they give the
    next, so that a training that goes on needs no more.

    Parameters
    ----------
    start : ndarray of shape (n_cells,)
        Shares of the cells in the first epoch, 0 for absent ones.
    sampler : sampler
        What draws the batches. It takes the shares, and so does the criterion where it can.
    """

    def __init__(self, start: np.ndarray, sampler: GroupBalancedSampler | PairedSampler):
        self.start = start / start.sum()
        self.sampler = sampler

    def on_train_begin(self, net: Any, y: EvaluationSource | None = None, **_: Any) -> None:
        """Hand out the shares of the first epoch, or of the one that is next."""
        self.shares = self.start
        if net.history:
            self.shares = np.asarray(net.history[-1]["event_cell_shares"])
            self._move(net, y)
        self._hand_out(net)

    def on_epoch_end(
        self, net: Any, dataset_valid: EvaluationSource | None = None, **_: Any
    ) -> None:
        """Move the shares by what the epoch got wrong."""
        net.history.record("event_cell_shares", self.shares.tolist())
        self._move(net, dataset_valid)
        self._hand_out(net)

    def _move(self, net: Any, valid: EvaluationSource | None) -> None:
        assert valid is not None, "without a validation part there are no shares to learn"
        accuracy = np.asarray(net.history[-1]["event_cell_accuracy"])
        misses = np.where(valid.counts > 0, (1 - accuracy) * valid.counts, 0)
        shares = next_shares(self.shares, shrink(misses, valid.samples), _ETA)
        shares = np.clip(shares, self.start / _FARTHEST, self.start * _FARTHEST)
        self.shares = shares / shares.sum()

    def _hand_out(self, net: Any) -> None:
        self.sampler.set_cell_shares(self.shares)
        if hasattr(net.criterion_, "set_cell_shares"):
            net.criterion_.set_cell_shares(self.shares)
