"""What fit and predict accept."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from pandas.api.types import is_numeric_dtype
from scipy.sparse import csr_matrix, issparse
from sklearn.utils import assert_all_finite, check_consistent_length, check_X_y
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples, check_array, column_or_1d, validate_data

from .._frames import as_pandas
from .._sparse import canonical, check_indices, is_csr
from ..backbones._forms import different_shapes, looks_like_images
from ..backbones._images import Images
from ..exceptions import MissingGroupsError, MissingGroupsWarning
from ..groups import (
    Attribute,
    Cells,
    check_no_missing_labels,
    check_same_order,
    drop_columns,
    encode_attribute,
    no_attribute,
    take_groups,
    warn_of_cells_without_judge,
)
from ._vectors import as_readable_numbers, vector_columns

__all__ = ["InputChecks", "Validation"]

_CURES = (
    "Give groups to fit (in a Pipeline: stepname__groups=...). In a search, call "
    "sklearn.set_config(enable_metadata_routing=True) first, so that groups=... reaches the "
    "estimator; or name the sensitive columns of a DataFrame X with group_columns=..."
)


_NOT_IMAGES = (
    "X looks like images, and with backbone=None it must be a matrix of numbers: give a backbone, "
    "as in {name}('resnet50'), or embed the images first, with make_pipeline(TimmEmbedder(), "
    "{name}())"
)


_TOKENS = (
    ". Embeddings of tokens (n, tokens, features) become one for each sample first: "
    "X.mean(axis=1), or X[:, 0] of a class token"
)

_NOT_SPARSE = (
    "X is sparse, and {backbone} as backbone takes dense {what}: leave backbone out, and {name} "
    "takes X as it is, with hidden_units=(64,) if it is to have layers before the last; or make X "
    "dense and narrow first, as in make_pipeline(TfidfVectorizer(), TruncatedSVD(100), {name}(...))"
)


def _unusable_columns(X: Any, group_columns: list[Any]) -> str:
    """Say which columns of a table are no numbers, or have missing values."""
    X = as_pandas(X)
    if not isinstance(X, pd.DataFrame):
        return ""
    X = X.drop(columns=group_columns, errors="ignore")
    vectors = vector_columns(X)
    if vectors:
        name = vectors[0]
        return f"column {name!r} of X holds vectors: give np.stack(X[{name!r}]), a matrix of them"
    text = [name for name in X if not is_numeric_dtype(X[name])]
    missing = [name for name in X if X[name].isna().any()]
    said = {"hold no numbers": text, "have missing values": missing}
    return "; ".join(
        f"columns {', '.join(map(repr, names))} of X {what}"
        for what, names in said.items()
        if names
    )


class Validation(NamedTuple):
    """Validation data as they were given.

    Attributes
    ----------
    X : ndarray, CSR matrix or Images
        The samples.
    codes : ndarray of shape (n_samples,), dtype int64
        Their class codes.
    attribute : Attribute or None
        Their sensitive attribute.
    """

    X: np.ndarray | Images
    codes: np.ndarray
    attribute: Attribute | None


class InputChecks:
    """Checks of the data, with errors that say what to do."""

    backbone: torch.nn.Module | str | None
    image_root: Any
    image_column: Any
    value_range: Any
    group_columns: Any
    classes_: np.ndarray
    n_features_in_: int
    _groups_policy: ClassVar[Literal["require", "warn", "optional"]] = "optional"

    @property
    def _takes_images(self) -> bool:
        """Whether X is images, as it is for a backbone of timm's."""
        return isinstance(self.backbone, str)

    def _check_training_data(
        self, X: Any, y: Any, groups: Any
    ) -> tuple[np.ndarray | Images, np.ndarray, Attribute]:
        columns = [] if self.group_columns is None else list(groups.columns)
        self._group_columns = columns
        if y is not None:
            check_no_missing_labels(y)
        if self._takes_images:
            X, y = self._check_images_and_labels(X, y)
        else:
            X, y = self._check_numbers_and_labels(X, y)
        check_classification_targets(y)
        if groups is not None:
            return X, y, encode_attribute(groups, _num_samples(X))
        if self._groups_policy == "require":
            raise MissingGroupsError(f"{type(self).__name__} needs groups. {_CURES}")
        if self._groups_policy == "warn":
            warnings.warn(
                f"{type(self).__name__} was fitted without groups: every class is a group of its "
                f"own, and only classes are balanced. {_CURES}",
                MissingGroupsWarning,
                stacklevel=3,
            )
        return X, y, no_attribute(_num_samples(X))

    def _check_numbers_and_labels(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        columns = self._group_columns
        X = self._readable(X)
        with self._saying_what_is_needed(X):
            if columns:
                validate_data(self, X, y, skip_check_array=True)  # counts and names all columns
                X = drop_columns(X, columns)
                X, y = check_X_y(X, y, estimator=self, **self._array_checks())
            else:
                X, y = validate_data(self, X, y, **self._array_checks())
        X = canonical(X) if is_csr(X) else X
        if self.backbone is not None and X.ndim == 2:
            self.n_features_in_ = X.shape[1]
        self._input_shape = X.shape[1:]
        return X, y

    def _check_images_and_labels(self, X: Any, y: Any) -> tuple[Images, np.ndarray]:
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, skip_check_array=True)  # counts and names all columns
        else:
            for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit
                self.__dict__.pop(name, None)
        self._input_shape = ()
        images = self._as_images(X)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_consistent_length(images, y)
        return images, y

    def _as_images(self, X: Any) -> Images:
        if issparse(X):
            self._refuse_sparse_before_a_module()
        if isinstance(X, pd.DataFrame):
            X = X.drop(columns=self._group_columns, errors="ignore")
        try:
            return Images(X, self.image_root, self.image_column, self.value_range)
        except (TypeError, ValueError) as error:
            if getattr(X, "ndim", 0) != 2 or np.asarray(X).dtype.kind not in "biuf":
                raise
            raise type(error)(
                f"{error}. A table, or a matrix of embeddings, needs backbone=None"
            ) from error

    @contextmanager
    def _saying_what_is_needed(self, X: Any) -> Iterator[None]:
        """Say more than "cannot convert" where somebody gives images to a matrix method."""
        try:
            yield
        except (ValueError, TypeError) as error:
            if self.backbone is None and looks_like_images(X):
                hint = _NOT_IMAGES.format(name=type(self).__name__)
                if getattr(X, "ndim", 0) == 3:
                    hint += _TOKENS
                raise type(error)(f"{error}\n{hint}") from error
            if (shapes := different_shapes(X)) is not None:
                raise ValueError(
                    f"samples of X have different shapes: {shapes}. A module takes them as one "
                    "array: resize them first, or give the name of a timm model as backbone"
                ) from error
            columns = _unusable_columns(X, self._group_columns)
            if "holds vectors" in columns:
                raise ValueError(f"{error}\n{columns}") from error
            if columns and str(error).startswith(("could not convert", "Input X contains NaN")):
                raise ValueError(
                    f"{error}\n{columns}. Make numbers of a table first, with "
                    f"make_pipeline(TableEncoder(), {type(self).__name__}())"
                ) from error
            raise

    def _readable(self, X: Any) -> Any:
        """Make one array of tensors and of vectors, where it is one; check indices."""
        if issparse(X):
            self._refuse_sparse_before_a_module()
            check_indices(X)
        return as_readable_numbers(X)

    def _refuse_sparse_before_a_module(self) -> None:
        if self.backbone is None:
            return
        images = self._takes_images
        backbone = repr(self.backbone) if images else f"a {type(self.backbone).__name__}"
        what = "images" if images else "numbers"
        name = type(self).__name__
        raise TypeError(_NOT_SPARSE.format(backbone=backbone, what=what, name=name))

    def _array_checks(self) -> dict[str, Any]:
        if self.backbone is None:
            return {"dtype": np.float32, "order": "C", "accept_sparse": "csr"}
        return {"dtype": "numeric", "allow_nd": True, "ensure_2d": False}

    def _check_validation_data(
        self, X_val: Any, y_val: Any, groups_val: Any, cells: Cells, *, sparse: bool
    ) -> Validation | None:
        """Check validation data, beside the cells of the training data, as sparse as those are."""
        if X_val is None:
            if y_val is not None or groups_val is not None:
                raise ValueError("y_val and groups_val need X_val")
            return None
        if y_val is None:
            raise ValueError("X_val needs y_val, its labels")
        if self._group_columns and groups_val is None:
            groups_val = take_groups(X_val, None, self.group_columns)
        check_same_order(X_val=X_val, y_val=y_val, groups_val=groups_val)
        check_no_missing_labels(y_val, "y_val")
        X_val = self._check_input(X_val)
        if sparse != issparse(X_val):
            X_val = csr_matrix(X_val) if sparse else X_val.toarray()
        y_val = column_or_1d(y_val)
        n_samples = _num_samples(X_val)
        if len(y_val) != n_samples:
            raise ValueError(f"y_val has {len(y_val)} labels for {n_samples} samples in X_val")
        unknown = np.setdiff1d(y_val, self.classes_)
        if len(unknown):
            raise ValueError(f"y_val has classes that y does not have: {unknown.tolist()}")
        codes = np.searchsorted(self.classes_, y_val).astype(np.int64)
        attribute = None
        if groups_val is not None:
            attribute = encode_attribute(groups_val, n_samples, name="groups_val", of="X_val")
            if not cells.attribute.is_absent:
                attribute = attribute.in_order_of(cells.attribute, name="groups_val", of="groups")
        judged = Cells(codes, cells.classes, attribute or no_attribute(len(codes)))
        warn_of_cells_without_judge(cells, judged, stacklevel=3)
        return Validation(X_val, codes, attribute)

    def _check_input(self, X: Any, *, finite: bool = True) -> np.ndarray | Images:
        """Check X as fit has seen it; sensitive columns may be absent."""
        if self._takes_images:
            return self._as_images(X)
        checks = self._array_checks() | {"ensure_all_finite": finite}
        X = self._readable(X)
        if not self._group_columns:
            with self._saying_what_is_needed(X):
                X = validate_data(self, X, reset=False, **checks)
            X = canonical(X) if is_csr(X) else X
            if X.shape[1:] != self._input_shape:
                raise ValueError(
                    f"samples of X have shape {X.shape[1:]}, those in fit had {self._input_shape}"
                )
            return X
        X = as_pandas(X)
        names = getattr(self, "feature_names_in_", None)  # absent where names are no text
        n_expected = self.n_features_in_ - len(self._group_columns)
        X = drop_columns(X, self._group_columns)
        if isinstance(X, pd.DataFrame):
            expected = None if names is None else [n for n in names if n not in self._group_columns]
            if expected not in (None, list(X.columns)):
                raise ValueError(
                    "The feature names should match those that were passed during fit, in the "
                    f"same order. Expected {expected} (the group columns "
                    f"{self._group_columns} are optional), got {list(X.columns)}"
                )
        elif names is not None and np.shape(X)[1:] == (self.n_features_in_,):
            # all columns as an array, which explainers make of a DataFrame
            taken = np.isin(names, np.asarray(self._group_columns, dtype=object))
            X = (X.tocsr() if issparse(X) else np.asarray(X))[:, ~taken]
        with self._saying_what_is_needed(X):
            X = check_array(X, estimator=self, **checks)
        X = canonical(X) if is_csr(X) else X
        if X.shape[1] != n_expected:
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self).__name__} is expecting "
                f"{n_expected} features as input, its group columns aside"
            )
        return X

    def _has_group_columns(self, X: Any) -> bool:
        return any(column in getattr(as_pandas(X), "columns", ()) for column in self._group_columns)
