"""Where classes part: an offset for each class, for the worst cell of held-out samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from ..groups import Cells
from ._cell_errors import PRIOR_SAMPLES, shrink, shrunken_errors

__all__ = ["ChosenOffsets", "choose_offsets", "cross_fitted_offsets", "predict_codes"]

#: places along a line that are compared at most
_MOST_PLACES = 10_000
#: standard errors of the worst cell within which places are as good as the best
_AS_GOOD = 0.5
#: what the mean of the cells counts for beside the worst one, to go on where that stands still
_MEAN = 1e-3
_MOST_SWEEPS = 10


def predict_codes(scores: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Class codes of scores to which offsets are added.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Log-odds or decisions for the second of two classes; else a score for each class.
    offsets : ndarray of shape (n_classes,)
        Added to the scores of the classes.

    Returns
    -------
    ndarray of shape (n_samples,), dtype int64
    """
    if scores.ndim == 1:
        return (scores + (offsets[1] - offsets[0]) > 0).astype(np.int64)
    return (scores + offsets).argmax(axis=1)


def choose_offsets(
    scores: np.ndarray,
    cells: Cells,
    *,
    max_average_loss: float | None = None,
    prior_samples: float = PRIOR_SAMPLES,
) -> np.ndarray:
    """Choose the offsets with which the worst cell is best.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Of samples that the model has not seen: log-odds or decisions for the second of two
        classes; else log-probabilities or decisions, one for each class.
    cells : Cells
        Their cells.
    max_average_loss : float, default=None
        How much of the average accuracy without offsets may be given up.
    prior_samples : float, default=25.0
        See :func:`shrunken_errors`.

    Returns
    -------
    ndarray of shape (n_classes,)
        For two classes 0 and that of the second; for more with mean 0.

    See Also
    --------
    cross_fitted_offsets : Says as well whether they help.

    Notes
    -----
    The accuracy of each cell is a step function of each offset, and is evaluated at every step (of
    very many, at 10,000 of them). Offsets whose worst cell is within half a standard error of the
    best are a range, and its middle is taken: the very best place is one by chance. More than two
    classes go one after the other, over and over, until the worst cell stands still.

    Examples
    --------
    >>> from gbmix_sklearn.groups import make_cells
    >>> scores = np.array([-5.0, -4.0, -3.0, -2.0, -1.0, 2.0])
    >>> cells = make_cells([0, 0, 0, 1, 1, 1], ["a", "b", "a", "a", "b", "a"])
    >>> choose_offsets(scores, cells)
    array([0. , 2.5])
    """
    line = _Judge(cells, max_average_loss, prior_samples)
    if scores.ndim == 1:
        line.allow_from(predict_codes(scores, np.zeros(2)))
        second = cells.y == 1
        steps = _Steps(-scores, after=second, before=~second)
        return np.array([0.0, line.middle(steps, None)])
    offsets = np.zeros(scores.shape[1])
    line.allow_from(predict_codes(scores, offsets))
    best = -np.inf
    for _ in range(_MOST_SWEEPS):
        before = best
        for k in range(len(offsets)):
            offsets[k], best = line.best(_steps_of_class(scores, cells.y, offsets, k), offsets[k])
        if best <= before + 1e-9:
            break
    floor = None
    for k in range(len(offsets)):
        steps = _steps_of_class(scores, cells.y, offsets, k)
        floor = line.floor(steps, offsets[k]) if floor is None else floor
        offsets[k] = line.middle(steps, floor, offsets[k])
    return offsets - offsets.mean()


class _Steps(NamedTuple):
    """What one offset does: where each sample turns to its class, and when it is right."""

    turns: np.ndarray
    after: np.ndarray  # right with a larger offset than that
    before: np.ndarray  # right with a smaller one


def _steps_of_class(scores: np.ndarray, y: np.ndarray, offsets: np.ndarray, k: int) -> _Steps:
    others = scores + offsets
    others[:, k] = -np.inf
    rival = others.argmax(axis=1)
    turns = others[np.arange(len(y)), rival] - scores[:, k]
    return _Steps(turns, after=y == k, before=rival == y)


