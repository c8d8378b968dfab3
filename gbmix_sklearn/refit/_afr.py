"""Automatic feature reweighting: a last layer that attends to what the trained one gets wrong.

Qiu et al., "Simple and Fast Group Robustness by Automatic Feature Reweighting", ICML 2023,
https://arxiv.org/abs/2306.11074, whose code is https://github.com/AndPotap/afr
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from ._balanced import halves, worst_group
from ._linear import linear_decision, linear_head

__all__ = ["AFR_GAMMA", "afr_head", "afr_weights"]

#: from the range for CelebA in the paper's code (1 to 3) to that for Waterbirds (4 to 20)
AFR_GAMMA = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0)


def afr_weights(probability: np.ndarray, y: np.ndarray, gamma: float) -> np.ndarray:
    """Weigh samples by how little the trained model believes in their class.

    Parameters
    ----------
    probability : ndarray of shape (n_samples,)
        The model's probability of the true class.
    y : ndarray of shape (n_samples,)
        Class codes.
    gamma : float
        0 weighs all samples of a class alike.

    Returns
    -------
    ndarray of shape (n_samples,)
        ``exp(-gamma * probability) / n_y``, with sum 1.
    """
    weights = np.exp(-gamma * probability) / np.bincount(y)[y]
    return weights / weights.sum()


def afr_head(
    z: np.ndarray,
    y: np.ndarray,
    cells: np.ndarray,
    *,
    trained: LogisticRegression,
    validation: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    gamma: Any = "auto",
    reg_coeff: Any = 0.0,
    n_steps: int = 500,
    lr: float = 0.01,
    rng: np.random.Generator,
) -> tuple[LogisticRegression, float, float]:
    """Fit the last layer anew on samples weighted by the errors of the trained one.

    Gradient descent from the trained weights, on the weighted cross-entropy plus `reg_coeff` times
    the squared distance to where it began. It takes a fixed number of steps, as published: the
    held-out data are often separable, and without a penalty nothing but the end of the descent
    keeps the weights finite. All values of `gamma` and `reg_coeff` descend at once, as columns of
    one matrix.

    Parameters
    ----------
    z : ndarray of shape (n_samples, n_features)
        Embeddings of held-out samples.
    y, cells : ndarray of shape (n_samples,)
        Class codes, and the cell numbers by which halves are taken where there is no validation.
    trained : LogisticRegression
        The trained last layer.
    validation : tuple of (z, y, cells), default=None
        Data whose worst group chooses `gamma` and `reg_coeff`; in a tie the first. None takes one
        half of each cell to fit and the other to choose, and then fits on all of `z`.
    gamma : "auto", float or array-like, default="auto"
        How much the weights depend on the trained model; "auto" chooses from `AFR_GAMMA`.
    reg_coeff : float or array-like, default=0.0
        Pull towards the trained weights.
    n_steps : int, default=500
        Steps on all samples.
    lr : float, default=0.01
        Length of a step; gradients longer than 1 are shortened to it.
    rng : numpy.random.Generator
        Draws the halves.

    Returns
    -------
    head : LogisticRegression
        The new last layer.
    gamma, reg_coeff : float
        The chosen ones.
    """
    gammas = np.atleast_1d(AFR_GAMMA if isinstance(gamma, str) else gamma).tolist()
    settings = list(product(gammas, np.atleast_1d(reg_coeff).tolist()))
    best, everyone = settings[0], np.arange(z.shape[0])
    if len(settings) > 1:
        fit = everyone
        if validation is None:
            fit, other = halves(cells, rng)
            validation = (z[other], y[other], cells[other])
        changes = _descend(z[fit], y[fit], trained, settings, n_steps, lr)
        z_val, y_val, cells_val = validation
        logits = _logits(trained, z_val)[:, None] + _changed(z_val, *changes)
        accuracies = [worst_group(codes, y_val, cells_val) for codes in logits.argmax(2).T]
        best = settings[int(np.argmax(accuracies))]
        chosen = [settings.index(best)]
        if fit is everyone:
            return _with_changes(trained, *(change[..., chosen, :] for change in changes)), *best
    return _with_changes(trained, *_descend(z, y, trained, [best], n_steps, lr)), *best


def _descend(
    z: np.ndarray,
    y: np.ndarray,
    trained: LogisticRegression,
    settings: list[tuple[float, float]],
    n_steps: int,
    lr: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the changes of weights (n_features, n_settings, n_classes) and of intercepts."""
    start = _logits(trained, z)[:, None]
    n_classes = start.shape[2]
    probability = softmax(start[:, 0], axis=1)[np.arange(len(y)), y]
    weights = np.stack([afr_weights(probability, y, gamma) for gamma, _ in settings], axis=1)
    weights = weights.astype(z.dtype)[..., None]
    pull = 2 * np.array([reg for _, reg in settings], dtype=z.dtype)[:, None]
    target = np.eye(n_classes, dtype=z.dtype)[y][:, None]
    coef = np.zeros((z.shape[1], len(settings), n_classes), dtype=z.dtype)
    intercept = np.zeros((len(settings), n_classes), dtype=z.dtype)
    for _ in range(n_steps):
        residual = weights * (softmax(start + _changed(z, coef, intercept), axis=2) - target)
        slope = (z.T @ residual.reshape(z.shape[0], -1)).reshape(coef.shape) + pull * coef
        slope_0 = residual.sum(axis=0) + pull * intercept
        length = np.sqrt((slope**2).sum(axis=(0, 2)) + (slope_0**2).sum(axis=1))
        step = (lr / np.maximum(length, 1))[:, None]
        coef -= step * slope
        intercept -= step * slope_0
    return coef, intercept


def _logits(trained: LogisticRegression, z: np.ndarray) -> np.ndarray:
    decision = linear_decision(trained, z)
    return decision if decision.ndim == 2 else np.stack([-decision, decision], axis=1) / 2


def _changed(z: np.ndarray, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    return (z @ coef.reshape(len(coef), -1)).reshape(z.shape[0], *intercept.shape) + intercept


def _with_changes(
    trained: LogisticRegression, coef: np.ndarray, intercept: np.ndarray
) -> LogisticRegression:
    """Add the changes of the only setting to the trained layer."""
    weight, bias = trained.coef_, trained.intercept_
    if len(weight) == 1:  # one row stands for both classes: give each half of it
        weight, bias = np.vstack([-weight, weight]) / 2, np.hstack([-bias, bias]) / 2
    return linear_head(weight + coef[:, 0].T, bias + intercept[0], trained.classes_)
