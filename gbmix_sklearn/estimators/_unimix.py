"""UniMix.

Xu, Chai and Yuan, "Towards Calibrated Model for Long-Tailed Visual Recognition from Prior
Perspective", NeurIPS 2021, https://arxiv.org/abs/2111.03874
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.utils._param_validation import Interval
from torch import nn

from ..criteria import UniMixCriterion
from ..groups import Cells
from ._balance import Balanced
from ._docs import document

__all__ = ["UniMixClassifier"]


@document
@dataclass(eq=False, repr=False)
class UniMixClassifier(Balanced):
    """UniMix: mixup whose partners and ratios favour rare classes.

    The partners of a shuffled batch are drawn from it in proportion to a power of the counts of
    their classes (or cells), and mixing ratios are shifted towards the rarer side.

    Parameters
    ----------
    <common parameters>
    balance : {"group", "class"}, default="class"
        What is counted: classes, as published, or cells (class x attribute), which needs groups.
    alpha : float, default=0.8
        Parameter of the Beta distribution that ratios are drawn from before they are shifted.
    tau : float, default=-0.5
        Exponent of the counts; negative ones favour rare classes. The authors' configurations have
        -0.5 for CIFAR-10 and -0.1 for CIFAR-100.
    bayias : bool, default=False
        Compensate the prior of the classes in the training loss, as published together with UniMix.
        The numbers of GBMix's comparison look like plain cross-entropy.

    Attributes
    ----------
    <common attributes>

    See Also
    --------
    UniMixCriterion : The loss, for plain PyTorch loops.
    OBMixClassifier : Balances the batches instead of the pairs.

    Notes
    -----
    Worst-group accuracy with a ResNet-50 in GBMix's comparison: 78.3 on Waterbirds, 43.7 on CelebA,
    65.0 on UTKFace, 87.1 on FairFace.

    References
    ----------
    Xu, Chai and Yuan, "Towards Calibrated Model for Long-Tailed Visual Recognition from Prior
    Perspective", NeurIPS 2021, https://arxiv.org/abs/2111.03874

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from gbmix_sklearn import UniMixClassifier
    >>> X, y = make_classification(400, weights=[0.9], class_sep=2, random_state=0)
    >>> UniMixClassifier(random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    _: KW_ONLY
    balance: Literal["group", "class"] = "class"
    alpha: float = 0.8
    tau: float = -0.5
    bayias: bool = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Balanced._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "tau": [Interval(Real, None, None, closed="neither")],
        "bayias": ["boolean"],
    }

    def _make_criterion(self, cells: Cells) -> nn.Module:
        by_group = self.balance == "group"
        return UniMixCriterion(
            cells.counts if by_group else np.bincount(cells.y, minlength=len(cells.classes)),
            alpha=self.alpha,
            tau=self.tau,
            n_groups=len(cells.attribute) if by_group else None,
            bayias=self.bayias,
        )