class _Judge:
    """Cells judged along one offset."""

    def __init__(self, cells: Cells, max_average_loss: float | None, prior_samples: float):
        self.cells = cells
        self.max_average_loss = max_average_loss
        self.prior_samples = prior_samples
        self.least_average = -np.inf

    def allow_from(self, codes: np.ndarray) -> None:
        """Set the least average accuracy, from that without offsets."""
        if self.max_average_loss is not None:
            self.least_average = np.mean(codes == self.cells.y) - self.max_average_loss - 1e-12

    def _places(self, turns: np.ndarray, here: float | None) -> np.ndarray:
        """One place between each two turns, before all and behind all, and the present one."""
        turns = np.unique(turns)
        if len(turns) >= _MOST_PLACES:
            turns = turns[np.linspace(0, len(turns) - 1, _MOST_PLACES - 1).astype(np.int64)]
        between = (turns[:-1] + turns[1:]) / 2
        places = np.r_[turns[0] - 1, between, turns[-1] + 1]
        return places if here is None else np.sort(np.r_[places, here])

    def _accuracies(self, steps: _Steps, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shrunken accuracy of each present cell, and the average accuracy, at each place."""
        right = np.zeros((len(places), self.cells.n_cells))
        for cell in self.cells.present:
            members = self.cells.codes == cell
            after = np.sort(steps.turns[members & steps.after])
            before = np.sort(steps.turns[members & steps.before])
            right[:, cell] = np.searchsorted(after, places)
            right[:, cell] += len(before) - np.searchsorted(before, places)
        errors = shrink(self.cells.counts - right, self.cells, self.prior_samples)
        return 1 - errors[:, self.cells.present], right.sum(axis=1) / len(self.cells.y)

    def best(self, steps: _Steps, here: float) -> tuple[float, float]:
        """Place with the best worst cell, and how good it is."""
        places = self._places(steps.turns, here)
        accuracies, average = self._accuracies(steps, places)
        good = accuracies.min(axis=1) + _MEAN * accuracies.mean(axis=1)
        good[average < self.least_average] = -np.inf
        best = int(good.argmax())
        stay = int(np.searchsorted(places, here))
        if good[best] <= good[stay]:  # ties keep what is there
            best = stay
        return float(places[best]), float(good[best])

    def floor(self, steps: _Steps, here: float) -> float:
        """Worst cell that is as good as the present one, but for noise."""
        accuracies, _ = self._accuracies(steps, np.array([here]))
        return self._as_good(accuracies[0])

    def _as_good(self, accuracies: np.ndarray) -> float:
        worst = int(accuracies.argmin())
        samples = self.cells.counts[self.cells.present[worst]] + self.prior_samples
        accuracy = float(accuracies[worst])
        return accuracy - _AS_GOOD * float(np.sqrt(accuracy * (1 - accuracy) / samples))

    def middle(self, steps: _Steps, floor: float | None, here: float | None = None) -> float:
        """Middle of the range of places that are as good as the best, or above a floor."""
        places = self._places(steps.turns, here)
        accuracies, average = self._accuracies(steps, places)
        worst = np.where(average >= self.least_average, accuracies.min(axis=1), -np.inf)
        best = int(worst.argmax()) if here is None else int(np.searchsorted(places, here))
        good = worst >= (self._as_good(accuracies[best]) if floor is None else floor)
        good[best] = True
        bad = np.flatnonzero(~good)
        first = int(bad[bad < best].max(initial=-1)) + 1
        last = int(bad[bad > best].min(initial=len(places))) - 1
        return float(places[first] + places[last]) / 2


@dataclass(frozen=True)
class ChosenOffsets:
    """Offsets, and what held-out samples say of them.

    Attributes
    ----------
    offsets : ndarray of shape (n_classes,)
        Zeros where they do not help.
    adopted : bool
        Whether they help.
    before, after : tuple of (worst, average)
        Accuracy without and with offsets, each sample with those chosen on other folds; that of the
        worst cell is shrunken.
    """

    offsets: np.ndarray
    adopted: bool
    before: tuple[float, float]
    after: tuple[float, float]


def cross_fitted_offsets(
    scores: np.ndarray,
    cells: Cells,
    folds: np.ndarray,
    *,
    max_average_loss: float | None = None,
    prior_samples: float = PRIOR_SAMPLES,
) -> ChosenOffsets:
    """Choose offsets, unless those chosen on some folds do not help the others.

    They help if the worst cell of all folds, each with the offsets that the other folds choose, is
    better than without by more than the standard error of the latter.

    Parameters
    ----------
    scores, cells, max_average_loss, prior_samples
        As for :func:`choose_offsets`.
    folds : ndarray of shape (n_samples,), dtype int
        Fold of each sample.

    Returns
    -------
    ChosenOffsets

    See Also
    --------
    choose_offsets : The choice alone.
    """
    none = np.zeros(len(cells.classes))
    choose = partial(choose_offsets, max_average_loss=max_average_loss, prior_samples=prior_samples)
    without, crossed = predict_codes(scores, none), np.empty(len(cells.y), dtype=np.int64)
    for fold in np.unique(folds):
        rest, part = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        chosen = choose(scores[rest], cells.take(rest)) if len(rest) else none
        crossed[part] = predict_codes(scores[part], chosen)
    errors = shrunken_errors(without != cells.y, cells, prior_samples)
    before = 1 - float(np.nanmax(errors)), float(np.mean(without == cells.y))
    after = (
        1 - float(np.nanmax(shrunken_errors(crossed != cells.y, cells, prior_samples))),
        float(np.mean(crossed == cells.y)),
    )
    samples = cells.counts[int(np.nanargmax(errors))] + prior_samples
    noise = float(np.sqrt(before[0] * (1 - before[0]) / samples))
    if after[0] <= before[0] + noise:
        return ChosenOffsets(none, False, before, after)
    return ChosenOffsets(choose(scores, cells), True, before, after)
