"""Samples of which most numbers are 0: dense batch by batch, and never as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["SparseInputs"]

#: what batches for evaluation may take: about what the processor's cache holds
_CHUNK_BYTES = 8 * 2**20


class SparseInputs:
    """Samples that are the rows of a sparse matrix, which stays on the CPU.

    Parameters
    ----------
    x : CSR matrix of shape (n_rows, n_features), dtype float32
        All rows, each value stored once.
    device : torch.device
        Where batches come out.
    """

    def __init__(self, x: Any, device: torch.device):
        self.x = x
        self.device = device
        self._buffer = torch.empty((0, x.shape[1]), device=device)

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def batches(self, rows: np.ndarray, rng: np.random.Generator) -> Iterator[Tensor]:
        """Fill the same memory for each step."""
        if len(self._buffer) < rows.shape[1]:
            self._buffer = torch.empty((rows.shape[1], self.x.shape[1]), device=self.device)
        for some in rows:
            yield self._fill(self._buffer[: len(some)].zero_(), some)

    def chunks(self, rows: np.ndarray) -> Iterator[Tensor]:
        """Fill new memory for as many rows as fit into the cache."""
        n_features = self.x.shape[1]
        size = max(1, _CHUNK_BYTES // (4 * max(1, n_features)))
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            yield self._fill(torch.zeros((len(some), n_features), device=self.device), some)

    def _fill(self, dense: Tensor, rows: np.ndarray) -> Tensor:
        """Write some rows into zeros: only what is stored goes to the device."""
        some = self.x[rows]
        first = np.repeat(np.arange(len(rows)) * dense.shape[1], np.diff(some.indptr))
        place = torch.from_numpy(first + some.indices).to(self.device)
        dense.view(-1)[place] = torch.from_numpy(some.data).to(self.device)
        return dense
