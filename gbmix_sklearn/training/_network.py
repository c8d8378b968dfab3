"""The network that is trained: an embedding and a linear head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from .._device import forward_what_fits
from ..criteria._modes import evaluating
from ._inputs import Inputs

__all__ = ["Network", "embed_in_batches", "hidden_layers"]


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

    def train(self, mode: bool = True) -> Network:
        """Set the mode; parts that are frozen, statistics and dropout included, stay in eval."""
        super().train(mode)
        if mode:
            _rest_frozen(self)
        return self

    @property
    def is_affine(self) -> bool:
        """Whether mixing inputs is the same as mixing logits."""
        return self.embedding is None

    @property
    def mixing_layers(self) -> tuple[str, ...]:
        """Names of the modules whose outputs manifold mixup may mix.

        Of a timm backbone the first two stages, of hidden layers the activations; the embedding.
        """
        if self.embedding is None:
            return ()
        names: list[str] = []
        for child, part in self.embedding.named_children():
            stages = getattr(part, "feature_info", None)  # timm's; a cut model has none
            if isinstance(stages, list):
                names += [f"embedding.{child}.{stage['module']}" for stage in stages[:2]]
        *_, (child, last) = [("", self.embedding), *self.embedding.named_children()]
        if isinstance(last, nn.Sequential):  # the last activation is the embedding
            activations = [key for key, part in last.named_children() if isinstance(part, nn.ReLU)]
            names += [f"embedding.{child}.{key}" for key in activations[:-1]]
        # some stages of timm's are no modules, or lists, which are not called
        modules = dict(self.named_modules())
        called = [n for n in names if n in modules and not isinstance(modules[n], nn.ModuleList)]
        return (*called, "embedding")

    def embed(self, x: Tensor) -> Tensor:
        """Compute embeddings of shape (batch, n_features)."""
        return x if self.embedding is None else self.embedding(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits of shape (batch, n_classes)."""
        return self.head(self.embed(x))


def _rest_frozen(module: nn.Module) -> None:
    """Put the parts of which all parameters are frozen into eval mode."""
    trained = [parameter.requires_grad for parameter in module.parameters()]
    if trained and not any(trained):
        module.eval()
        return
    for child in module.children():
        _rest_frozen(child)


def hidden_layers(n_features: int, units: Sequence[int]) -> nn.Sequential:
    """Build ReLU layers of the given sizes."""
    layers: list[nn.Module] = []
    for n_units in units:
        layers += [nn.Linear(n_features, n_units), nn.ReLU()]
        n_features = n_units
    return nn.Sequential(*layers)


def embed_in_batches(
    module: nn.Module | None,
    inputs: Inputs,
    rows: np.ndarray | None = None,
    dtype: torch.dtype = torch.float32,
) -> np.ndarray:
    """Pass samples through a module in eval mode, without gradients.

    Every part of the module has its own mode again afterwards. A batch that does not fit into the
    memory is halved.

    Parameters
    ----------
    module : Module or None
        Its outputs are flattened to two dimensions. None passes the samples on.
    inputs : Inputs
        The samples, on the device where the module is.
    rows : ndarray of int, default=None
        Which of them; None takes all.
    dtype : torch.dtype, default=torch.float32
        What to compute in.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs), dtype float32
    """
    if rows is None:
        rows = np.arange(len(inputs))
    module = nn.Identity() if module is None else module
    out: np.ndarray | None = None
    done = limit = 0
    half = torch.autocast(inputs.device.type, dtype, enabled=dtype != torch.float32)
    with torch.inference_mode(), evaluating(module), half:
        for batch in inputs.chunks(rows):
            outputs, limit = forward_what_fits(module, batch, limit or len(batch))
            part = torch.cat(outputs).flatten(1)
            if out is None:
                out = np.empty((len(rows), part.shape[1]), dtype=np.float32)
            out[done : done + len(part)] = part.float().cpu().numpy()
            done += len(part)
    assert out is not None, "there is at least one sample"
    return out
