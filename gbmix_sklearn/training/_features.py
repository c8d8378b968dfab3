"""What modules take and give, as people have them: any precision, and more than a plain matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._device import is_out_of_memory
from ..criteria._modes import evaluating
from ..exceptions import GBMixError

__all__ = ["Features", "as_features", "in_precision_of", "measured_width", "named_as_backbone"]

_EXPECTED = (
    "the backbone must give one tensor with a row of features for each sample, of shape "
    "(n_samples, n_features) or with more dimensions, which are flattened"
)


class Features(nn.Module):
    """The last step of a backbone: what it gives, as a matrix of float32.

    Parameters
    ----------
    n_features : int
        Length of a row. A module that squeezes drops the batch dimension of a single sample, which
        only this length tells.
    """

    def __init__(self, n_features: int):
        super().__init__()
        self.n_features = n_features

    def forward(self, output: Any) -> Tensor:
        """Shape what a backbone gave to (n_samples, n_features)."""
        tensor = _the_tensor(output)
        if tensor.numel() % self.n_features:
            raise ValueError(f"{_EXPECTED}: its output changed to shape {tuple(tensor.shape)}")
        return tensor.reshape(-1, self.n_features)


def as_features(output: Any, n_samples: int) -> Tensor:
    """Shape what a module gave for some samples to (n_samples, n_features), float32.

    Raises
    ------
    ValueError
        If it is no such thing.
    """
    tensor = _the_tensor(output)
    if n_samples != 1 and tensor.shape[:1] != (n_samples,):
        raise ValueError(
            f"{_EXPECTED}; for {n_samples} samples it gave the shape {tuple(tensor.shape)}"
        )
    return tensor.reshape(n_samples, -1)


def measured_width(module: nn.Module, x: Tensor) -> int:
    """Length of the features that a module gives for one sample, by a dry run.

    Modules make weights and tables when they first see a sample. Those of an inference mode would
    be lost to autograd.

    Parameters
    ----------
    module : Module
        On the device of `x`.
    x : Tensor of shape (1, ...)
        A sample.

    Raises
    ------
    ValueError
        If the module cannot process it, or gives something else than features.
    """
    x = in_precision_of(module, x.repeat(2, *[1] * (x.dim() - 1)))  # a batch, whatever it squeezes
    with torch.no_grad(), evaluating(module), named_as_backbone(x):
        output = module(x)
    width = as_features(output, len(x)).shape[1]
    if not width:
        raise ValueError(f"{_EXPECTED}; it gives no features")
    return width


@contextmanager
def named_as_backbone(x: Tensor | np.ndarray) -> Iterator[None]:
    """Say of whatever a module raises for which samples it was.

    Raises
    ------
    ValueError
        From what the module has raised; what is said of its outputs, or of memory, stays as it is.
    """
    try:
        yield
    except Exception as error:  # a module may raise anything
        told = isinstance(error, GBMixError) or str(error).startswith("the backbone")
        if told or is_out_of_memory(error):
            raise
        raise ValueError(
            f"the backbone cannot process samples of shape {tuple(x.shape[1:])} "
            f"({type(error).__name__}: {error})"
        ) from error


def in_precision_of(module: nn.Module | None, x: Tensor) -> Tensor:
    """Cast samples to the precision of a module's first weights."""
    if module is None:
        return x
    for value in chain(module.parameters(), module.buffers()):
        if value.is_floating_point():
            return x.to(value.dtype)
    return x


def _the_tensor(output: Any) -> Tensor:
    """Find the one tensor that is meant: of a tuple the first, as skorch has it."""
    if isinstance(output, tuple) and output:
        output = output[0]
    elif isinstance(output, Mapping | list) and len(output) == 1:
        (output,) = output.values() if isinstance(output, Mapping) else output
    if not isinstance(output, Tensor):
        raise ValueError(f"{_EXPECTED}; it gave {_described(output)}. {_WRAP}")
    if output.is_quantized:
        output = output.dequantize()
    if output.layout != torch.strided or output.is_complex():
        raise ValueError(f"{_EXPECTED}; it gave a {output.dtype} tensor of {output.layout} layout")
    return output.float()


_WRAP = (
    "Wrap it in a module whose forward returns the features, such as the output's last_hidden_state"
    ".mean(1)"
)


def _described(output: Any) -> str:
    if isinstance(output, Mapping):
        return f"a {type(output).__name__} with the keys {', '.join(map(str, output))}"
    if isinstance(output, list):
        return f"a list of {len(output)}"
    return f"a {type(output).__name__}"
