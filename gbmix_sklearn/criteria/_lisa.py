"""LISA: mixing within a class across attributes, or within an attribute across classes.

Yao et al., "Improving Out-of-Distribution Robustness via Selective Augmentation", ICML 2022,
https://arxiv.org/abs/2201.00299; the authors' code: https://github.com/huaxiuyao/LISA
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._checks import check_number
from ._draws import draw_partners
from ._mixing import check_alpha, mix_with, pair_cross_entropy, sample_beta

__all__ = ["LISACriterion"]


class LISACriterion(nn.Module):
    """Mixup with partners of the same class and another attribute, or the reverse.

    Each batch is mixed in one of two ways: within the class (intra-label), where the partner of a
    sample has the same class and another attribute value; or within the attribute (intra-domain),
    where it has the same attribute value and another class. Partners are drawn from all samples of
    the batch that qualify, each as often as the others; with two classes and two attribute values
    they come from one cell, as published. A sample without a partner stays unmixed.

    Use it with group-balanced batches (:class:`gbmix_sklearn.sampling.GroupBalancedSampler`).
    Random numbers come from torch's global generator.

    Parameters
    ----------
    alpha : float, default=2.0
        Mixing ratios are drawn from Beta(alpha, alpha), one for each sample.
    p_intra_label : float in [0, 1], default=0.5
        Probability that a batch is mixed within the class: the paper's p_sel, ``mix_ratio`` in the
        authors' code.

    References
    ----------
    Yao et al., "Improving Out-of-Distribution Robustness via Selective Augmentation", ICML 2022,
    https://arxiv.org/abs/2201.00299

    Examples
    --------
    >>> import torch
    >>> from gbmix_sklearn import LISACriterion
    >>> x = torch.randn(64, 5)
    >>> y, s = torch.arange(64) % 2, torch.arange(64) // 2 % 2
    >>> LISACriterion(alpha=2.0)(torch.nn.Linear(5, 2), x, y, s).shape
    torch.Size([])
    """

    def __init__(self, alpha: float = 2.0, *, p_intra_label: float = 0.5):
        super().__init__()
        self.alpha = check_alpha(alpha)
        self.p_intra_label = check_number("p_intra_label", p_intra_label, high=1)

    def forward(self, model: nn.Module, x: Tensor, y: Tensor, s: Tensor) -> Tensor:
        """Loss of one batch.

        Parameters
        ----------
        model : Module
            Maps inputs to logits of shape (batch, n_classes).
        x : Tensor of shape (batch, ...)
            Inputs of any shape.
        y, s : LongTensor of shape (batch,)
            Codes of the class and of the sensitive attribute.

        Returns
        -------
        Tensor of shape ()
            Loss with gradient.
        """
        same_y, same_s = y.unsqueeze(1) == y, s.unsqueeze(1) == s
        within_label = torch.rand(1, device=x.device) < self.p_intra_label
        qualifies = torch.where(within_label, same_y & ~same_s, same_s & ~same_y)
        partner = draw_partners(qualifies, same_y & same_s)
        lam = sample_beta(self.alpha, (len(x),), x)
        return pair_cross_entropy(model(mix_with(x, partner, lam)), y, y[partner], lam)
