"""Group DRO: cells weigh more the larger their losses were.

Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020,
https://arxiv.org/abs/1911.08731; the authors' code: https://github.com/kohpangwei/group_DRO
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._checks import check_counts, check_number

__all__ = ["GroupDROCriterion"]


class GroupDROCriterion(nn.Module):
    """The cells' mean losses, weighted by an exponentiated-gradient ascent on the weights.

    Each call multiplies the weight ``q`` of each cell (class x attribute) by
    ``exp(step_size * (loss + adjustment / sqrt(count)))``, makes the weights sum to one, and
    returns the sum of the cells' mean losses in the batch, weighted by them. As in the authors'
    code, a cell without a sample in the batch has loss 0.

    Use it with group-balanced batches (:class:`gbmix_sklearn.sampling.GroupBalancedSampler`) and
    strong weight decay.

    Parameters
    ----------
    counts : array-like of shape (n_classes * n_groups,)
        Training samples in each cell, numbered ``y * n_groups + s``; 0 for absent cells, which get
        no weight.
    n_groups : int
        Number of attribute values. The codes in `s` must be 0 to n_groups - 1; this is not
        checked, since a check would wait for the device.
    step_size : float, default=0.01
        Step size of the weights, the paper's eta.
    adjustment : float, default=0.0
        The paper's C, which favours small cells: 0 to 5 there, {1, 3, 5} in GBMix's comparison.

    Attributes
    ----------
    q : Tensor of shape (n_classes * n_groups,)
        The weights of the cells, at first the same for all that are present.

    References
    ----------
    Sagawa, Koh, Hashimoto and Liang, "Distributionally Robust Neural Networks for Group Shifts: On
    the Importance of Regularization for Worst-Case Generalization", ICLR 2020,
    https://arxiv.org/abs/1911.08731

    Examples
    --------
    >>> import torch
    >>> from gbmix_sklearn import GroupDROCriterion
    >>> criterion = GroupDROCriterion([90, 10, 10, 90], n_groups=2, adjustment=1.0)
    >>> x, y, s = torch.randn(4, 3), torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    >>> criterion(torch.nn.Linear(3, 2), x, y, s).backward()
    >>> round(criterion.q.sum().item(), 4)
    1.0
    """

    q: Tensor
    bonus: Tensor

    def __init__(
        self, counts: Any, n_groups: int, *, step_size: float = 0.01, adjustment: float = 0.0
    ):
        super().__init__()
        counts = check_counts(counts, n_groups)
        self.n_groups = n_groups
        self.step_size = check_number("step_size", step_size)
        present = counts > 0
        self.register_buffer("q", present / present.sum())
        bonus = check_number("adjustment", adjustment) / counts.clamp(min=1).sqrt()
        self.register_buffer("bonus", bonus, persistent=False)

    def forward(self, model: nn.Module, x: Tensor, y: Tensor, s: Tensor) -> Tensor:
        """Loss of one batch; updates the weights first.

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
            Loss with gradient. The authors' code adds ``adjustment / sqrt(count)`` to the losses in
            place, so that its value holds that constant too; the gradients are the same.
        """
        losses = F.cross_entropy(model(x), y, reduction="none").float()
        cell = torch.arange(len(self.q), device=y.device)
        member = (cell.unsqueeze(1) == y * self.n_groups + s).float()
        # no matrix product, which autocast would compute in half precision
        cell_losses = (member * losses).sum(1) / member.sum(1).clamp(min=1)
        with torch.no_grad():  # the product and its normalization, in logarithms
            ascent = self.step_size * (cell_losses + self.bonus)
            self.q = torch.softmax(self.q.log() + ascent, 0)
        return torch.dot(self.q, cell_losses)
