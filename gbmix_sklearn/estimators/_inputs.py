"""What fit and predict accept."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_X_y
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d, validate_data

from ..exceptions import MissingGroupsError, MissingGroupsWarning
from ..groups import Attribute, encode_attribute, no_attribute, take_groups

__all__ = ["InputChecks"]

_CURES = (
    "Give groups to fit (in a Pipeline: stepname__groups=...). In a search, call "
    "sklearn.set_config(enable_metadata_routing=True) first, so that groups=... reaches the "
    "estimator; or name the sensitive columns of a DataFrame X with group_columns=..."
)


class InputChecks:
    """Checks of the data, with errors that say what to do."""

    backbone: torch.nn.Module | None
    group_columns: Any
    classes_: np.ndarray
    n_features_in_: int
    _groups_policy: ClassVar[Literal["require", "warn", "optional"]]

    def _check_training_data(
        self, X: Any, y: Any, groups: Any
    ) -> tuple[np.ndarray, np.ndarray, Attribute]:
        columns = [] if self.group_columns is None else list(groups.columns)
        if columns:
            validate_data(self, X, y, skip_check_array=True)  # counts and names all columns
            X, y = check_X_y(X.drop(columns=columns), y, estimator=self, **self._array_checks())
        else:
            X, y = validate_data(self, X, y, **self._array_checks())
        if self.backbone is not None and X.ndim == 2:
            self.n_features_in_ = X.shape[1]
        self._input_shape = X.shape[1:]
        self._group_columns = columns
        if y.dtype.kind == "O" and pd.isna(y).any():
            row = int(np.flatnonzero(pd.isna(y))[0])
            raise ValueError(f"y has a missing label at row {row}; drop such rows")
        check_classification_targets(y)
        if groups is not None:
            return X, y, encode_attribute(groups, len(X))
        if self._groups_policy == "require":
            raise MissingGroupsError(f"{type(self).__name__} needs groups. {_CURES}")
        if self._groups_policy == "warn":
            warnings.warn(
                f"{type(self).__name__} was fitted without groups: every class is a group of its "
                f"own, and only classes are balanced. {_CURES}",
                MissingGroupsWarning,
                stacklevel=3,
            )
        return X, y, no_attribute(len(X))

    def _array_checks(self) -> dict[str, Any]:
        if self.backbone is None:
            return {"dtype": np.float32, "order": "C"}
        return {"dtype": "numeric", "allow_nd": True, "ensure_2d": False}

    def _check_validation_data(
        self, X_val: Any, y_val: Any, groups_val: Any
    ) -> tuple[np.ndarray, np.ndarray, Attribute | None] | None:
        if X_val is None:
            if y_val is not None or groups_val is not None:
                raise ValueError("y_val and groups_val need X_val")
            return None
        if y_val is None:
            raise ValueError("X_val needs y_val, its labels")
        if self._group_columns and groups_val is None:
            groups_val = take_groups(X_val, None, self.group_columns)
        X_val = self._check_input(X_val)
        y_val = column_or_1d(y_val)
        if len(y_val) != len(X_val):
            raise ValueError(f"y_val has {len(y_val)} labels for {len(X_val)} samples in X_val")
        unknown = np.setdiff1d(y_val, self.classes_)
        if len(unknown):
            raise ValueError(f"y_val has classes that y does not have: {unknown.tolist()}")
        codes = np.searchsorted(self.classes_, y_val).astype(np.int64)
        if groups_val is None:
            return X_val, codes, None
        return X_val, codes, encode_attribute(groups_val, len(X_val), name="groups_val", of="X_val")

    def _check_input(self, X: Any, *, finite: bool = True) -> np.ndarray:
        """Check X as fit has seen it; sensitive columns may be absent."""
        checks = self._array_checks() | {"ensure_all_finite": finite}
        if not self._group_columns:
            X = validate_data(self, X, reset=False, **checks)
            if X.shape[1:] != self._input_shape:
                raise ValueError(
                    f"samples of X have shape {X.shape[1:]}, those in fit had {self._input_shape}"
                )
            return X
        names = getattr(self, "feature_names_in_", None)  # absent where names are no text
        n_expected = self.n_features_in_ - len(self._group_columns)
        if isinstance(X, pd.DataFrame):
            X = X.drop(columns=self._group_columns, errors="ignore")
            expected = None if names is None else [n for n in names if n not in self._group_columns]
            if expected not in (None, list(X.columns)):
                raise ValueError(
                    "The feature names should match those that were passed during fit, in the "
                    f"same order. Expected {expected} (the group columns "
                    f"{self._group_columns} are optional), got {list(X.columns)}"
                )
        X = check_array(X, estimator=self, **checks)
        if X.shape[1] != n_expected:
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self).__name__} is expecting "
                f"{n_expected} features as input, its group columns aside"
            )
        return X

    def _has_group_columns(self, X: Any) -> bool:
        return any(column in getattr(X, "columns", ()) for column in self._group_columns)
