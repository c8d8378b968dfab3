"""What a fitted classifier does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..groups import take_groups
from ..refit import LearnedRecipe, Recipe, linear_decision, linear_probabilities
from ..training import GroupNet
from ._array_backbone import ArrayBackbone
from ._duplicates import SeenSamples
from ._image_backbone import ImageBackbone
from ._inputs import InputChecks

__all__ = ["Prediction"]


def _knows_probabilities(estimator: Prediction) -> bool:
    head = getattr(estimator, "head_", estimator.refit)
    known = head is None or isinstance(head, str | Recipe | LearnedRecipe)
    return known or hasattr(head, "predict_proba")


class Prediction(InputChecks, ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Everything that needs no training data."""

    refit: Any
    head_: Any
    net_: GroupNet
    _backbone: ArrayBackbone | ImageBackbone
    group_table_: pd.DataFrame
    #: not there in models that were saved before it was
    _seen: SeenSamples | None = None

    @property
    def backbone_(self) -> torch.nn.Module | None:
        """The frozen part of the backbone."""
        return self._backbone.frozen

    @property
    def _is_linear(self) -> bool:
        """Whether X goes straight into the head."""
        return self.backbone is None and self.net_.raw_module.embedding is None

    @property
    def coef_(self) -> np.ndarray:
        """Coefficients of the features of X, where the model is linear; by RFE and the like."""
        return self._linear_head("coef_").coef_

    @property
    def intercept_(self) -> np.ndarray:
        """Intercepts, where the model is linear."""
        return self._linear_head("intercept_").intercept_

    def _linear_head(self, name: str) -> Any:
        if not hasattr(self, "head_") or not self._is_linear:
            raise AttributeError(
                f"this {type(self).__name__} has no {name!r}: it is not fitted, or no linear model "
                f"of X; see head_.{name}, which works on embeddings"
            )
        return self.head_

    def transform(self, X: Any) -> Any:
        """Compute the embeddings that the head works on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_samples, ...), or images
            Samples like those in fit; the sensitive columns may be absent.

        Returns
        -------
        ndarray or CSR matrix of shape (n_samples, n_embedding), dtype float32
            The last layer's input. Without a backbone and hidden layers that is X, sparse where X
            is.
        """
        check_is_fitted(self, "head_")
        X = self._check_input(X)
        self._notice_copies(X, warn=False)
        return self._embed(X)

    def _notice_copies(self, X: Any, *, warn: bool = True) -> None:
        if self._seen is not None:
            self._seen.notice(X, warn=warn, stacklevel=4)

    def _embed(self, X: Any) -> Any:
        if self._is_linear:
            return X
        embedding = self.net_.raw_module.embedding
        return self._backbone.embed(X, embedding, torch.device(self.net_.device))

    def decision_function(self, X: Any) -> np.ndarray:
        """Compute the scores of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_samples, ...), or images
            Samples like those in fit; the sensitive columns may be absent.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes), dtype float32
            For two classes the score of the second, as scikit-learn has it.
        """
        check_is_fitted(self, "head_")
        if not self._is_linear:
            X = self._check_input(X)
            self._notice_copies(X)
            return linear_decision(self.head_, self._embed(X))
        # NaN and infinity in X come out as such: looking for them there saves a pass over X
        X = self._check_input(X, finite=False)
        with np.errstate(invalid="ignore", over="ignore"):
            decision = linear_decision(self.head_, X)
        if not np.isfinite(decision).all():
            self._check_input(X)
        self._notice_copies(X)
        return decision

    @available_if(_knows_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Compute class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_samples, ...), or images
            Samples like those in fit; the sensitive columns may be absent.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), dtype float64
            In the order of `classes_`.
        """
        check_is_fitted(self, "head_")
        if isinstance(self.head_, LogisticRegression):
            return linear_probabilities(self.decision_function(X))
        X = self._check_input(X)
        self._notice_copies(X)
        return self.head_.predict_proba(self._embed(X))

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_samples, ...), or images
            Samples like those in fit; the sensitive columns may be absent.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels from `classes_`.
        """
        decision = self.decision_function(X)
        codes = decision.argmax(1) if decision.ndim == 2 else (decision > 0).astype(np.intp)
        return self.classes_[codes]

    def group_report(self, X: Any, y: Any, groups: Any = None) -> pd.DataFrame:
        """Report the accuracy of every cell.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_samples, ...), or images
            Samples like those in fit.
        y : array-like of shape (n_samples,)
            Their classes.
        groups : array-like, default=None
            Sensitive attributes; not needed where `group_columns` finds them in X.

        Returns
        -------
        DataFrame
            See :func:`gbmix_sklearn.group_report`; with the adjusted average, weighted by the
            training shares, where all cells are known from training.
        """
        from ..metrics._fitted import report_of

        if groups is None or self.group_columns is None or self._has_group_columns(X):
            groups = take_groups(X, groups, self.group_columns)
        return report_of(self, X, y, groups)

    def save(self, path: Any) -> None:
        """Save the fitted classifier in a folder, without anything executable.

        Parameters
        ----------
        path : str or Path
            The folder; see :func:`gbmix_sklearn.load_model`.
        """
        from ..persistence import save_model

        save_model(self, path)

    def export_onnx(self, path: Any) -> None:
        """Write the fitted classifier, backbone and head, as one ONNX graph.

        The graph is checked with onnxruntime. For images its input is pixels that are resized and
        cropped already; the graph's metadata say how.

        Parameters
        ----------
        path : str or Path
            The file; see :func:`gbmix_sklearn.export.export_onnx`.
        """
        from ..export import export_onnx

        export_onnx(self, path)
