"""What the meta-estimators share: any classifier, and the cells of its training data."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, is_classifier
from sklearn.utils import get_tags, indexable
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from .._frames import as_pandas
from .._sparse import check_indices
from .._state import PlainState
from ..groups import (
    Cells,
    check_same_order,
    drop_columns,
    list_columns,
    require_groups,
    take_groups,
    training_cells,
)
from ._fitting import last_step

__all__ = ["GroupMetaClassifier"]


def _inner_has(method: str) -> Any:
    def check(meta: GroupMetaClassifier) -> bool:
        getattr(getattr(meta, "estimator_", meta.estimator), method)  # its own error says why not
        return True

    return check


class GroupMetaClassifier(PlainState, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Base of the meta-estimators: checks, predictions of the fitted classifier, a report."""

    estimator: Any
    group_columns: Any
    estimator_: Any
    group_table_: pd.DataFrame
    classes_: np.ndarray

    # routes groups to fit without asking the user to request them
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"groups": True, "keep_together": True}

    def _check_training_data(
        self, X: Any, y: Any, groups: Any
    ) -> tuple[Any, np.ndarray, Any, np.ndarray, Cells]:
        """Return X for the classifier, y, groups, the classes and the cells."""
        name = type(self).__name__
        check_indices(X)
        if not is_classifier(self.estimator):
            raise TypeError(
                f"estimator must be a classifier, such as LogisticRegression(), or a Pipeline that "
                f"ends in one, got {self.estimator!r}"
            )
        validate_data(self, X, y, skip_check_array=True)  # counts and names all columns
        groups = require_groups(X, groups, self.group_columns, name=name)
        classes, cells = training_cells(X, y, groups, name=name)
        (X,) = indexable(self._without_group_columns(X))  # rows can be taken of it
        return X, column_or_1d(y), groups, classes, cells

    @property
    def _inner_takes_columns(self) -> bool:
        """Whether the classifier takes the groups out of the columns of X itself."""
        return getattr(last_step(self.estimator), "group_columns", None) is not None

    def _without_group_columns(self, X: Any) -> Any:
        X = X if self.group_columns is None else as_pandas(X)
        if self.group_columns is None or not isinstance(X, pd.DataFrame):
            return X
        if self._inner_takes_columns:
            return X
        columns = list_columns(self.group_columns)
        return drop_columns(X, columns)

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes; no groups are needed.

        Parameters
        ----------
        X : array-like, or whatever the classifier takes
            Samples. Group columns may be absent.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels from `classes_`.
        """
        check_is_fitted(self)
        predicted = self.estimator_.predict(self._without_group_columns(X))
        # CatBoost's are a column where there are more than two classes
        return np.asarray(predicted).ravel() if np.ndim(predicted) == 2 else predicted

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Compute class probabilities, those of `estimator_`.

        Parameters
        ----------
        X : array-like, or whatever the classifier takes
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(self._without_group_columns(X))

    @available_if(_inner_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Compute logarithms of class probabilities, those of `estimator_`.

        Parameters
        ----------
        X : array-like, or whatever the classifier takes
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(self._without_group_columns(X))

    @available_if(_inner_has("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        """Compute the scores of the classes, those of `estimator_`.

        Parameters
        ----------
        X : array-like, or whatever the classifier takes
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the score of the second, as scikit-learn has it.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(self._without_group_columns(X))

    def group_report(self, X: Any, y: Any, groups: Any = None) -> pd.DataFrame:
        """Report the accuracy of every cell.

        Parameters
        ----------
        X : array-like, or whatever the classifier takes
            Samples.
        y : array-like of shape (n_samples,)
            Their classes.
        groups : array-like, default=None
            Sensitive attributes; not needed where `group_columns` finds them in X.

        Returns
        -------
        DataFrame
            See :func:`gbmix_sklearn.group_report`.
        """
        from ..metrics import group_report
        from ..metrics._fitted import refuse_swapped

        if groups is None:
            groups = take_groups(X, None, self.group_columns)
        check_same_order(X=X, y=y, groups=groups)
        refuse_swapped(y, groups, self.group_table_)
        return group_report(y, self.predict(X), groups=groups)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        if inner.classifier_tags is not None:
            tags.classifier_tags = inner.classifier_tags
        return tags
