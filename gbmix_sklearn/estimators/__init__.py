"""Classifiers: one contract, one small file for each family of methods."""

from ._erm import ERMClassifier
from ._gbmix import GBMixClassifier
from ._mixup import MixupClassifier

__all__ = ["ERMClassifier", "GBMixClassifier", "MixupClassifier", "METHODS"]

#: every method by its name in the literature: the common tests, the documentation's table and the
#: benchmarks read this registry
METHODS = {
    "ERM": ERMClassifier,
    "Mixup": MixupClassifier,
    "GBMix": GBMixClassifier,
}
