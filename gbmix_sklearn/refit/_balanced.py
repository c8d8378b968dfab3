"""Deep feature reweighting: a new last layer from group-balanced data.

Kirichenko et al., "Last Layer Re-Training is Sufficient for Robustness to Spurious Correlations",
ICLR 2023, https://arxiv.org/abs/2204.02937, whose code is
https://github.com/PolinaKirichenko/deep_feature_reweighting
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from ..balance import shrunken_errors
from ..groups import Attribute, Cells, too_small
from ..model_selection._units import divide_units
from ._anchored import anchor_of
from ._linear import linear_predict, set_weights, with_absent_classes
from ._recipe import LearnedRecipe, Recipe, find_recipe
from ._scaling import scaling_of, standardised

__all__ = ["check_refit_classes", "halves", "refit_head", "worst_group"]


def check_refit_classes(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the class codes that are present, of which there must be two.

    Raises
    ------
    ValueError
        If fewer than two classes have samples.
    """
    present = np.unique(y)
    if len(present) < 2:
        raise ValueError(
            "the refit needs samples of at least two classes, and the set-aside part has "
            f"{classes[present].tolist() or 'none'}: give more data, lower validation_fraction, "
            "or use refit=None"
        )
    return present


def refit_head(
    z: np.ndarray,
    y: np.ndarray,
    cells: np.ndarray,
    classes: np.ndarray,
    *,
    estimator: Any = "logistic",
    validation: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    scaling: tuple[np.ndarray, np.ndarray] | None = None,
    trained: LogisticRegression | None = None,
    n_draws: int | None = None,
    units: np.ndarray | None = None,
    rng: np.random.Generator,
) -> Any:
    """Fit a linear classifier on balanced draws of embeddings.

    The embeddings are standardised; every draw takes the same number from each cell, that of the
    smallest; the coefficients are the mean over `n_draws` draws, with the scaling folded back.

    Parameters
    ----------
    z : ndarray or CSR matrix of shape (n_samples, n_features)
        Embeddings of held-out samples.
    y, cells : ndarray of shape (n_samples,)
        Class codes and cell numbers.
    classes : ndarray of shape (n_classes,)
        The labels that the codes stand for.
    estimator : {"anchored", "logistic", "dfr"}, Recipe or classifier, default="logistic"
        Penalised logistic regression, C by worst-group accuracy: a recipe or its name. Anything
        else is a linear scikit-learn classifier, fitted as it is.
    validation : tuple of (z, y, cells), default=None
        Data that choose C; None takes one half of each cell to fit and the other to choose. The
        final fits use all of `z` in either case.
    scaling : tuple of (mean, scale), default=None
        From :func:`scaling_of` other embeddings, which a recipe with ``scaler="train"`` wants; None
        takes it from `z`.
    trained : LogisticRegression, default=None
        The last layer as it was trained, which the recipe "anchored" stays near.
    n_draws : int, default=None
        Balanced draws to average; None is what the recipe says, 20 for a classifier.
    units : ndarray of shape (n_samples,), default=None
        Samples of equal numbers are in the same half.
    rng : numpy.random.Generator
        Draws the samples.

    Returns
    -------
    estimator
        A fitted linear classifier for unscaled embeddings.

    Raises
    ------
    ValueError
        If fewer than two classes have samples.
    TypeError
        If `estimator` is not linear (has no `coef_` after fitting).

    Notes
    -----
    What the authors' code does (``dfr_evaluate_spurious.py``): C is chosen on one random half of
    the validation data, for fits on a single balanced draw from the other half, the same for every
    C, standardised by itself. The final fits are 20 balanced draws from all the validation data,
    standardised by the training data, and the coefficients and intercepts of these are averaged.
    DFR-Tr standardises everything by the training data, chooses C on the validation data (at most
    20 iterations of liblinear) and averages 10 draws. The intercept is penalised.

    Here the halves are those of every cell, and choice and final fits have one scaling.
    """
    present = check_refit_classes(y, classes)
    mean, scale = scaling_of(z) if scaling is None else scaling
    everyone = np.arange(z.shape[0])

    def draw_from(pool: np.ndarray) -> tuple[Any, np.ndarray]:
        draw = _balanced_draw(pool, cells, rng)
        return standardised(z[draw], (mean, scale)), y[draw]

    def as_labels(codes: np.ndarray) -> np.ndarray:
        """What a classifier of the user's is fitted on: its class weights are of labels."""
        return np.asarray(classes)[codes]

    recipe = find_recipe(estimator)
    if isinstance(recipe, LearnedRecipe):
        raise TypeError("a learned balance has no draws: see learned_head")
    if recipe is not None:
        recipe.check()
    anchor = None
    if trained is not None and recipe is not None and recipe.penalty == "anchored":
        anchor = anchor_of(trained, present, (mean, scale))

    def fit(c: float | None, samples: tuple[Any, np.ndarray]) -> Any:
        with warnings.catch_warnings():  # a mean of many fits: none has to be exact
            warnings.simplefilter("ignore", ConvergenceWarning)
            if recipe is None or c is None:
                return clone(estimator).fit(samples[0], as_labels(samples[1]))
            return recipe.fit(*samples, present, C=c, anchor=anchor)

    chosen = None
    if recipe is not None:
        pool = everyone
        if validation is None:
            pool, other = halves(cells, rng, units)
            validation = (z[other], y[other], cells[other])
        z_val = standardised(validation[0], (mean, scale))
        samples = draw_from(pool)  # one for all, so that C is all they differ in
        best = -1.0
        for c in recipe.grid:
            accuracy = worst_group(linear_predict(fit(c, samples), z_val), *validation[1:])
            if accuracy > best:
                best, chosen = accuracy, c
    elif estimator.get_params().get("random_state", 0) is None:
        estimator = clone(estimator).set_params(random_state=int(rng.integers(2**31)))

    if n_draws is None:
        n_draws = (recipe or Recipe()).n_draws
    fitted = [fit(chosen, draw_from(everyone)) for _ in range(n_draws)]
    head = fitted[-1]
    if not (hasattr(head, "coef_") and hasattr(head, "intercept_")):
        raise TypeError(
            f"refit must be a linear classifier with coef_ and intercept_, got {head!r}"
        )
    # some keep the one row of two classes without its dimension
    coef = np.atleast_2d(np.mean([model.coef_ for model in fitted], axis=0)) / scale
    intercept = np.mean([model.intercept_ for model in fitted], axis=0) - coef @ mean
    if len(present) < len(classes):
        coef, intercept = with_absent_classes(coef, intercept, present, len(classes), trained)
    if len(classes) > 2 and getattr(head, "solver", None) == "liblinear":
        # which has no softmax over classes, and that is what the rows stand for
        head = LogisticRegression(C=getattr(head, "C", 1.0))
        head.n_iter_ = fitted[-1].n_iter_
    return set_weights(head, coef, intercept, classes)


