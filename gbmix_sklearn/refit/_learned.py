"""A last layer whose cells weigh what errors on held-out samples say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from ..groups import Cells
from ._anchored import anchor_of
from ._held_out import HeldOutSearch, of_classes
from ._linear import set_weights, with_absent_classes
from ._recipe import LearnedRecipe
from ._scaling import scaling_of, standardised

__all__ = ["LearnedHead", "learned_head"]


@dataclass(frozen=True)
class LearnedHead:
    """The new layer, and how it was found.

    Attributes
    ----------
    head : LogisticRegression
        For embeddings as they come.
    C : float
        Inverse strength of the penalty.
    anchored : bool
        Whether it is held near the trained layer; else near zero.
    cell_weights : Series of shape (n_cells,)
        Share of each cell in the loss. Cells that are too small have none: their samples count as
        those of the largest cell of their class.
    worst : float
        Error of the worst cell, shrunken, on held-out samples that nothing before was trained on.
    average : float
        Held-out error of all samples.
    rounds : DataFrame
        The rounds that led there, see :class:`gbmix_sklearn.balance.LearnedBalance`.
    """

    head: LogisticRegression
    C: float
    anchored: bool
    cell_weights: pd.Series
    worst: float
    average: float
    rounds: pd.DataFrame


def learned_head(
    z: np.ndarray,
    cells: Cells,
    *,
    trained: LogisticRegression | None = None,
    unseen: np.ndarray | None = None,
    scaling: tuple[np.ndarray, np.ndarray] | None = None,
    folds: np.ndarray,
    recipe: LearnedRecipe = LearnedRecipe(),  # noqa: B008 - it is frozen
    on_round: Callable[[float, str, int, float, float], None] | None = None,
) -> LearnedHead:
    """Fit the last layer on all samples, weighted as the errors on held-out folds ask for.

    Weighted logistic regressions are fitted without one fold in turn; the errors of the cells on
    the folds left out decide the weights of the next round. The same errors choose the strength of
    the penalty, and whether it pulls towards zero or towards the trained layer. The last fit has
    all samples.

    Parameters
    ----------
    z : ndarray or CSR matrix of shape (n_samples, n_features)
        Embeddings, of samples that the embedding has not been trained on.
    cells : Cells
        Their cells.
    trained : LogisticRegression, default=None
        The layer as it was trained, which the new one may be held near.
    unseen : ndarray of shape (n_samples,), dtype bool, default=None
        Which samples `trained` has not been trained on: only their errors say how good it is to
        stay near it, and how good the result is. None is all.
    scaling : tuple of (mean, scale), default=None
        What standardises the embeddings; None takes it from `z`.
    folds : ndarray of shape (n_samples,), dtype int
        Fold of each sample, see :func:`deal_out`.
    recipe : LearnedRecipe
        What the rounds do.
    on_round : callable, default=None
        Told what :class:`HeldOutSearch` tells of each round.

    Returns
    -------
    LearnedHead

    Raises
    ------
    ValueError
        If all samples are in one fold.
    """
    if len(np.unique(folds)) < 2:
        raise ValueError(
            "a balance is learned from samples that a fit has not seen, and all samples belong "
            "together: keep_together has a single unit. Leave it out, or give samples of others"
        )
    mean, scale = scaling_of(z) if scaling is None else scaling
    X = standardised(z, (mean, scale)).astype(np.float32, copy=False)
    present = np.unique(cells.y)
    n_features, columns = X.shape[1], np.arange(X.shape[1])
    if sparse.issparse(X):  # words that no sample has, as most of a HashingVectorizer, stay as is
        columns = np.unique(X.indices)
        X = X[:, columns]
    search = HeldOutSearch(
        X,
        of_classes(cells.without_small(), present),
        folds,
        n_rounds=recipe.n_rounds,
        eta=recipe.eta,
        max_average_loss=recipe.max_average_loss,
        on_round=on_round,
    )
    best = search.from_zero()
    judged = np.arange(z.shape[0]) if unseen is None or not unseen.any() else np.flatnonzero(unseen)
    if trained is not None:
        anchor = anchor_of(trained, present, (mean, scale))
        anchored = search.near((anchor[0][:, columns], anchor[1]), judged, best)
        best = anchored if anchored.worst < search.worst_of(best, judged) else best
    of_columns, intercept = search.final(best)
    coef = np.zeros((len(of_columns), n_features))
    if best.anchor is not None:
        coef += anchor[0]
    coef[:, columns] = of_columns
    coef /= scale
    intercept = intercept - coef @ mean
    classes = np.asarray(cells.classes)
    coef, intercept = with_absent_classes(coef, intercept, present, len(classes), trained)
    head = set_weights(LogisticRegression(C=best.C / z.shape[0]), coef, intercept, classes)
    head.n_iter_ = np.array([len(best.rounds)], dtype=np.int32)
    shares = np.zeros((len(classes), len(cells.attribute)))
    shares[present] = best.shares.reshape(len(present), -1)
    return LearnedHead(
        head,
        best.C,
        best.anchor is not None,
        pd.Series(shares.ravel(), cells.index, name="weight"),
        search.worst_of(best, judged),
        best.average,
        best.rounds,
    )
