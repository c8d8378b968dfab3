"""The search for shares of cells and a penalty by errors on held-out folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..balance import cross_fitted_offsets, learn_balance, start_shares
from ..groups import Cells
from ..model_selection._units import divide_units
from ._logistic import LogisticFits, Weights, predict_codes

__all__ = ["N_FOLDS", "Candidate", "HeldOutSearch", "deal_out"]

#: folds of which each is judged by a fit of the others
N_FOLDS = 5
#: inverse strength of the penalty times the number of features, as powers of ten: where the search
#: begins, and where it ends
_FIRST, _LOWEST, _HIGHEST = (3, 4), 0, 7
#: what the average error counts for beside that of the worst cell
_AVERAGE = 0.1
#: slope at which the fits of a round stop; the last fit is more exact
_TOLERANCE = 1e-3

Anchor = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Candidate:
    """What the rounds with one penalty led to.

    Attributes
    ----------
    C : float
        Inverse strength of the penalty.
    anchor : tuple of (coef, intercept) or None
        What the coefficients are held near; None is zero.
    shares : ndarray of shape (n_cells,)
        Share of each cell in the loss.
    worst, average : float
        Held-out error of the worst cell, shrunken, and of all samples.
    scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Held-out logits.
    rounds : DataFrame
        See :class:`gbmix_sklearn.balance.LearnedBalance`.
    """

    C: float
    anchor: Anchor | None
    shares: np.ndarray
    worst: float
    average: float
    scores: np.ndarray
    rounds: pd.DataFrame

    @property
    def loss(self) -> float:
        """The smaller the better."""
        return self.worst + _AVERAGE * self.average


def deal_out(
    codes: np.ndarray, rng: np.random.Generator, units: np.ndarray | None = None
) -> np.ndarray:
    """Deal the samples of each cell out to folds.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Cell of each sample.
    rng : numpy.random.Generator
        Source of the randomness.
    units : ndarray of shape (n_known,), default=None
        Units of the first samples, which stay together; each of the others is alone.

    Returns
    -------
    ndarray of shape (n_samples,), dtype int64
        Fold of each sample.
    """
    if units is not None:
        alone = units.max() + 1 + np.arange(len(codes) - len(units))
        return divide_units(codes, np.r_[units, alone], [1 / N_FOLDS] * N_FOLDS, rng)
    order = np.lexsort((rng.random(len(codes)), codes))
    folds = np.empty(len(codes), dtype=np.int64)
    folds[order] = np.arange(len(codes)) % N_FOLDS
    return folds


class HeldOutSearch:
    """Weighted logistic regressions, judged on the fold that each has not seen.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), dtype float32
        Standardised features.
    cells : Cells
        Their cells, of which every class has samples.
    folds : ndarray of shape (n_samples,)
        Fold of each sample.
    n_rounds, eta, max_average_loss
        See :func:`gbmix_sklearn.balance.learn_balance`.
    on_round : callable, default=None
        Told the number of each round, the error of its worst cell and the average error.
    """

    def __init__(
        self,
        X: np.ndarray,
        cells: Cells,
        folds: np.ndarray,
        *,
        n_rounds: int,
        eta: float,
        max_average_loss: float | None = None,
        on_round: Callable[[int, float, float], None] | None = None,
    ):
        self.X = X
        self.cells = cells
        self.folds = folds
        self.n_rounds = n_rounds
        self.eta = eta
        self.max_average_loss = max_average_loss
        self.on_round = on_round
        self._seen = folds[:, None] != np.unique(folds)  # by each fit
        self._counts = np.stack(
            [np.bincount(cells.codes[seen], minlength=cells.n_cells) for seen in self._seen.T]
        )
        # a column that is constant does not count as a feature
        self._n_features = max(1, int(np.count_nonzero(X.std(axis=0))))

    def best(self, anchor: Anchor | None) -> Candidate:
        """Choose the penalty: a power of ten, uphill from the middle."""
        fits = LogisticFits(self.X, self.cells.y, len(self.cells.classes), anchor)
        tried: dict[int, Candidate] = {}
        start: Weights | None = None
        for power in _FIRST:
            tried[power], start = self._judge(fits, power, start)
        step = 1 if tried[_FIRST[1]].loss < tried[_FIRST[0]].loss else -1
        power = _FIRST[1] if step == 1 else _FIRST[0]
        while _LOWEST <= power + step <= _HIGHEST:
            tried[power + step], start = self._judge(fits, power + step, start)
            if tried[power + step].loss >= tried[power].loss:
                break
            power += step
        return tried[power]

    def _judge(
        self, fits: LogisticFits, power: int, start: Weights | None
    ) -> tuple[Candidate, Weights]:
        C = 10.0**power / self._n_features
        state = start
        scores = kept = np.empty(0)

        def held_out_errors(shares: np.ndarray) -> np.ndarray:
            nonlocal state, scores
            weights = (shares / np.maximum(self._counts, 1)).T[self.cells.codes] * self._seen
            state = fits.fit(weights, C, state, tol=_TOLERANCE)
            scores = np.empty((len(self.X), fits.n_rows))
            for number, seen in enumerate(self._seen.T):
                scores[~seen] = state.logits(self.X[~seen], number)
            return predict_codes(scores) != self.cells.y

        def keep(_: int) -> None:
            nonlocal kept
            kept = scores

        balance = learn_balance(
            held_out_errors,
            self.cells,
            start_shares(self.cells),
            n_rounds=self.n_rounds,
            eta=self.eta,
            max_average_loss=self.max_average_loss,
            on_best=keep,
            on_round=self.on_round,
        )
        row = balance.rounds.iloc[balance.best_round]
        kept = kept.ravel() if fits.n_rows == 1 else kept
        found = Candidate(
            C, _anchor_of(fits), balance.weights, row["worst"], row["average"], kept, balance.rounds
        )
        assert state is not None
        return found, state

    def final(self, chosen: Candidate) -> tuple[np.ndarray, np.ndarray]:
        """Fit on all samples, and move the intercept where held-out errors ask for it."""
        fits = LogisticFits(self.X, self.cells.y, len(self.cells.classes), chosen.anchor)
        weights = (chosen.shares / np.maximum(self.cells.counts, 1))[self.cells.codes]
        fitted = fits.fit(weights[:, None], chosen.C)
        offsets = cross_fitted_offsets(
            chosen.scores, self.cells, self.folds, max_average_loss=self.max_average_loss
        ).offsets
        if fits.n_rows == 1:
            offsets = offsets[1:] - offsets[:1]
        return fitted.coef[0], fitted.intercept[0] + offsets


def _anchor_of(fits: LogisticFits) -> Anchor | None:
    return fits.anchor if np.any(fits.anchor[0]) else None
