"""Just train twice.

Liu et al., "Just Train Twice: Improving Group Robustness without Training Group Information",
ICML 2021, https://arxiv.org/abs/2107.09044
"""

from __future__ import annotations

import warnings
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from ..criteria import CrossEntropyCriterion
from ..exceptions import EmptyErrorSetWarning
from ..sampling import RepeatedSampler, ShuffledSampler
from ..training import GroupNet
from ._base import GroupClassifier
from ._docs import document
from ._training import Training

__all__ = ["JTTClassifier"]


@document
@dataclass(eq=False, repr=False)
class JTTClassifier(GroupClassifier):
    """Just train twice: what a first model gets wrong is repeated for a second one.

    The first stage is empirical risk minimisation for a few epochs. Its misclassified training
    samples are the error set; the second stage trains a fresh model on data in which they occur
    `lambda_up` more times. Groups are used for selection only, where they are given. If the first
    stage makes no error there is nothing to repeat: that warns, and the second stage is ERM.

    Parameters
    ----------
    <common parameters>
    first_stage_epochs : int, default=1
        Epochs of the first stage, the paper's T: 60 on Waterbirds and 1 on CelebA. It decides how
        many errors are left and is worth a search.
    lambda_up : int, default=20
        How many more times the error set occurs; the paper takes 100 on Waterbirds and 50 on
        CelebA, out of 20, 50 and 100. That is for error sets of a few per cent: one sample in five,
        as on a table whose classes overlap, would be 93 % of what the second stage sees.

    Attributes
    ----------
    <common attributes>
    n_errors_ : int
        Size of the error set.

    See Also
    --------
    AFRClassifier : Two stages without groups, of which the second fits the last layer only.
    UMIXClassifier : Weights by how often the first stage is wrong, and mixup.

    Notes
    -----
    Worst-group accuracy with a ResNet-50 in the paper: 86.7 on Waterbirds, 81.1 on CelebA. An
    epoch of the second stage has as many steps as one of the first, while the reference code
    passes through the whole repeated set. Both stages have the same optimizer and begin with the
    same weights.

    References
    ----------
    Liu et al., "Just Train Twice: Improving Group Robustness without Training Group Information",
    ICML 2021, https://arxiv.org/abs/2107.09044

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from gbmix_sklearn import JTTClassifier
    >>> X, y = make_classification(200, flip_y=0.1, random_state=0)
    >>> model = JTTClassifier(lambda_up=5, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.6
    True
    >>> model.n_errors_ > 0
    True
    """

    _: KW_ONLY
    first_stage_epochs: int = 1
    lambda_up: int = 20

    _own_results: ClassVar[tuple[str, ...]] = ("n_errors_",)
    _stages: ClassVar[tuple[str, ...]] = ("first", "training")

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **GroupClassifier._parameter_constraints,
        "first_stage_epochs": [Interval(Integral, 1, None, closed="left")],
        "lambda_up": [Interval(Integral, 1, None, closed="left")],
    }

    def _train(self, training: Training) -> GroupNet:
        codes = training.cells.codes
        training.run(
            CrossEntropyCriterion(),
            ShuffledSampler(codes, self.batch_size),
            stage="first",
            max_epochs=self.first_stage_epochs,
        )
        errors = training.predict() != training.cells.y
        self.n_errors_ = int(errors.sum())
        if not self.n_errors_:
            warnings.warn(
                f"the first stage of {self.first_stage_epochs} epoch(s) classifies all "
                f"{len(errors)} training samples correctly, so that there is nothing to repeat and "
                "the second stage is plain ERM. Lower first_stage_epochs or lr",
                EmptyErrorSetWarning,
                stacklevel=3,
            )
        training.start_anew()
        repeats = np.where(errors, 1 + self.lambda_up, 1)
        return training.run(CrossEntropyCriterion(), RepeatedSampler(repeats, self.batch_size))
