"""The search for shares of cells and a penalty by errors on held-out folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from .._sparse import mean_squared_length
from ..balance import cross_fitted_offsets, learn_balance, shrunken_errors, start_shares
from ..groups import Cells
from ..model_selection._units import divide_units
from ._logistic import LogisticFits, Weights, predict_codes

__all__ = ["N_FOLDS", "Candidate", "HeldOutSearch", "deal_out", "of_classes"]

#: folds of which each is judged by a fit of the others
N_FOLDS = 5
#: inverse strength of the penalty times the number of features, as powers of ten: where the search
#: begins, and where it ends
_FIRST, _LOWEST, _HIGHEST = (3, 4), 0, 7
#: where it ends with an anchor
_STRONGEST = -2
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
    power : int
        Inverse strength of the penalty times the number of features, as a power of ten.
    C : float
        Inverse strength of the penalty.
    anchor : tuple of (coef, intercept) or None
        What the coefficients are held near; None is zero.
    shares : ndarray of shape (n_cells,)
        Share of each cell in the loss.
    worst, average : float
        Held-out error of the worst cell, shrunken, and of all samples.
    judged : ndarray of shape (n_judged,), dtype int
        The samples whose errors count.
    scores : ndarray of shape (n_judged,) or (n_judged, n_classes)
        Their held-out logits.
    rounds : DataFrame
        See :class:`gbmix_sklearn.balance.LearnedBalance`.
    """

    power: int
    C: float
    anchor: Anchor | None
    shares: np.ndarray
    worst: float
    average: float
    judged: np.ndarray
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
    _, cell, counts = np.unique(codes[order], return_inverse=True, return_counts=True)
    place = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    folds = np.empty(len(codes), dtype=np.int64)
    # each fold a block of a cell, so that a few samples more or less move few others; cells begin
    # with different folds, which evens out their sizes
    folds[order] = (place * N_FOLDS // counts[cell] + cell) % N_FOLDS
    return folds


def of_classes(cells: Cells, present: np.ndarray) -> Cells:
    """The same samples where only the classes that have any are known."""
    if len(present) == len(cells.classes):
        return cells
    y = np.searchsorted(present, cells.y)
    return Cells(y, [cells.classes[k] for k in present], cells.attribute)


class HeldOutSearch:
    """Weighted logistic regressions, judged on the fold that each has not seen.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features), dtype float32
        Standardised features.
    cells : Cells
        Their cells, of which every class has samples.
    folds : ndarray of shape (n_samples,)
        Fold of each sample.
    n_rounds, eta, max_average_loss
        See :func:`gbmix_sklearn.balance.learn_balance`.
    on_round : callable, default=None
        Told the penalty's C, what it pulls towards ("zero" or "the trained layer"), the number of
        each round, the error of its worst cell and the average error.
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
        on_round: Callable[[float, str, int, float, float], None] | None = None,
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
        self._fits = LogisticFits(X, cells.y, len(cells.classes))
        self._n_features = _n_features(X)

    def from_zero(self) -> Candidate:
        """Choose a penalty that pulls towards zero: a power of ten, uphill from the middle."""
        everyone = np.arange(len(self.cells.y))
        judge = partial(self._judge, self._fits, everyone, start_shares(self.cells))
        tried: dict[int, Candidate] = {}
        weights: Weights | None = None
        for power in _FIRST:
            tried[power], weights = judge(power, self.n_rounds, weights)
        step = 1 if tried[_FIRST[1]].loss < tried[_FIRST[0]].loss else -1
        power = _FIRST[1] if step == 1 else _FIRST[0]
        while _LOWEST <= power + step <= _HIGHEST:
            tried[power + step], weights = judge(power + step, self.n_rounds, weights)
            if tried[power + step].loss >= tried[power].loss:
                break
            power += step
        return tried[power]

    def with_one_penalty(self) -> Candidate:
        """Learn the balance with the penalty that the search begins with."""
        shares, judged = start_shares(self.cells), np.arange(len(self.cells.y))
        return self._judge(self._fits, judged, shares, _FIRST[0], self.n_rounds, None)[0]

    def near(self, anchor: Anchor, judged: np.ndarray, zero: Candidate) -> Candidate:
        """Choose a penalty that pulls towards an anchor, beginning where zero has led to.

        Parameters
        ----------
        anchor : tuple of (coef, intercept)
            What the coefficients are held near.
        judged : ndarray of int
            The samples whose errors count.
        zero : Candidate
            From :meth:`from_zero`: its shares are the first, its penalty is the weakest.
        """
        judge = partial(self._judge, self._fits.near(anchor), judged, zero.shares)
        n_rounds = max(1, self.n_rounds // 2)
        best, weights = judge(zero.power, n_rounds, None)
        # a few samples can say what to change where they cannot say all: stronger, while it helps
        for power in range(zero.power - 1, _STRONGEST - 1, -1):
            stronger, weights = judge(power, n_rounds, weights)
            if stronger.loss > best.loss:
                break
            best = stronger
        return best

    def _judge(
        self,
        fits: LogisticFits,
        judged: np.ndarray,
        shares: np.ndarray,
        power: int,
        n_rounds: int,
        start: Weights | None,
    ) -> tuple[Candidate, Weights]:
        C = 10.0**power / self._n_features
        towards = "zero" if _anchor_of(fits) is None else "the trained layer"
        state = start
        scores = kept = np.empty(0)

        def held_out_errors(shares: np.ndarray) -> np.ndarray:
            nonlocal state, scores
            weights = (shares / np.maximum(self._counts, 1)).T[self.cells.codes] * self._seen
            state = fits.fit(weights, C, state, tol=_TOLERANCE)
            scores = np.empty((len(self.cells.y), fits.n_rows))
            for number, seen in enumerate(self._seen.T):
                scores[~seen] = state.logits(self.X[~seen], number)
            scores = scores[judged]
            return predict_codes(scores) != self.cells.y[judged]

        def keep(_: int) -> None:
            nonlocal kept
            kept = scores

        balance = learn_balance(
            held_out_errors,
            self.cells.take(judged),
            shares,
            n_rounds=n_rounds,
            eta=self.eta,
            max_average_loss=self.max_average_loss,
            on_best=keep,
            on_round=self.on_round and partial(self.on_round, C, towards),
        )
        row = balance.rounds.iloc[balance.best_round]
        kept = kept.ravel() if fits.n_rows == 1 else kept
        found = Candidate(
            power,
            C,
            _anchor_of(fits),
            balance.weights,
            row["worst"],
            row["average"],
            judged,
            kept,
            balance.rounds,
        )
        assert state is not None
        return found, state

    def worst_of(self, candidate: Candidate, judged: np.ndarray) -> float:
        """Error of the worst cell among some of the samples that a candidate was judged by."""
        place = np.searchsorted(candidate.judged, judged)
        scores = candidate.scores[place].reshape(len(judged), -1)
        wrong = predict_codes(scores) != self.cells.y[judged]
        return float(np.nanmax(shrunken_errors(wrong, self.cells.take(judged))))

    def final(self, chosen: Candidate) -> tuple[np.ndarray, np.ndarray]:
        """Fit on all samples, and move the intercept where held-out errors ask for it."""
        fits = self._fits if chosen.anchor is None else self._fits.near(chosen.anchor)
        weights = (chosen.shares / np.maximum(self.cells.counts, 1))[self.cells.codes]
        fitted = fits.fit(weights[:, None], chosen.C)
        offsets = cross_fitted_offsets(
            chosen.scores,
            self.cells.take(chosen.judged),
            self.folds[chosen.judged],
            max_average_loss=self.max_average_loss,
        ).offsets
        if fits.n_rows == 1:
            offsets = offsets[1:] - offsets[:1]
        return fitted.coef[0], fitted.intercept[0] + offsets


def _n_features(X: Any) -> float:
    """How many features count; one that is constant does not.

    Of standardised features that is the mean squared length of the rows, which is what it is of
    sparse ones, most of which are 0 in a row.
    """
    if sparse.issparse(X):
        return max(1.0, mean_squared_length(X))
    return max(1, int(np.count_nonzero(X.std(axis=0))))


def _anchor_of(fits: LogisticFits) -> Anchor | None:
    return fits.anchor if np.any(fits.anchor[0]) else None
