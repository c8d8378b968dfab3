"""Where batches come from: rows that a sampler draws, with their labels and groups.

A per-sample DataLoader costs several times the training step on embeddings. Here the batches of
many steps are planned at once, and what is in memory is cut out by index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..groups import Cells
from ._inputs import Inputs

__all__ = ["EvaluationSource", "Sampler", "TrainingSource"]

#: samples whose batches are planned at once: each interruption of the steps slows those after it
_CHUNK_ROWS = 2**15


class Sampler(Protocol):
    """Draws the batches of an epoch as arrays of sample positions."""

    def epoch(self, rng: np.random.Generator) -> Any:
        """Draw a (n_batches, batch_size) array, or a list of arrays where sizes differ."""


class TrainingSource:
    """Batches of the training part.

    Parameters
    ----------
    inputs : Inputs
        All samples.
    rows : ndarray of shape (n_samples,)
        The rows of `inputs` that belong to the training part.
    y, s : ndarray of shape (n_samples,)
        Class and attribute codes of these rows.
    sampler : Sampler
        Draws positions in `rows`.
    rng : numpy.random.Generator
        Drives the sampler, and whatever varies the inputs.
    weights : ndarray of shape (n_samples,), default=None
        Weights of these rows, for criteria that take them.
    """

    def __init__(
        self,
        inputs: Inputs,
        rows: np.ndarray,
        y: np.ndarray,
        s: np.ndarray,
        sampler: Sampler,
        rng: np.random.Generator,
        weights: np.ndarray | None = None,
    ):
        self.inputs = inputs
        self.rows = rows
        # what belongs to each sample, in the order in which criteria take it
        given = [y, s] if weights is None else [y, s, weights.astype(np.float32)]
        self.of_samples = [torch.from_numpy(values).to(inputs.device) for values in given]
        self.sampler = sampler
        self.rng = rng

    def __len__(self) -> int:
        return len(self.rows)

    def epoch(self, plan: Callable[[Tensor, Tensor], list[Any] | None]) -> Iterator[tuple]:
        """Yield ``(x, y, s)`` for each step, then weights and what `plan` prepared, if anything.

        The tensors of a step are overwritten by later ones.
        """
        batches = self.sampler.epoch(self.rng)
        if isinstance(batches, np.ndarray):
            yield from self._steps(batches, plan)
        else:
            # a last batch of one sample, of which batch norm has nothing, joins the one before
            if len(batches) > 1 and len(batches[-1]) == 1 < len(batches[-2]):
                batches = [*batches[:-2], np.concatenate(batches[-2:])]
            for _, alike in groupby(batches, len):
                yield from self._steps(np.stack(list(alike)), plan)

    def _steps(self, batches: np.ndarray, plan: Callable) -> Iterator[tuple]:
        steps = max(1, _CHUNK_ROWS // batches.shape[1])
        for start in range(0, len(batches), steps):
            some = batches[start : start + steps]
            position = torch.from_numpy(some).to(self.inputs.device)
            of_samples = [values[position] for values in self.of_samples]
            x = self.inputs.batches(self.rows[some], self.rng)
            parts: list[Any] = [x, *(values.unbind(0) for values in of_samples)]
            plans = plan(*of_samples[:2])
            if plans is not None:
                parts.append(plans)
            yield from zip(*parts, strict=True)


class EvaluationSource:
    """The validation part, in large batches and in order.

    Parameters
    ----------
    inputs : Inputs
        All samples.
    rows : ndarray of shape (n_samples,)
        The rows of `inputs` that belong to the part.
    cells : Cells
        The cells of these rows.
    """

    def __init__(self, inputs: Inputs, rows: np.ndarray, cells: Cells):
        self.inputs = inputs
        self.rows = rows
        self.samples = cells
        self.y = torch.from_numpy(cells.y).to(inputs.device)
        self.cells = torch.from_numpy(cells.codes).to(inputs.device)
        self.counts = cells.counts
        self.labels = cells.labels

    @property
    def device(self) -> torch.device:
        """Where the batches come out."""
        return self.inputs.device

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        start = 0
        for x in self.inputs.chunks(self.rows):
            part = slice(start, start + len(x))
            yield x, self.y[part], self.cells[part]
            start = part.stop
