"""GBMix: mixup that is balanced around the worst group of each batch.

Hong et al., "GBMix: Enhancing Fairness by Group-Balanced Mixup", IEEE Access 2024, section V.
"""

from __future__ import annotations

from numbers import Integral
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._mixing import (
    check_alpha,
    commutes_with_mixing,
    mix,
    mixed_cross_entropy,
    sample_beta,
    soft_cross_entropy,
)
from ._mixup import mixup_loss
from ._modes import evaluating
from ._pairs import PAIRS, Pairs, balanced_pairs, coarse_groups

__all__ = ["GBMixCriterion", "StepPlan"]

#: group losses closer than this are a tie, which chance decides
_TIE = 1e-6


class StepPlan(NamedTuple):
    """All of a step that does not depend on the model, drawn before it.

    Attributes
    ----------
    averaging : Tensor of shape (n_cells, batch)
        Rows that average the samples of a cell.
    offset : Tensor of shape (n_cells,)
        Minus infinity for cells without a sample in the batch, else a tiny random number that
        breaks ties; with set shares, what alone decides the target.
    pairs : Pairs of shape (n_cells, 4 * k), or None
        The pairs for every cell that may become the target; None draws them once it is known.
    lam : Tensor of shape (2, 4 * k)
        Mixing ratios of both sides, which sum to one.
    labels : Tensor of shape (batch, n_classes)
        One-hot labels of the batch.
    """

    averaging: Tensor
    offset: Tensor
    pairs: Pairs | None
    lam: Tensor
    labels: Tensor


def _dense_cells(y: Tensor, s: Tensor) -> Tensor:
    """Number the cells of a batch from 0 without asking the device how many there are."""
    key, order = (y * 2**31 + s).sort()
    rank = torch.zeros_like(key)
    rank[1:] = (key[1:] != key[:-1]).cumsum(0)
    return torch.empty_like(rank).scatter_(0, order, rank)


