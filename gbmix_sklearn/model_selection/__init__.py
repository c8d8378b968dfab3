"""Splitters that keep every cell (class x sensitive attribute) on both sides."""

from ._split import SubgroupStratifiedKFold, subgroup_train_test_split

__all__ = ["SubgroupStratifiedKFold", "subgroup_train_test_split"]
