"""Classifiers: one contract, one small file for each family of methods."""

from ._afr import AFRClassifier
from ._balanced import RWGClassifier, SUBGClassifier
from ._dfr import DFRClassifier
from ._erm import ERMClassifier
from ._fairmix import FairMixClassifier
from ._gbmix import GBMixClassifier
from ._group_dro import GroupDROClassifier
from ._jtt import JTTClassifier
from ._lisa import LISAClassifier
from ._mixup import MixupClassifier

#: every method by its name in the literature: the common tests, the documentation's table and the
#: benchmarks read this registry
METHODS = {
    "ERM": ERMClassifier,
    "RWG": RWGClassifier,
    "SUBG": SUBGClassifier,
    "Mixup": MixupClassifier,
    "FairMix": FairMixClassifier,
    "GroupDRO": GroupDROClassifier,
    "JTT": JTTClassifier,
    "LISA": LISAClassifier,
    "AFR": AFRClassifier,
    "DFR": DFRClassifier,
    "GBMix": GBMixClassifier,
}

__all__ = ["METHODS", *sorted(method.__name__ for method in METHODS.values())]
