"""Columns of tables for trees, and without those of sensitive attributes."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..tables import Schema

__all__ = ["CategoryColumns", "WithoutColumns"]


class CategoryColumns(TransformerMixin, BaseEstimator):
    """Numbers as they are and categories as such: trees know both, and what is missing."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> CategoryColumns:
        """Find out what the columns hold."""
        self.schema_ = Schema.learn(_named(X))
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Read rows as the training rows were read."""
        check_is_fitted(self)
        return self.schema_.typed(_named(X))


class WithoutColumns(TransformerMixin, BaseEstimator):
    """Leave columns of sensitive attributes out, where they are there."""

    def __init__(self, columns: list[Any]):
        self.columns = columns

    def fit(self, X: pd.DataFrame, y: Any = None) -> WithoutColumns:
        """Learn nothing."""
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Leave them out."""
        return X.drop(columns=self.columns, errors="ignore")

    def __sklearn_is_fitted__(self) -> bool:
        return True


def _named(X: pd.DataFrame) -> pd.DataFrame:
    return X.set_axis([str(name) for name in X.columns], axis=1)
