"""What is compared on: samples, their cells, and what each method gets to see of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import indexable
from sklearn.utils.validation import column_or_1d

from .._frames import as_pandas
from .._sparse import canonical, check_indices, content_of, is_csr
from ..backbones import TimmEmbedder
from ..backbones._forms import looks_like_images
from ..balance._fitting import last_step
from ..exceptions import MissingGroupsError
from ..groups import Cells, check_group_columns, take_groups, training_cells
from ..model_selection._units import encode_units
from ..tables import Schema
from ._encoding import WithoutColumns

__all__ = ["Samples", "prepare", "prepares_itself", "read_samples", "with_front"]


@dataclass(frozen=True)
class Samples:
    """All samples.

    Attributes
    ----------
    given : array-like
        X as it came.
    features : array-like
        X without columns of groups, images as embeddings.
    front : transformer or None
        What makes the one of the other.
    y : ndarray of shape (n_samples,)
        Labels.
    classes : ndarray
        The distinct ones, sorted.
    cells : Cells
        Their cells.
    groups : array-like
        Sensitive attributes.
    keep_together : array-like or None
        What samples belong to.
    units : ndarray of shape (n_samples,) or None
        The same as codes.
    has_images : bool
        Whether the samples are images.
    group_columns : column name, list of them, or None
        The columns of X that hold the sensitive attributes.
    """

    given: Any
    features: Any
    front: Any
    y: np.ndarray
    classes: np.ndarray
    cells: Cells
    groups: Any
    keep_together: Any
    units: np.ndarray | None
    has_images: bool
    group_columns: Any

    def __len__(self) -> int:
        return len(self.y)

    @property
    def kind(self) -> Any:
        """Whether the features are a table, a matrix of numbers, or a sparse one."""
        if issparse(self.features):
            return "sparse"
        is_table = isinstance(self.features, pd.DataFrame) and not self.has_images
        return "table" if is_table else "matrix"

    @property
    def n_features(self) -> int | None:
        """Columns of the features; None for embeddings."""
        if self.has_images:
            return None
        shape = _shape(self.features)
        return shape[1] if len(shape) == 2 else None

    def for_method(self, estimator: Any) -> Any:
        """Samples as a method takes them: as they came where it prepares them itself."""
        return self.given if prepares_itself(estimator) else self.features

    def digest(self) -> str:
        """Hash of all that is learned from, apart from X as it came."""
        features = content_of(self.features) if is_csr(self.features) else self.features
        parts = features, self.cells.y, list(self.classes), self.groups, self.units
        return str(joblib.hash(parts))


def prepares_itself(estimator: Any) -> bool:
    """Whether it takes sensitive columns out of X itself, or embeds images."""
    last = last_step(estimator)
    backbone = getattr(last, "backbone", None)
    return (
        getattr(last, "group_columns", None) is not None
        or isinstance(backbone, str | TimmEmbedder)
        or _has_embedder(estimator)
    )


def _has_embedder(estimator: Any) -> bool:
    steps = [step for _, step in getattr(estimator, "steps", [("", estimator)])]
    return any(isinstance(step, TimmEmbedder) for step in steps)


def read_samples(
    X: Any,
    y: Any,
    groups: Any,
    *,
    keep_together: Any,
    group_columns: Any,
    embedder: Any,
    folder: str | os.PathLike[str] | None,
) -> Samples:
    """Check the data; the features are the data as they came until :func:`prepare`.

    Raises
    ------
    MissingGroupsError
        If there are no groups.
    ValueError, TypeError
        If data or groups cannot be used.
    """
    X = as_pandas(X)
    check_indices(X)
    groups = take_groups(X, groups, group_columns)
    if groups is None:
        raise MissingGroupsError(
            "compare needs groups: give the value of the sensitive attribute of each sample, as "
            "compare(X, y, groups), or where it is a column of the DataFrame X, "
            "group_columns='column'"
        )
    classes, cells = training_cells(X, y, groups, name="compare")
    units = None
    if keep_together is not None:
        units = encode_units(keep_together, len(cells.y), beside={"X": X, "y": y}).codes
    (X,) = indexable(X)
    X = canonical(X) if is_csr(X) else X
    fronts: list[Any] = []
    rest = X
    if group_columns is not None:
        columns = check_group_columns(group_columns)
        fronts.append(WithoutColumns(columns if isinstance(columns, list) else [columns]))
        rest = fronts[0].transform(X)
    has_images = embedder is not None or _are_images(rest)
    if has_images:
        fronts.append(_embedder(embedder, folder))
    front = None
    if fronts:
        front = fronts[0] if len(fronts) == 1 else make_pipeline(*fronts)
    y = column_or_1d(y)
    return Samples(
        X, X, front, y, classes, cells, groups, keep_together, units, has_images, group_columns
    )


def prepare(samples: Samples) -> Samples:
    """Embed images, once; leave columns out; check what is left.

    Raises
    ------
    ValueError
        If an image has no embedding, or a column cannot be encoded.
    """
    features = (
        samples.given if samples.front is None else samples.front.fit_transform(samples.given)
    )
    if samples.has_images:
        broken = np.flatnonzero(np.isnan(features).any(axis=1))
        if len(broken):
            raise ValueError(
                f"{len(broken)} image(s) cannot be read, the first in row {broken[0]}: leave them "
                "out of X, y and groups"
            )
    elif isinstance(features, pd.DataFrame):
        Schema.learn(  # says what cannot be used
            features.set_axis([str(name) for name in features.columns], axis=1)
        )
    if not samples.has_images and not _shape(features)[1:]:
        raise ValueError(
            "X must be a table, a matrix of numbers, or images; got one value for each sample. "
            "Paths of images need an ending such as .jpg, or embedder=TimmEmbedder()"
        )
    return replace(samples, features=features)


def _shape(X: Any) -> tuple[int, ...]:
    return X.shape if issparse(X) else np.shape(X)


def _are_images(X: Any) -> bool:
    if isinstance(X, pd.DataFrame) and X.shape[1] != 1:
        return False  # file names among other columns are no images
    return looks_like_images(X)


def _embedder(embedder: Any, folder: str | os.PathLike[str] | None) -> Any:
    embedder = TimmEmbedder() if embedder is None else clone(embedder)
    if folder is not None and getattr(embedder, "cache_dir", "") is None:
        embedder.set_params(cache_dir=Path(folder) / "embeddings")
    return embedder


def with_front(front: Any, fitted: Any) -> Any:
    """Put what prepares samples before a classifier that is fitted on prepared ones."""
    if front is None:
        return fitted
    steps = fitted.steps if isinstance(fitted, Pipeline) else [("classify", fitted)]
    return Pipeline([("prepare", front), *steps])
