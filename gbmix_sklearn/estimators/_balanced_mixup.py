"""Mixup of two batches that are drawn in different ways: Balanced-MixUp and OBMix.

Galdran, Carneiro and Gonzalez Ballester, "Balanced-MixUp for Highly Imbalanced Medical Image
Classification", MICCAI 2021, https://arxiv.org/abs/2109.09850. Zhang, Chen, Zhang and Peng,
"Label-Occurrence-Balanced Mixup for Long-tailed Recognition", ICASSP 2022,
https://arxiv.org/abs/2110.04964
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.utils._param_validation import Interval
from torch import nn

from ..criteria import BalancedMixUpCriterion, OBMixCriterion
from ..groups import Cells
from ..sampling import GroupBalancedSampler, PairedSampler, ShuffledSampler
from ._balance import Balanced
from ._base import GroupClassifier
from ._cell_shares import BalancesCells
from ._docs import document

__all__ = ["BalancedMixUpClassifier", "OBMixClassifier"]


@document
@dataclass(eq=False, repr=False)
class BalancedMixUpClassifier(GroupClassifier):
    """Balanced-MixUp: the data as they are, mixed with a small share of class-balanced samples.

    Each step draws a shuffled and a class-balanced batch, and trains on the one mixed with the
    other. Groups are used for selection only, where they are given.

    Parameters
    ----------
    <common parameters>
    alpha : float, default=0.2
        The share of the class-balanced sample is drawn from Beta(alpha, 1), once for each batch.

    Attributes
    ----------
    <common attributes>

    See Also
    --------
    BalancedMixUpCriterion : The loss, for plain PyTorch loops.
    OBMixClassifier : Mixes two balanced batches.

    Notes
    -----
    The paper reports on medical images without groups: no worst-group accuracies are published. Its
    code draws the class-balanced samples one by one with replacement; here each batch has the same
    number of every class, and no sample twice where the class has enough.

    References
    ----------
    Galdran, Carneiro and Gonzalez Ballester, "Balanced-MixUp for Highly Imbalanced Medical Image
    Classification", MICCAI 2021, https://arxiv.org/abs/2109.09850

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from gbmix_sklearn import BalancedMixUpClassifier
    >>> X, y = make_classification(400, weights=[0.9], class_sep=2, random_state=0)
    >>> BalancedMixUpClassifier(random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    _: KW_ONLY
    alpha: float = 0.2

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **GroupClassifier._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="neither")],
    }

    def _make_criterion(self, cells: Cells) -> nn.Module:
        return BalancedMixUpCriterion(self.alpha)

    def _make_sampler(self, cells: Cells, rng: np.random.Generator) -> PairedSampler:
        return PairedSampler(
            ShuffledSampler(cells.y, self.batch_size),
            GroupBalancedSampler(cells.y, self.batch_size),
        )


@document
@dataclass(eq=False, repr=False)
class OBMixClassifier(BalancesCells, Balanced):
    """OBMix, label-occurrence-balanced mixup: two balanced batches, mixed with each other.

    The batches of each step are drawn independently, so that mixed labels have as much of every
    class (or cell) as of any other.

    Parameters
    ----------
    <common parameters>
    balance : {"group", "class"}, default="class"
        What batches have equal numbers of: classes, as published, or cells (class x attribute),
        which needs groups.
    cell_shares : {"equal", "learned"}, default="equal"
        Shares of the cells in a batch. "learned": after each epoch, cells with larger errors on the
        validation part get more, at most four times their share at the beginning.
    alpha : float, default=1.0
        Mixing ratios are drawn from Beta(alpha, alpha), one for each batch.

    Attributes
    ----------
    <common attributes>

    See Also
    --------
    OBMixCriterion : The loss, for plain PyTorch loops.
    GBMixClassifier : Chooses what to mix by group, around the worst one.

    Notes
    -----
    Worst-group accuracy with a ResNet-50 in GBMix's comparison: 87.4 on Waterbirds, 85.7 on CelebA,
    75.6 on UTKFace, 87.2 on FairFace; it does not say whether classes or groups were balanced.

    References
    ----------
    Zhang, Chen, Zhang and Peng, "Label-Occurrence-Balanced Mixup for Long-tailed Recognition",
    ICASSP 2022, https://arxiv.org/abs/2110.04964

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from gbmix_sklearn import OBMixClassifier
    >>> X, y = make_classification(400, weights=[0.9], class_sep=2, random_state=0)
    >>> OBMixClassifier(random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    _: KW_ONLY
    balance: Literal["group", "class"] = "class"
    alpha: float = 1.0

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Balanced._parameter_constraints,
        **BalancesCells._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="neither")],
    }

    def _why_no_cells(self) -> str | None:
        return None if self.balance == "group" else f"balance={self.balance!r}"

    def _make_criterion(self, cells: Cells) -> nn.Module:
        return OBMixCriterion(self.alpha)

    def _make_sampler(self, cells: Cells, rng: np.random.Generator) -> PairedSampler:
        balanced = GroupBalancedSampler(self._balanced_codes(cells), self.batch_size)
        return PairedSampler(balanced, balanced)  # each draws anew: they are independent
