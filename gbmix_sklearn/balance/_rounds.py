"""A round: fits with the weights so far, and what they get wrong on samples they have not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from ..groups import Cells
from ._fitting import fitted_copy, part_of
from ._folds import Splits
from ._progress import Progress

__all__ = ["Rounds", "WeightedFits", "sample_weights"]


def sample_weights(shares: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Weight of each sample, with mean 1, so that the cells that are there have their shares.

    Parameters
    ----------
    shares : ndarray of shape (n_cells,)
        Share of each cell.
    codes : ndarray of shape (n_samples,), dtype int
        Cell of each sample.

    Returns
    -------
    ndarray of shape (n_samples,)

    Examples
    --------
    >>> sample_weights(np.array([0.5, 0.5, 0.0]), np.array([0, 0, 0, 1]))
    array([0.66666667, 0.66666667, 0.66666667, 2.        ])
    """
    weights = shares[codes] / np.bincount(codes, minlength=len(shares))[codes]
    return weights / weights.mean()


@dataclass(frozen=True)
class WeightedFits:
    """Fits of copies of a classifier on parts of the same data, with weights of the cells.

    Attributes
    ----------
    estimator : classifier
        What is copied.
    seeds : mapping
        Parameters that make all fits draw the same.
    weight_name : str
        What its fit calls the sample weights.
    X, y : array-like
        The training data.
    cells : Cells
        Their cells.
    """

    estimator: Any
    seeds: Mapping[str, int]
    weight_name: str
    X: Any
    y: np.ndarray
    cells: Cells

    def fit(self, shares: np.ndarray, rows: np.ndarray | None = None) -> Any:
        """Fit a copy on some of the samples, or on all."""
        rows = np.arange(len(self.y)) if rows is None else rows
        weights = sample_weights(shares, self.cells.codes[rows])
        X = part_of(self.estimator, self.X, rows)
        return fitted_copy(self.estimator, self.seeds, X, self.y[rows], {self.weight_name: weights})

    def wrong_on(self, shares: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Fit on one part, and say which samples of the other are misclassified."""
        labels = np.unique(self.y[train])
        if len(labels) == 1:  # nothing to fit: a tiny class is wholly in the other part
            return self.y[test] != labels[0]
        model = self.fit(shares, train)
        return _wrong(model, part_of(self.estimator, self.X, test, train), self.y[test])


def _wrong(model: Any, X: Any, y: np.ndarray) -> np.ndarray:
    return np.asarray(model.predict(X)).ravel() != y


def _on_validation(
    fits: WeightedFits, shares: np.ndarray, X: Any, y: np.ndarray
) -> tuple[np.ndarray, Any]:
    model = fits.fit(shares)
    return _wrong(model, X, y), model


class Rounds:
    """The rounds of a fit, and the model of the best where it is there without a further fit.

    Parameters
    ----------
    fits : WeightedFits
        The fits.
    splits : list of (train, test)
        Rows of each.
    validation : tuple of (X, y)
        Data that a model of all training data predicts, or two times None.
    n_jobs : int or None
        Fits at the same time.
    progress : Progress
        Tells how it goes.
    """

    def __init__(
        self,
        fits: WeightedFits,
        splits: Splits,
        validation: tuple[Any, Any],
        n_jobs: int | None,
        progress: Progress,
    ):
        self.fits = fits
        self.splits = splits
        self.validation = validation
        self.n_jobs = n_jobs
        self.progress = progress
        self.best_model: Any = None
        self._number = -1
        self._model: Any = None
        self._wrong = np.empty(0, dtype=bool)

    def wrong(self, shares: np.ndarray) -> np.ndarray:
        """Whether each held-out sample is misclassified, the validation data last."""
        self._number += 1
        jobs = [delayed(self.fits.wrong_on)(shares, *split) for split in self.splits]
        if self.validation[0] is not None:
            jobs.append(delayed(_on_validation)(self.fits, shares, *self.validation))
        parallel = Parallel(n_jobs=self.n_jobs, return_as="generator")
        parts = list(self.progress.during(self._number, parallel(jobs)))
        if self.validation[0] is not None:
            parts[-1], self._model = parts[-1]
        self._wrong = np.concatenate(parts)
        return self._wrong

    def note_best(self, number: int) -> None:
        """Keep the model of the round that has just ended."""
        self.best_model = self._model
        self.progress.best = number

    def note_end(self, number: int, worst: float, average: float) -> None:
        """Tell of the round that has just ended."""
        self.progress.ended(number, self._wrong)
