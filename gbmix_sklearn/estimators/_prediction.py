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
from ..refit import linear_decision, linear_probabilities
from ..training import GroupNet
from ._array_backbone import ArrayBackbone
from ._image_backbone import ImageBackbone
from ._inputs import InputChecks

__all__ = ["Prediction"]


def _knows_probabilities(estimator: Prediction) -> bool:
    head = getattr(estimator, "head_", estimator.refit)
    return head is None or isinstance(head, str) or hasattr(head, "predict_proba")


class Prediction(InputChecks, ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Everything that needs no training data."""

    refit: Any
    head_: Any
    net_: GroupNet
    _backbone: ArrayBackbone | ImageBackbone
    group_table_: pd.DataFrame

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
        """Coefficients of the features, where they go straight into the head."""
        if not hasattr(self, "head_"):
            raise AttributeError(f"this {type(self).__name__} is not fitted, and has no coef_")
        if not self._is_linear:
            raise AttributeError(
                f"this {type(self).__name__} has coefficients for its embeddings alone: head_.coef_"
            )
        return self.head_.coef_

    def transform(self, X: Any) -> np.ndarray:
        """Compute the embeddings that the head works on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_samples, ...), or images
            Samples like those in fit; the sensitive columns may be absent.

        Returns
        -------
        ndarray of shape (n_samples, n_embedding), dtype float32
            The last layer's input. Without a backbone and hidden layers that is X.
        """
        check_is_fitted(self, "head_")
        return self._embed(self._check_input(X))

    def _embed(self, X: Any) -> np.ndarray:
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
            return linear_decision(self.head_, self._embed(self._check_input(X)))
        # NaN and infinity in X come out as such: looking for them there saves a pass over X
        X = self._check_input(X, finite=False)
        with np.errstate(invalid="ignore", over="ignore"):
            decision = linear_decision(self.head_, X)
        if not np.isfinite(decision).all():
            self._check_input(X)
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
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self, "head_")
        if isinstance(self.head_, LogisticRegression):
            # in double precision, as scikit-learn's own: fairlearn writes into them
            return linear_probabilities(self.decision_function(X).astype(np.float64))
        return self.head_.predict_proba(self._embed(self._check_input(X)))

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
        from ..metrics import group_report

        if groups is None or self.group_columns is None or self._has_group_columns(X):
            groups = take_groups(X, groups, self.group_columns)
        y_pred = self.predict(X)
        report = group_report(y, y_pred, groups=groups)
        if not report.index.isin(self.group_table_.index).all():
            return report  # no training share is known for some cells
        return group_report(y, y_pred, groups=groups, cell_weights=self.group_table_)

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
