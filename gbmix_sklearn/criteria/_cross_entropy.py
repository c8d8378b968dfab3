"""Cross-entropy on the batch as it is: empirical risk minimisation."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["CrossEntropyCriterion"]


class CrossEntropyCriterion(nn.Module):
    """Mean cross-entropy of the batch as it is.

    On shuffled batches that is ERM, on balanced ones RWG, on those of a subsample SUBG.

    Examples
    --------
    >>> import torch
    >>> from gbmix_sklearn import CrossEntropyCriterion
    >>> model = torch.nn.Linear(3, 2)
    >>> x, y, s = torch.randn(4, 3), torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    >>> CrossEntropyCriterion()(model, x, y, s).shape
    torch.Size([])
    """

    def __init__(self) -> None:
        super().__init__()

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
            Not used.

        Returns
        -------
        Tensor of shape ()
            Loss with gradient.
        """
        return F.cross_entropy(model(x), y)
