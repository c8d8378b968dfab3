"""The balance of cells, learned from errors on held-out samples.

Minimax group fairness, Diana et al., "Minimax Group Fairness: Algorithms and Experiments", AIES
2021, https://arxiv.org/abs/2011.03108, with one deterministic model in place of a mixture of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..groups import Cells
from ._cell_errors import PRIOR_SAMPLES, shrunken_errors

__all__ = ["LearnedBalance", "learn_balance", "next_shares"]

#: a round changes the weights so little that the next fit would be the same
_STILL = 1e-3


@dataclass(frozen=True)
class LearnedBalance:
    """What the rounds found.

    Attributes
    ----------
    weights : ndarray of shape (n_cells,)
        Share of each cell in the loss, with sum 1; 0 for cells without training samples.
    best_round : int
        The round with these weights, counted from 0, which has equal ones.
    rounds : DataFrame
        A row for each round: ``worst`` (error of the worst cell, shrunken), ``average`` (error of
        all held-out samples), ``best`` (whether it was the best so far), and the errors and the
        weight of each cell.
    """

    weights: np.ndarray
    best_round: int
    rounds: pd.DataFrame


def next_shares(shares: np.ndarray, errors: np.ndarray, eta: float) -> np.ndarray:
    """Move the shares of the cells towards those that are worse than the mean.

    ``w_c <- w_c * exp(eta * (error_c - mean))``, with sum 1.

    Parameters
    ----------
    shares : ndarray of shape (n_cells,)
        The shares so far. Cells with 0 keep it.
    errors : ndarray of shape (n_cells,)
        Error of each cell on samples that were not trained on; those without one, NaN, move with
        the mean.
    eta : float
        Step size, in units of the range of the errors.

    Returns
    -------
    ndarray of shape (n_cells,)

    Examples
    --------
    >>> next_shares(np.array([0.5, 0.5, 0.0]), np.array([0.1, 0.5, 0.9]), eta=1.0).round(2)
    array([0.4, 0.6, 0. ])
    """
    seen = (shares > 0) & ~np.isnan(errors)
    step = np.zeros_like(shares)
    if seen.any():
        step[seen] = eta * (errors[seen] - errors[seen].mean())
    following = shares * np.exp(step)
    return following / following.sum()


def learn_balance(
    held_out_errors: Callable[[np.ndarray], np.ndarray],
    held_out: Cells,
    start: np.ndarray,
    *,
    n_rounds: int = 8,
    eta: float = 1.0,
    max_average_loss: float | None = None,
    prior_samples: float = PRIOR_SAMPLES,
    on_best: Callable[[int], None] | None = None,
    on_round: Callable[[int, float, float], None] | None = None,
) -> LearnedBalance:
    """Learn how much each cell should weigh for the worst of them to be as good as possible.

    In each round a model is fitted with the weights so far, and the errors of the cells on samples
    that it has not seen decide the next weights, see :func:`next_shares`. The round whose worst
    cell is best is kept.

    Parameters
    ----------
    held_out_errors : callable
        Fits with the given share of each cell, an array of shape (n_cells,), and returns whether
        each held-out sample is misclassified, an array of shape (n_held_out,).
    held_out : Cells
        The cells of the held-out samples.
    start : ndarray of shape (n_cells,)
        Shares to begin with; cells with 0 keep it.
    n_rounds : int, default=8
        Fits, the first with the shares of `start`.
    eta : float, default=1.0
        Step size, in units of the range of the errors. Above 2 the rounds overshoot.
    max_average_loss : float, default=None
        How much the error of all held-out samples may exceed that of the first round; rounds
        beyond it are not kept.
    prior_samples : float, default=25.0
        See :func:`shrunken_errors`.
    on_best : callable, default=None
        Told the number of each round that is the best so far, before `on_round`.
    on_round : callable, default=None
        Told the number of each round, the error of its worst cell and the average error.

    Returns
    -------
    LearnedBalance
    """
    weights = start / start.sum()
    rows: list[dict[str, float]] = []
    kept: list[np.ndarray] = []
    best = 0
    for number in range(n_rounds):
        wrong = held_out_errors(weights)
        errors = shrunken_errors(wrong, held_out, prior_samples)
        worst, average = float(np.nanmax(errors)), float(wrong.mean())
        kept.append(weights)
        rows.append({"worst": worst, "average": average} | _by_cell(held_out, errors, weights))
        allowed = max_average_loss is None or average <= rows[0]["average"] + max_average_loss
        if worst < rows[best]["worst"] and allowed:
            best = number
        rows[-1]["best"] = best == number
        if on_best is not None and best == number:
            on_best(number)
        if on_round is not None:
            on_round(number, worst, average)
        following = next_shares(weights, errors, eta)
        if np.abs(following - weights).max() < _STILL:
            break
        weights = following
    frame = pd.DataFrame(rows)
    frame.index.name = "round"
    return LearnedBalance(kept[best], best, frame)


def _by_cell(cells: Cells, errors: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    present = np.flatnonzero((weights > 0) | ~np.isnan(errors))
    return {f"error[{cells.labels[cell]}]": errors[cell] for cell in present} | {
        f"weight[{cells.labels[cell]}]": weights[cell] for cell in present
    }