class GBMixCriterion(nn.Module):
    """The loss of GBMix, Eq. 10: find the worst group, mix around it, sum four mean losses.

    Each call finds the cell (class x attribute) with the largest mean loss in the batch, the
    target; sorts the batch into four coarse groups relative to it; mixes `k` samples for each of
    the four pairs of coarse groups that share the class or the attribute; and sums the four mean
    cross-entropies. The sum is 4 times the scale of an ordinary mean.

    Use it with group-balanced batches (:class:`gbmix_sklearn.sampling.GroupBalancedSampler`).
    Random numbers come from torch's global generator.

    Parameters
    ----------
    alpha : float, default=1.0
        Mixing ratios are drawn from Beta(alpha, alpha). The paper gives no value.
    k : {"coarse", "cells"} or int, default="coarse"
        Mixed samples of each pair: a quarter of the batch (rounded up), the batch size divided by
        the number of cells (which needs `n_cells`), or a number.
    mix_granularity : {"sample", "pair", "batch"}, default="sample"
        What shares a mixing ratio.
    target_smoothing : float in [0, 1), default=0.0
        The target is the cell with the largest exponential average of its losses, of which the
        past has this share. 0 is the paper. Needs `n_groups`.
    categorize : bool, default=True
        False is the paper's ablation "without group categorization": vanilla mixup of the batch
        with a permutation of itself, a single mean.
    mix : bool, default=True
        False is the ablation "without balancing mixup": the `k` samples of either side of each
        pair, unmixed. With `categorize` False as well: cross-entropy of the batch.
    n_groups : int, default=None
        Number of attribute values. Makes large batches cheaper, and is needed for
        `target_smoothing`. The codes in `s` must then be 0 to n_groups - 1; this is not checked,
        since a check would wait for the device.
    n_cells : int, default=None
        Number of present cells, for ``k="cells"``.

    Attributes
    ----------
    target : LongTensor of shape (1,)
        The last target, as ``y * n_groups + s``; without `n_groups` it is the rank of the cell
        among those in the batch.

    References
    ----------
    Hong et al., "GBMix: Enhancing Fairness by Group-Balanced Mixup", IEEE Access 2024.

    Examples
    --------
    >>> import torch
    >>> x = torch.randn(64, 5)
    >>> y, s = torch.arange(64) % 2, torch.arange(64) // 2 % 2
    >>> model = torch.nn.Linear(5, 2)
    >>> loss = GBMixCriterion(alpha=1.0)(model, x, y, s)
    >>> loss.backward()
    """

    smoothed: Tensor
    log_shares: Tensor | None
    importance: Tensor | None

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        k: int | Literal["coarse", "cells"] = "coarse",
        mix_granularity: Literal["sample", "pair", "batch"] = "sample",
        target_smoothing: float = 0.0,
        categorize: bool = True,
        mix: bool = True,
        n_groups: int | None = None,
        n_cells: int | None = None,
    ):
        super().__init__()
        whole = isinstance(k, Integral) and not isinstance(k, bool) and k >= 1
        if not whole and k not in ("coarse", "cells"):
            raise ValueError(f"k must be 'coarse', 'cells' or a positive int, got {k!r}")
        if mix_granularity not in ("sample", "pair", "batch"):
            raise ValueError(
                f"mix_granularity must be 'sample', 'pair' or 'batch', got {mix_granularity!r}"
            )
        if not 0 <= target_smoothing < 1:
            raise ValueError(f"target_smoothing must be in [0, 1), got {target_smoothing}")
        if target_smoothing and n_groups is None:
            raise ValueError("target_smoothing needs n_groups, the number of attribute values")
        if k == "cells" and n_cells is None:
            raise ValueError("k='cells' needs n_cells, the number of cells in the data")
        self.alpha = check_alpha(alpha)
        self.k = k
        self.mix_granularity = mix_granularity
        self.target_smoothing = target_smoothing
        self.categorize = categorize
        self.mix = mix
        self.n_groups = n_groups
        self.n_cells = n_cells
        self.target: Tensor | None = None
        # the exponential averages; their number is known with the first logits
        self.register_buffer("smoothed", torch.empty(0))
        # of set shares
        self._n_classes: int | None = None
        self.register_buffer("log_shares", None, persistent=False)
        self.register_buffer("importance", None, persistent=False)

    def set_cell_shares(self, shares: np.ndarray) -> None:
        """Let given shares of the cells, in place of losses, choose targets and weigh pairs.

        The target of a step is then drawn, each cell as often as its share says. A pair of coarse
        groups counts as much as the mean shares of the cells of either side say together; equal
        shares are the paper's equal weights.

        Parameters
        ----------
        shares : ndarray of shape (n_cells,)
            Share of each cell, numbered ``y * n_groups + s``, of any sum; 0 for absent ones.
        """
        if self.n_groups is None:
            raise ValueError("shares of cells need n_groups, the number of attribute values")
        device = self.smoothed.device
        share = torch.as_tensor(shares, dtype=torch.float32, device=device)
        cell = torch.arange(len(share), device=device)
        y, s = cell // self.n_groups, cell % self.n_groups
        coarse = coarse_groups(y.unsqueeze(0), s.unsqueeze(0), y, s)  # of each cell, by target
        member = F.one_hot(coarse, 4) * (share > 0).unsqueeze(1)
        mean = (member * share.unsqueeze(1)).sum(1) / member.sum(1).clamp(min=1)
        self._n_classes = len(share) // self.n_groups
        self.log_shares = share.log()
        self.importance = torch.stack([mean[:, one] + mean[:, other] for one, other in PAIRS], 1)

    def plan(self, y: Tensor, s: Tensor, n_classes: int) -> list[StepPlan] | None:
        """Draw everything of coming steps that does not depend on the model.

        One step costs a few large operations less; which matters where the model is small.

        Parameters
        ----------
        y, s : LongTensor of shape (n_steps, batch)
            Codes of the coming batches.
        n_classes : int
            Number of classes.

        Returns
        -------
        list of StepPlan, or None
            To be given to the calls, in order. None where there is nothing to plan.
        """
        if not self.categorize or self.n_groups is None:
            return None
        n_cells = n_classes * self.n_groups
        averaging, offset = self._averaging(y * self.n_groups + s, n_cells)
        lam = self._ratios(len(y), y.shape[1], y)
        every: list[Pairs] | list[None]
        if n_cells <= 32:  # beyond, drawing for one target costs less than for all
            cell = torch.arange(n_cells, device=y.device)
            coarse = coarse_groups(
                y.unsqueeze(1), s.unsqueeze(1), cell // self.n_groups, cell % self.n_groups
            )
            k = self._k(y.shape[1])
            smallest = y.shape[1] // n_cells
            pairs = balanced_pairs(
                coarse,
                k,
                repeat=k > smallest or self.importance is not None,
                importance=self.importance,
            )
            every = [Pairs(*step) for step in zip(*(part.unbind(0) for part in pairs), strict=True)]
        else:
            every = [None] * len(y)
        labels = F.one_hot(y, n_classes).float()
        parts = (averaging.unbind(0), offset.unbind(0), every, lam.unbind(0), labels.unbind(0))
        return [StepPlan(*step) for step in zip(*parts, strict=True)]

    def forward(
        self, model: nn.Module, x: Tensor, y: Tensor, s: Tensor, plan: StepPlan | None = None
    ) -> Tensor:
        """Loss of one group-balanced batch.

        Parameters
        ----------
        model : Module
            Maps inputs to logits of shape (batch, n_classes). Where it is affine, the logits that
            find the target are mixed instead of the inputs, which is the same and saves the second
            forward.
        x : Tensor of shape (batch, ...)
            Inputs of any shape.
        y, s : LongTensor of shape (batch,)
            Codes of the class and of the sensitive attribute.
        plan : StepPlan, default=None
            What :meth:`plan` drew for this very batch.

        Returns
        -------
        Tensor of shape ()
            Loss with gradient.
        """
        if not self.categorize:
            if self.mix:
                ratios = {"sample": len(x), "pair": 1, "batch": 1}[self.mix_granularity]
                return mixup_loss(model, x, y, sample_beta(self.alpha, (ratios,), x))
            return F.cross_entropy(model(x), y)
        affine = commutes_with_mixing(model)
        if affine:
            logits = model(x)
        elif self.log_shares is None:
            with torch.no_grad(), evaluating(model):
                logits = model(x.clone())  # the model may begin with an operation in place
            # older versions of autocast reuse casts that were made without gradient
            torch.clear_autocast_cache()
        with torch.no_grad():
            losses = None
            if self.log_shares is None:
                losses = F.cross_entropy(logits, y, reduction="none").float()
            if plan is None:
                n_classes = logits.shape[1] if self._n_classes is None else self._n_classes
                plan = self._plan_one(y, s, n_classes)
            pairs = self._choose(losses, plan, y, s)
        if affine and self.mix:
            return mixed_cross_entropy(logits, plan.labels, pairs.members, plan.lam, pairs.weight)
        if self.mix:
            target = mix(plan.labels, pairs.first, pairs.second, plan.lam[0])
            target *= pairs.weight.unsqueeze(1)
            return soft_cross_entropy(model(mix(x, pairs.first, pairs.second, plan.lam[0])), target)
        both = pairs.members.flatten()
        target = plan.labels.index_select(0, both) * (pairs.weight / 2).repeat(2).unsqueeze(1)
        logits = logits.index_select(0, both) if affine else model(x.index_select(0, both))
        return soft_cross_entropy(logits, target)

    def _k(self, batch: int) -> int:
        if self.k == "coarse":
            return -(-batch // 4)
        if self.k == "cells":
            assert self.n_cells is not None
            return max(1, round(batch / self.n_cells))
        return int(self.k)

    def _ratios(self, n_steps: int, batch: int, like: Tensor) -> Tensor:
        """Mixing ratios of both sides, shape (n_steps, 2, 4 * k)."""
        k = self._k(batch)
        n_ratios = {"sample": 4 * k, "pair": 4, "batch": 1}[self.mix_granularity]
        lam = sample_beta(self.alpha, (n_steps, n_ratios), like)
        lam = lam.repeat_interleave(4 * k // n_ratios, dim=1)
        return torch.stack([lam, 1 - lam], dim=1)

    def _averaging(self, cell: Tensor, n_cells: int) -> tuple[Tensor, Tensor]:
        numbers = torch.arange(n_cells, device=cell.device).unsqueeze(-1)
        member = (cell.unsqueeze(-2) == numbers).float()
        counts = member.sum(-1)
        chance = torch.rand(counts.shape, device=cell.device)
        if self.log_shares is None:
            offset = _TIE * chance
        else:  # the largest sum with Gumbel noise is a draw with these probabilities
            offset = self.log_shares - (-chance.log()).log()
        offset = offset.masked_fill(counts == 0, -torch.inf)
        return member / counts.clamp(min=1).unsqueeze(-1), offset

    def _plan_one(self, y: Tensor, s: Tensor, n_classes: int) -> StepPlan:
        if self.n_groups is None:
            cell, n_cells = _dense_cells(y, s), len(y)
        else:
            cell, n_cells = y * self.n_groups + s, n_classes * self.n_groups
        averaging, offset = self._averaging(cell, n_cells)
        labels = F.one_hot(y, n_classes).float()
        return StepPlan(averaging, offset, None, self._ratios(1, len(y), y)[0], labels)

    def _choose(self, losses: Tensor | None, plan: StepPlan, y: Tensor, s: Tensor) -> Pairs:
        """Find the target, and the pairs around it."""
        if losses is None:
            score = plan.offset
        elif losses.is_cuda:  # where autocast computes products of matrices in half precision
            score = (plan.averaging * losses).sum(1) + plan.offset
        else:
            score = torch.addmv(plan.offset, plan.averaging, losses)
        if self.target_smoothing and losses is not None:
            score = self._smooth(score)
        target = score.argmax(0, keepdim=True)
        self.__dict__["target"] = target  # past the bookkeeping of Module, for speed
        if plan.pairs is not None:
            members, weight = plan.pairs
            return Pairs(members.index_select(0, target)[0], weight.index_select(0, target)[0])
        sample = plan.averaging.index_select(0, target).squeeze(0).argmax(0, keepdim=True)
        y_target, s_target = y.index_select(0, sample), s.index_select(0, sample)
        coarse = coarse_groups(y, s, y_target.squeeze(0), s_target.squeeze(0))
        importance = None
        if self.importance is not None:
            importance = self.importance.index_select(0, target).squeeze(0)
        return balanced_pairs(coarse, self._k(len(y)), importance=importance)

    def _smooth(self, score: Tensor) -> Tensor:
        if len(self.smoothed) != len(score):
            self.smoothed = torch.full_like(score, torch.nan)
        present = score > -torch.inf
        past = torch.where(self.smoothed.isnan(), score, self.smoothed)
        new = torch.lerp(score, past, self.target_smoothing)
        self.smoothed = torch.where(present, new, self.smoothed)
        return torch.where(present, new, -torch.inf)
