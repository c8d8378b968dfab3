"""The network that is trained: an embedding and a linear head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Network", "embed_in_batches"]

#: rows that pass through a network at once outside of training, in bytes of input
_CHUNK_BYTES = 32 * 2**20


class Network(nn.Module):
    """An embedding followed by a linear head.

    Parameters
    ----------
    embedding : Module or None
        Maps inputs to embeddings; None where the inputs are embeddings already.
    n_features : int
        Length of an embedding; more than one dimension is flattened.
    n_classes : int
        Number of logits.
    """

    def __init__(self, embedding: nn.Module | None, n_features: int, n_classes: int):
        super().__init__()
        self.embedding = embedding
        self.head = nn.Linear(n_features, n_classes)

    @property
    def is_affine(self) -> bool:
        """Whether mixing inputs is the same as mixing logits."""
        return self.embedding is None

    def embed(self, x: Tensor) -> Tensor:
        """Compute embeddings of shape (batch, n_features)."""
        return x if self.embedding is None else self.embedding(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits of shape (batch, n_classes)."""
        return self.head(self.embed(x))


def hidden_layers(n_features: int, units: Sequence[int]) -> nn.Sequential:
    """Build ReLU layers of the given sizes."""
    layers: list[nn.Module] = []
    for n_units in units:
        layers += [nn.Linear(n_features, n_units), nn.ReLU()]
        n_features = n_units
    return nn.Sequential(*layers)


def embed_in_batches(module: nn.Module, x: Tensor, device: torch.device) -> np.ndarray:
    """Pass all of x through a module in eval mode, without gradients.

    Parameters
    ----------
    module : Module
        Its outputs are flattened to two dimensions.
    x : Tensor of shape (n_samples, ...)
        On any device; moved, and made float32, batch by batch.
    device : torch.device
        Where the module lives.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs), dtype float32
    """
    rows = max(1, _CHUNK_BYTES // max(1, 4 * x[:1].numel()))
    out: np.ndarray | None = None
    was_training = module.training
    module.eval()
    with torch.inference_mode():
        for start in range(0, len(x), rows):
            part = module(x[start : start + rows].to(device).float()).flatten(1)
            if out is None:
                out = np.empty((len(x), part.shape[1]), dtype=np.float32)
            out[start : start + rows] = part.float().cpu().numpy()
    module.train(was_training)
    assert out is not None, "there is at least one sample"
    return out
