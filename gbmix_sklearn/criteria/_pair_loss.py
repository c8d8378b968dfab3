"""The loss of mixed pairs of samples, for the criteria that choose pairs and ratios."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._mixing import mix, soft_cross_entropy

__all__ = ["pair_loss"]


def pair_loss(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    first: Tensor,
    second: Tensor,
    lam: Tensor,
    *,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy of ``lam * first + (1 - lam) * second``, labels mixed as inputs are.

    Parameters
    ----------
    model : Module
        Maps inputs to logits.
    x : Tensor of shape (batch, ...)
    y : LongTensor of shape (batch,)
    first, second : LongTensor of shape (n_mixed,)
        Positions in the batch of both sides.
    lam : Tensor of shape (1,) or (n_mixed,)
        How much the first side counts.
    weight : Tensor of shape (batch,), default=None
        How much the loss on each sample's label counts.
    bias : Tensor of shape (n_classes,), default=None
        Added to the logits.

    Returns
    -------
    Tensor of shape ()
        Loss with gradient.
    """
    lam = lam.expand(len(first))
    logits = model(mix(x, first, second, lam))
    if bias is not None:
        logits = logits + bias
    labels = F.one_hot(y, logits.shape[1]).to(torch.float32)
    if weight is not None:  # of both sides, each with its own
        labels = labels * weight.unsqueeze(1)
    return soft_cross_entropy(logits, mix(labels, first, second, lam)) / len(first)
