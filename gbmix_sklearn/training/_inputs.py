"""The samples that are trained on, wherever they are, as batches on the device that trains."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

__all__ = ["ArrayInputs", "Inputs", "Loaded", "as_tensor"]

#: inputs gathered at once: small enough to stay in the cache, large enough to pay for the call
_CHUNK_BYTES = 5 * 2**20
#: inputs evaluated at once on a GPU, which has its cache for itself
_EVALUATION_BYTES = 32 * 2**20


def as_tensor(x: np.ndarray) -> Tensor:
    """Share an array's memory with a tensor; read-only arrays too, since nothing writes to them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(x))


class Inputs(Protocol):
    """Samples of any kind.

    Attributes
    ----------
    device : torch.device
        Where their batches come out.
    """

    device: torch.device

    def __len__(self) -> int:
        """Count the samples."""

    def batches(self, rows: np.ndarray, rng: np.random.Generator) -> Iterator[Tensor]:
        """Yield the float32 batch of each step, for rows of shape (n_steps, batch).

        A batch may be overwritten by later ones. `rng` draws what varies from epoch to epoch.
        """

    def chunks(self, rows: np.ndarray) -> Iterator[Tensor]:
        """Yield all of some rows in order and as they are, float32, many at once."""


class ArrayInputs:
    """Samples that are one array of numbers.

    Parameters
    ----------
    x : Tensor of shape (n_rows, ...)
        All rows, on the device that trains or, where they are too large for it, on the CPU.
    device : torch.device, default=None
        Where batches come out; None is where x is.
    """

    def __init__(self, x: Tensor, device: torch.device | None = None):
        self.x = x
        self.device = x.device if device is None else device
        self._buffer = x.new_empty((0, *x.shape[1:]))

    def __len__(self) -> int:
        return len(self.x)

    def batches(self, rows: np.ndarray, rng: np.random.Generator) -> Iterator[Tensor]:
        """Cut out the rows of some steps at once; the steps are views of them."""
        n_steps, batch = rows.shape
        steps = min(max(1, self._rows_of(_CHUNK_BYTES) // batch), n_steps)
        if len(self._buffer) < steps * batch:  # once: fresh memory costs more than the copy
            self._buffer = self.x.new_empty((steps * batch, *self.x.shape[1:]))
        for some in torch.from_numpy(rows).to(self.x.device).split(steps):
            x = torch.index_select(self.x, 0, some.flatten(), out=self._buffer[: some.numel()])
            yield from x.to(self.device).float().split(batch)

    def chunks(self, rows: np.ndarray) -> Iterator[Tensor]:
        """Cut the rows out."""
        on_cpu = self.device.type == "cpu"
        rows_at_once = self._rows_of(_CHUNK_BYTES if on_cpu else _EVALUATION_BYTES)
        for some in torch.from_numpy(rows).to(self.x.device).split(rows_at_once):
            yield self.x.index_select(0, some).to(self.device).float()

    def _rows_of(self, n_bytes: int) -> int:
        return max(1, n_bytes // (4 * max(1, self.x[:1].numel())))


@dataclass(frozen=True)
class Loaded:
    """Samples, ready to be trained on.

    Attributes
    ----------
    inputs : Inputs
        Those that could be read.
    broken : dict of int to str
        Row in X and cause of those that could not.
    rows : ndarray of shape (n_inputs,) or None
        Rows in X of those that could; None where that is all of them.
    """

    inputs: Inputs
    broken: dict[int, str] = field(default_factory=dict)
    rows: np.ndarray | None = None
