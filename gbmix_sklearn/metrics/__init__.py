"""Group metrics, their report and their scorers; nothing in here imports torch."""

from ._parity import demographic_parity_difference, equalized_odds_difference
from ._report import GroupReport, group_report
from ._scorers import (
    demographic_parity_scorer,
    equalized_odds_scorer,
    make_group_scorer,
    mean_group_accuracy_scorer,
    robust_gap_scorer,
    worst_group_accuracy_scorer,
)
from ._scores import (
    adjusted_average_accuracy_score,
    cell_accuracies,
    mean_group_accuracy_score,
    robust_gap_score,
    worst_group_accuracy_score,
)

__all__ = [
    "worst_group_accuracy_score",
    "robust_gap_score",
    "mean_group_accuracy_score",
    "adjusted_average_accuracy_score",
    "cell_accuracies",
    "demographic_parity_difference",
    "equalized_odds_difference",
    "GroupReport",
    "group_report",
    "make_group_scorer",
    "worst_group_accuracy_scorer",
    "robust_gap_scorer",
    "mean_group_accuracy_scorer",
    "demographic_parity_scorer",
    "equalized_odds_scorer",
]
