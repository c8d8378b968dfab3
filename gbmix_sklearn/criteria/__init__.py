"""Training criteria for plain PyTorch loops: pure functions, each with a thin module.

Every criterion is called as ``criterion(model, x, y, s)``: a model that maps inputs to logits, the
inputs, and integer codes of the class and of the sensitive attribute.
"""

from ._cross_entropy import CrossEntropyCriterion
from ._fairmix import FairMixCriterion
from ._gbmix import GBMixCriterion
from ._group_dro import GroupDROCriterion
from ._lisa import LISACriterion
from ._mixup import MixupCriterion

__all__ = [
    "CrossEntropyCriterion",
    "FairMixCriterion",
    "GBMixCriterion",
    "GroupDROCriterion",
    "LISACriterion",
    "MixupCriterion",
]
