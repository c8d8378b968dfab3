"""Manifold mixup: mixup at a random depth of the network.

Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States", ICML 2019,
https://arxiv.org/abs/1806.05236; the authors' code:
https://github.com/vikasverma1077/manifold_mixup
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ._mixing import check_alpha, commutes_with_mixing, mix_with, pair_cross_entropy, sample_beta

__all__ = ["ManifoldMixupCriterion"]

_GIVE_LAYERS = "give layers, the names of modules whose outputs are to be mixed"


class ManifoldMixupCriterion(nn.Module):
    """Mixup of the inputs, or of what one of some layers makes of them.

    For each batch one point of the network is drawn, each as likely as the others: the input, or
    the output of one of `layers`. What passes there is mixed with a permutation of the batch, with
    one ratio.

    Batches that are mixed within the network go through a compiled model uncompiled, since compiled
    code does not see hooks. Random numbers come from torch's global generators: the point from that
    of the CPU.

    Parameters
    ----------
    alpha : float, default=2.0
        Mixing ratios are drawn from Beta(alpha, alpha). 2 in the paper.
    layers : sequence of str, default=None
        Names of the modules whose outputs may be mixed, as in ``model.get_submodule``. Each must
        give a tensor with a row for each sample, or several such; of a module that a forward calls
        more than once the first output is mixed. None takes ``model.mixing_layers`` where the model
        has it; of any other model the input of its last ``nn.Linear`` may be mixed, which is taken
        for the embedding. A model that is linear itself has nothing but its input.

    References
    ----------
    Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States", ICML
    2019, https://arxiv.org/abs/1806.05236

    Examples
    --------
    >>> import torch
    >>> from gbmix_sklearn import ManifoldMixupCriterion
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> x, y, s = torch.randn(4, 3), torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    >>> ManifoldMixupCriterion(layers=["1"])(model, x, y, s).shape
    torch.Size([])
    """

    def __init__(self, alpha: float = 2.0, *, layers: Sequence[str] | None = None):
        super().__init__()
        self.alpha = check_alpha(alpha)
        if isinstance(layers, str) or not all(isinstance(name, str) for name in layers or ()):
            raise ValueError(f"layers must be names of modules, such as ['layer1'], got {layers!r}")
        self.layers = None if layers is None else tuple(dict.fromkeys(layers))

    def forward(self, model: nn.Module, x: Tensor, y: Tensor, s: Tensor | None = None) -> Tensor:
        """Loss of one batch.

        Parameters
        ----------
        model : Module
            Maps inputs to logits of shape (batch, n_classes).
        x : Tensor of shape (batch, ...)
            Inputs of any shape.
        y : LongTensor of shape (batch,)
            Codes of the class.
        s : LongTensor of shape (batch,), default=None
            Not used: manifold mixup knows no groups.

        Returns
        -------
        Tensor of shape ()
            Loss with gradient.

        Raises
        ------
        ValueError
            If there is no such layer, or if what it gives cannot be mixed.
        """
        lam = sample_beta(self.alpha, (1,), x)
        partner = torch.randperm(len(x), device=x.device)
        network = getattr(model, "_orig_mod", model)  # without the wrapper of torch.compile
        points = _points(network, self.layers)
        drawn = int(torch.randint(len(points) + 1, ()))  # on the host: nothing waits for the device
        if drawn == len(points):
            logits = model(mix_with(x, partner, lam))
        else:
            with _mixing_at(points[drawn], partner, lam):
                logits = network(x)
        return pair_cross_entropy(logits, y, y[partner], lam)


def _points(model: nn.Module, layers: Sequence[str] | None) -> list[nn.Module]:
    """Modules whose outputs may be mixed."""
    if layers is None:
        layers = getattr(model, "mixing_layers", None)
    if layers is not None:
        modules = dict(model.named_modules())
        unknown = [name for name in layers if name not in modules]
        if unknown:
            raise ValueError(f"the model has no layer {unknown[0]!r}: {_GIVE_LAYERS}")
        return [modules[name] for name in layers]
    if commutes_with_mixing(model):
        return []
    linear: list[nn.Module] = [
        module for module in model.modules() if isinstance(module, nn.Linear)
    ]
    if not linear:
        raise ValueError(
            f"a {type(model).__name__} without an nn.Linear does not tell its embedding: "
            f"{_GIVE_LAYERS}"
        )
    return linear[-1:]  # mixing its outputs is mixing its inputs, since it is affine


@contextmanager
def _mixing_at(module: nn.Module, partner: Tensor, lam: Tensor) -> Iterator[None]:
    """Mix what a module gives in the one forward within this context."""
    mixed = False

    def mix_all(values: Any) -> Any:
        if isinstance(values, list | tuple):
            return type(values)(mix_all(value) for value in values)
        if not isinstance(values, Tensor) or values.shape[:1] != partner.shape:
            raise ValueError(
                f"what a {type(module).__name__} gives cannot be mixed, since it is not one row "
                f"for each sample: {_GIVE_LAYERS}"
            )
        return mix_with(values, partner, lam)

    def mix_once(values: Any) -> Any:
        nonlocal mixed
        values, mixed = values if mixed else mix_all(values), True
        return values

    hook = module.register_forward_hook(lambda _, __, output: mix_once(output))
    try:
        yield
    finally:
        hook.remove()
    if not mixed:  # or inputs would be clean and labels mixed
        raise ValueError(
            f"the forward did not pass the {type(module).__name__} to be mixed at: {_GIVE_LAYERS}"
        )
