"""Two models on the same samples."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .._visible import visible
from ._json import as_json, comparison_record
from ._outcomes import Outcomes
from ._output import write_text
from ._tests import holm, mcnemar
from ._text import pvalue_text
from ._worst import n_resamples

__all__ = ["AuditComparison", "compare_outcomes", "interval_of_minima", "resample_pair"]

#: pairs of cells that are compared one by one
MOST_PAIRS = 20_000


@dataclass(frozen=True, repr=False)
class AuditComparison:
    """What :meth:`GroupAudit.compare` found; differences are the first model minus the second.

    Parameters
    ----------
    cells : DataFrame
        A row for each cell, with the columns ``accuracy`` and ``other_accuracy``, ``difference``,
        ``only_this`` and ``only_other`` (samples that one model alone gets right), ``pvalue`` of
        the exact McNemar test, ``pvalue_adjusted`` (Holm, over the cells) and ``significant``.
    labels : list of str
        One line for each cell.
    confidence : float
        Confidence of the interval; one minus it is the level of the tests.
    worst_group_accuracy, other_worst_group_accuracy : float
        Accuracy of the worst cell of each model.
    low, high : float
        Bootstrap interval for the difference of the two.

    See Also
    --------
    GroupAudit : Audit of one model, with the method that compares.

    Notes
    -----
    Samples that both models get right or both get wrong say nothing of their difference. Of the
    others, each model would win half of them if they were equally good: the exact McNemar test
    [1]_ is the binomial test of that.

    The interval is from a bootstrap of the samples of each cell, with the outcomes of both models.
    Percentiles of the difference of two minima would not do: where a model is about as bad in
    several cells, the smallest of their measured accuracies is too low, more so in each resample,
    and such intervals cover far too seldom. In two steps [2]_, the cells are found that may be the
    worst of each model, and then the paired differences of all of these get simultaneous intervals,
    from which that of the difference of the minima follows. It is as narrow as that of two given
    cells where the worst cells are clear, and too wide rather than too narrow where they are not;
    where more than 20,000 pairs of cells may be the worst, it leaves out the pairing and is wider.
    As in the rank confidence of :class:`GroupAudit`, resamples are drawn from counts to which one
    sample is added, a quarter for each of the four outcomes, for the sake of small cells.

    References
    ----------
    .. [1] Q. McNemar, "Note on the sampling error of the difference between correlated proportions
       or percentages", Psychometrika 12, 1947. https://doi.org/10.1007/BF02295996
    .. [2] J. P. Romano, A. M. Shaikh, M. Wolf, "A practical two-step method for testing moment
       inequalities", Econometrica 82, 2014. https://doi.org/10.3982/ECTA11011
    """

    cells: pd.DataFrame
    labels: list[str]
    confidence: float
    worst_group_accuracy: float
    other_worst_group_accuracy: float
    low: float
    high: float

    @property
    def worst_group_difference(self) -> float:
        """Difference of the accuracies of the worst cells."""
        return self.worst_group_accuracy - self.other_worst_group_accuracy

    @property
    def worst_group_is_different(self) -> bool:
        """Whether the interval of that difference leaves out zero."""
        return not self.low <= 0 <= self.high

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each cell, see `cells`."""
        return self.cells.copy()

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the comparison as JSON text.

        Parameters
        ----------
        path : str or Path, default=None
            File to write as well.

        Returns
        -------
        str
            An object with ``confidence``, ``worst_group_accuracy``,
            ``other_worst_group_accuracy``, their ``difference`` with its interval ``low`` to
            ``high``, ``different`` (whether that leaves out zero), and ``cells`` (a list with an
            object for each). Labels that JSON does not know are text.
        """
        text = as_json(comparison_record(self))
        write_text(path, text)
        return text

    def __repr__(self) -> str:
        verdict = "better" if self.worst_group_difference > 0 else "worse"
        if not self.worst_group_is_different:
            verdict = "not told apart"
        lines = [
            f"Worst group accuracy {self.worst_group_accuracy:.3f} against "
            f"{self.other_worst_group_accuracy:.3f}: difference "
            f"{self.worst_group_difference:+.3f} ({self.low:+.3f} to {self.high:+.3f}), {verdict}.",
            "",
        ]
        labels = [*map(visible, self.labels)]
        width = max(map(len, labels))
        lines.append(f"{'':>{width}}  accuracy     other  difference      adjusted")
        columns = ("accuracy", "other_accuracy", "difference", "pvalue_adjusted", "significant")
        lines += [
            f"{label:>{width}}{accuracy:10.3f}{other:10.3f}{difference:+12.3f}"
            f"{pvalue_text(pvalue):>12}" + ("  <- different" if significant else "")
            for label, accuracy, other, difference, pvalue, significant in zip(
                labels, *(self.cells[column] for column in columns), strict=True
            )
        ]
        return "\n".join(lines)


def compare_outcomes(
    first: Outcomes, second: Outcomes, confidence: float, rng: np.random.Generator
) -> AuditComparison:
    """Compare the outcomes of two models.

    Raises
    ------
    ValueError
        If they are not of the same samples.
    """
    _check_same_samples(first, second)
    n_cells = len(first.count)
    outcome = 2 * first.hit_of_kind[first.kind] + second.hit_of_kind[second.kind]
    counts = np.bincount(4 * first.cell + outcome, minlength=4 * n_cells).reshape(n_cells, 4)
    only_second, only_first = counts[:, 1], counts[:, 2]
    pvalues = mcnemar(only_first, only_second)
    adjusted = holm(pvalues)
    accuracy, other = first.correct / first.count, second.correct / second.count
    low, high = worst_difference_interval(counts, confidence, rng)
    return AuditComparison(
        cells=pd.DataFrame(
            {
                "accuracy": accuracy,
                "other_accuracy": other,
                "difference": accuracy - other,
                "count": first.count,
                "only_this": only_first,
                "only_other": only_second,
                "pvalue": pvalues,
                "pvalue_adjusted": adjusted,
                "significant": adjusted <= 1 - confidence,
            },
            index=first.index,
        ),
        labels=first.labels,
        confidence=confidence,
        worst_group_accuracy=float(accuracy.min()),
        other_worst_group_accuracy=float(other.min()),
        low=low,
        high=high,
    )


def worst_difference_interval(
    counts: np.ndarray, confidence: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Interval for the accuracy of one model's worst cell minus that of the other's.

    Parameters
    ----------
    counts : ndarray of shape (n_cells, 4), dtype int
        Samples that neither model, only the second, only the first and both get right.
    confidence : float in (0, 1)
        Probability that the interval covers the difference.
    rng : Generator
        Source of the resamples.
    """
    return interval_of_minima(*resample_pair(counts, rng), confidence)


