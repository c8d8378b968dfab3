"""A sequence of images, whatever form they come in, read one at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from joblib import cpu_count
from PIL import Image, UnidentifiedImageError

from .._files import read_plain
from ._broken import MISSING
from ._depth import Depth, ValueRange, check_value_range
from ._forms import FORMS as FORMS_OF_X
from ._forms import as_items, is_blank, is_image
from ._kinds import FORMATS, say_what_it_is
from ._parallel import ordered_map
from ._rgb import check_pixels, from_pixels, pixels_of_tensor, to_rgb

__all__ = ["DIGEST_SIZE", "Images", "Picture"]

DIGEST_SIZE = 16

#: bytes of a file, pixels of an image, and of one of its sides: some hundred bytes of PNG may claim
#: to be gigabytes of pixels
_MOST_BYTES = 1 << 30
_MOST_PIXELS = 110_000_000
_LONGEST = 65_535


class Images:
    """A sequence of images, whatever form they come in.

    Nothing is read before it is asked for. Rows may be read from several threads at once.

    Parameters
    ----------
    X : array-like or dataset
        A uint8 array (n, H, W, 3) or (n, H, W), possibly a memory map; a list, Series or array of
        paths, PIL images or single uint8 arrays; a DataFrame with a column of them; a torch
        ``Dataset`` of PIL images, uint8 arrays (H, W, 3) or uint8 tensors (3, H, W), or of tuples
        that begin with one; a ``datasets.Dataset`` with an image column.
    root : str or path-like, default=None
        The folder that relative paths start from; None is the working directory.
    column : str, default=None
        Where `X` has columns, that of the images; None takes the only one.
    value_range : (float, float), default=None
        The values that become black and white. With it arrays and tensors may have any numbers.

    Attributes
    ----------
    depth : Depth
        The values of the images of more than 8 bits that were decoded without a range.
    stack : ndarray of shape (n_samples, height, width[, channels]), dtype uint8, or None
        The pixels, where they came as one array and need no scaling.

    Raises
    ------
    TypeError
        If `X` has none of these forms.
    ValueError
        If an array has the wrong shape, there are no images, or it is unclear which column has
        them.

    Examples
    --------
    >>> import numpy as np
    >>> images = Images(np.zeros((5, 40, 30), dtype=np.uint8))
    >>> len(images), images.rgb(4).size
    (5, (30, 40))
    """

    def __init__(
        self,
        X: Any,
        root: str | os.PathLike[str] | None = None,
        column: str | None = None,
        value_range: ValueRange | None = None,
    ):
        self._range = check_value_range(value_range)
        self._items = as_items(X, column, any_numbers=self._range is not None)
        self._root = Path(root) if root is not None else None
        self._lock = Lock()
        self._in_memory = isinstance(self._items, np.ndarray | list | tuple)
        self.stack: np.ndarray | None = None
        if isinstance(self._items, np.ndarray) and self._range is None:
            self.stack = self._items
        self.depth = Depth()
        if len(self) == 0:
            raise ValueError("X has no images: found 0 samples, at least 1 is required")

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, row: int) -> Picture:
        """Read one image without decoding it, where it is encoded.

        Parameters
        ----------
        row : int
            Position in X.

        Returns
        -------
        Picture
            The image.

        Raises
        ------
        FileNotFoundError
            If the file is missing; the message names row and file.
        TypeError
            If the item is no image.
        ValueError
            If the image cannot be read, or its pixels have the wrong shape or type.
        """
        with _naming(f"row {row}: cannot read the image"):
            if self._in_memory:
                item = self._items[row]
            else:
                with self._lock:  # few datasets were made to be read by several threads
                    item = self._items[row]
        if isinstance(item, tuple) and item:
            item = item[0]
        if is_blank(item):
            raise _without_path(row)
        if not is_image(item):
            raise TypeError(f"{FORMS_OF_X}; row {row} is of type {type(item).__name__}")
        if isinstance(item, Mapping):
            if item.get("bytes") is not None:
                name = f"row {row}: cannot read the image {item.get('path') or ''}".rstrip()
                return self._encoded(item["bytes"], name)
            item = item.get("path") or ""
            if not item:
                raise _without_path(row)
        if isinstance(item, str | os.PathLike):
            return self._read(row, item)
        name = f"row {row}: cannot read the image"
        with _naming(name):
            if isinstance(item, torch.Tensor):
                return Picture(pixels_of_tensor(item, self._range), name)
            if isinstance(item, np.ndarray):
                return Picture(check_pixels(item, self._range), name)
            with self._lock:  # images load late, and the same one may stand in several rows
                item.load()
            rgb = to_rgb(item, value_range=self._range, depth=self.depth)
            return Picture(np.asarray(rgb), name)

    def _encoded(self, data: bytes, name: str) -> Picture:
        return Picture(data, name, self._range, self.depth)

    def _read(self, row: int, item: str | os.PathLike[str]) -> Picture:
        path = Path(item) if self._root is None else self._root / item
        name = f"row {row}: cannot read the image {path}"
        try:
            data = read_plain(path, _MOST_BYTES)
        except FileNotFoundError as error:
            start = "" if path.is_absolute() else f" in {Path.cwd()}; image_root= sets another root"
            raise FileNotFoundError(f"row {row}: {MISSING} {path}{start}") from error
        except Exception as error:
            raise _broken(name, error) from error
        return self._encoded(data, name)

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
        return self[row].rgb()

    def fingerprint(self) -> str:
        """Hash the content of all images, in order; nothing is decoded.

        Returns
        -------
        str
            Equal where the same files or pixels come in the same order, wherever they are.
        """
        return hashlib.sha256(self.digests().tobytes()).hexdigest()[:32]

    def digests(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Hash the content of each image; nothing is decoded.

        Parameters
        ----------
        rows : ndarray of int, default=None
            Those that are wanted; None wants all.

        Returns
        -------
        ndarray of shape (n_rows, DIGEST_SIZE), dtype uint8
            Equal where the same file or pixels come, wherever they are.
        """
        wanted = range(len(self)) if rows is None else rows.tolist()
        chunks = (wanted[start : start + 64] for start in range(0, len(wanted), 64))
        found = ordered_map(self._digests, chunks, 2 * cpu_count())
        return np.frombuffer(b"".join(found), dtype=np.uint8).reshape(-1, DIGEST_SIZE)

    def _digests(self, rows: Sequence[int]) -> bytes:
        return b"".join(self._digest(row) for row in rows)

    def _digest(self, row: int) -> bytes:
        try:
            return self[row].digest()
        except (OSError, ValueError) as error:  # reading it will say more
            return hashlib.sha256(repr(error).encode()).digest()[:DIGEST_SIZE]


