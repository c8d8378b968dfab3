"""What every mixup criterion shares: mixing ratios, mixing, soft labels.

mixup: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018,
https://arxiv.org/abs/1710.09412
"""

from __future__ import annotations

from numbers import Real

import torch
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn import functional as F

__all__ = [
    "blend",
    "check_alpha",
    "commutes_with_mixing",
    "mix",
    "mix_with",
    "mixed_cross_entropy",
    "pair_cross_entropy",
    "sample_beta",
    "soft_cross_entropy",
]


def check_alpha(alpha: float) -> float:
    """Refuse what is no parameter of a Beta distribution."""
    if not isinstance(alpha, Real) or not alpha > 0:
        raise ValueError(f"alpha must be a positive number, got {alpha!r}")
    return float(alpha)


def sample_beta(alpha: float, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Draw from Beta(alpha, alpha) on the device of `like`, from torch's global generator."""
    if alpha == 1.0:  # the uniform distribution, at a tenth of the time
        return torch.rand(shape, device=like.device)
    # filled on the device: a copy from the host would wait for it
    concentration = torch.full((), alpha, device=like.device)
    # without argument checks, which would wait for the device
    return Beta(concentration, concentration, validate_args=False).sample(shape)


def blend(first: Tensor, second: Tensor, lam: Tensor) -> Tensor:
    """``lam * first + (1 - lam) * second`` for values of any shape.

    Parameters
    ----------
    first, second : Tensor of shape (n, ...)
    lam : Tensor of shape (1,) or (n,)
    """
    return torch.lerp(second, first, lam.to(first.dtype).view(-1, *[1] * (first.dim() - 1)))


def mix(values: Tensor, first: Tensor, second: Tensor, lam: Tensor) -> Tensor:
    """Blend the samples at the positions `first` with those at `second`.

    Parameters
    ----------
    values : Tensor of shape (n, ...)
    first, second : LongTensor of shape (n_mixed,)
    lam : Tensor of shape (1,) or (n_mixed,)
    """
    return blend(values.index_select(0, first), values.index_select(0, second), lam)


def mix_with(values: Tensor, partner: Tensor, lam: Tensor) -> Tensor:
    """Blend each sample with its partner, the sample at the position `partner`.

    Parameters
    ----------
    values : Tensor of shape (batch, ...)
    partner : LongTensor of shape (batch,)
    lam : Tensor of shape (1,) or (batch,)
    """
    return blend(values, values.index_select(0, partner), lam)


def pair_cross_entropy(
    logits: Tensor,
    first: Tensor,
    second: Tensor,
    lam: Tensor | float,
    weights: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Mean of ``lam`` times the cross-entropy with one label and the rest times the other's.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Of the mixed samples.
    first, second : LongTensor of shape (n,)
        Codes of the classes of both sides.
    lam : float, or Tensor of shape (1,) or (n,)
        How much the first label counts, which need not be how much the first input did.
    weights : tuple of two Tensors of shape (n,), default=None
        How much the loss on the label of either side counts.
    """
    # autocast gives half precision, which losses are not computed in
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    gain = torch.log_softmax(logits, 1).gather(1, torch.stack([first, second], 1))
    if weights is not None:
        gain = gain * torch.stack(weights, 1)
    return -(lam * gain[:, 0] + (1 - lam) * gain[:, 1]).mean()


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Sum of the cross-entropies of soft targets.

    The rows of `target` need not sum to one: a row that sums to w counts w times.
    """
    return F.cross_entropy(logits, target, reduction="sum")


def mixed_cross_entropy(
    logits: Tensor, labels: Tensor, members: Tensor, lam: Tensor, weight: Tensor
) -> Tensor:
    """Weighted sum of the cross-entropies of mixed logits with labels mixed alike.

    The gradient is written out: with a linear model this is all that comes behind a single
    product, and autograd's bookkeeping for it would cost more than the model. It can be
    differentiated once.

    Parameters
    ----------
    logits, labels : Tensor of shape (n, n_classes)
        The labels one-hot.
    members : LongTensor of shape (2, n_mixed)
        What to mix.
    lam : Tensor of shape (2, n_mixed)
        Mixing ratios of both sides, which sum to one.
    weight : Tensor of shape (n_mixed,)
        How much each mixed sample counts.
    """
    # autocast gives half precision, which losses are not computed in
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    with torch.no_grad():
        n_classes, both = logits.shape[1], members.flatten()
        lam, weight = lam.to(logits.dtype).unsqueeze(2), weight.to(logits.dtype).unsqueeze(1)
        sides = torch.cat([logits, labels], 1).index_select(0, both)
        mixed = torch.lerp(sides[len(weight) :], sides[: len(weight)], lam[0])
        log_p = torch.log_softmax(mixed[:, :n_classes], 1)
        target = mixed[:, n_classes:] * weight
        gain = torch.dot(target.flatten(), log_p.flatten())  # minus the loss
        ascent = torch.addcmul(target, log_p.exp(), weight, value=-1)  # its slope, mixed
        ascents = (ascent * lam).flatten(0, 1)  # of both sides
        gradient = torch.zeros_like(logits).index_add_(0, both, ascents, alpha=-1)
    loss = torch.dot(logits.flatten(), gradient.flatten())  # has this gradient
    loss.detach().copy_(gain.neg_())  # and this value
    return loss


def commutes_with_mixing(model: nn.Module) -> bool:
    """Whether mixing inputs is the same as mixing outputs, because the model is affine."""
    return isinstance(model, nn.Linear) or bool(getattr(model, "is_affine", False))
