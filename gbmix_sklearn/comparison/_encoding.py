"""Columns of a table as the methods want them, learnt from the training rows of each fold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

__all__ = ["CategoryColumns", "NumberColumns", "WithoutColumns", "check_table"]

#: categories of one column that are told apart; rarer ones are as unknown ones
_MOST_ONE_HOT, _MOST_CODES = 100, 254


def check_table(frame: pd.DataFrame) -> None:
    """Check that columns can be encoded.

    Raises
    ------
    ValueError
        If one holds dates or periods; the message says what to do.
    """
    for name in frame.columns:
        kind = frame[name].dtype
        if kind.kind in "mM" or str(kind).startswith(("period", "interval")):
            raise ValueError(f"X: column {name!r} holds {kind}; make it a number, or leave it out")


class _Columns(TransformerMixin, BaseEstimator):
    """Learn which columns hold numbers, and the categories of the others, frequent ones first."""

    _most: int

    def fit(self, X: pd.DataFrame, y: Any = None) -> _Columns:
        """Learn from training rows."""
        self.numbers_ = [name for name in X.columns if _holds_numbers(X[name])]
        self.categories_ = {
            name: sorted(_texts(X[name]).value_counts().index[: self._most])
            for name in X.columns
            if name not in self.numbers_
        }
        self._learn(X)
        return self

    def _learn(self, X: pd.DataFrame) -> None:
        """Learn what else there is to learn."""


class NumberColumns(_Columns):
    """All columns as numbers: numbers standardised, categories one-hot.

    A missing number is the mean, and a column of its own says where; a missing category, like one
    that is unknown, is none of the known ones.
    """

    _most = _MOST_ONE_HOT

    def _learn(self, X: pd.DataFrame) -> None:
        values = _numbers(X, self.numbers_)
        present = ~np.isnan(values)
        n = np.maximum(present.sum(axis=0), 1)
        self.mean_ = np.where(present, values, 0).sum(axis=0) / n
        spread = np.sqrt((np.where(present, values - self.mean_, 0) ** 2).sum(axis=0) / n)
        self.scale_ = np.where(spread > 0, spread, 1)
        self.has_missing_ = ~present.all(axis=0)

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Encode as float32."""
        check_is_fitted(self)
        values = _numbers(X, self.numbers_)
        missing = np.isnan(values)
        parts = [
            np.where(missing, 0, (values - self.mean_) / self.scale_),
            missing[:, self.has_missing_],
        ]
        for name, known in self.categories_.items():
            codes = pd.Index(known, dtype="object").get_indexer(pd.Index(_texts(X[name])))
            parts.append(codes[:, None] == np.arange(len(known)))
        return np.hstack(parts, dtype=np.float32, casting="unsafe")


class CategoryColumns(_Columns):
    """Numbers as they are and categories as such: trees know both, and what is missing."""

    _most = _MOST_CODES

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Encode as a DataFrame with the same columns."""
        check_is_fitted(self)
        numbers = dict(zip(self.numbers_, _numbers(X, self.numbers_).T, strict=True))
        columns = {
            name: numbers[name] if name in numbers else self._categories(X[name]) for name in X
        }
        return pd.DataFrame(columns, index=X.index)

    def _categories(self, column: pd.Series) -> Any:
        known: list[Any] = self.categories_[column.name]  # type: ignore[index]
        codes = pd.Index(known, dtype="object").get_indexer(pd.Index(_texts(column)))
        return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(known))


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


def _holds_numbers(column: pd.Series) -> bool:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return False
    return is_numeric_dtype(column) or is_bool_dtype(column)


def _numbers(frame: pd.DataFrame, names: list[Any]) -> np.ndarray:
    values = [frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in names]
    return np.column_stack(values) if values else np.empty((len(frame), 0))


def _texts(column: pd.Series) -> pd.Series:
    """Categories as text; what is missing stays so."""
    values = column.astype(object)
    return values.where(column.isna(), values.map(str)).where(column.notna(), None)
