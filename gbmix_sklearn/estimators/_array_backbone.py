"""What is before the layers of a classifier that takes numbers: a module, or nothing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn

from .._sparse import is_csr
from ..training import (
    ArrayInputs,
    Inputs,
    Loaded,
    SparseInputs,
    as_tensor,
    embed_in_batches,
    measured_width,
    named_as_backbone,
)

__all__ = ["ArrayBackbone"]

_HALVES = (torch.float16, torch.bfloat16)


class ArrayBackbone:
    """A module of the user's, trained or frozen, or no module at all.

    Parameters
    ----------
    module : Module or None
        Maps samples to embeddings. It is copied.
    trainable : bool
        Whether it is trained.

    Attributes
    ----------
    frozen : Module or None
        The module where it is run once for each sample.
    dtype : torch.dtype
        What embeddings are computed in.
    """

    dtype = torch.float32

    def __init__(self, module: nn.Module | None, trainable: bool):
        copied = None if module is None else _copied(module, trainable)
        self.has_module = module is not None
        # in eval mode for good: predictions, from several threads too, change no mode
        self.frozen = None if trainable or copied is None else copied.eval()
        self._trained = copied if trainable else None

    def load(self, X: Any, device: torch.device) -> Loaded:
        """Bring samples to the device that trains, through the frozen part."""
        if is_csr(X):
            return Loaded(SparseInputs(X, device))
        return Loaded(ArrayInputs(as_tensor(self._through_frozen(X, device)).to(device)))

    def width(self, inputs: Inputs, device: torch.device) -> int:
        """Length of the embeddings that the trained part gives for such inputs."""
        example = next(inputs.chunks(np.zeros(1, dtype=np.int64))).cpu()
        if self._trained is None:
            return example.shape[1]
        return measured_width(self._trained.cpu(), example)

    def take_trained(self) -> nn.Module | None:
        """Hand the trained part over to the network."""
        trained, self._trained = self._trained, None
        return trained

    def embed(self, X: Any, embedding: nn.Module | None, device: torch.device) -> np.ndarray:
        """Pass samples through the frozen part and the trained embedding."""
        if is_csr(X):
            return embed_in_batches(embedding, SparseInputs(X, device))
        z = self._through_frozen(X, device)
        return embed_in_batches(embedding, ArrayInputs(as_tensor(z), device))

    def describe(self) -> Any:
        """Say for a saved model what there is: a module is code, which is not stored."""
        return "module" if self.has_module else None

    def _through_frozen(self, X: np.ndarray, device: torch.device) -> np.ndarray:
        if self.frozen is None:
            return X
        with named_as_backbone(X):
            return embed_in_batches(self.frozen.to(device), ArrayInputs(as_tensor(X), device))

    def __getstate__(self) -> dict[str, Any]:
        # loadable without the device that it is on
        frozen = None if self.frozen is None else deepcopy(self.frozen).cpu()
        return self.__dict__ | {"frozen": frozen}


def _copied(module: nn.Module, trainable: bool) -> nn.Module:
    """Copy a module of the user's for the fit."""
    with torch.no_grad():  # or weights of a scripted module would be results, which nothing trains
        copied = deepcopy(module)
    for ours, given in zip(copied.parameters(), module.parameters(), strict=True):
        if ours.requires_grad != given.requires_grad:  # lazy weights cannot be asked to
            ours.requires_grad_(given.requires_grad)
    if trainable:  # steps are smaller than what halves can tell apart
        copied._apply(lambda values: values.float() if values.dtype in _HALVES else values)
    return copied
