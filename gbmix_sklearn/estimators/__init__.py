"""Classifiers: one contract, one small file for each family of methods."""

from ._afr import AFRClassifier
from ._balanced import RWGClassifier, SUBGClassifier
from ._balanced_mixup import BalancedMixUpClassifier, OBMixClassifier
from ._dfr import DFRClassifier
from ._erm import ERMClassifier
from ._fairmix import FairMixClassifier
from ._gbmix import GBMixClassifier
from ._group_dro import GroupDROClassifier
from ._jtt import JTTClassifier
from ._lisa import LISAClassifier
from ._mixup import (
    CutMixClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    RegMixupClassifier,
    ReMixClassifier,
)
from ._paper import paper_params
from ._umix import UMIXClassifier
from ._unimix import UniMixClassifier

#: every method by its name in the literature: the common tests, the documentation's table and the
#: benchmarks read this registry
METHODS = {
    "ERM": ERMClassifier,
    "RWG": RWGClassifier,
    "SUBG": SUBGClassifier,
    "GroupDRO": GroupDROClassifier,
    "JTT": JTTClassifier,
    "AFR": AFRClassifier,
    "DFR": DFRClassifier,
    "Mixup": MixupClassifier,
    "Manifold Mixup": ManifoldMixupClassifier,
    "CutMix": CutMixClassifier,
    "RegMixup": RegMixupClassifier,
    "ReMix": ReMixClassifier,
    "Balanced-MixUp": BalancedMixUpClassifier,
    "OBMix": OBMixClassifier,
    "UniMix": UniMixClassifier,
    "UMIX": UMIXClassifier,
    "FairMix": FairMixClassifier,
    "LISA": LISAClassifier,
    "GBMix": GBMixClassifier,
}

__all__ = ["METHODS", "paper_params", *sorted(method.__name__ for method in METHODS.values())]
