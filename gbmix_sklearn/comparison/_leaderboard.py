"""Who is best, and who cannot be told from it: from predictions of samples that were held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..balance import FEW_SAMPLES, shrunken_errors
from ..groups import Cells
from ..metrics._intervals import clopper_pearson
from ..metrics._scores import adjusted_average
from ..report._compare import interval_of_minima, resample_pair
from ._units import effective_samples, resample_units

__all__ = ["Leaderboard"]

#: those of the table, also where there is nothing to put in
_COLUMNS = (
    "worst_group_accuracy",
    "low",
    "high",
    "shrunken_worst",
    "worst_group",
    "robust_gap",
    "average_accuracy",
    "mean_group_accuracy",
    "difference",
    "difference_low",
    "difference_high",
    "standard_error",
    "distinguishable",
)


@dataclass(frozen=True)
class Leaderboard:
    """Scores of all methods, and their differences from the best.

    Attributes
    ----------
    cells : Cells
        Cells of the samples that were predicted.
    codes : dict of ndarray
        Predicted classes, for each method that did not fail.
    units : ndarray or None
        What samples belong to, as codes.
    confidence : float
        Of the intervals.
    seed : int
        Of the resamples.
    """

    cells: Cells
    codes: Mapping[str, np.ndarray]
    units: np.ndarray | None
    confidence: float
    seed: int

    @cached_property
    def deciding(self) -> np.ndarray:
        """Numbers of the cells that are large enough; all that are there if none is."""
        large = np.flatnonzero(self.cells.counts >= FEW_SAMPLES)
        return large if len(large) else self.cells.present

    @cached_property
    def small(self) -> np.ndarray:
        """Numbers of the cells that are too small to decide."""
        return np.setdiff1d(self.cells.present, self.deciding)

    def right(self, name: str) -> np.ndarray:
        """Whether each sample is predicted correctly."""
        return self.codes[name] == self.cells.y

    def accuracies(self, name: str) -> np.ndarray:
        """Accuracy of every cell; NaN for absent ones."""
        correct = np.bincount(self.cells.codes, self.right(name), minlength=self.cells.n_cells)
        counts = self.cells.counts
        return np.where(counts > 0, correct / np.maximum(counts, 1), np.nan)

    def frame(self, cell_weights: Any = None) -> pd.DataFrame:
        """Scores of the methods, the best worst group first."""
        if not self.codes:
            return pd.DataFrame(columns=_COLUMNS, index=pd.Index([], name="method"))
        rows = {name: self._scores(name, cell_weights) for name in self.codes}
        frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")
        order = np.lexsort((-frame["average_accuracy"], -frame["shrunken_worst"].round(12)))
        frame = frame.iloc[order]
        best = str(frame.index[0])
        pairs = [self._difference(name, best, len(frame)) for name in frame.index]
        return frame.join(pd.DataFrame(pairs, index=frame.index))

    def _scores(self, name: str, cell_weights: Any) -> dict[str, Any]:
        accuracy = self.accuracies(name)
        of_deciding = accuracy[self.deciding]
        worst = int(of_deciding.argmin())
        low, high = self._interval(name)
        errors = shrunken_errors(~self.right(name), self.cells)[self.deciding]
        scores = {
            "worst_group_accuracy": float(of_deciding[worst]),
            "low": low,
            "high": high,
            "shrunken_worst": 1 - float(errors.max()),
            "worst_group": self.cells.labels[self.deciding[worst]],
            "robust_gap": float(of_deciding.max() - of_deciding.min()),
            "average_accuracy": float(self.right(name).mean()),
            "mean_group_accuracy": float(of_deciding.mean()),
        }
        if cell_weights is not None:
            present = self.cells.present
            table = pd.DataFrame({"accuracy": accuracy[present]}, index=self.cells.index[present])
            scores["adjusted_average_accuracy"] = adjusted_average(table, cell_weights)
        return scores

    def _interval(self, name: str) -> tuple[float, float]:
        """Interval for the accuracy of the cell that is truly worst, whichever that is.

        Below, the one that is truly worst alone has to be covered; above, each that may be.
        """
        right = self.right(name)
        accuracy = self.accuracies(name)[self.deciding]
        size = self.cells.counts[self.deciding].astype(np.float64)
        if self.units is not None:
            size = effective_samples(right, self.cells, self.units)[self.deciding]
        # a count and its parts, whole where they are numbers of samples
        correct = accuracy * size if self.units is not None else np.round(accuracy * size)
        low, _ = clopper_pearson(correct, size, self.confidence)
        each = 1 - (1 - self.confidence) / len(size)
        _, high = clopper_pearson(correct, size, each)
        return float(low.min()), float(high.min())

    def _difference(self, name: str, best: str, n_methods: int) -> dict[str, Any]:
        """Worst group of a method minus that of the best, with an interval and standard error."""
        if name == best:
            none = {"difference_low": np.nan, "difference_high": np.nan}
            return {"difference": 0.0, **none, "standard_error": 0.0, "distinguishable": False}
        drawn, accuracy = self._resample(name, best)
        # any of the others may have come out as the best, so that all of them count
        each = 1 - (1 - self.confidence) / (n_methods - 1)
        low, high = interval_of_minima(drawn, accuracy, each)
        minima = drawn.min(axis=2)
        return {
            "difference": float(accuracy[0].min() - accuracy[1].min()),
            "difference_low": low,
            "difference_high": high,
            "standard_error": float((minima[:, 0] - minima[:, 1]).std()),
            "distinguishable": not low <= 0 <= high,
        }

    def _resample(self, name: str, best: str) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(self.seed)
        first, second = self.right(name), self.right(best)
        if self.units is not None:
            return resample_units(first, second, self.cells, self.units, self.deciding, rng)
        outcome = 4 * self.cells.codes + 2 * first + second
        counts = np.bincount(outcome, minlength=4 * self.cells.n_cells).reshape(-1, 4)
        return resample_pair(counts[self.deciding], rng)
