"""UniMix: partners and mixing ratios that favour rare classes.

Xu, Chai and Yuan, "Towards Calibrated Model for Long-Tailed Visual Recognition from Prior
Perspective", NeurIPS 2021, https://arxiv.org/abs/2111.03874; the authors' code:
https://github.com/XuZhengzhuo/Prior-LT
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from ._checks import check_counts
from ._mixing import check_alpha, mix_with, pair_cross_entropy, sample_beta

__all__ = ["UniMixCriterion"]


def _check_exponent(tau: Any) -> float:
    if not isinstance(tau, Real) or not math.isfinite(tau):
        raise ValueError(f"tau must be a finite number, got {tau!r}")
    return float(tau)


def unimix_ratios(log_first: Tensor, log_second: Tensor, beta: Tensor) -> Tensor:
    """Mixing ratios, which weight the first sample of each pair.

    ``n_second / (n_first + n_second) + beta``, minus 1 where that is above 1.

    Parameters
    ----------
    log_first, log_second : Tensor of shape (n,)
        Logarithms of the training samples in the class (or cell) of either sample.
    beta : Tensor of shape (n,)
        Drawn from Beta(alpha, alpha).
    """
    lam = torch.sigmoid(log_second - log_first) + beta
    return lam - (lam > 1).to(lam.dtype)


class UniMixCriterion(nn.Module):
    """Mixup whose partners and ratios make rare classes occur as often as others.

    The partner of a sample is drawn from the batch, with replacement, in proportion to
    ``count ** tau`` of its class; the ratio is a draw from Beta(alpha, alpha), shifted by
    ``n_partner / (n + n_partner)`` and wrapped into 0 to 1, so that the sample of the rarer class
    mostly weighs more. With counts of cells (class x attribute) the same is done for cells.

    Use it with shuffled batches. Random numbers come from torch's global generator.

    Parameters
    ----------
    counts : array-like of shape (n_classes,) or (n_classes * n_groups,)
        Training samples in each class; where `n_groups` is given, in each cell, numbered
        ``y * n_groups + s``, 0 for absent ones.
    alpha : float, default=0.8
        Parameter of the Beta distribution: 0.8 in the authors' configuration for CIFAR-10. With
        1.0 and ``tau=0`` it is mixup with random ratios and partners.
    tau : float, default=-0.5
        Exponent of the counts in the choice of partners; negative ones favour rare classes. -0.5
        for CIFAR-10 and -0.1 for CIFAR-100 in the authors' configurations.
    n_groups : int, default=None
        Number of attribute values, where cells count instead of classes. The codes in `s` must be
        0 to n_groups - 1; this is not checked, since a check would wait for the device.
    bayias : bool, default=False
        Compensate the prior: the loss is that of the logits plus log prior minus log uniform, by
        class in any case. Published together with UniMix. Predictions are made without it.

    References
    ----------
    Xu, Chai and Yuan, "Towards Calibrated Model for Long-Tailed Visual Recognition from Prior
    Perspective", NeurIPS 2021, https://arxiv.org/abs/2111.03874

    Examples
    --------
    >>> import torch
    >>> from gbmix_sklearn import UniMixCriterion
    >>> x, y, s = torch.randn(4, 3), torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 0, 1])
    >>> UniMixCriterion([90, 10])(torch.nn.Linear(3, 2), x, y, s).shape
    torch.Size([])
    """

    log_counts: Tensor
    bias: Tensor | None

    def __init__(
        self,
        counts: Any,
        *,
        alpha: float = 0.8,
        tau: float = -0.5,
        n_groups: int | None = None,
        bayias: bool = False,
    ):
        super().__init__()
        counts = check_counts(counts, n_groups)
        self.alpha = check_alpha(alpha)
        self.tau = _check_exponent(tau)
        self.n_groups = n_groups
        # what is absent is in no batch; a 0 would make the logarithm infinite
        self.register_buffer("log_counts", counts.clamp(min=1).log(), persistent=False)
        prior = counts.view(-1, n_groups or 1).sum(1).clamp(min=1) / counts.sum()
        bias = (prior * len(prior)).log() if bayias else None
        self.register_buffer("bias", bias, persistent=False)

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
            Codes of the sensitive attribute; used where `n_groups` is given.

        Returns
        -------
        Tensor of shape ()
            Loss with gradient.

        Raises
        ------
        ValueError
            If `n_groups` was given and `s` is not.
        """
        code = y
        if self.n_groups is not None:
            if s is None:
                raise ValueError("s must be given where the counts are those of cells")
            code = y * self.n_groups + s
        log_count = self.log_counts[code]
        chances = torch.softmax(self.tau * log_count, 0)  # count ** tau, however large the counts
        partner = torch.multinomial(chances, len(x), replacement=True)
        beta = sample_beta(self.alpha, (len(x),), x)
        lam = unimix_ratios(log_count, log_count[partner], beta)
        logits = model(mix_with(x, partner, lam))
        if self.bias is not None:
            logits = logits + self.bias
        return pair_cross_entropy(logits, y, y[partner], lam)
