"""How far the probabilities of the predictions can be believed, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._frames import as_pandas
from ..groups import encode_target
from ._outcomes import Outcomes

__all__ = ["Calibration", "calibrate"]

N_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Confidence, hits and Brier score of some sets of samples, by bin of confidence.

    Attributes
    ----------
    count, confidence, hits : ndarray of shape (n_sets, n_bins)
        Samples, sum of their confidence, and correct ones, in bins of the same width.
    brier : ndarray of shape (n_sets,)
        Sum of the Brier scores of the samples.
    """

    count: np.ndarray
    confidence: np.ndarray
    hits: np.ndarray
    brier: np.ndarray

    def scores(self, index: pd.Index | None) -> pd.DataFrame:
        """A row of scores for each set."""
        n = self.count.sum(axis=1)
        confidence = self.confidence.sum(axis=1) / n
        return pd.DataFrame(
            {
                "confidence": confidence,
                "overconfidence": confidence - self.hits.sum(axis=1) / n,
                "expected_calibration_error": (np.abs(self.confidence - self.hits).sum(axis=1) / n),
                "brier_score": self.brier / n,
            },
            index=index,
        )

    def take(self, sets: np.ndarray) -> Calibration:
        """Select sets by number."""
        return Calibration(*(part[sets] for part in self._parts))

    @property
    def _parts(self) -> tuple[np.ndarray, ...]:
        return self.count, self.confidence, self.hits, self.brier

    def together(self, sets: np.ndarray) -> Calibration:
        """Add up the sets that have the same number in `sets`."""
        members = sets == np.unique(sets)[:, None]
        return Calibration(*(members @ part for part in self._parts))


def calibrate(outcomes: Outcomes, y_proba: Any, classes: Any = None) -> Calibration:
    """Compare the probability of each prediction with how often it is right.

    Raises
    ------
    ValueError
        If `y_proba` does not fit the samples or the classes, or holds no probabilities.
    """
    truth, predicted = (outcomes.kinds[name].astype(object) for name in ("y_true", "y_pred"))
    y_proba = as_pandas(y_proba)
    if classes is None and isinstance(y_proba, pd.DataFrame):
        classes = y_proba.columns
    if classes is None:
        classes = encode_target(pd.concat([truth, predicted])).values.iloc[:, 0]
    column_of = {label: column for column, label in enumerate(classes)}
    # a class that the model does not know has no column, and a probability of 0
    true_column, predicted_column = (
        np.array([column_of.get(label, -1) for label in labels]) for labels in (truth, predicted)
    )
    if (predicted_column < 0).any():
        unknown = predicted[predicted_column < 0].iloc[0]
        raise ValueError(
            f"y_pred has the label {unknown!r}, for which y_proba has no column; the classes of "
            f"its columns are {list(column_of)}"
        )
    proba = _check_proba(y_proba, len(outcomes.kind), list(classes))
    rows = np.arange(len(proba))
    confidence = proba[rows, predicted_column[outcomes.kind]].astype(np.float64)
    of_truth = proba[rows, true_column[outcomes.kind]]
    of_truth[(true_column < 0)[outcomes.kind]] = 0
    brier = np.einsum("ij,ij->i", proba, proba, dtype=np.float64) - 2.0 * of_truth + 1
    if proba.shape[1] == 2:
        brier /= 2  # the convention for two classes, scikit-learn's as well

    n_cells = len(outcomes.count)
    bins = np.clip(np.ceil(confidence * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    cell = outcomes.cell
    place = cell * N_BINS + bins

    def binned(weights: np.ndarray | None) -> np.ndarray:
        return np.bincount(place, weights, minlength=n_cells * N_BINS).reshape(n_cells, N_BINS)

    return Calibration(
        count=binned(None),
        confidence=binned(confidence),
        hits=binned(outcomes.hit_of_kind[outcomes.kind]),
        brier=np.bincount(cell, brier, minlength=n_cells),
    )


def _check_proba(y_proba: Any, n_samples: int, classes: list[Any]) -> np.ndarray:
    proba = np.asarray(y_proba)
    if proba.dtype.kind not in "fiub":
        raise ValueError(f"y_proba must be numbers, got an array of type {proba.dtype}")
    if proba.dtype.kind != "f":
        proba = proba.astype(np.float64)
    if proba.ndim not in (1, 2) or len(proba) != n_samples:
        raise ValueError(
            f"y_proba must have a row for each of the {n_samples} samples and a column for each "
            f"class, or for two classes be the probabilities of the second; got shape {proba.shape}"
        )
    if proba.ndim == 1 or (proba.shape[1] == 1 and len(classes) == 2):
        second = proba.reshape(-1)
        proba = np.column_stack([1 - second, second])
    if proba.shape[1] != len(classes):
        raise ValueError(
            f"y_proba has {proba.shape[1]} columns for the {len(classes)} classes {classes}; name "
            "the class of each column, as classes=estimator.classes_"
        )
    # also true where a value is NaN
    wrong = np.flatnonzero(~((proba >= 0) & (proba <= 1)).all(axis=1))
    if len(wrong):
        raise ValueError(
            f"y_proba must be probabilities between 0 and 1; row {wrong[0]} is "
            f"{proba[wrong[0]].tolist()}"
        )
    total = proba.sum(axis=1, dtype=np.float64)
    wrong = np.flatnonzero(np.abs(total - 1) > 1e-2)
    if len(wrong):
        raise ValueError(
            f"each row of y_proba must sum to 1; row {wrong[0]} sums to {total[wrong[0]]:.4g}"
        )
    return proba
