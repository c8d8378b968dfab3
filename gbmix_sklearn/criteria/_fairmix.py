"""Fair Mixup: predictions that do not change along paths between the groups.

Chuang and Mroueh, "Fair Mixup: Fairness via Interpolation", ICLR 2021,
https://arxiv.org/abs/2103.06503; the authors' code: https://github.com/chingyaoc/fair-mixup
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from ._checks import check_number
from ._draws import draw_sides
from ._mixing import mix

__all__ = ["FairMixCriterion"]


def path_slopes(model: nn.Module, x: Tensor, direction: Tensor) -> Tensor:
    """Mean slope of each class probability when the inputs move in a direction.

    Parameters
    ----------
    model : Module
        Maps inputs to logits of shape (batch, n_classes).
    x, direction : Tensor of shape (batch, ...)
        The inputs, and where each of them moves.

    Returns
    -------
    Tensor of shape (1,) or (n_classes,)
        With gradient. For two classes only that of the second, the published quantity.
    """
    # Backward twice: with forward-mode differentiation, which would give all classes at once, the
    # gradients of batch and layer normalization are wrong (as of torch 2.14). Fused attention and
    # compiled models can be differentiated only once.
    x.requires_grad_(True)
    with sdpa_kernel(SDPBackend.MATH):
        # a copy, since the model may begin with an operation in place, which leaves forbid
        logits = getattr(model, "_orig_mod", model)(x.clone())
    probability = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(1)
    slopes = []
    for column in probability[:, 1:].unbind(1):
        (gradient,) = torch.autograd.grad(column.sum(), x, create_graph=True)
        slopes.append((gradient * direction).sum() / len(x))
    if len(slopes) > 1:  # the probabilities sum to one, and their slopes to zero
        slopes.insert(0, -torch.stack(slopes).sum())
    return torch.stack(slopes)


class FairMixCriterion(nn.Module):
    """Cross-entropy, and a penalty on how predictions change along paths between groups.

    A path goes from samples of one attribute value to samples of another, ``x = g * x0 +
    (1 - g) * x1``, with one g ~ U(0, 1) for the path. The penalty is ``|E <grad f(x), x1 - x0>|``,
    the slope of the mean prediction along the path, where f is the softmax probability of the
    positive class. Beyond the published binary case:

    - with more than two classes, the absolute values of all class probabilities are summed (the sum
      of the probabilities never changes); with two, only that of the second counts, whose slope is
      minus that of the first;
    - with more than two attribute values, each batch draws two of those in it for each path.

    Half of the batch makes up either side of a path, or of the paths of all classes together: a
    side with more samples is cut at random, one with fewer repeated evenly. Use it with batches
    that are balanced by attribute (demographic parity) or by cell (equalized odds), as the authors'
    code draws them: :class:`gbmix_sklearn.sampling.GroupBalancedSampler`.

    The penalty needs gradients of gradients: with C classes it costs about C - 1 times what the
    binary one does. Compiled models run uncompiled in it. Random numbers come from torch's global
    generator.

    Parameters
    ----------
    weight : float, default=1.0
        Weight of the penalty: {1, 3, 5} in GBMix's comparison; the authors recommend 0.1 to 0.7
        (demographic parity) and 0.5 to 5 (equalized odds) for Adult, and 1 to 20 and 10 to 30 for
        CelebA.
    constraint : {"demographic_parity", "equalized_odds"}, default="demographic_parity"
        Paths between all samples of two attribute values, or between those of each class, whose
        penalties are summed.

    References
    ----------
    Chuang and Mroueh, "Fair Mixup: Fairness via Interpolation", ICLR 2021,
    https://arxiv.org/abs/2103.06503

    Examples
    --------
    >>> import torch
    >>> from gbmix_sklearn import FairMixCriterion
    >>> x = torch.randn(64, 5)
    >>> y, s = torch.arange(64) % 2, torch.arange(64) // 2 % 2
    >>> model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    >>> FairMixCriterion(weight=3.0, constraint="equalized_odds")(model, x, y, s).backward()
    """

    def __init__(
        self,
        weight: float = 1.0,
        *,
        constraint: Literal["demographic_parity", "equalized_odds"] = "demographic_parity",
    ):
        super().__init__()
        if constraint not in ("demographic_parity", "equalized_odds"):
            raise ValueError(
                f"constraint must be 'demographic_parity' or 'equalized_odds', got {constraint!r}"
            )
        self.weight = check_number("weight", weight)
        self.constraint = constraint

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
            Loss with gradient. Without two attribute values in the batch, or in one of its classes,
            nothing is penalized there.
        """
        logits = model(x.clone())  # the model may begin with an operation in place
        inside = torch.ones(1, len(x), dtype=torch.bool, device=x.device)
        if self.constraint == "equalized_odds":
            inside = torch.arange(logits.shape[1], device=y.device).unsqueeze(1) == y
        # two or more, which batch normalization asks for
        first, second, exists = draw_sides(inside, s, max(2, -(-len(x) // (2 * len(inside)))))
        share = torch.rand(len(inside), 1, device=x.device).expand_as(first)
        loss = F.cross_entropy(logits, y)
        for path in range(len(inside)):  # each a forward of its own, as in the authors' code
            direction = x.index_select(0, second[path]) - x.index_select(0, first[path])
            on_path = mix(x, first[path], second[path], share[path])
            slope = path_slopes(model, on_path, direction).abs().sum()
            loss = loss + self.weight * exists[path] * slope
        return loss
