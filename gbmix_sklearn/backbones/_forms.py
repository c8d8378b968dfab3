"""The forms that a collection of images may have, as one: something to take items from by row."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset

from .._tensors import as_readable
from ._depth import name_range

__all__ = ["FORMS", "as_items", "different_shapes", "is_blank", "is_image", "looks_like_images"]

FORMS = (
    "X must be a uint8 array (n, height, width, 3) or (n, height, width); a list, Series or array "
    "of file paths or PIL images; a DataFrame with a column of them; a torch Dataset; or a "
    "datasets.Dataset with an image column"
)


def as_items(
    X: Any, column: str | None = None, *, any_numbers: bool = False
) -> Sequence[Any] | np.ndarray:
    """Find out the form of X, without reading an image.

    Parameters
    ----------
    X : array-like or dataset
        Images in one of the forms of `FORMS`.
    column : str, default=None
        Where `X` has columns, the name of that with the images.
    any_numbers : bool, default=False
        Whether pixels of an array may have another dtype than uint8.

    Returns
    -------
    ndarray of dtype uint8, list, or another sequence
        Images stacked in one array; a list of images whose types are checked; or a sequence that
        reads an image when it is asked for it.

    Raises
    ------
    TypeError
        If `X` has none of the forms.
    ValueError
        If an array has the wrong shape, or it is unclear which column has the images.
    """
    if isinstance(X, str | os.PathLike | Image.Image):
        raise TypeError(f"{FORMS}; got a single {type(X).__name__}, put it into a list")
    if isinstance(X, pd.DataFrame):
        X = X[_pick(column, list(X.columns), list(X.columns) if X.shape[1] == 1 else [])]
    elif isinstance(X, Mapping):  # also what a slice of a datasets.Dataset is
        X = X[_pick(column, list(X), _image_columns(X))]
    elif isinstance(getattr(X, "features", None), Mapping) and hasattr(X, "cast_column"):
        return _HubColumn(X, column)
    if isinstance(X, list | tuple):
        return _checked(X)
    if isinstance(X, Dataset | Sequence):
        if isinstance(X, IterableDataset) or not hasattr(X, "__len__"):
            raise TypeError(
                f"{FORMS}; got {type(X).__name__}, which has no length and no rows: "
                "list(dataset) makes a list of it"
            )
        return X  # type: ignore[return-value]  # torch's Dataset is a sequence in all but name
    if isinstance(X, pd.Series | pd.Index):
        return _checked(X.to_list())
    if not hasattr(X, "__array__"):
        raise TypeError(f"{FORMS}; got {type(X).__name__}")
    if isinstance(X, torch.Tensor):
        X = as_readable(X)
    return _of_array(np.asarray(X), any_numbers)  # a memory map stays one


def is_blank(item: Any) -> bool:
    """Tell whether an item is what tables have for an image that is not there.

    Examples
    --------
    >>> [is_blank(item) for item in (None, float("nan"), pd.NA, " ", "a.jpg")]
    [True, True, True, True, False]
    """
    if isinstance(item, str):
        return not item.strip()
    return item is None or (pd.api.types.is_scalar(item) and bool(pd.isna(item)))


def is_image(item: Any) -> bool:
    """Tell whether an item may be an image: a path, pixels, a PIL image, or an encoded file."""
    if isinstance(item, Mapping):  # how a datasets.Dataset stores an image
        return bool(item) and set(item) <= {"bytes", "path"}
    return isinstance(item, str | os.PathLike | Image.Image | np.ndarray | torch.Tensor)


def looks_like_images(X: Any) -> bool:
    """Tell whether data may be meant as images, from their form and first sample alone.

    Examples
    --------
    >>> looks_like_images(np.zeros((5, 8, 8, 3))), looks_like_images(np.zeros((5, 8)))
    (True, False)
    >>> looks_like_images(["a.jpg", "b.jpg"]), looks_like_images(["red", "blue"])
    (True, False)
    """
    if isinstance(X, pd.DataFrame):
        return any(looks_like_images(X[column]) for column in X.columns)
    if isinstance(X, Dataset) or hasattr(X, "cast_column"):
        return True
    if isinstance(X, pd.Series):
        X = X.to_list()
    if isinstance(X, np.ndarray) and X.dtype.kind not in "OUT":
        return X.ndim in (3, 4)
    if not isinstance(X, Sequence | np.ndarray) or isinstance(X, str) or len(X) == 0:
        return False
    first = X[0]
    if isinstance(first, str | os.PathLike):
        return os.path.splitext(first)[1].lower() in Image.registered_extensions()
    return isinstance(first, Image.Image) or getattr(first, "ndim", 0) >= 2


def different_shapes(X: Any) -> str | None:
    """Name two samples of different shapes; None where there are none, or samples have none."""
    if not isinstance(X, list | tuple | pd.Series | np.ndarray) or len(X) == 0:
        return None
    shapes = [getattr(item, "shape", None) for item in X]
    for row, shape in enumerate(shapes):
        if shape != shapes[0]:
            return f"row 0 has {shapes[0]}, row {row} has {shape}"
    return None


def _checked(items: Sequence[Any]) -> Sequence[Any]:
    for row, item in enumerate(items):
        if is_blank(item):  # an error of this row when it is read, which may be skipped
            continue
        if not is_image(item) and not (isinstance(item, tuple) and item and is_image(item[0])):
            raise TypeError(f"{FORMS}; row {row} is of type {type(item).__name__}")
    return items


def _of_array(array: np.ndarray, any_numbers: bool) -> Sequence[Any] | np.ndarray:
    if array.dtype.kind in "OUT":
        if array.ndim == 2 and array.shape[1] == 1:  # one column of a table
            array = array[:, 0]
        if array.ndim != 1:
            raise ValueError(f"{FORMS}; got an array of {array.dtype} of shape {array.shape}")
        return _checked(list(array))
    if array.dtype != np.uint8 and not (any_numbers and array.dtype.kind in "iuf"):
        raise TypeError(
            f"{FORMS}; got an array of {array.dtype} of shape {array.shape}. "
            f"Pixels run from 0 to 255{_of_range(array)}"
        )
    if not _is_stack(array):
        raise ValueError(f"{FORMS}; got an array of shape {array.shape}{_advice(array.shape)}")
    return array


def _is_stack(array: np.ndarray) -> bool:
    if array.ndim == 4:
        return array.shape[3] in (1, 3, 4)
    # a grey stack 3 or 4 pixels wide is rather a single colour image
    return array.ndim == 3 and array.shape[2] not in (3, 4)


def _of_range(array: np.ndarray) -> str:
    if array.dtype.kind not in "iuf" or array.ndim < 3 or array.size == 0:
        return ""
    return f"; the first image has {name_range(array[0])}"


def _advice(shape: tuple[int, ...]) -> str:
    if len(shape) == 3:
        return "; a single image goes in as X[np.newaxis]"
    if len(shape) == 4 and shape[1] in (1, 3, 4):
        return "; channels come last: np.moveaxis(X, 1, -1)"
    return ""


def _pick(column: str | None, names: list[Any], images: list[Any]) -> Any:
    """Choose the column with the images: the one that is named, or the only one."""
    if column is not None:
        if column not in names:
            raise ValueError(f"image_column={column!r}: X has no such column, but {names}")
        return column
    if len(images) == 1:
        return images[0]
    which = f"{images} hold images" if images else f"X has the columns {names}"
    raise ValueError(f"name the column with the images or their paths in image_column: {which}")


def _image_columns(table: Mapping[Any, Any]) -> list[Any]:
    if any(hasattr(value, "features") for value in table.values()):
        raise TypeError(f"{FORMS}; X has several splits {list(table)}: choose one, X[name]")
    firsts = {
        name: next(iter(values), None) if isinstance(values, Iterable) else None
        for name, values in table.items()
    }
    # strings may be anything: a column of paths wants to be named
    return [name for name, item in firsts.items() if is_image(item) and not isinstance(item, str)]


class _HubColumn(Sequence):
    """The images of a ``datasets.Dataset``, as the encoded files that it stores.

    Its format and transforms are left aside: they may decode or change what they return.
    """

    def __init__(self, dataset: Any, column: str | None):
        if not hasattr(dataset, "__len__"):
            raise TypeError(
                f"{FORMS}; got {type(dataset).__name__}, which has no length: load it without "
                "streaming=True"
            )
        features = dataset.features
        images = [name for name, kind in features.items() if type(kind).__name__ == "Image"]
        self.column = _pick(column, list(features), images)
        dataset = dataset.with_format(None).select_columns([self.column])
        if self.column in images:  # the class is named through the column: no need to import it
            encoded = type(features[self.column])(decode=False)
            dataset = dataset.cast_column(self.column, encoded)
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, row: Any) -> Any:
        return self.dataset[row][self.column]