@dataclass(frozen=True)
class Picture:
    """One image as it came.

    Attributes
    ----------
    data : bytes or ndarray of shape (height, width[, channels]), dtype uint8
        The encoded file, or pixels.
    name : str
        What an error about the image begins with.
    value_range : (float, float), default=None
        The values of an encoded file that become black and white.
    depth : Depth, default=None
        Takes note of the values of a file of more than 8 bits where no range is given.
    """

    data: bytes | np.ndarray
    name: str
    value_range: ValueRange | None = None
    depth: Depth | None = None

    def rgb(self) -> Image.Image:
        """Decode to 8-bit RGB, upright.

        Returns
        -------
        PIL.Image.Image
            A new image.

        Raises
        ------
        ValueError
            If the image is broken, or of a kind that has no 8-bit meaning.
        """
        with _naming(self.name):
            if isinstance(self.data, np.ndarray):
                return to_rgb(from_pixels(self.data))
            try:
                image = Image.open(BytesIO(self.data), formats=_known_formats())
            except UnidentifiedImageError:  # names an address, and not what the file is
                raise ValueError(say_what_it_is(self.data)) from None
            with image:
                _check_size(image)
                raw = str(image.tile)  # what the file has, before Pillow makes a mode of it
                image.load()  # what stays when the file is closed
                if ";16" in raw and not image.mode.startswith("I"):
                    return self._upper_bits_of_colours(image)
                value_range = self.value_range
                if value_range is None and "I;12" in raw:
                    value_range = (0, 4095)
                return to_rgb(image, own=True, value_range=value_range, depth=self.depth)

    def _upper_bits_of_colours(self, image: Image.Image) -> Image.Image:
        """Take what Pillow reads of colours of 16 bits: their upper 8."""
        if self.value_range is not None:
            raise ValueError(
                "its colours have 16 bits, of which 8 can be read from files: value_range needs "
                "its pixels as an array"
            )
        rgb = to_rgb(image, own=True)
        if self.depth is not None:
            lows, highs = zip(*rgb.getextrema(), strict=True)
            self.depth.note(256 * min(lows), 256 * max(highs) + 255, is_guess=False)
        return rgb

    def digest(self) -> bytes:
        """Name the content: a hash of the encoded file, or of pixels and shape."""
        if isinstance(self.data, bytes):
            content = hashlib.sha256(self.data)
            if self.value_range is not None:
                content.update(repr(self.value_range).encode())
            return content.digest()[:DIGEST_SIZE]
        content = hashlib.sha256(repr(self.data.shape).encode())
        content.update(np.ascontiguousarray(self.data).data)
        return content.digest()[:DIGEST_SIZE]


@cache
def _known_formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _check_size(image: Image.Image) -> None:
    """Refuse an image by the size that it claims, before it is decoded."""
    width, height = image.size
    # numbers of 16 and 32 bits go through several steps to 8
    most = _MOST_PIXELS // 4 if image.mode[0] in "IF" else _MOST_PIXELS
    if width * height > most or max(width, height) > _LONGEST:
        raise ValueError(
            f"it has {width:,} x {height:,} pixels, and more than {most:,}, or {_LONGEST:,} in a "
            "row, are not decoded: make it smaller"
        )


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Say which image an error is about: decoders raise nearly anything on broken files."""
    try:
        yield
    except Exception as error:
        raise _broken(name, error) from error


def _without_path(row: int) -> FileNotFoundError:
    return FileNotFoundError(f"row {row} has no path; replace it or leave its row out")


def _broken(name: str, error: Exception) -> Exception:
    kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
    return kind(f"{name}: {error}; replace it or leave its row out")
