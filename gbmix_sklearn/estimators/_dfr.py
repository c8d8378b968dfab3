"""Deep feature reweighting: empirical risk minimisation and a balanced refit of the last layer.

Kirichenko et al., "Last Layer Re-Training is Sufficient for Robustness to Spurious Correlations",
ICLR 2023, https://arxiv.org/abs/2204.02937
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

from ._docs import document
from ._erm import ERMClassifier

__all__ = ["DFRClassifier"]


@document
@dataclass(eq=False, repr=False)
class DFRClassifier(ERMClassifier):
    """Deep feature reweighting: ERM, then a new last layer from group-balanced data.

    Parameters
    ----------
    <common parameters>

    Attributes
    ----------
    <common attributes>

    See Also
    --------
    LastLayerRefit : The refit alone, behind any fitted classifier.
    AFRClassifier : A refit that needs no groups.

    Notes
    -----
    Worst-group accuracy with a ResNet-50 in the paper, refitted on validation data
    (``refit_on="validation"``): 92.9 ± 0.2 on Waterbirds, 88.3 ± 1.1 on CelebA. Its "DFR-Tr" is
    ``refit_on="train"``. Where layers are trained, the default sets a part of the training data
    aside instead, as the comparison in the paper of GBMix does. The reference code trains without
    choosing an epoch; ``validation_fraction=None`` does so. On a matrix without hidden layers the
    refit is the whole model.

    References
    ----------
    Kirichenko, Izmailov and Wilson, "Last Layer Re-Training is Sufficient for Robustness to
    Spurious Correlations", ICLR 2023, https://arxiv.org/abs/2204.02937

    Examples
    --------
    >>> import numpy as np
    >>> from gbmix_sklearn import DFRClassifier, worst_group_accuracy_score
    >>> rng = np.random.default_rng(0)
    >>> y, s = rng.integers(2, size=(2, 400))
    >>> X = rng.normal(size=(400, 5)) + 3 * y[:, None] * [1, 1, 0, 0, 0] + s[:, None]
    >>> model = DFRClassifier(random_state=0).fit(X, y, groups=s)
    >>> worst_group_accuracy_score(y, model.predict(X), groups=s) > 0.8
    True
    """

    _: KW_ONLY
    refit: Any = "logistic"

    _groups_policy: ClassVar[Literal["require", "warn", "optional"]] = "require"
