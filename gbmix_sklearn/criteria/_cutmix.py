"""CutMix: a box of one image in the place of another's.

Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features",
ICCV 2019, https://arxiv.org/abs/1905.04899; the authors' code:
https://github.com/clovaai/CutMix-PyTorch
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._checks import check_number
from ._mixing import check_alpha, pair_cross_entropy, sample_beta

__all__ = ["CutMixCriterion"]


def draw_box(height: int, width: int, lam: float) -> tuple[slice, slice]:
    """Draw a box with ``1 - lam`` of an image's area and its shape, before what sticks out is cut.

    Its centre is uniform in the image. Drawn on the host, so that nothing waits for the device.

    Parameters
    ----------
    height, width : int
        Of the image.
    lam : float
        Share of the area that stays.

    Returns
    -------
    rows, columns : slice
        The box, within the image.
    """
    sides = []
    for length in (height, width):
        side = int(length * math.sqrt(1 - lam))
        start = int(torch.randint(length, ())) - side // 2
        sides.append(slice(max(start, 0), min(start + side, length)))
    return sides[0], sides[1]


class CutMixCriterion(nn.Module):
    """A box of each image comes from another image of the batch, and that share of the label.

    One box for each batch, whose partners are a permutation of it. Labels are mixed by the area
    that the box has within the image.

    Random numbers come from torch's global generators: the box from that of the CPU.

    Parameters
    ----------
    alpha : float, default=1.0
        The share that is kept is drawn from Beta(alpha, alpha), before the box is moved over the
        edges.
    p : float in [0, 1], default=1.0
        Probability that a batch is mixed; else its loss is the cross-entropy. The paper uses 1 on
        ImageNet and 0.5 on CIFAR.

    Notes
    -----
    The authors' code makes the sides of the box even by leaving out a pixel; here they keep it, so
    that small images are mixed as well.

    References
    ----------
    Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    Features", ICCV 2019, https://arxiv.org/abs/1905.04899

    Examples
    --------
    >>> import torch
    >>> from gbmix_sklearn import CutMixCriterion
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
    >>> x, y, s = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    >>> CutMixCriterion(p=0.5)(model, x, y, s).shape
    torch.Size([])
    """

    def __init__(self, alpha: float = 1.0, *, p: float = 1.0):
        super().__init__()
        self.alpha = check_alpha(alpha)
        self.p = check_number("p", p, high=1)

    def forward(self, model: nn.Module, x: Tensor, y: Tensor, s: Tensor | None = None) -> Tensor:
        """Loss of one batch.

        Parameters
        ----------
        model : Module
            Maps inputs to logits of shape (batch, n_classes).
        x : Tensor of shape (batch, n_channels, height, width)
            Images.
        y : LongTensor of shape (batch,)
            Codes of the class.
        s : LongTensor of shape (batch,), default=None
            Not used: CutMix knows no groups.

        Returns
        -------
        Tensor of shape ()
            Loss with gradient.

        Raises
        ------
        ValueError
            If `x` does not have four dimensions.
        """
        if x.dim() != 4:
            raise ValueError(
                "CutMix cuts images: x must have 4 dimensions (batch, channels, height, width), "
                f"got a tensor of shape {tuple(x.shape)}"
            )
        if not torch.rand(()) < self.p:
            return F.cross_entropy(model(x), y).float()
        height, width = x.shape[2:]
        rows, columns = draw_box(height, width, float(sample_beta(self.alpha, (), torch.empty(0))))
        partner = torch.randperm(len(x), device=x.device)
        mixed = x.clone()
        box = x[:, :, rows, columns]
        mixed[:, :, rows, columns] = box.index_select(0, partner)
        kept = 1 - box[0, 0].numel() / (height * width)
        return pair_cross_entropy(model(mixed), y, y[partner], kept)