def _balanced_draw(pool: np.ndarray, cells: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many samples of the pool from each present cell as the smallest has.

    A cell too small to decide that gives what it has.
    """
    shuffled = rng.permutation(pool)
    order = shuffled[np.argsort(cells[shuffled], kind="stable")]
    _, start, counts = np.unique(cells[order], return_index=True, return_counts=True)
    size = counts[~too_small(counts)].min()
    place = np.arange(len(order)) - np.repeat(start, counts)
    return order[place < size]


def halves(
    cells: np.ndarray, rng: np.random.Generator, units: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Two halves of each cell; a cell of one sample is in both, unless units stay together."""
    if units is not None:
        half = divide_units(cells, units, [0.5, 0.5], rng)
        return np.flatnonzero(half == 0), np.flatnonzero(half == 1)
    shuffled = rng.permutation(len(cells))
    order = shuffled[np.argsort(cells[shuffled], kind="stable")]
    _, start, counts = np.unique(cells[order], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(start, counts)
    size = np.repeat(counts, counts)
    return order[place < (size + 1) // 2], order[(place >= size // 2) | (size == 1)]


def worst_group(predicted: np.ndarray, y: np.ndarray, cells: np.ndarray) -> float:
    """Accuracy of the worst cell, drawn towards that of its class where it is small."""
    _, codes = np.unique(cells, return_inverse=True)
    attribute = Attribute(codes, pd.DataFrame({"cell": np.arange(codes.max() + 1)}))
    known = Cells(y, np.arange(y.max() + 1).tolist(), attribute)
    return 1 - float(np.nanmax(shrunken_errors(predicted != y, known)))
