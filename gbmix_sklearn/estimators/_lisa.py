"""LISA.

Yao et al., "Improving Out-of-Distribution Robustness via Selective Augmentation", ICML 2022,
https://arxiv.org/abs/2201.00299
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.utils._param_validation import Interval
from torch import nn

from ..criteria import LISACriterion
from ..groups import Cells
from ..sampling import GroupBalancedSampler
from ._cell_shares import BalancesCells
from ._docs import document

__all__ = ["LISAClassifier"]


@document
@dataclass(eq=False, repr=False)
class LISAClassifier(BalancesCells):
    """LISA: mixing within a class across attributes, or within an attribute across classes.

    Each group-balanced batch is mixed in one of the two ways, drawn at random; every sample gets a
    partner and a mixing ratio of its own.

    Parameters
    ----------
    <common parameters>
    cell_shares : {"equal", "learned"}, default="equal"
        Shares of the cells in a batch. "learned": after each epoch, cells with larger errors on the
        validation part get more, at most four times their share at the beginning.
    alpha : float, default=2.0
        Mixing ratios are drawn from Beta(alpha, alpha).
    p_intra_label : float in [0, 1], default=0.5
        Probability that a batch is mixed within the class, the paper's p_sel.

    Attributes
    ----------
    <common attributes>

    See Also
    --------
    LISACriterion : The loss, for plain PyTorch loops; what it does beyond two classes and two
        attribute values.
    GBMixClassifier : Mixes both ways at once, around the worst group.

    Notes
    -----
    Worst-group accuracy with a ResNet-50 in the paper: 89.2 on Waterbirds, 89.3 on CelebA, the
    latter with CutMix in the place of mixup, which is not offered here. The authors' code mixes
    each sample of a batch once, so that half as many are trained on as were drawn; here each is
    mixed with a partner of its own.

    References
    ----------
    Yao et al., "Improving Out-of-Distribution Robustness via Selective Augmentation", ICML 2022,
    https://arxiv.org/abs/2201.00299

    Examples
    --------
    >>> import numpy as np
    >>> from gbmix_sklearn import LISAClassifier, worst_group_accuracy_score
    >>> rng = np.random.default_rng(0)
    >>> y, s = rng.integers(2, size=(2, 400))
    >>> X = rng.normal(size=(400, 5)) + 3 * y[:, None] * [1, 1, 0, 0, 0] + s[:, None]
    >>> model = LISAClassifier(random_state=0).fit(X, y, groups=s)
    >>> worst_group_accuracy_score(y, model.predict(X), groups=s) > 0.8
    True
    """

    _: KW_ONLY
    alpha: float = 2.0
    p_intra_label: float = 0.5

    _groups_policy: ClassVar[Literal["require", "warn", "optional"]] = "require"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BalancesCells._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "p_intra_label": [Interval(Real, 0, 1, closed="both")],
    }

    def _make_criterion(self, cells: Cells) -> nn.Module:
        return LISACriterion(self.alpha, p_intra_label=self.p_intra_label)

    def _make_sampler(self, cells: Cells, rng: np.random.Generator) -> GroupBalancedSampler:
        return GroupBalancedSampler(cells.codes, self.batch_size)
