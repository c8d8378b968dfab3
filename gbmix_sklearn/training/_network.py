"""The network that is trained: an embedding and a linear head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._device import forward_what_fits
from .._finite import refuse_non_finite
from ..criteria._modes import evaluating
from ._features import as_features, in_precision_of
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
    is_pretrained : bool, default=False
        Whether batch norm keeps the statistics that it has.

    Notes
    -----
    Pretrained weights fit the statistics that came with them. Those of balanced or mixed batches of
    another task are others: features lose by them more than a fine-tuning gains.
    """

    def __init__(
        self,
        embedding: nn.Module | None,
        n_features: int,
        n_classes: int,
        *,
        is_pretrained: bool = False,
    ):
        super().__init__()
        self.embedding = embedding
        self.head = nn.Linear(n_features, n_classes)
        self.is_pretrained = is_pretrained

    def train(self, mode: bool = True) -> Network:
        """Set the mode; parts that are frozen, statistics and dropout included, stay in eval."""
        super().train(mode)
        if mode:
            _rest_frozen(self)
            if self.is_pretrained:
                for module in self.modules():
                    if isinstance(module, nn.modules.batchnorm._BatchNorm):
                        module.eval()
        return self

    @property
    def is_affine(self) -> bool:
        """Whether mixing inputs is the same as mixing logits."""
        return self.embedding is None

    @property
    def first_linear(self) -> nn.Linear:
        """The layer that takes the inputs where these are a matrix."""
        layers = [self.head] if self.embedding is None else self.embedding.modules()
        return next(layer for layer in layers if isinstance(layer, nn.Linear))

    @property
    def mixing_layers(self) -> tuple[str, ...]:
        """Modules behind which manifold mixup may mix: the first two blocks, and the embedding."""
        if self.embedding is None:
            return ()
        blocks = [f"embedding.{name}" for name in _block_ends(self.embedding)]
        return (*blocks[:2], "embedding")

    @property
    def head_weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Weight and bias of the head, on the CPU."""
        return (
            self.head.weight.detach().float().cpu().numpy(),
            self.head.bias.detach().float().cpu().numpy(),
        )

    def embed(self, x: Tensor) -> Tensor:
        """Compute embeddings of shape (batch, n_features)."""
        return x if self.embedding is None else self.embedding(in_precision_of(self.embedding, x))

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits of shape (batch, n_classes)."""
        return self.head(self.embed(x))


def _block_ends(module: nn.Module) -> list[str]:
    """Names of the modules that blocks end with, that of the module itself aside.

    Blocks are the feature stages of a timm model, its stem aside, and in a sequence of modules each
    one that has filters, together with those without that follow it.
    """
    if hasattr(module, "feature_info"):  # timm's; a model that was cut has none
        stages: Any = module.feature_info
        modules, names = dict(module.named_modules()), [stage["module"] for stage in stages]
        # some stages of timm's are no modules, or lists, which are not called
        called = [n for n in names if n in modules and not isinstance(modules[n], nn.ModuleList)]
        return [name for name in called if _has_filters(modules[name])]
    if not isinstance(module, nn.Sequential):
        return []
    ends: list[str] = []
    last = None
    for name, child in module.named_children():
        if last is not None and _has_filters(child):
            ends.append(last)
        if last is not None or _has_filters(child):
            last = name
        ends += [f"{name}.{end}" for end in _block_ends(child)]
    return ends


def _has_filters(module: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in module.parameters())


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
        Its outputs are made matrices. None passes the samples on.
    inputs : Inputs
        The samples, on the device where the module is.
    rows : ndarray of int, default=None
        Which of them; None takes all.
    dtype : torch.dtype, default=torch.float32
        What to compute in.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs), dtype float32

    Raises
    ------
    NonFiniteOutputError
        If the module gives NaN or infinite values.
    """
    if rows is None:
        rows = np.arange(len(inputs))
    network = nn.Identity() if module is None else module
    out: np.ndarray | None = None
    done = limit = 0
    half = torch.autocast(inputs.device.type, dtype, enabled=dtype != torch.float32)

    def forward(x: Tensor) -> Tensor:
        return as_features(network(in_precision_of(module, x)), len(x))

    # no inference mode: tables that a module makes now would be lost to a training after it
    with torch.no_grad(), evaluating(network), half:
        for batch in inputs.chunks(rows):
            outputs, limit = forward_what_fits(forward, batch, limit or len(batch))
            part = torch.cat(outputs)
            if out is None:
                out = np.empty((len(rows), part.shape[1]), dtype=np.float32)
            out[done : done + len(part)] = part.cpu().numpy()
            done += len(part)
    assert out is not None, "there is at least one sample"
    if module is not None:
        refuse_non_finite(out, rows, half=dtype == torch.float16)
    return out
