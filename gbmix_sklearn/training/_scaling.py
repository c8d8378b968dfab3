"""Inputs that are standardised for the training, in the units of the user afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ._inputs import ArrayInputs

__all__ = ["InputScaling"]

#: a feature that varies by no more than a few rounding steps of its mean is constant
_ROUNDING_STEPS = 8


@dataclass(frozen=True)
class InputScaling:
    """Mean and standard deviation of every feature of the training part.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,), dtype float64
        The scale of a constant feature is 1.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, inputs: ArrayInputs, rows: np.ndarray) -> InputScaling:
        """Measure some rows of a matrix, a chunk at a time."""
        first = next(inputs.chunks(rows[:1]))[0].double()  # sums of differences to it stay exact
        sums = torch.zeros_like(first)
        squares = torch.zeros_like(first)
        for chunk in inputs.chunks(rows):
            difference = chunk.double() - first
            sums += difference.sum(0)
            squares += difference.square().sum(0)
        mean = sums / len(rows)
        scale = (squares / len(rows) - mean.square()).clamp(min=0).sqrt()
        mean += first
        rounding = _ROUNDING_STEPS * torch.finfo(inputs.x.dtype).eps * mean.abs()
        scale[scale <= rounding] = 1
        return cls(mean.cpu().numpy(), scale.cpu().numpy())

    def apply(self, inputs: ArrayInputs) -> ArrayInputs:
        """Standardise a matrix: a new one, since the old one is the user's."""
        x = inputs.x.float() if inputs.x.dtype != torch.float32 else inputs.x.clone()
        x -= torch.from_numpy(self.mean).to(x)
        x /= torch.from_numpy(self.scale).to(x)
        return ArrayInputs(x, inputs.device)

    @torch.no_grad()
    def fold_into(self, layer: nn.Linear) -> None:
        """Let a layer that knows standardised features take them as they come."""
        weight = layer.weight.double().cpu() / torch.from_numpy(self.scale)
        bias = layer.bias.double().cpu() - weight @ torch.from_numpy(self.mean)
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
