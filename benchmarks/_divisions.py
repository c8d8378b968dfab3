"""Data without a test part, divided anew for each seed: what studies that choose nothing use."""

from __future__ import annotations

from typing import Any

import numpy as np

from gbmix_sklearn import group_report
from gbmix_sklearn import subgroup_train_test_split as split

__all__ = ["METRICS", "divide", "scores"]

METRICS = (
    "worst_group_accuracy",
    "robust_gap",
    "mean_group_accuracy",
    "average_accuracy",
)


def divide(X: np.ndarray, y: np.ndarray, groups: np.ndarray, seed: int) -> list[tuple]:
    """Three fifths of each cell to train, one to choose epochs and penalties, one to judge."""
    rest = split(X, y, groups, test_size=0.4, random_state=seed)
    halves = split(*rest[1::2], test_size=0.5, random_state=seed)
    return [rest[0::2], halves[0::2], halves[1::2]]


def scores(y: np.ndarray, predicted: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """What such a study keeps of the predictions for a part."""
    report = group_report(y, predicted, groups=groups)
    return {metric: report.attrs[metric] for metric in METRICS}
