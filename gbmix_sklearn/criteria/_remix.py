"""ReMix: mixup whose labels favour rare classes.

Chou et al., "Remix: Rebalanced Mixup", ECCV Workshops 2020, https://arxiv.org/abs/2007.03943
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ._checks import check_counts, check_number
from ._mixing import check_alpha, mix_with, pair_cross_entropy, sample_beta

__all__ = ["ReMixCriterion"]


def remix_ratio(lam: Tensor, n_first: Tensor, n_second: Tensor, kappa: float, tau: float) -> Tensor:
    """How much the first label of each pair counts, where the first input counts `lam`.

    Parameters
    ----------
    lam : Tensor of shape (1,) or (n,)
        Mixing ratios of the inputs.
    n_first, n_second : Tensor of shape (n,)
        Training samples of the classes of both.
    kappa, tau : float
        See :class:`ReMixCriterion`.

    Returns
    -------
    Tensor of shape (n,)

    Examples
    --------
    >>> import torch
    >>> remix_ratio(torch.tensor([0.25]), torch.tensor([90, 10]), torch.tensor([10, 90]), 3, 0.5)
    tensor([0.0000, 0.2500])
    """
    all_second = (n_first >= kappa * n_second) & (lam < tau)
    all_first = (n_second >= kappa * n_first) & (1 - lam < tau)
    return torch.where(all_second, 0.0, torch.where(all_first, 1.0, lam))


class ReMixCriterion(nn.Module):
    """Mixup of the batch with a permutation of itself; mixed labels may be those of rare classes.

    Inputs are mixed with one ratio for the batch. The label is mixed alike, but where one of the
    two classes has at least `kappa` times the samples of the other, and has less than `tau` of the
    mixed input, the label is the rarer class alone.

    Random numbers come from torch's global generator.

    Parameters
    ----------
    counts : array-like of shape (n_classes,)
        Training samples of each class; 0 for absent ones.
    alpha : float, default=1.0
        Mixing ratios are drawn from Beta(alpha, alpha).
    kappa : float, default=3.0
        How many times more samples a class must have to give way, at least 1. 3 in the paper.
    tau : float in [0, 1], default=0.5
        Share of the mixed input below which it gives way; with 0 this is mixup. 0.5 in the paper.

    References
    ----------
    Chou, Chang, Pan, Wei and Juan, "Remix: Rebalanced Mixup", ECCV Workshops 2020,
    https://arxiv.org/abs/2007.03943

    Examples
    --------
    >>> import torch
    >>> from gbmix_sklearn import ReMixCriterion
    >>> x, y, s = torch.randn(4, 3), torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 1])
    >>> ReMixCriterion([90, 10])(torch.nn.Linear(3, 2), x, y, s).shape
    torch.Size([])
    """

    counts: Tensor

    def __init__(self, counts: Any, *, alpha: float = 1.0, kappa: float = 3.0, tau: float = 0.5):
        super().__init__()
        self.alpha = check_alpha(alpha)
        self.kappa = check_number("kappa", kappa)
        if self.kappa < 1:
            raise ValueError(
                f"kappa must be at least 1, got {kappa!r}: it says how many times more"
            )
        self.tau = check_number("tau", tau, high=1)
        self.register_buffer("counts", check_counts(counts), persistent=False)

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
            Not used: ReMix counts classes.

        Returns
        -------
        Tensor of shape ()
            Loss with gradient.
        """
        lam = sample_beta(self.alpha, (1,), x)
        partner = torch.randperm(len(x), device=x.device)
        n = self.counts[y]
        lam_y = remix_ratio(lam, n, n[partner], self.kappa, self.tau)
        return pair_cross_entropy(model(mix_with(x, partner, lam)), y, y[partner], lam_y)
