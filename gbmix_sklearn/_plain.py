"""What a classifier of scikit-learn has learned, as numbers that are saved without a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_array

from ._saved_checks import check_table
from ._saved_trees import Trees
from ._saved_values import array_from_json, array_to_json, table_from_json, table_to_json
from .balance._offsets import predict_codes
from .refit import linear_decision, linear_probabilities, set_weights

__all__ = ["PlainClassifier"]


class PlainClassifier(ClassifierMixin, BaseEstimator):
    """Logistic regression or boosted trees of scikit-learn, with offsets of the classes if need be.

    It predicts what the classifier predicts that it was made of, and cannot be fitted.

    Parameters
    ----------
    method : str
        Name of the method in :func:`gbmix_sklearn.compare`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    model_ : LogisticRegression or Trees
        What gives the scores.
    offsets_ : ndarray of shape (n_classes,)
        Added to the logarithms of the probabilities.
    group_table_ : DataFrame
        Count and share of each cell in the training data.
    n_features_in_ : int
        Columns of X.
    """

    def __init__(self, method: str):
        self.method = method

    @classmethod
    def of(cls, method: str, fitted: Any, X: np.ndarray) -> PlainClassifier:
        """Take the numbers out of a fitted meta-estimator.

        Parameters
        ----------
        method : str
            Name of the method.
        fitted : GroupMetaClassifier
            Around a classifier of scikit-learn's, fitted on X or on rows like it.
        X : array-like of shape (n_samples, n_features)
            Some rows.

        Raises
        ------
        TypeError
            If the classifier is none that can be taken apart.
        """
        inner = fitted.estimator_
        plain = cls(method)
        X = np.asarray(X)
        if isinstance(inner, LogisticRegression):
            plain.model_ = inner
        elif isinstance(inner, HistGradientBoostingClassifier):
            plain.model_ = Trees.of(inner, X[:: max(1, len(X) // 1000)])
        else:
            raise TypeError(f"a {type(inner).__name__} has no form as plain numbers")
        plain.classes_ = fitted.classes_
        plain.offsets_ = getattr(fitted, "offsets_", np.zeros(len(fitted.classes_)))
        plain.group_table_ = fitted.group_table_
        plain.n_features_in_ = X.shape[1]
        return plain

    @property
    def takes_codes(self) -> bool:
        """Whether categories are codes in X, as trees have them, or a column for each."""
        return isinstance(self.model_, Trees)

    def decision_function(self, X: Any) -> np.ndarray:
        """Compute the scores of the classes, offsets aside; of two classes that of the second."""
        # a missing value goes its way in trees
        finite: Any = "allow-nan" if self.takes_codes else True
        X = check_array(X, dtype=np.float64, ensure_all_finite=finite)
        if X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {X.shape[1]} features, and the model was fitted on {self.n_features_in_}"
            )
        if not isinstance(self.model_, Trees):
            return linear_decision(self.model_, X)
        scores = self.model_.scores(X)
        return scores.ravel() if scores.shape[1] == 1 else scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Compute class probabilities, without the offsets."""
        return linear_probabilities(self.decision_function(X))

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes, with the offsets."""
        return self.classes_[predict_codes(self.decision_function(X), self.offsets_)]

    # ------------------------------------------------------------------------------ saved forms

    def to_json(self) -> dict[str, Any]:
        """Return all but the arrays."""
        return {
            "class": type(self).__name__,
            "method": self.method,
            "kind": "trees" if self.takes_codes else "linear",
            "classes": array_to_json(self.classes_),
            "offsets": self.offsets_.tolist(),
            "groups": table_to_json(self.group_table_),
            "n_features_in": self.n_features_in_,
        }

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        if isinstance(self.model_, Trees):
            return self.model_.to_arrays()
        return {"coef": self.model_.coef_, "intercept": self.model_.intercept_}

    @classmethod
    def from_saved(
        cls, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> PlainClassifier:
        """Read what somebody has written, and check it.

        Raises
        ------
        ValueError, KeyError, TypeError
            If it is no such classifier.
        """
        plain = cls(_text(content["method"]))
        plain.classes_ = array_from_json(content["classes"])
        n_classes, n_features = len(plain.classes_), content["n_features_in"]
        if n_classes < 2 or len(set(plain.classes_.tolist())) < n_classes:
            raise ValueError("it has fewer than two classes")
        if type(n_features) is not int or n_features < 1:
            raise ValueError("its number of features is none")
        offsets = np.array(content["offsets"], dtype=np.float64)
        if offsets.shape != (n_classes,) or not np.isfinite(offsets).all():
            raise ValueError("its offsets are none")
        plain.offsets_, plain.n_features_in_ = offsets, n_features
        check_table(content["groups"])
        plain.group_table_ = table_from_json(content["groups"])
        n_scores = 1 if n_classes == 2 else n_classes
        if content["kind"] == "trees":
            plain.model_ = Trees.from_arrays(arrays, n_features, n_scores)
            return plain
        if content["kind"] != "linear":
            raise ValueError("it is neither linear nor trees")
        coef, intercept = arrays["coef"], arrays["intercept"]
        good = coef.shape == (n_scores, n_features) and intercept.shape == (n_scores,)
        if not good or not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
            raise ValueError("its coefficients do not fit")
        plain.model_ = set_weights(LogisticRegression(), coef, intercept, plain.classes_)
        return plain


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("its method has no name")
    return value
