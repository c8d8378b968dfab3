"""Inputs that are standardised for the training, in the units of the user afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..refit import sparse_scale, standardised, unit_where_constant
from ._inputs import ArrayInputs
from ._sparse_inputs import SparseInputs

__all__ = ["InputScaling"]

#: rows that are measured at once
_ROWS = 256


@dataclass(frozen=True)
class InputScaling:
    """Mean and standard deviation of every feature of the training part.

    Of sparse features the mean is taken as 0, which keeps them sparse, and the scale is that of the
    values that are stored, see :func:`gbmix_sklearn.refit.sparse_scale`.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,), dtype float64
        The scale of a constant feature is 1.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, inputs: ArrayInputs | SparseInputs, rows: np.ndarray) -> InputScaling:
        """Measure some rows of a matrix, a chunk at a time."""
        if isinstance(inputs, SparseInputs):
            return cls(np.zeros(inputs.x.shape[1]), sparse_scale(inputs.x[rows]))
        first = _exact(next(inputs.chunks(rows[:1])))[0]  # sums of differences to it stay exact
        sums = torch.zeros_like(first)
        squares = torch.zeros_like(first)
        for chunk in inputs.chunks(rows):
            for some in chunk.split(_ROWS):  # in the cache
                difference = _exact(some).sub_(first)
                sums += difference.sum(0)
                squares += difference.square_().sum(0)
        mean = sums / len(rows)
        scale = (squares / len(rows) - mean.square()).clamp(min=0).sqrt()
        mean += first
        of_features = mean.cpu().numpy(), scale.cpu().numpy()
        eps = torch.finfo(inputs.x.dtype).eps
        return cls(of_features[0], unit_where_constant(*of_features, eps))

    def apply(self, inputs: ArrayInputs | SparseInputs) -> ArrayInputs | SparseInputs:
        """Standardise a matrix: a new one, since the old one is the user's."""
        if isinstance(inputs, SparseInputs):
            return SparseInputs(standardised(inputs.x, (self.mean, self.scale)), inputs.device)
        x = inputs.x.float() if inputs.x.dtype != torch.float32 else inputs.x.clone()
        x -= torch.from_numpy(self.mean).to(x)
        x /= torch.from_numpy(self.scale).to(x)
        return ArrayInputs(x, inputs.device)

    def apply_to(self, x: Tensor) -> Tensor:
        """Standardise some rows."""
        x = x.float() - torch.from_numpy(self.mean).to(x.device, torch.float32)
        return x / torch.from_numpy(self.scale).to(x.device, torch.float32)

    @torch.no_grad()
    def unfold_from(self, layer: nn.Linear) -> None:
        """Undo :meth:`fold_into`."""
        weight = layer.weight.double().cpu()
        bias = layer.bias.double().cpu() + weight @ torch.from_numpy(self.mean)
        layer.weight.copy_(weight * torch.from_numpy(self.scale))
        layer.bias.copy_(bias)

    @torch.no_grad()
    def fold_into(self, layer: nn.Linear) -> None:
        """Let a layer that knows standardised features take them as they come."""
        weight = layer.weight.double().cpu() / torch.from_numpy(self.scale)
        bias = layer.bias.double().cpu() - weight @ torch.from_numpy(self.mean)
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)


def _exact(x: Tensor) -> Tensor:
    """In double precision, which Apple's GPUs do not have."""
    return (x.cpu() if x.device.type == "mps" else x).to(torch.float64, copy=True)
