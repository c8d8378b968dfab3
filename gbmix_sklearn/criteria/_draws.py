"""Drawing samples of a batch at random and evenly, without waiting for the device."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["draw_members", "draw_partners", "draw_sides"]


def draw_members(mask: Tensor, k: int) -> Tensor:
    """Draw `k` samples of each mask: random permutations of its samples, one after another.

    A mask with more than `k` samples gives distinct ones, a smaller one repeats its samples
    evenly. An empty mask gives positions that mean nothing.

    Parameters
    ----------
    mask : BoolTensor of shape (..., batch)
        The samples to draw from.
    k : int
        How many.

    Returns
    -------
    LongTensor of shape (..., k)
        Positions in the batch.

    Examples
    --------
    >>> import torch
    >>> draw_members(torch.tensor([False, True, False, True]), 6).bincount()
    tensor([0, 3, 0, 3])
    """
    device = mask.device
    size = mask.sum(-1, keepdim=True).clamp(min=1)
    # the factor 2 leaves a gap that rounding cannot close
    order = (torch.rand(mask.shape, device=device) + 2 * ~mask).argsort(-1)
    position = torch.arange(k, device=device)
    members = order.gather(-1, position % size)
    # every repetition in an order of its own
    shuffled = torch.rand(members.shape, device=device) + 2 * (position // size)
    return members.gather(-1, shuffled.argsort(-1))


def draw_partners(qualifies: Tensor, alike: Tensor) -> Tensor:
    """Draw a partner for each sample, so that samples that are alike use all partners evenly.

    The partners of samples that are alike are random permutations of those that qualify, one after
    another.

    Parameters
    ----------
    qualifies : BoolTensor of shape (batch, batch)
        Whether the second sample may be the partner of the first; the same for all that are alike.
    alike : BoolTensor of shape (batch, batch)
        Whether two samples draw from the same partners.

    Returns
    -------
    LongTensor of shape (batch,)
        Positions in the batch; a sample without a partner has itself.

    Examples
    --------
    >>> import torch
    >>> cell = torch.tensor([0, 0, 0, 1, 2])
    >>> alike = cell[:, None] == cell
    >>> draw_partners((cell[:, None] < 2) & (cell < 2) & ~alike, alike)[[0, 1, 2, 4]]
    tensor([3, 3, 3, 4])
    """
    itself = torch.arange(len(alike), device=alike.device)
    drawn = draw_members(qualifies, len(alike))
    first = alike.int().argmax(1)  # of those that are alike: they share its draws, in turn
    turn = alike.tril(-1).sum(1)
    return torch.where(qualifies.any(1), drawn[first, turn], itself)


def draw_sides(inside: Tensor, s: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw two attribute values that occur among some samples, and `k` samples of either.

    Parameters
    ----------
    inside : BoolTensor of shape (n_paths, batch)
        The samples that each path may use.
    s : LongTensor of shape (batch,)
        Codes of the sensitive attribute.
    k : int
        Samples of each side, see :func:`draw_members`.

    Returns
    -------
    first, second : LongTensor of shape (n_paths, k)
        Positions in the batch.
    exists : BoolTensor of shape (n_paths,)
        Whether there are two values; otherwise the positions mean nothing.
    """
    # one random number for each value: the first sample that has it stands for it
    first_alike = (s.unsqueeze(1) == s).int().argmax(1)
    score = torch.rand(inside.shape, device=s.device)[:, first_alike]
    sides: list[Tensor] = []
    for _ in range(2):
        value = s[torch.where(inside, score, -1).argmax(1)]
        side = inside & (s == value.unsqueeze(1))
        sides.append(side)
        inside = inside & ~side
    return draw_members(sides[0], k), draw_members(sides[1], k), sides[1].any(1)
