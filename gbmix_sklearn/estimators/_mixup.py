"""Mixup and its relatives: RegMixup, CutMix, Manifold Mixup, ReMix. None looks at groups."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval
from torch import nn

from ..criteria import (
    CutMixCriterion,
    ManifoldMixupCriterion,
    MixupCriterion,
    RegMixupCriterion,
    ReMixCriterion,
)
from ..groups import Cells
from ._base import GroupClassifier
from ._docs import document

__all__ = [
    "CutMixClassifier",
    "ManifoldMixupClassifier",
    "MixupClassifier",
    "ReMixClassifier",
    "RegMixupClassifier",
]


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
    MixupCriterion : The loss, for plain PyTorch loops.
    GBMixClassifier : Balanced mixup around the worst group.

    Notes
    -----
    Worst-group accuracy with a ResNet-50 in GBMix's comparison: 76.8 on Waterbirds, 46.5 on CelebA,
    61.3 on UTKFace, 87.1 on FairFace. There mixup harms the worst group where an attribute goes
    with the class.

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


@document
@dataclass(eq=False, repr=False)
class RegMixupClassifier(MixupClassifier):
    """RegMixup: cross-entropy of the clean batch, and mixup as a regulariser beside it.

    Groups are used for selection only, where they are given.

    Parameters
    ----------
    <common parameters>
    alpha : float, default=20.0
        Mixing ratios are drawn from Beta(alpha, alpha), one for each batch. The authors use 20 on
        CIFAR-10 and 10 on CIFAR-100.
    eta : float, default=1.0
        Weight of the mixed batch; 1 in the paper.

    Attributes
    ----------
    <common attributes>

    See Also
    --------
    RegMixupCriterion : The loss, for plain PyTorch loops.
    MixupClassifier : Mixed samples alone.

    Notes
    -----
    The paper measures calibration and shifts, not groups: no worst-group accuracies are published.
    Clean and mixed samples go through the network together, as in the authors' code, so that batch
    norm sees both; a step costs about two of ERM, in time and memory. The loss is the sum of both
    parts as in the paper; the authors' code takes half of it, so the same learning rate means half
    as large steps there.

    References
    ----------
    Pinto et al., "RegMixup: Mixup as a Regularizer Can Surprisingly Improve Accuracy and Out
    Distribution Robustness", NeurIPS 2022, https://arxiv.org/abs/2206.14502

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from gbmix_sklearn import RegMixupClassifier
    >>> X, y = make_classification(200, random_state=0)
    >>> RegMixupClassifier(random_state=0).fit(X, y).score(X, y) > 0.8
    True
    """

    _: KW_ONLY
    alpha: float = 20.0
    eta: float = 1.0

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MixupClassifier._parameter_constraints,
        "eta": [Interval(Real, 0, None, closed="left")],
    }

    @property
    def _loss_scale(self) -> float:  # type: ignore[override]
        return 1 + self.eta

    def _make_criterion(self, cells: Cells) -> nn.Module:
        return RegMixupCriterion(self.alpha, eta=self.eta)


@document
@dataclass(eq=False, repr=False)
class ReMixClassifier(MixupClassifier):
    """ReMix: mixup that gives mixed samples the label of the much rarer class.

    Groups are used for selection only, where they are given.

    Parameters
    ----------
    <common parameters>
    alpha : float, default=1.0
        Mixing ratios are drawn from Beta(alpha, alpha), one for each batch.
    kappa : float, default=3.0
        A label gives way to that of a class with so many times fewer training samples; 3 in the
        paper.
    tau : float in [0, 1], default=0.5
        It gives way where its input counts less than this; 0.5 in the paper.

    Attributes
    ----------
    <common attributes>

    See Also
    --------
    ReMixCriterion : The loss, for plain PyTorch loops.
    UniMixClassifier : Favours rare classes in the choice of pairs and ratios.

    Notes
    -----
    The paper is about long-tailed classes: no worst-group accuracies are published.

    References
    ----------
    Chou, Chang, Pan, Wei and Juan, "Remix: Rebalanced Mixup", ECCV workshops 2020,
    https://arxiv.org/abs/2007.03943

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from gbmix_sklearn import ReMixClassifier
    >>> X, y = make_classification(400, weights=[0.9], class_sep=2, random_state=0)
    >>> ReMixClassifier(random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    _: KW_ONLY
    kappa: float = 3.0
    tau: float = 0.5

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MixupClassifier._parameter_constraints,
        "kappa": [Interval(Real, 1, None, closed="left")],
        "tau": [Interval(Real, 0, 1, closed="both")],
    }

    def _make_criterion(self, cells: Cells) -> nn.Module:
        counts = np.bincount(cells.y, minlength=len(cells.classes))
        return ReMixCriterion(counts, alpha=self.alpha, kappa=self.kappa, tau=self.tau)


