"""Index samplers: which samples make up each batch of an epoch."""

from ._balanced import GroupBalancedSampler
from ._paired import PairedSampler
from ._repeated import RepeatedSampler
from ._shuffled import ShuffledSampler
from ._subsampled import SubsampledSampler

__all__ = [
    "GroupBalancedSampler",
    "PairedSampler",
    "RepeatedSampler",
    "ShuffledSampler",
    "SubsampledSampler",
]
