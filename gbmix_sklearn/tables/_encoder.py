"""Tables as numbers for any classifier."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from .._frames import as_pandas
from ._columns import unique_names
from ._schema import Schema

__all__ = ["TableEncoder"]


class TableEncoder(TransformerMixin, BaseEstimator):
    """Make numbers of the columns of a table, for any classifier.

    What each column holds is found once, in :meth:`fit`, and every later table is read by it:
    `schema_` has types, categories, and how numbers are written.

    Parameters
    ----------
    number, category, text : list of column names, default=None
        Columns that are taken as such, whatever they look like. Words of text are hashed to 64
        columns.
    skrub : list of column names, default=None
        Columns of dates, or of texts with a meaning, which skrub's TableVectorizer encodes; needs
        ``pip install 'gbmix-sklearn[tables]'``.
    exclude : list of column names, default=None
        Columns that are left out.
    group_columns : column name or list of them, default=None
        Columns of a DataFrame that hold sensitive attributes. They are passed on as they are,
        behind all others, to a classifier that has `group_columns`; the result is then a
        DataFrame. They may be absent later.

    Attributes
    ----------
    schema_ : Schema
        What was learned of each column (``schema_.columns``), and why others are left out
        (``schema_.left_out``).
    n_features_in_ : int
        Columns of X, group columns aside.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where all are text.

    See Also
    --------
    MinimaxClassifier : Makes any classifier good for its worst group.

    Notes
    -----
    **Numbers** become pieces of a line between quantiles, constant beyond the smallest and largest
    value in training [1]_. There is a piece for each 200 rows, 5 at most, and no more than distinct
    values; a value that many rows have is an end of two pieces. A missing number counts as the
    median, and a column says where, if training rows had any.

    **Text that is numbers** is read as such, with ``1,234.5``, ``1.234,5``, ``1 234``, currency and
    per cent signs, if all of it is written alike; a warning says so. Codes such as ``007`` are
    categories. Numbers among which a few texts stand are an error: they may be categories, or
    numbers of which some are missing.

    **Categories** are texts, flags, and columns of pandas' type for them, by their spelling without
    blanks around it. Each has a column. Categories of fewer than 10 rows (in tables of less than
    1000 rows, a hundredth), and all but the 100 most frequent ones, count as one, and a new one
    later as one of those; where there are none, a new one is 0 in all columns. A missing one is a
    category, if training rows had any, and otherwise 0 in all columns.

    **Left out**, with a warning, are columns that are empty, have no name, number the rows, or
    have a value of its own in nearly every row. **Errors** are dates, infinite numbers, and later
    values that are no numbers in a column of numbers.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev, A. Babenko, "On embeddings for numerical features in tabular
       deep learning", NeurIPS 2022. https://arxiv.org/abs/2203.05556

    Examples
    --------
    >>> import pandas as pd
    >>> from gbmix_sklearn import TableEncoder
    >>> table = pd.DataFrame(
    ...     {"age": [20, 30, None, 60], "work": ["office", "field", "office", "sea"]}
    ... )
    >>> encoder = TableEncoder().set_output(transform="pandas")
    >>> encoder.fit_transform(table)
        age  age is missing  work=field  work=office  work=sea
    0  0.00             0.0         0.0          1.0       0.0
    1  0.25             0.0         1.0          0.0       0.0
    2  0.25             1.0         0.0          1.0       0.0
    3  1.00             0.0         0.0          0.0       1.0
    >>> encoder.transform(pd.DataFrame({"age": [90], "work": ["moon"]}))
       age  age is missing  work=field  work=office  work=sea
    0  1.0             0.0         0.0          0.0       0.0
    """

    def __init__(
        self,
        *,
        number: Sequence[Any] | None = None,
        category: Sequence[Any] | None = None,
        text: Sequence[Any] | None = None,
        skrub: Sequence[Any] | None = None,
        exclude: Sequence[Any] | None = None,
        group_columns: Any = None,
    ):
        self.number = number
        self.category = category
        self.text = text
        self.skrub = skrub
        self.exclude = exclude
        self.group_columns = group_columns

    def fit(self, X: Any, y: Any = None) -> TableEncoder:
        """Find out what the columns hold.

        Parameters
        ----------
        X : DataFrame of pandas or polars, pyarrow Table, or array-like
            Training rows.
        y : array-like, default=None
            Not used.

        Returns
        -------
        self
            The fitted encoder.

        Raises
        ------
        ValueError
            If columns cannot be used; the message names all of them.
        ImportError
            If skrub is needed and missing.

        Warns
        -----
        UserWarning
            If columns are left out, or texts read as numbers.
        """
        frame, groups = self._read(X, reset=True)
        given = {name: self._given(name, frame) for name in ("number", "category", "text")}
        apart, exclude = self._given("skrub", frame), self._given("exclude", frame)
        kept = frame.drop(columns=[*apart, *exclude])
        if kept.shape[1] or not apart:
            self.schema_ = Schema.learn(kept, **given)
        else:
            self.schema_ = Schema([])
        for note in self.schema_.notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        self._groups_out = [] if groups is None else [str(name) for name in groups.columns]
        self._vectorizer = _table_vectorizer().fit(frame[apart]) if apart else None
        self._apart = apart
        return self

    def transform(self, X: Any) -> Any:
        """Make numbers of the columns.

        Parameters
        ----------
        X : DataFrame of pandas or polars, pyarrow Table, or array-like
            Rows with the columns of :meth:`fit`.

        Returns
        -------
        ndarray of shape (n_rows, n_encoded), dtype float32
            A DataFrame where there are group columns, or where ``set_output`` asks for one.

        Raises
        ------
        ValueError
            If a value cannot be read; the message names column, row and value.
        """
        check_is_fitted(self)
        frame, groups = self._read(X, reset=False)
        encoded = self.schema_.encode(frame)[0]
        if self._vectorizer is not None:
            further = np.asarray(self._vectorizer.transform(frame[self._apart]), dtype=np.float32)
            encoded = np.hstack([encoded, further])
        if not self._groups_out:
            return encoded
        names = self.get_feature_names_out()
        n_encoded = len(names) - len(self._groups_out)
        result = pd.DataFrame(encoded, columns=names[:n_encoded], index=frame.index)
        for name, group in zip(names[n_encoded:], self._groups_out, strict=True):
            result[name] = groups[group] if groups is not None and group in groups else None
        return result

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns of the result.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X, where X in fit had none.

        Returns
        -------
        ndarray of str
            Of what each column becomes: ``age (37)`` is the end of a piece, ``sex=f`` a category.
        """
        check_is_fitted(self)
        called = dict(
            zip(self._names_in, _check_feature_names_in(self, input_features), strict=True)
        )
        names = self.schema_.encoded_names([str(called[name]) for name in self.schema_.names])
        if self._vectorizer is not None:
            names += map(str, self._vectorizer.get_feature_names_out())
        # a column of groups keeps its name, by which a classifier takes it
        others = unique_names([*self._groups_out, *names])[len(self._groups_out) :]
        return np.array([*others, *self._groups_out], dtype=object)

    def _read(self, X: Any, *, reset: bool) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """The columns to encode, and those of groups that are there."""
        X = as_pandas(X)
        if not isinstance(X, pd.DataFrame):
            # a list with a missing value among texts stays what it is
            dtype = None if isinstance(X, np.ndarray) or hasattr(X, "__array__") else object
            array = validate_data(self, X, reset=reset, dtype=dtype, ensure_all_finite=False)
            frame = pd.DataFrame(array).set_axis([f"x{n}" for n in range(array.shape[1])], axis=1)
            frame = frame if dtype is None else frame.infer_objects()
            self._names_in = list(frame.columns)
            return frame, None
        if X.columns.has_duplicates:
            twice = X.columns[X.columns.duplicated()][0]
            raise ValueError(f"X has several columns {twice!r}; rename all but one")
        columns = self._group_names()
        groups = X[[name for name in X.columns if name in columns]]
        missing = [name for name in columns if name not in groups]
        if missing and reset:
            raise ValueError(f"group_columns names {missing[0]!r}, which X does not have")
        rest = X.drop(columns=groups.columns)
        validate_data(self, rest, reset=reset, skip_check_array=True)
        if not rest.size:
            raise ValueError(f"X has {len(rest)} rows of {rest.shape[1]} columns to encode")
        self._names_in = [str(name) for name in rest.columns]
        return rest.set_axis(self._names_in, axis=1), groups if columns else None

    def _group_names(self) -> list[Any]:
        columns = self.group_columns
        if columns is None:
            return []
        return list(columns) if isinstance(columns, list | tuple | np.ndarray) else [columns]

    def _given(self, parameter: str, frame: pd.DataFrame) -> list[str]:
        value = getattr(self, parameter)
        names = [value] if isinstance(value, str) else [str(name) for name in value or []]
        for name in names:
            if name not in frame.columns:
                raise ValueError(f"{parameter} names {name!r}, which X does not have")
        return names

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _table_vectorizer() -> Any:
    try:
        from skrub import TableVectorizer
    except ImportError as error:
        raise ImportError(
            "columns under skrub=[...] need skrub: pip install 'gbmix-sklearn[tables]'"
        ) from error
    return TableVectorizer()
