"""RegMixup: mixup beside the clean batch, as a regularizer.

Pinto et al., "RegMixup: Mixup as a Regularizer Can Surprisingly Improve Accuracy and Out
Distribution Robustness", NeurIPS 2022, https://arxiv.org/abs/2206.14502; the authors' code:
https://github.com/FrancescoPinto/RegMixup
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._checks import check_number
from ._mixing import check_alpha, mix_with, pair_cross_entropy, sample_beta

__all__ = ["RegMixupCriterion"]


class RegMixupCriterion(nn.Module):
    """Cross-entropy of the clean batch plus that of its mixup.

    Both batches go through the model in one forward, as in the authors' code, so that batch norm
    normalizes them together and its running statistics are those of clean and mixed samples alike.
    A step costs as much as one on twice the batch.

    Random numbers come from torch's global generator.

    Parameters
    ----------
    alpha : float, default=20.0
        Mixing ratios are drawn from Beta(alpha, alpha), one for each batch: mostly near a half. The
        authors use 20 on CIFAR-10 and 10 on CIFAR-100.
    eta : float, default=1.0
        Weight of the mixed batch. 1 in the paper.

    References
    ----------
    Pinto et al., "RegMixup: Mixup as a Regularizer Can Surprisingly Improve Accuracy and Out
    Distribution Robustness", NeurIPS 2022, https://arxiv.org/abs/2206.14502

    Examples
    --------
    >>> import torch
    >>> from gbmix_sklearn import RegMixupCriterion
    >>> x, y, s = torch.randn(4, 3), torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    >>> RegMixupCriterion(alpha=10.0)(torch.nn.Linear(3, 2), x, y, s).shape
    torch.Size([])
    """

    def __init__(self, alpha: float = 20.0, eta: float = 1.0):
        super().__init__()
        self.alpha = check_alpha(alpha)
        self.eta = check_number("eta", eta)

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
            Not used: RegMixup knows no groups.

        Returns
        -------
        Tensor of shape ()
            Loss with gradient: a sum as in the paper. The authors' code takes the mean over both
            batches, which is half of it where `eta` is 1.
        """
        lam = sample_beta(self.alpha, (1,), x)
        partner = torch.randperm(len(x), device=x.device)
        clean, mixed = model(torch.cat([x, mix_with(x, partner, lam)])).chunk(2)
        of_clean = F.cross_entropy(clean, y).float()
        return of_clean + self.eta * pair_cross_entropy(mixed, y, y[partner], lam)
