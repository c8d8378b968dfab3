"""Vanilla mixup.

Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018,
https://arxiv.org/abs/1710.09412
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._mixing import check_alpha, mix_with, pair_cross_entropy, sample_beta

__all__ = ["MixupCriterion", "mixup_loss"]


def mixup_loss(model: nn.Module, x: Tensor, y: Tensor, lam: Tensor) -> Tensor:
    """Mean cross-entropy of a batch that is mixed with a permutation of itself.

    Parameters
    ----------
    model : Module
        Maps inputs to logits.
    x : Tensor of shape (batch, ...)
    y : LongTensor of shape (batch,)
    lam : Tensor of shape (1,) or (batch,)
        One mixing ratio for the batch, or one for each sample.
    """
    partner = torch.randperm(len(x), device=x.device)
    return pair_cross_entropy(model(mix_with(x, partner, lam)), y, y[partner], lam)


class MixupCriterion(nn.Module):
    """Mixup of the batch with a permutation of itself, one mixing ratio for each batch.

    Parameters
    ----------
    alpha : float, default=1.0
        Parameter of Beta(alpha, alpha). The paper uses 1 on CIFAR and 0.2 on ImageNet.

    References
    ----------
    Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.

    Examples
    --------
    >>> import torch
    >>> from gbmix_sklearn import MixupCriterion
    >>> model = torch.nn.Linear(3, 2)
    >>> x, y, s = torch.randn(4, 3), torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    >>> MixupCriterion(alpha=0.2)(model, x, y, s).shape
    torch.Size([])
    """

    def __init__(self, alpha: float = 1.0):
        super().__init__()
        self.alpha = check_alpha(alpha)

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
            Not used: mixup knows no groups.

        Returns
        -------
        Tensor of shape ()
            Loss with gradient.
        """
        return mixup_loss(model, x, y, sample_beta(self.alpha, (1,), x))