@document
@dataclass(eq=False, repr=False)
class CutMixClassifier(MixupClassifier):
    """CutMix: a box of each image is cut out and replaced by that of another one.

    For images only, and for a backbone that is trained, at least in part. Groups are used for
    selection only, where they are given.

    Parameters
    ----------
    <common parameters>
    alpha : float, default=1.0
        The share of the area that stays is drawn from Beta(alpha, alpha), one for each batch; 1 in
        the paper.
    p : float in [0, 1], default=1.0
        Probability that a batch is cut at all: 1 on ImageNet and 0.5 on CIFAR in the authors' code.

    Attributes
    ----------
    <common attributes>

    See Also
    --------
    CutMixCriterion : The loss, for plain PyTorch loops.
    MixupClassifier : Mixes whole images.

    Notes
    -----
    No worst-group accuracies are published. Boxes are cut from images, so that stages of the
    backbone that are frozen are run in every step; other methods run them once for each image.

    References
    ----------
    Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    Features", ICCV 2019, https://arxiv.org/abs/1905.04899

    Examples
    --------
    >>> import numpy as np
    >>> from gbmix_sklearn import CutMixClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(2, size=64)
    >>> images = (rng.integers(100, size=(64, 32, 32, 3)) + 100 * y[:, None, None, None])
    >>> model = CutMixClassifier("resnet10t", pretrained=False, image_size=32, max_epochs=1)
    >>> model.fit(images.astype(np.uint8), y).predict_proba(images.astype(np.uint8)).shape
    (64, 2)
    """

    _: KW_ONLY
    p: float = 1.0

    _images_only: ClassVar[bool] = True

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MixupClassifier._parameter_constraints,
        "p": [Interval(Real, 0, 1, closed="both")],
    }

    def _make_criterion(self, cells: Cells) -> nn.Module:
        return CutMixCriterion(self.alpha, p=self.p)


@document
@dataclass(eq=False, repr=False)
class ManifoldMixupClassifier(MixupClassifier):
    """Manifold Mixup: mixup of the input, a first block's output, or the embedding.

    The place is drawn for each batch: the input, behind the first or the second block, and the
    embedding. Blocks are the stages of a timm model, the layers with weights of a sequence, and the
    hidden layers. On a matrix without hidden layers there is only the input, and it is mixup.
    Groups are used for selection only, where they are given.

    Parameters
    ----------
    <common parameters>
    alpha : float, default=2.0
        Mixing ratios are drawn from Beta(alpha, alpha), one for each batch; 2 in the paper.

    Attributes
    ----------
    <common attributes>

    See Also
    --------
    ManifoldMixupCriterion : The loss, for plain PyTorch loops.
    MixupClassifier : Mixes inputs only.

    Notes
    -----
    No worst-group accuracies are published. The paper mixes at the input and behind the first two
    blocks of a ResNet; the embedding is a place as well here. Of a backbone whose first stages are
    frozen and cut off, the places are the feature maps that come in, and the embedding.
    With `compile`, the batches that are mixed within the network run uncompiled.

    References
    ----------
    Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States", ICML
    2019, https://arxiv.org/abs/1806.05236

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from gbmix_sklearn import ManifoldMixupClassifier
    >>> X, y = make_classification(200, random_state=0)
    >>> model = ManifoldMixupClassifier(hidden_units=(16,), random_state=0)
    >>> model.fit(X, y).score(X, y) > 0.8
    True
    """

    _: KW_ONLY
    alpha: float = 2.0

    def _make_criterion(self, cells: Cells) -> nn.Module:
        return ManifoldMixupCriterion(self.alpha)
