"""Empirical risk minimisation."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ..criteria import CrossEntropyCriterion
from ..groups import Cells
from ._base import GroupClassifier
from ._docs import document

__all__ = ["ERMClassifier"]


@document
@dataclass(eq=False, repr=False)
class ERMClassifier(GroupClassifier):
    """Empirical risk minimisation: shuffled batches, mean cross-entropy.

    Groups are used for selection only, where they are given: the best epoch is the one with the
    best worst-group accuracy on the validation part.

    Parameters
    ----------
    <common parameters>

    Attributes
    ----------
    <common attributes>

    See Also
    --------
    GBMixClassifier : Balanced mixup around the worst group.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from gbmix_sklearn import ERMClassifier
    >>> X, y = make_classification(200, random_state=0)
    >>> ERMClassifier(random_state=0).fit(X, y).score(X, y) > 0.8
    True
    """

    def _make_criterion(self, cells: Cells) -> nn.Module:
        return CrossEntropyCriterion()
