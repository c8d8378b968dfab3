"""Training criteria for plain PyTorch loops: pure functions, each with a thin module.

Every criterion is called as ``criterion(model, x, y, s)``: a model that maps inputs to logits, the
inputs, and integer codes of the class and of the sensitive attribute.
"""

from ._cross_entropy import CrossEntropyCriterion
from ._cutmix import CutMixCriterion
from ._fairmix import FairMixCriterion
from ._gbmix import GBMixCriterion
from ._group_dro import GroupDROCriterion
from ._lisa import LISACriterion
from ._manifold_mixup import ManifoldMixupCriterion
from ._mixup import MixupCriterion
from ._regmixup import RegMixupCriterion
from ._remix import ReMixCriterion
from ._two_sided import BalancedMixUpCriterion, OBMixCriterion
from ._umix import UMIXCriterion
from ._unimix import UniMixCriterion

__all__ = [
    "BalancedMixUpCriterion",
    "CrossEntropyCriterion",
    "CutMixCriterion",
    "FairMixCriterion",
    "GBMixCriterion",
    "GroupDROCriterion",
    "LISACriterion",
    "ManifoldMixupCriterion",
    "MixupCriterion",
    "OBMixCriterion",
    "ReMixCriterion",
    "RegMixupCriterion",
    "UMIXCriterion",
    "UniMixCriterion",
]
