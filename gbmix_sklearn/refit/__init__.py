"""Last-layer refit on group-balanced held-out data."""

from ._balanced import refit_head
from ._linear import linear_decision, linear_head, linear_probabilities

__all__ = ["linear_decision", "linear_head", "linear_probabilities", "refit_head"]
