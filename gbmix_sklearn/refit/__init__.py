"""Last-layer refit on group-balanced held-out data."""

from ._balanced import check_refit_classes, refit_head
from ._linear import linear_decision, linear_head, linear_probabilities, set_weights

__all__ = [
    "check_refit_classes",
    "linear_decision",
    "linear_head",
    "linear_probabilities",
    "refit_head",
    "set_weights",
]
