"""The scores that sum up the cells, as attributes of what holds them."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["SUMMARY", "SummaryScores"]

#: names of the scores, in the order in which they are shown
SUMMARY = (
    "worst_group_accuracy",
    "robust_gap",
    "average_accuracy",
    "mean_group_accuracy",
    "adjusted_average_accuracy",
)


class SummaryScores:
    """Scores by name, each of them an attribute too."""

    @property
    def summary(self) -> Mapping[str, float]:
        """The scores by name."""
        raise NotImplementedError  # each class that holds scores says where they are

    @property
    def worst_group_accuracy(self) -> float:
        """Accuracy of the worst cell."""
        return self.summary["worst_group_accuracy"]

    @property
    def robust_gap(self) -> float:
        """Difference between the best and the worst cell."""
        return self.summary["robust_gap"]

    @property
    def average_accuracy(self) -> float:
        """Accuracy over all samples."""
        return self.summary["average_accuracy"]

    @property
    def mean_group_accuracy(self) -> float:
        """Mean accuracy of the cells, each counting the same."""
        return self.summary["mean_group_accuracy"]

    @property
    def adjusted_average_accuracy(self) -> float | None:
        """Cells weighted by their share of the training set; None without those weights."""
        return self.summary.get("adjusted_average_accuracy")
