"""The forms in which images come, read as 8-bit RGB."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

__all__ = ["Images", "to_rgb"]

_FORMS = (
    "X must be a uint8 array (n, height, width, 3) or (n, height, width), "
    "or a list, Series or array of file paths or PIL images"
)


class Images:
    """A sequence of images, whatever form they come in.

    Parameters
    ----------
    X : array-like
        A uint8 array (n, H, W, 3) or (n, H, W), possibly a memory map, or a list, Series or array
        of paths, PIL images or single uint8 arrays.
    root : str or path-like, default=None
        The folder that relative paths start from; None is the working directory.

    Attributes
    ----------
    stack : ndarray of shape (n_samples, height, width[, channels]), dtype uint8, or None
        The pixels, where they came as one array.

    Raises
    ------
    TypeError
        If `X` has none of these forms.
    ValueError
        If an array has the wrong shape, or there are no images.
    """

    def __init__(self, X: Any, root: str | os.PathLike[str] | None = None):
        self._items = _as_items(X)
        self._root = Path(root) if root is not None else None
        self._lock = Lock()
        self.stack = self._items if isinstance(self._items, np.ndarray) else None
        if len(self) == 0:
            raise ValueError("X has no images: found 0 samples, at least 1 is required")
        if self.stack is None:
            for row, item in enumerate(self._items):
                if not isinstance(item, str | os.PathLike | Image.Image | np.ndarray):
                    raise TypeError(f"{_FORMS}; row {row} is of type {type(item).__name__}")

    def __len__(self) -> int:
        return len(self._items)

    def rgb(self, row: int) -> Image.Image:
        """Read one image as 8-bit RGB, upright.

        Parameters
        ----------
        row : int
            Position in X.

        Returns
        -------
        PIL.Image.Image
            The image, which the caller may keep.

        Raises
        ------
        FileNotFoundError
            If the file is missing.
        ValueError
            If the image is broken, or of a kind that has no 8-bit meaning.
        """
        item = self._items[row]
        try:
            if isinstance(item, np.ndarray):
                return to_rgb(_from_array(item))
            if isinstance(item, Image.Image):
                with self._lock:  # images load late, and the same one may stand in several rows
                    item.load()
                return to_rgb(item)
            with Image.open(self._path(item)) as image:
                return to_rgb(image)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"row {row}: there is no image file {error.filename}"
            ) from error
        except Exception as error:  # decoders raise nearly anything on broken files
            name = "" if isinstance(item, np.ndarray | Image.Image) else f" {self._path(item)}"
            raise ValueError(f"row {row}: cannot read the image{name}: {error}") from error

    def _path(self, item: str | os.PathLike[str]) -> Path:
        return Path(item) if self._root is None else self._root / item


def to_rgb(image: Image.Image) -> Image.Image:
    """Turn a PIL image of any mode upright and into 8-bit RGB.

    Transparency is dropped, as ``image.convert("RGB")`` does. 16-bit grey keeps its upper 8 bits,
    where ``convert`` may clip everything from 255 on to white, depending on Pillow's version.

    Parameters
    ----------
    image : PIL.Image.Image
        The image, left as it is.

    Returns
    -------
    PIL.Image.Image
        A new image of mode RGB.

    Raises
    ------
    ValueError
        If the image is of a float mode, or of an integer mode with values beyond 16 bits.

    Examples
    --------
    >>> from PIL import Image
    >>> to_rgb(Image.new("I;16", (1, 1), 0x80FF)).getpixel((0, 0))
    (128, 128, 128)
    """
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("a float image (mode F) has no fixed range; convert it to 8 bits first")
    if image.mode.startswith("I"):  # I;16 and its byte orders; 16-bit PNG of older Pillow is "I"
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError(f"mode {image.mode} with values beyond 16 bits; convert it first")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # the way that Pillow asks for, else it warns
    return image.convert("RGB")


def _as_items(X: Any) -> Sequence[Any] | np.ndarray:
    if isinstance(X, str | os.PathLike | Image.Image):
        raise TypeError(f"{_FORMS}; got a single {type(X).__name__}, put it into a list")
    if isinstance(X, list | tuple):
        return X
    if isinstance(X, pd.Series | pd.DataFrame | pd.Index):
        X = X.to_numpy(dtype=object)
    elif not hasattr(X, "__array__"):
        raise TypeError(f"{_FORMS}; got {type(X).__name__}")
    array = np.asarray(X)  # a memory map stays one
    if array.dtype.kind in "OUT":
        if array.ndim == 2 and array.shape[1] == 1:  # one column of a table
            array = array[:, 0]
        if array.ndim != 1:
            raise ValueError(f"{_FORMS}; got an array of {array.dtype} of shape {array.shape}")
        return list(array)
    if array.dtype != np.uint8:
        raise TypeError(
            f"{_FORMS}; got an array of {array.dtype} of shape {array.shape}. "
            "Pixels run from 0 to 255"
        )
    if not _is_stack(array):
        raise ValueError(f"{_FORMS}; got an array of shape {array.shape}{_advice(array.shape)}")
    return array


def _is_stack(array: np.ndarray) -> bool:
    if array.ndim == 4:
        return array.shape[3] in (1, 3, 4)
    # a grey stack 3 or 4 pixels wide is rather a single colour image
    return array.ndim == 3 and array.shape[2] not in (3, 4)


def _advice(shape: tuple[int, ...]) -> str:
    if len(shape) == 3:
        return "; a single image goes in as X[np.newaxis]"
    if len(shape) == 4 and shape[1] in (1, 3, 4):
        return "; channels come last: np.moveaxis(X, 1, -1)"
    return ""


def _from_array(pixels: np.ndarray) -> Image.Image:
    if pixels.dtype != np.uint8 or not (
        pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))
    ):
        raise ValueError(
            "an image is a uint8 array (height, width) or (height, width, 3); "
            f"got {pixels.dtype} of shape {pixels.shape}"
        )
    grey = pixels.ndim == 3 and pixels.shape[2] == 1
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if grey else pixels))
