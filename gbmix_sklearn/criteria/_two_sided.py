"""Mixup of two batches that are drawn in different ways: Balanced-MixUp and OBMix.

Galdran, Carneiro and Gonzalez Ballester, "Balanced-MixUp for Highly Imbalanced Medical Image
Classification", MICCAI 2021, https://arxiv.org/abs/2109.09850; the authors' code:
https://github.com/agaldran/balanced_mixup. Zhang, Chen, Zhang and Peng,
"Label-Occurrence-Balanced Mixup for Long-tailed Recognition", ICASSP 2022,
https://arxiv.org/abs/2110.04964
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._mixing import blend, check_alpha, pair_cross_entropy, sample_beta

__all__ = ["BalancedMixUpCriterion", "OBMixCriterion"]


def two_sided_loss(model: nn.Module, x: Tensor, y: Tensor, lam: Tensor) -> Tensor:
    """Mean cross-entropy of the first half of a batch, mixed with its second half.

    Parameters
    ----------
    model : Module
        Maps inputs to logits.
    x : Tensor of shape (2 * n, ...)
    y : LongTensor of shape (2 * n,)
    lam : Tensor of shape (1,) or (n,)
        How much the first half counts.
    """
    if len(x) % 2:
        raise ValueError(
            f"a batch must have two halves of one length, got {len(x)} samples: draw it with "
            "PairedSampler"
        )
    first, second = x.chunk(2)
    y_first, y_second = y.chunk(2)
    return pair_cross_entropy(model(blend(first, second, lam)), y_first, y_second, lam)


class BalancedMixUpCriterion(nn.Module):
    """Mixup of a batch as the data are with a class-balanced one.

    The first half of a batch has weight ``1 - lambda``, the second half ``lambda``, which is drawn
    from Beta(alpha, 1), once for each batch as in the authors' code: mostly small, so that the
    balanced samples, many of them repeated, are added in small doses.

    Use it with ``PairedSampler(ShuffledSampler(y, n), GroupBalancedSampler(y, n))`` of
    :mod:`gbmix_sklearn.sampling`. Random numbers come from torch's global generator.

    Parameters
    ----------
    alpha : float, default=0.2
        Mixing ratios are drawn from Beta(alpha, 1), whose mean is ``alpha / (alpha + 1)``. The
        authors' experiments have 0.1, 0.2 and 0.3.

    References
    ----------
    Galdran, Carneiro and Gonzalez Ballester, "Balanced-MixUp for Highly Imbalanced Medical Image
    Classification", MICCAI 2021, https://arxiv.org/abs/2109.09850

    Examples
    --------
    >>> import torch
    >>> from gbmix_sklearn import BalancedMixUpCriterion
    >>> x = torch.randn(8, 3)  # four samples as they come, then two of each class
    >>> y, s = torch.tensor([0, 0, 0, 1, 0, 0, 1, 1]), torch.zeros(8, dtype=torch.long)
    >>> BalancedMixUpCriterion(alpha=0.2)(torch.nn.Linear(3, 2), x, y, s).shape
    torch.Size([])
    """

    def __init__(self, alpha: float = 0.2):
        super().__init__()
        self.alpha = check_alpha(alpha)

    def forward(self, model: nn.Module, x: Tensor, y: Tensor, s: Tensor | None = None) -> Tensor:
        """Loss of one batch.

        Parameters
        ----------
        model : Module
            Maps inputs to logits of shape (batch, n_classes).
        x : Tensor of shape (2 * n, ...)
            Inputs of any shape, the class-balanced ones last.
        y : LongTensor of shape (2 * n,)
            Codes of the class.
        s : LongTensor of shape (2 * n,), default=None
            Not used: the sampler does the balancing.

        Returns
        -------
        Tensor of shape ()
            Loss with gradient.

        Raises
        ------
        ValueError
            If the number of samples is odd.
        """
        uniform = torch.rand(1, device=x.device)
        # inverts the distribution function of Beta(alpha, 1)
        balanced = uniform ** (1 / self.alpha)
        return two_sided_loss(model, x, y, 1 - balanced)


class OBMixCriterion(nn.Module):
    """Mixup of two balanced batches that are drawn independently.

    Both halves of a batch are balanced, so that mixed labels have as much of each class (or cell)
    as of any other; mixup of one batch as the data are, has mostly labels of the largest class.

    Use it with ``PairedSampler(GroupBalancedSampler(y, n), GroupBalancedSampler(y, n))`` of
    :mod:`gbmix_sklearn.sampling`, by class as published, or by cell. Random numbers come from
    torch's global generator.

    Parameters
    ----------
    alpha : float, default=1.0
        Mixing ratios are drawn from Beta(alpha, alpha), one for each batch as in mixup.

    References
    ----------
    Zhang, Chen, Zhang and Peng, "Label-Occurrence-Balanced Mixup for Long-tailed Recognition",
    ICASSP 2022, https://arxiv.org/abs/2110.04964

    Examples
    --------
    >>> import torch
    >>> from gbmix_sklearn import OBMixCriterion
    >>> x = torch.randn(8, 3)  # twice two of each class
    >>> y, s = torch.tensor([0, 0, 1, 1, 1, 0, 0, 1]), torch.zeros(8, dtype=torch.long)
    >>> OBMixCriterion()(torch.nn.Linear(3, 2), x, y, s).shape
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
        x : Tensor of shape (2 * n, ...)
            Inputs of any shape.
        y : LongTensor of shape (2 * n,)
            Codes of the class.
        s : LongTensor of shape (2 * n,), default=None
            Not used: the samplers do the balancing.

        Returns
        -------
        Tensor of shape ()
            Loss with gradient.

        Raises
        ------
        ValueError
            If the number of samples is odd.
        """
        return two_sided_loss(model, x, y, sample_beta(self.alpha, (1,), x))
