"""Mixup, and later its relatives that ignore groups in training."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval
from torch import nn

from ..criteria import MixupCriterion
from ..groups import Cells
from ._base import GroupClassifier
from ._docs import document

__all__ = ["MixupClassifier"]


@document
@dataclass(eq=False, repr=False)
class MixupClassifier(GroupClassifier):
    """Vanilla mixup: each batch is mixed with a permutation of itself.

    Groups are used for selection only, where they are given.

    Parameters
    ----------
    <common parameters>
    alpha : float, default=1.0
        Mixing ratios are drawn from Beta(alpha, alpha), one for each batch. The paper uses 1 on
        CIFAR and 0.2 on ImageNet.

    Attributes
    ----------
    <common attributes>

    See Also
    --------
    GBMixClassifier : Balanced mixup around the worst group.

    References
    ----------
    Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018,
    https://arxiv.org/abs/1710.09412

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from gbmix_sklearn import MixupClassifier
    >>> X, y = make_classification(200, random_state=0)
    >>> MixupClassifier(alpha=0.2, random_state=0).fit(X, y).score(X, y) > 0.8
    True
    """

    _: KW_ONLY
    alpha: float = 1.0

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **GroupClassifier._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="neither")],
    }

    def _make_criterion(self, cells: Cells) -> nn.Module:
        return MixupCriterion(self.alpha)