def interval_of_minima(
    drawn: np.ndarray, accuracy: np.ndarray, confidence: float
) -> tuple[float, float]:
    """Interval for the smallest accuracy of one model minus the smallest of the other.

    Parameters
    ----------
    drawn : ndarray of shape (n_resamples, 2, n_cells)
        Accuracies of both models in resamples.
    accuracy : ndarray of shape (2, n_cells)
        As they were measured.
    confidence : float in (0, 1)
        Probability that the interval covers the difference.
    """
    error = drawn - drawn.mean(axis=0)
    spread = error.std(axis=0)
    largest = np.abs(error / spread).max(axis=(1, 2))
    # first, the cells that may be the worst of each model, with a tenth of what may go wrong
    screened = (1 - confidence) / 10
    reach = spread * np.quantile(largest, 1 - screened)
    may_be_worst = accuracy - reach <= (accuracy + reach).min(axis=1, keepdims=True)
    first, second = map(np.flatnonzero, may_be_worst)
    if len(first) * len(second) > MOST_PAIRS:
        # too many: the simultaneous intervals of all cells of both models bound the two minima
        reach = spread * np.quantile(largest, confidence)
        low, high = (accuracy - reach).min(axis=1), (accuracy + reach).min(axis=1)
        return _clipped(low[0] - high[1], high[0] - low[1])
    # then the differences of these, all at once
    largest = np.zeros(len(error))
    spread_of = np.empty((len(first), len(second)))
    for row, cell in enumerate(first):
        pairs = error[:, 0, [cell]] - error[:, 1, second]
        spread_of[row] = pairs.std(axis=0)
        largest = np.maximum(largest, np.abs(pairs / spread_of[row]).max(axis=1))
    reach = spread_of * np.quantile(largest, confidence + screened)
    difference = accuracy[0, first][:, None] - accuracy[1, second]
    # the difference of the minima is the smallest, over the first, largest, over the second
    low, high = (bound.max(axis=1).min() for bound in (difference - reach, difference + reach))
    return _clipped(low, high)


def _clipped(low: float, high: float) -> tuple[float, float]:
    return max(-1.0, float(low)), min(1.0, float(high))


def resample_pair(counts: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies of both models in each cell: of resamples, and as they were measured.

    Parameters
    ----------
    counts : ndarray of shape (n_cells, 4), dtype int
        Samples that neither model, only the second, only the first and both get right.
    rng : Generator
        Source of the resamples.

    Returns
    -------
    drawn : ndarray of shape (n_resamples, 2, n_cells)
    accuracy : ndarray of shape (2, n_cells)
    """
    total = counts.sum(axis=1)
    size = n_resamples(len(counts))
    right = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    drawn = np.stack(
        [
            rng.multinomial(n, (outcomes + 0.25) / (n + 1), size=size) @ right / n
            for outcomes, n in zip(counts, total, strict=True)
        ],
        axis=2,
    )
    return drawn, (counts @ right).T / total


def _check_same_samples(first: Outcomes, second: Outcomes) -> None:
    problem = ""
    if len(first.kind) != len(second.kind):
        problem = f"they have {len(first.kind)} and {len(second.kind)} samples"
    elif list(first.index.names) != list(second.index.names):
        problem = (
            f"their attributes are {list(first.index.names[1:])} and {list(second.index.names[1:])}"
        )
    elif first.labels != second.labels:
        cells = sorted(set(first.labels) ^ set(second.labels)) or first.labels
        problem = f"only one of them has the cell {cells[0]!r}"
    else:
        rows = np.flatnonzero(first.cell != second.cell)
        if len(rows):
            here = first.labels[first.cell[rows[0]]]
            there = second.labels[second.cell[rows[0]]]
            problem = (
                f"row {rows[0]} is {here!r} in one and {there!r} in the other; {len(rows)} rows "
                "differ"
            )
    if problem:
        raise ValueError(
            f"the audits are not of the same samples in the same order: {problem}. Make both from "
            "the same y_true and groups"
        )
