"""GBMix.

Hong et al., "GBMix: Enhancing Fairness by Group-Balanced Mixup", IEEE Access 2024.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from ..criteria import GBMixCriterion
from ..groups import Cells
from ..sampling import GroupBalancedSampler
from ._cell_shares import BalancesCells
from ._docs import document

__all__ = ["GBMixClassifier"]


@document
@dataclass(eq=False, repr=False)
class GBMixClassifier(BalancesCells):
    """Group-balanced mixup around the worst group, with a refit of the last layer.

    Each step draws a batch with an equal number from every cell (class x attribute), finds the cell
    with the largest loss, mixes it in balance with the cells that share its class or its attribute,
    and trains on the mixed samples. The last layer is then fitted anew, with a balance of cells
    that is learned from errors on held-out samples; ``refit="dfr"`` does it as in the paper.
    Without groups the method balances classes, and warns.

    Parameters
    ----------
    <common parameters>
    cell_shares : {"equal", "learned"}, default="equal"
        Shares of the cells in a batch. "learned": after each epoch, cells with larger errors on the
        validation part get more, at most four times their share at the beginning. They
        also choose the targets, in place of losses, and weigh the four pairs.
    alpha : float, default=1.0
        Mixing ratios are drawn from Beta(alpha, alpha). The paper gives no value.
    k : {"coarse", "cells"} or int, default="coarse"
        Mixed samples for each of the four pairs of coarse groups: a quarter of the batch, the batch
        size divided by the number of cells, or a number.
    mix_granularity : {"sample", "pair", "batch"}, default="sample"
        What shares a mixing ratio.
    target_smoothing : float in [0, 1), default=0.0
        Share of the past in the exponential average of the cell losses that choose the target; 0 is
        the paper.
    categorize : bool, default=True
        False: without group categorization, an ablation of the paper.
    mix : bool, default=True
        False: without balanced mixup, an ablation of the paper.

    Attributes
    ----------
    <common attributes>

    See Also
    --------
    GBMixCriterion : The loss, for plain PyTorch loops.
    ERMClassifier : No mixing, no balance.

    Notes
    -----
    On a matrix without hidden layers the network is a linear layer, and mixing neither gains nor
    loses much: there the refit decides. ``refit=None`` shows what mixing alone does.

    References
    ----------
    Hong, Yoon, Joo and Lee, "GBMix: Enhancing Fairness by Group-Balanced Mixup", IEEE Access 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from gbmix_sklearn import GBMixClassifier, worst_group_accuracy_score
    >>> rng = np.random.default_rng(0)
    >>> y, s = rng.integers(2, size=(2, 400))
    >>> X = rng.normal(size=(400, 5)) + 3 * y[:, None] * [1, 1, 0, 0, 0] + s[:, None]
    >>> model = GBMixClassifier(random_state=0).fit(X, y, groups=s)
    >>> worst_group_accuracy_score(y, model.predict(X), groups=s) > 0.8
    True
    """

    _: KW_ONLY
    refit: Any = "auto"
    alpha: float = 1.0
    k: int | Literal["coarse", "cells"] = "coarse"
    mix_granularity: Literal["sample", "pair", "batch"] = "sample"
    target_smoothing: float = 0.0
    categorize: bool = True
    mix: bool = True

    _groups_policy: ClassVar[Literal["require", "warn", "optional"]] = "warn"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BalancesCells._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "k": [StrOptions({"coarse", "cells"}), Interval(Integral, 1, None, closed="left")],
        "mix_granularity": [StrOptions({"sample", "pair", "batch"})],
        "target_smoothing": [Interval(Real, 0, 1, closed="left")],
        "categorize": ["boolean"],
        "mix": ["boolean"],
    }

    @property
    def _loss_scale(self) -> float:  # type: ignore[override]
        return 4.0 if self.categorize else 1.0

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.cell_shares == "learned" and self.target_smoothing:
            raise ValueError(
                f"target_smoothing={self.target_smoothing} averages the losses that choose "
                "targets, and with cell_shares='learned' shares choose them: leave one of them out"
            )

    def _make_criterion(self, cells: Cells) -> nn.Module:
        return GBMixCriterion(
            self.alpha,
            k=self.k,
            mix_granularity=self.mix_granularity,
            target_smoothing=self.target_smoothing,
            categorize=self.categorize,
            mix=self.mix,
            n_groups=len(cells.attribute),
            n_cells=len(cells.present),
        )

    def _make_sampler(self, cells: Cells, rng: np.random.Generator) -> GroupBalancedSampler:
        return GroupBalancedSampler(cells.codes, self.batch_size)
