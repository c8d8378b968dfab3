"""Linear heads as scikit-learn classifiers, and their outputs without copies."""

from __future__ import annotations

from inspect import getattr_static
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression, RidgeClassifier, RidgeClassifierCV
from sklearn.preprocessing import LabelBinarizer

__all__ = [
    "head_probabilities",
    "linear_decision",
    "linear_head",
    "linear_predict",
    "linear_probabilities",
    "set_weights",
    "with_absent_classes",
]

#: the intercept of a class that nobody has seen: never predicted, and finite
_NEVER = -1e9
#: numbers that are converted at once: they stay in the cache
_BLOCK = 2**17


def set_weights(head: Any, coef: np.ndarray, intercept: np.ndarray, classes: np.ndarray) -> Any:
    """Make a linear classifier of scikit-learn a fitted one with the given weights.

    Parameters
    ----------
    head : classifier
    coef : ndarray of shape (n_rows, n_features)
        One row for two classes, else one for each class.
    intercept : ndarray of shape (n_rows,)
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    classifier
        `head` itself.

    Raises
    ------
    TypeError
        If `head` computes its weights from something else, as a kernel machine does.
    """
    try:
        head.coef_, head.intercept_ = coef, intercept
    except AttributeError as error:
        raise TypeError(
            f"refit must be a linear classifier that stores coef_ and intercept_, got {head!r}"
        ) from error
    if isinstance(head, RidgeClassifier | RidgeClassifierCV):  # they know their classes from it
        head._label_binarizer = LabelBinarizer(pos_label=1, neg_label=-1).fit(classes)
    if not isinstance(getattr_static(type(head), "classes_", None), property):
        head.classes_ = classes
    head.n_features_in_ = coef.shape[1]
    return head


def linear_head(weight: np.ndarray, bias: np.ndarray, classes: np.ndarray) -> LogisticRegression:
    """Build a fitted logistic regression from the weights of a linear layer.

    Parameters
    ----------
    weight : ndarray of shape (n_classes, n_features)
    bias : ndarray of shape (n_classes,)
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    LogisticRegression
        With the same probabilities as the softmax of the layer. Two classes become one row, as
        scikit-learn has it.
    """
    weight, bias = weight.astype(np.float64), bias.astype(np.float64)
    if len(classes) == 2:
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    head = set_weights(LogisticRegression(), weight, bias, classes)
    head.n_iter_ = np.zeros(1, dtype=np.int32)
    return head


def linear_decision(head: Any, z: Any) -> np.ndarray:
    """``z @ coef_.T + intercept_`` in doubles, 1-D for two classes.

    In single precision it would depend on which samples are predicted together.
    """
    coef, rows = head.coef_.T, max(1, _BLOCK // z.shape[1])
    if sparse.issparse(z):
        return _flat(z.astype(np.float64, copy=False) @ coef + head.intercept_)
    decision = np.empty((z.shape[0], coef.shape[1]))
    for start in range(0, len(decision), rows):  # no copy of all of z
        block = slice(start, start + rows)
        decision[block] = z[block].astype(np.float64, copy=False) @ coef
    decision += head.intercept_
    return _flat(decision)


def _flat(decision: np.ndarray) -> np.ndarray:
    return decision.ravel() if decision.shape[1] == 1 else decision


def linear_probabilities(decision: np.ndarray) -> np.ndarray:
    """Class probabilities of a logistic head from its decision function, in doubles."""
    decision = np.asarray(decision, dtype=np.float64)
    if decision.ndim == 1:
        positive = expit(decision)
        return np.column_stack([1 - positive, positive])
    return softmax(decision, axis=1)


def linear_predict(head: Any, z: Any) -> np.ndarray:
    """Labels by the sign, or the largest, of the decision function."""
    decision = linear_decision(head, z)
    codes = decision.argmax(1) if decision.ndim == 2 else (decision > 0).astype(np.intp)
    return head.classes_[codes]


def head_probabilities(head: Any, z: Any) -> np.ndarray:
    """Class probabilities of any linear head that knows them."""
    if isinstance(head, LogisticRegression):
        return linear_probabilities(linear_decision(head, z))
    return head.predict_proba(z)


def with_absent_classes(
    coef: np.ndarray,
    intercept: np.ndarray,
    present: np.ndarray,
    n_classes: int,
    trained: LogisticRegression | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Add the classes that a layer was not fitted on.

    Parameters
    ----------
    coef : ndarray of shape (n_rows, n_features)
        One row for two classes.
    intercept : ndarray of shape (n_rows,)
    present : ndarray of int
        Codes of the classes that the rows are for.
    n_classes : int
        Number of all classes.
    trained : LogisticRegression, default=None
        A layer for all classes: the absent ones keep their rows of it. Without one they are never
        predicted.

    Returns
    -------
    tuple of (coef, intercept)
        As they are where no class is absent.
    """
    if len(present) == n_classes:
        return coef, intercept
    if len(present) == 2:  # one row stands for both classes: give each half of it
        coef, intercept = np.vstack([-coef, coef]) / 2, np.hstack([-intercept, intercept]) / 2
    rows, biases = np.zeros((n_classes, coef.shape[1])), np.full(n_classes, _NEVER)
    if trained is not None:
        # logits mean something only relative to one another: those of the present classes have
        # the same mean in both layers
        rows = trained.coef_ - trained.coef_[present].mean(axis=0) + coef.mean(axis=0)
        biases = trained.intercept_ - trained.intercept_[present].mean() + intercept.mean()
    rows[present], biases[present] = coef, intercept
    return rows, biases
