"""Logistic regression that is held near weights that are there already."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax
from sklearn.linear_model import LogisticRegression

from ._linear import set_weights

__all__ = ["anchor_of", "fit_anchored"]

#: the mean over many draws needs no exact ones
_MAX_ITER = 100


def fit_anchored(
    X: np.ndarray,
    y: np.ndarray,
    classes: np.ndarray,
    *,
    C: float = 1.0,
    anchor: tuple[np.ndarray, np.ndarray] | None = None,
) -> LogisticRegression:
    """Fit logistic regression with a penalty on the squared distance to given weights.

    Minimises the mean cross-entropy plus ``1 / (2 * C)`` times the squared distance of the
    coefficients to those of the anchor. Unlike scikit-learn's, this C means the same for any number
    of samples. Intercepts are free.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Standardised embeddings.
    y : ndarray of shape (n_samples,)
        Labels, of each class at least one.
    classes : ndarray of shape (n_classes,)
        All labels, ascending.
    C : float, default=1.0
        Inverse strength of the penalty.
    anchor : tuple of (coef, intercept), default=None
        Of shapes (n_rows, n_features) and (n_rows,), one row for two classes; None is zero.

    Returns
    -------
    LogisticRegression
        Fitted.

    Notes
    -----
    The penalty is that of L2-SP [1]_, which holds a whole network near its pretrained weights, on
    the last layer alone; AFR [2]_ has it as an option.

    References
    ----------
    .. [1] Li, Grandvalet and Davoine, "Explicit Inductive Bias for Transfer Learning with
       Convolutional Networks", ICML 2018, https://arxiv.org/abs/1802.01483
    .. [2] Qiu, Potapczynski, Izmailov and Wilson, "Simple and Fast Group Robustness by Automatic
       Feature Reweighting", ICML 2023, https://arxiv.org/abs/2306.11074

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.array([0, 0, 1, 1])
    >>> near = fit_anchored(X, y, np.array([0, 1]), C=1e-6, anchor=(np.ones((1, 1)), np.zeros(1)))
    >>> near.coef_.round(3)
    array([[1.]])
    """
    n_rows = 1 if len(classes) == 2 else len(classes)
    X, n = X.astype(np.float64, copy=False), X.shape[0]
    if anchor is None:
        anchor = np.zeros((n_rows, X.shape[1])), np.zeros(n_rows)
    start = X @ anchor[0].T
    target = (y[:, None] == (classes[1:] if n_rows == 1 else classes)).astype(np.float64)

    def loss_and_slope(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        change, intercept = np.split(parameters, [n_rows * X.shape[1]])
        change = change.reshape(n_rows, -1)
        logits = start + X @ change.T + intercept
        if n_rows == 1:
            loss = np.logaddexp(0, logits).sum() - (target * logits).sum()
            residual = expit(logits) - target
        else:
            log_probability = log_softmax(logits, axis=1)
            loss = -(target * log_probability).sum()
            residual = np.exp(log_probability) - target
        residual /= n
        slope = residual.T @ X + change / C
        penalty = (change**2).sum() / (2 * C)
        return loss / n + penalty, np.append(slope, residual.sum(axis=0))

    found = minimize(
        loss_and_slope,
        np.append(np.zeros(anchor[0].size), anchor[1]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _MAX_ITER},
    )
    change, intercept = np.split(found.x, [anchor[0].size])
    coef = anchor[0] + change.reshape(anchor[0].shape)
    # the C of scikit-learn, which adds up the losses of the samples
    head = set_weights(LogisticRegression(C=C / n), coef, intercept, classes)
    head.n_iter_ = np.array([found.nit], dtype=np.int32)
    return head


def anchor_of(
    trained: LogisticRegression,
    present: np.ndarray,
    scaling: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of a trained layer for standardised embeddings and for some of its classes.

    Parameters
    ----------
    trained : LogisticRegression
        The layer, for embeddings as they come.
    present : ndarray of int
        Codes of the classes that are left.
    scaling : tuple of (mean, scale)
        Of the embeddings.

    Returns
    -------
    tuple of (coef, intercept)
        One row for two classes.
    """
    mean, scale = (values.astype(np.float64) for values in scaling)
    coef, intercept = trained.coef_, trained.intercept_
    if len(coef) > 1:
        coef, intercept = coef[present], intercept[present]
        if len(present) == 2:
            coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
    return coef * scale, intercept + coef @ mean
