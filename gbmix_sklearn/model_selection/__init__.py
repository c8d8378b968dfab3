"""Splitters that keep every cell on both sides, and the choice among a search's candidates."""

from ._refit_rule import BestWorstGroup
from ._split import SubgroupStratifiedKFold, subgroup_train_test_split

__all__ = ["BestWorstGroup", "SubgroupStratifiedKFold", "subgroup_train_test_split"]
