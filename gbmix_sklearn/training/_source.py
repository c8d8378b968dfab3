"""Where batches come from when the data are in memory: rows cut out by index.

A per-sample DataLoader costs several times the training step on embeddings. Here the rows of some
steps are gathered at once into one buffer, and the steps are views of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..groups import Cells

__all__ = ["EvaluationSource", "Sampler", "TrainingSource", "as_tensor"]

#: inputs gathered at once: small enough to stay in the cache, large enough to pay for the call
_CHUNK_BYTES = 5 * 2**20
#: samples whose batches are planned at once: each interruption of the steps slows those after it
_CHUNK_ROWS = 2**15


class Sampler(Protocol):
    """Draws the batches of an epoch as arrays of sample positions."""

    def epoch(self, rng: np.random.Generator) -> Any:
        """Draw a (n_batches, batch_size) array, or a list of arrays where sizes differ."""


def as_tensor(x: np.ndarray) -> Tensor:
    """Share an array's memory with a tensor; read-only arrays too, since nothing writes to them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(x))


class TrainingSource:
    """Batches of the training part.

    Parameters
    ----------
    x : Tensor of shape (n_rows, ...)
        All rows, on the device that trains.
    rows : ndarray of shape (n_samples,)
        The rows of x that belong to the training part.
    y, s : ndarray of shape (n_samples,)
        Class and attribute codes of these rows.
    sampler : Sampler
        Draws positions in `rows`.
    rng : numpy.random.Generator
        Drives the sampler.
    """

    def __init__(
        self,
        x: Tensor,
        rows: np.ndarray,
        y: np.ndarray,
        s: np.ndarray,
        sampler: Sampler,
        rng: np.random.Generator,
    ):
        self.x = x
        self.rows = torch.from_numpy(rows).to(x.device)
        self.y = torch.from_numpy(y).to(x.device)
        self.s = torch.from_numpy(s).to(x.device)
        self.sampler = sampler
        self.rng = rng
        self._buffer = self.x.new_empty((0, *x.shape[1:]))

    def __len__(self) -> int:
        return len(self.rows)

    def epoch(self, plan: Callable[[Tensor, Tensor], list[Any] | None]) -> Iterator[tuple]:
        """Yield ``(x, y, s)`` for each step, and what `plan` prepared for it, if anything.

        The tensors of a step are overwritten by later ones.
        """
        batches = self.sampler.epoch(self.rng)
        ragged = not isinstance(batches, np.ndarray) and len(batches[-1]) != len(batches[0])
        whole = np.stack(batches[:-1] if ragged and len(batches) > 1 else batches)
        yield from self._steps(whole, plan)
        if ragged and len(batches) > 1:
            yield from self._steps(batches[-1][None], plan)

    def _steps(self, batches: np.ndarray, plan: Callable) -> Iterator[tuple]:
        steps = max(1, _CHUNK_ROWS // batches.shape[1])
        for start in range(0, len(batches), steps):
            position = torch.from_numpy(batches[start : start + steps]).to(self.x.device)
            y, s = self.y[position], self.s[position]
            parts = [self._inputs(self.rows[position]), y.unbind(0), s.unbind(0)]
            plans = plan(y, s)
            if plans is not None:
                parts.append(plans)
            yield from zip(*parts, strict=True)

    def _inputs(self, rows: Tensor) -> Iterator[Tensor]:
        """Inputs of each step, for rows of shape (n_steps, batch)."""
        n_steps, batch = rows.shape
        steps = min(max(1, _CHUNK_BYTES // (batch * 4 * self.x[:1].numel())), n_steps)
        if len(self._buffer) < steps * batch:  # once: fresh memory costs more than the copy
            self._buffer = self.x.new_empty((steps * batch, *self.x.shape[1:]))
        for some in rows.split(steps):
            x = torch.index_select(self.x, 0, some.flatten(), out=self._buffer[: some.numel()])
            yield from x.float().split(batch)


class EvaluationSource:
    """The validation part, in large batches and in order.

    Parameters
    ----------
    x : Tensor of shape (n_rows, ...)
        All rows, on the device that trains.
    rows : ndarray of shape (n_samples,)
        The rows of x that belong to the part.
    cells : Cells
        The cells of these rows.
    """

    def __init__(self, x: Tensor, rows: np.ndarray, cells: Cells):
        self.x = x
        self.rows = torch.from_numpy(rows).to(x.device)
        self.y = torch.from_numpy(cells.y).to(x.device)
        self.cells = torch.from_numpy(cells.codes).to(x.device)
        self.counts = cells.counts
        self.labels = cells.labels

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        rows_at_once = max(1, _CHUNK_BYTES // (4 * max(1, self.x[:1].numel())))
        for part in torch.arange(len(self.rows), device=self.x.device).split(rows_at_once):
            x = self.x.index_select(0, self.rows[part]).float()
            yield x, self.y[part], self.cells[part]
