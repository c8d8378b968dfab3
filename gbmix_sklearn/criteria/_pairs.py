"""GBMix's group categorization and balanced pairs, as pure functions.

Hong et al., "GBMix: Enhancing Fairness by Group-Balanced Mixup", IEEE Access 2024, sections V-B
and V-C. All functions accept leading dimensions, so that many steps, or all possible targets of a
step, are prepared at once; none of them waits for the device.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["PAIRS", "Pairs", "balanced_pairs", "coarse_groups"]

#: the pairs (0,1), (0,2), (1,3), (2,3) share the class or the attribute
PAIRS = ((0, 1), (0, 2), (1, 3), (2, 3))


class Pairs(NamedTuple):
    """Which samples of a batch to mix, and how much each mixed sample counts.

    Attributes
    ----------
    members : LongTensor of shape (..., 2, 4 * k)
        Positions in the batch of both sides, pair after pair in the order (0,1), (0,2), (1,3),
        (2,3).
    weight : Tensor of shape (..., 4 * k)
        ``1 / k`` where all four pairs exist, so that a weighted sum is the sum of four means.
    """

    members: Tensor
    weight: Tensor

    @property
    def first(self) -> Tensor:
        """The sides that are weighted by lambda, shape (..., 4 * k)."""
        return self.members[..., 0, :]

    @property
    def second(self) -> Tensor:
        """The other sides."""
        return self.members[..., 1, :]


def coarse_groups(y: Tensor, s: Tensor, y_target: Tensor, s_target: Tensor) -> Tensor:
    """Categorize samples relative to a target cell.

    Parameters
    ----------
    y, s : LongTensor of shape (..., batch)
        Class and attribute codes.
    y_target, s_target : LongTensor of shape (...)
        Class and attribute of the target cell.

    Returns
    -------
    LongTensor of shape (..., batch)
        0: the target cell; 1: same class, other attribute; 2: other class, same attribute;
        3: both differ.

    Examples
    --------
    >>> import torch
    >>> y, s = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    >>> coarse_groups(y, s, torch.tensor(1), torch.tensor(0))
    tensor([2, 3, 0, 1])
    """
    return 2 * (y != y_target.unsqueeze(-1)).long() + (s != s_target.unsqueeze(-1)).long()


@lru_cache(maxsize=16)
def _sides(device: torch.device) -> tuple[Tensor, Tensor]:
    """Coarse group of each of the eight sides, and which of two random orders it follows."""
    groups = [pair[0] for pair in PAIRS] + [pair[1] for pair in PAIRS]
    # each coarse group is a side of two pairs; the second time it follows its second order
    order = [groups[:place].count(group) for place, group in enumerate(groups)]
    return torch.tensor(groups, device=device), torch.tensor(order, device=device)


def balanced_pairs(
    coarse: Tensor, k: int, *, repeat: bool = True, importance: Tensor | None = None
) -> Pairs:
    """Draw `k` pairs of samples for each of the four pairs of coarse groups.

    Each side is random permutations of its coarse group, one after another, cut to `k`: a group
    smaller than `k` is resampled evenly, a larger one discarded from. A pair with an empty side
    gets no weight, and the others are scaled up to four pairs. With no pair left, the batch stands
    for itself, unmixed.

    Parameters
    ----------
    coarse : LongTensor of shape (..., batch)
        Coarse group of each sample, see :func:`coarse_groups`.
    k : int
        Mixed samples of each pair.
    repeat : bool, default=True
        Whether a coarse group can be smaller than `k`; False saves work where the caller expects
        that none is. One that is smaller all the same is then repeated in one order.
    importance : Tensor of shape (..., 4), default=None
        How much each pair counts, of any sum; None is equally much.

    Returns
    -------
    Pairs
        Positions and weights.
    """
    device, batch = coarse.device, coarse.shape[-1]
    side, order_of_side = _sides(device)
    counts = (coarse.unsqueeze(-2) == torch.arange(4, device=device).unsqueeze(-1)).sum(-1)
    start = counts.cumsum(-1) - counts
    size = counts[..., side].clamp(min=1).unsqueeze(-1)
    # two random orders of the batch, coarse group after coarse group; the factor 2 leaves a gap
    # that rounding cannot close
    key = torch.rand(*coarse.shape[:-1], 2, batch, device=device) + 2 * coarse.unsqueeze(-2)
    order = key.argsort(-1)
    position = torch.arange(k, device=device)
    place = start[..., side].unsqueeze(-1) + position % size
    place = place.clamp(max=batch - 1) + batch * order_of_side.unsqueeze(-1)
    members = order.flatten(-2).gather(-1, place.flatten(-2)).unflatten(-1, (8, k))
    if repeat:  # every repetition of a small group in an order of its own
        shuffled = torch.rand(members.shape, device=device) + 2 * (position // size)
        members = members.gather(-1, shuffled.argsort(-1))
    members = members.unflatten(-2, (2, 4)).flatten(-2)

    exists = (counts[..., side[:4]] > 0) & (counts[..., side[4:]] > 0)
    n_pairs = exists.sum(-1, keepdim=True)
    if importance is None:
        weight = exists * (4 / k) / n_pairs.clamp(min=1)
    else:
        weight = exists * importance
        weight *= (4 / k) / weight.sum(-1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny)
    weight = weight.repeat_interleave(k, dim=-1)

    row = torch.arange(4 * k, device=device)
    alone = n_pairs == 0
    itself = row % batch if 4 * k >= batch else row * batch // (4 * k)
    members = torch.where(alone.unsqueeze(-1), itself, members)
    weight = torch.where(alone, (row < batch) * (4 / min(batch, 4 * k)), weight)
    return Pairs(members, weight)
