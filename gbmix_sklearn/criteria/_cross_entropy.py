"""Cross-entropy on the batch as it is: empirical risk minimisation."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["CrossEntropyCriterion"]


class CrossEntropyCriterion(nn.Module):
    """Mean cross-entropy of the unmixed batch.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(3, 2)
    >>> x, y, s = torch.randn(4, 3), torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    >>> CrossEntropyCriterion()(model, x, y, s).shape
    torch.Size([])
    """

    def forward(self, model: nn.Module, x: Tensor, y: Tensor, s: Tensor | None = None) -> Tensor:
        """Loss of one batch: a scalar with gradient."""
        return F.cross_entropy(model(x), y)
