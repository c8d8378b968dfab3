"""Index samplers: which samples make up each batch of an epoch."""

from ._balanced import GroupBalancedSampler
from ._shuffled import ShuffledSampler

__all__ = ["GroupBalancedSampler", "ShuffledSampler"]
