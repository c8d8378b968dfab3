"""Empirical risk minimisation on balanced data: RWG and SUBG; by class, RWY and SUBY.

Idrissi et al., "Simple data balancing achieves competitive worst-group-accuracy", CLeaR 2022,
https://arxiv.org/abs/2110.14503
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..groups import Cells
from ..sampling import GroupBalancedSampler, SubsampledSampler
from ._balance import Balanced
from ._cell_shares import BalancesCells
from ._docs import document
from ._erm import ERMClassifier

__all__ = ["RWGClassifier", "SUBGClassifier"]


@document
@dataclass(eq=False, repr=False)
class RWGClassifier(BalancesCells, Balanced, ERMClassifier):
    """Group-balanced sampling: each batch has an equal number of samples from every cell.

    Small cells are repeated. The loss is cross-entropy.

    Parameters
    ----------
    <common parameters>
    balance : {"group", "class"}, default="group"
        What batches have equal numbers of: cells (class x attribute), or classes (published as
        RWY), which needs no groups.
    cell_shares : {"equal", "learned"}, default="equal"
        Shares of the cells in a batch. "learned": after each epoch, cells with larger errors on the
        validation part get more, at most four times their share at the beginning.

    Attributes
    ----------
    <common attributes>

    See Also
    --------
    SUBGClassifier : Cuts large cells instead of repeating small ones.
    GroupDROClassifier : The same batches; weighs the cells by their losses.

    Notes
    -----
    Worst-group accuracy with a ResNet-50 in the paper: 87.6 on Waterbirds, 84.3 on CelebA. Its
    code draws single samples with replacement and weights; here every batch has the same number of
    each cell, and no sample twice where the cell has enough.

    References
    ----------
    Idrissi, Arjovsky, Pezeshki and Lopez-Paz, "Simple data balancing achieves competitive
    worst-group-accuracy", CLeaR 2022, https://arxiv.org/abs/2110.14503

    Examples
    --------
    >>> import numpy as np
    >>> from gbmix_sklearn import RWGClassifier, worst_group_accuracy_score
    >>> rng = np.random.default_rng(0)
    >>> y, s = rng.integers(2, size=(2, 400))
    >>> X = rng.normal(size=(400, 5)) + 3 * y[:, None] * [1, 1, 0, 0, 0] + s[:, None]
    >>> model = RWGClassifier(random_state=0).fit(X, y, groups=s)
    >>> worst_group_accuracy_score(y, model.predict(X), groups=s) > 0.8
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Balanced._parameter_constraints,
        **BalancesCells._parameter_constraints,
    }

    def _why_no_cells(self) -> str | None:
        return None if self.balance == "group" else f"balance={self.balance!r}"

    def _make_sampler(self, cells: Cells, rng: np.random.Generator) -> GroupBalancedSampler:
        return GroupBalancedSampler(self._balanced_codes(cells), self.batch_size)


@document
@dataclass(eq=False, repr=False)
class SUBGClassifier(Balanced, ERMClassifier):
    """Subsampling: every cell is cut to the size of the smallest, once for each fit.

    The samples that are left out are never used. The loss is cross-entropy.

    Parameters
    ----------
    <common parameters>
    balance : {"group", "class"}, default="group"
        What is cut to equal size: cells (class x attribute), or classes (published as SUBY), which
        needs no groups.

    Attributes
    ----------
    <common attributes>

    See Also
    --------
    RWGClassifier : Repeats small cells instead of cutting large ones.

    Notes
    -----
    Worst-group accuracy with a ResNet-50 in the paper: 89.1 on Waterbirds, 85.6 on CelebA. An epoch
    of its code goes once through the subsample; here it has as many steps as with every other
    method, so that `max_epochs` means the same, and goes through the subsample several times.

    References
    ----------
    Idrissi, Arjovsky, Pezeshki and Lopez-Paz, "Simple data balancing achieves competitive
    worst-group-accuracy", CLeaR 2022, https://arxiv.org/abs/2110.14503

    Examples
    --------
    >>> import numpy as np
    >>> from gbmix_sklearn import SUBGClassifier, worst_group_accuracy_score
    >>> rng = np.random.default_rng(0)
    >>> y, s = rng.integers(2, size=(2, 400))
    >>> X = rng.normal(size=(400, 5)) + 3 * y[:, None] * [1, 1, 0, 0, 0] + s[:, None]
    >>> model = SUBGClassifier(random_state=0).fit(X, y, groups=s)
    >>> worst_group_accuracy_score(y, model.predict(X), groups=s) > 0.8
    True
    """

    def _make_sampler(self, cells: Cells, rng: np.random.Generator) -> SubsampledSampler:
        return SubsampledSampler(self._balanced_codes(cells), self.batch_size, rng)
