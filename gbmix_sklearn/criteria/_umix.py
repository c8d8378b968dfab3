"""UMIX: mixup with weights for samples that an earlier training found hard.

Han et al., "UMIX: Improving Importance Weighting for Subpopulation Shift via Uncertainty-Aware
Mixup", NeurIPS 2022, https://arxiv.org/abs/2209.08928; the authors' code:
https://github.com/TencentAILabHealthcare/UMIX
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._checks import check_number
from ._mixing import check_alpha, mix_with, pair_cross_entropy, sample_beta

__all__ = ["UMIXCriterion"]


class UMIXCriterion(nn.Module):
    """Weighted mixup in some batches, weighted cross-entropy in the others.

    A mixed batch is mixed with a permutation of itself, with one ratio; the loss on either label
    has the weight of the sample that it comes from. Losses are averaged over the batch without
    dividing by the sum of the weights, as in the authors' code: weights of mean 10 act like ten
    times the learning rate.

    Random numbers come from torch's global generator.

    Parameters
    ----------
    alpha : float, default=0.5
        Mixing ratios are drawn from Beta(alpha, alpha). 0.5 on Waterbirds and 1.5 on CelebA, the
        latter with CutMix in the place of mixup, in the authors' scripts.
    sigma : float in [0, 1], default=0.5
        Probability that a batch is mixed.

    References
    ----------
    Han et al., "UMIX: Improving Importance Weighting for Subpopulation Shift via Uncertainty-Aware
    Mixup", NeurIPS 2022, https://arxiv.org/abs/2209.08928

    Examples
    --------
    >>> import torch
    >>> from gbmix_sklearn import UMIXCriterion
    >>> x, y, s = torch.randn(4, 3), torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    >>> weight = torch.tensor([1.0, 1.0, 41.0, 81.0])
    >>> UMIXCriterion()(torch.nn.Linear(3, 2), x, y, s, weight).shape
    torch.Size([])
    """

    def __init__(self, alpha: float = 0.5, *, sigma: float = 0.5):
        super().__init__()
        self.alpha = check_alpha(alpha)
        self.sigma = check_number("sigma", sigma, high=1)

    def forward(
        self, model: nn.Module, x: Tensor, y: Tensor, s: Tensor | None, weight: Tensor
    ) -> Tensor:
        """Loss of one batch.

        Parameters
        ----------
        model : Module
            Maps inputs to logits of shape (batch, n_classes).
        x : Tensor of shape (batch, ...)
            Inputs of any shape.
        y : LongTensor of shape (batch,)
            Codes of the class.
        s : LongTensor of shape (batch,) or None
            Not used: the weights stand for the groups.
        weight : Tensor of shape (batch,)
            Weights of the samples.

        Returns
        -------
        Tensor of shape ()
            Loss with gradient.
        """
        mixed = torch.rand(1, device=x.device) < self.sigma
        lam = torch.where(mixed, sample_beta(self.alpha, (1,), x), 1.0)  # 1: the batch as it is
        partner = torch.randperm(len(x), device=x.device)
        logits = model(mix_with(x, partner, lam))
        return pair_cross_entropy(logits, y, y[partner], lam, (weight, weight[partner]))
