"""What every mixup criterion shares: mixing ratios, mixing, soft labels.

mixup: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018,
https://arxiv.org/abs/1710.09412
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn import functional as F

__all__ = ["commutes_with_mixing", "mix", "sample_beta", "soft_cross_entropy"]


def sample_beta(alpha: float, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Draw from Beta(alpha, alpha) on the device of `like`, from torch's global generator."""
    if alpha == 1.0:  # the uniform distribution, at a tenth of the time
        return torch.rand(shape, device=like.device)
    concentration = torch.tensor(alpha, device=like.device)
    # without argument checks, which would wait for the device
    return Beta(concentration, concentration, validate_args=False).sample(shape)


def mix(values: Tensor, first: Tensor, second: Tensor, lam: Tensor) -> Tensor:
    """``lam * values[first] + (1 - lam) * values[second]`` for values of any shape.

    Parameters
    ----------
    values : Tensor of shape (n, ...)
    first, second : LongTensor of shape (n_mixed,)
    lam : Tensor of shape (n_mixed,)
    """
    lam = lam.to(values.dtype).view(-1, *[1] * (values.dim() - 1))
    return torch.lerp(values.index_select(0, second), values.index_select(0, first), lam)


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Sum of the cross-entropies of soft targets.

    The rows of `target` need not sum to one: a row that sums to w counts w times.
    """
    return F.cross_entropy(logits, target, reduction="sum")


def commutes_with_mixing(model: nn.Module) -> bool:
    """Whether mixing inputs is the same as mixing outputs, because the model is affine."""
    return isinstance(model, nn.Linear) or bool(getattr(model, "is_affine", False))
