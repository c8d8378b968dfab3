"""Images decoded once, in memory where they fit, else in a file that is mapped into memory.

A file holds the pixels of all images one after another, an index (sizes, checksums, and what is
wrong with broken images) and a footer with the index's checksum. All of them are checked when it is
opened. It is written whole, under another name first, and never changed after; so processes that
share a folder need no locks.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from itertools import chain
from math import prod
from pathlib import Path
from typing import IO, Any, TypeVar
from zlib import crc32

import numpy as np
import torch
from joblib import cpu_count

from .._files import disk_named, open_plain, replace_file
from ._images import DIGEST_SIZE, Images, Picture
from ._memory import available_memory
from ._parallel import ordered_map
from ._scratch import room_on_disk

__all__ = ["PixelStore", "decode"]

Result = TypeVar("Result")

_CHUNK = 8  # images that a thread decodes in one go
_FOOTER = struct.Struct("<8sQ32s")  # magic, length of the index, its checksum
_MAGIC = b"gbmixP02"
_SUFFIX = ".pixels"
_UNREADABLE = bytes(DIGEST_SIZE)  # instead of a digest, for files that are missing
_READING = (FileNotFoundError, TypeError, ValueError)  # what a broken image raises


class PixelStore:
    """Decoded images, which several threads and forked processes may read.

    Parameters
    ----------
    pixels : ndarray of shape (n, height, width, 3) or list of ndarray, dtype uint8
        The images: one stack, or, of several sizes, one by one.
    rows : array-like of int, default=None
        Positions in X of the images, ascending; None is 0, 1, ...
    broken : dict of int to str, default=None
        What is wrong with images that were left out, by position in X.

    Attributes
    ----------
    sizes : ndarray of shape (n, 2), dtype int64
        Height and width of each image.

    Examples
    --------
    >>> store = PixelStore(np.zeros((4, 20, 30, 3), dtype=np.uint8), rows=[0, 1, 3, 4])
    >>> len(store), store[2].shape, store.take(np.array([3, 0])).shape
    (4, (20, 30, 3), torch.Size([2, 20, 30, 3]))
    """

    def __init__(
        self,
        pixels: np.ndarray | list[np.ndarray],
        rows: Any = None,
        broken: dict[int, str] | None = None,
    ):
        self._pixels = pixels
        self.rows = np.asarray(np.arange(len(pixels)) if rows is None else rows, dtype=np.int64)
        self.broken = broken or {}
        if isinstance(pixels, np.ndarray):
            self.sizes = np.broadcast_to(np.array(pixels.shape[1:3]), (len(pixels), 2))
        else:
            self.sizes = np.array([image.shape[:2] for image in pixels]).reshape(-1, 2)

    @classmethod
    def of_stack(cls, stack: np.ndarray) -> PixelStore:
        """Take images that came as one array as they are, without a copy.

        Parameters
        ----------
        stack : ndarray of shape (n, height, width) or (n, height, width, channels), dtype uint8
            Grey or RGB, or RGBA, whose transparency is dropped; possibly a memory map.

        Returns
        -------
        PixelStore
            A view of it as RGB.
        """
        colour = np.asarray(stack)[..., np.newaxis] if stack.ndim == 3 else np.asarray(stack)
        if colour.shape[3] == 1:
            colour = np.broadcast_to(colour, (*colour.shape[:3], 3))
        return cls(colour[..., :3])

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, position: int) -> np.ndarray:
        """View one image, of shape (height, width, 3)."""
        return self._pixels[position]

    def take(self, positions: np.ndarray) -> torch.Tensor:
        """Copy some images, all of one size, into a batch.

        Parameters
        ----------
        positions : ndarray of int
            Positions in the store, in any order.

        Returns
        -------
        Tensor of shape (n_positions, height, width, 3), dtype uint8
            Their pixels.
        """
        if isinstance(self._pixels, np.ndarray):
            batch = np.ascontiguousarray(self._pixels[positions])  # indexing has made the copy
        else:
            batch = np.stack([self._pixels[position] for position in positions])
        return torch.from_numpy(batch)


def decode(
    images: Images,
    prepare: Callable[[int, Picture], torch.Tensor | np.ndarray],
    *,
    shape: tuple[int, int] | None,
    recipe: str,
    folder: Path | None = None,
    on_error: str = "raise",
    update: Callable[[int], object] | None = None,
) -> PixelStore:
    """Decode images in threads, each once.

    Parameters
    ----------
    images : Images
        The images.
    prepare : callable
        From a row and its picture to uint8 pixels (height, width, 3).
    shape : tuple of int or None
        Height and width that all images have then; None if they differ.
    recipe : str
        What `prepare` does, in words: equal where it gives the same pixels.
    folder : Path, default=None
        Where the pixels are kept for later calls, which find them by the content of the images
        and `recipe`. None keeps them in memory, as long as they fit into half of what is free,
        else in a temporary file that lives as long as the store.
    on_error : {"raise", "skip"}, default="raise"
        What to do about broken images: "skip" leaves them out.
    update : callable, default=None
        Is called with the number of rows that are done.

    Returns
    -------
    PixelStore
        The decoded images.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If an image is broken, or with "skip" all of them.
    OSError
        If the disk is too small.

    Examples
    --------
    >>> images = Images([np.zeros((20, 30), dtype=np.uint8), "missing.jpg"])
    >>> def prepare(row, picture):
    ...     return np.asarray(picture.rgb())
    >>> store = decode(images, prepare, shape=(20, 30), recipe="as it is", on_error="skip")
    >>> store.rows, list(store.broken)
    (array([0]), [1])
    """
    decoding = _Decoding(images, prepare, shape, on_error, update)
    if folder is not None:
        store = _in_a_folder(decoding, folder, recipe)
        if store is not None:
            return store
        decoding = _Decoding(images, prepare, shape, on_error, update)
    with closing(iter(decoding)) as decoded:  # closed, its threads end at once
        return _without_a_folder(decoding, decoded)


class _Decoding:
    """The pixels of one image after another, and on the way what rows they have."""

    def __init__(
        self,
        images: Images,
        prepare: Callable[[int, Picture], torch.Tensor | np.ndarray],
        shape: tuple[int, int] | None,
        on_error: str,
        update: Callable[[int], object] | None,
    ):
        self.images = images
        self.shape = shape
        self.n_bytes = None if shape is None else len(images) * prod(shape) * 3
        self.skips = on_error == "skip"
        self.update = update or (lambda done: None)
        self.rows: list[int] = []
        self.broken: dict[int, str] = {}
        self._prepare = prepare

    def __iter__(self) -> Generator[np.ndarray, None, None]:
        done = 0
        with closing(_map_rows(self._decode, len(self.images))) as chunks:
            for chunk in chunks:
                for row, pixels in enumerate(chunk, done):
                    if isinstance(pixels, Exception):
                        self.broken[row] = str(pixels)
                    else:
                        self.rows.append(row)
                        yield pixels
                done += len(chunk)
                self.update(done)
        if not self.rows:
            first = "; ".join(list(self.broken.values())[:3])
            raise ValueError(f"none of the {done} images can be read: {first}")

    def _decode(self, row: int) -> np.ndarray | Exception:
        pixels = self._attempt(lambda: np.asarray(self._prepare(row, self.images[row])))
        if isinstance(pixels, np.ndarray):
            shape = self.shape or pixels.shape[:2]
            if pixels.dtype != np.uint8 or pixels.shape != (*shape, 3):
                raise TypeError(f"row {row} is prepared as {pixels.dtype} {pixels.shape}")
        return pixels

    def _attempt(self, read: Callable[[], Result]) -> Result | Exception:
        try:
            return read()
        except _READING as error:
            if not self.skips or isinstance(error.__cause__, MemoryError):
                raise
            return error

    def key(self, recipe: str) -> str:
        """Name the content of all images, which are read but not decoded."""

        def digest(row: int) -> bytes:
            found = self._attempt(lambda: self.images[row].digest())
            return _UNREADABLE if isinstance(found, Exception) else found

        key = hashlib.sha256(repr((recipe, self.shape)).encode())
        with closing(_map_rows(digest, len(self.images))) as chunks:
            for chunk in chunks:
                key.update(b"".join(chunk))
        return key.hexdigest()


def _map_rows(function: Callable[[int], Result], n: int) -> Generator[list[Result], None, None]:
    chunks = (range(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK))
    yield from ordered_map(lambda rows: [function(row) for row in rows], chunks, 2 * cpu_count())


def _without_a_folder(decoding: _Decoding, decoded: Iterator[np.ndarray]) -> PixelStore:
    budget = available_memory() // 2
    if decoding.n_bytes is not None:
        if decoding.n_bytes <= budget:
            return _stacked(decoding, decoded)
        return _in_a_temporary_file(decoding, decoded)
    kept: deque[np.ndarray] = deque()
    for pixels in decoded:
        kept.append(pixels)
        budget -= pixels.nbytes
        if budget < 0:
            return _in_a_temporary_file(decoding, chain(_drained(kept), decoded))
    return PixelStore(list(kept), decoding.rows, decoding.broken)


def _stacked(decoding: _Decoding, decoded: Iterator[np.ndarray]) -> PixelStore:
    stack = np.empty((len(decoding.images), *(decoding.shape or ()), 3), dtype=np.uint8)
    for position, pixels in enumerate(decoded):
        stack[position] = pixels
    return PixelStore(stack[: len(decoding.rows)], decoding.rows, decoding.broken)


def _drained(kept: deque[np.ndarray]) -> Iterator[np.ndarray]:
    while kept:
        yield kept.popleft()


def _in_a_temporary_file(decoding: _Decoding, decoded: Iterable[np.ndarray]) -> PixelStore:
    # a file without a name: it is gone with its last map, even where the process is killed
    folder = Path(tempfile.gettempdir())
    with _room(folder, decoding), tempfile.TemporaryFile(dir=folder) as file:
        _write(file, decoding, decoded)
        file.flush()
        return _map(file, decoding.images, whole=True)


def _in_a_folder(decoding: _Decoding, folder: Path, recipe: str) -> PixelStore | None:
    """Find the pixels in a folder, or put them there; None where that cannot be."""
    path = folder / f"{decoding.key(recipe)}{_SUFFIX}"
    store = _find(path, decoding.images)
    if store is not None and (decoding.skips or not store.broken):
        decoding.update(len(decoding.images))
        return store
    try:
        with disk_named(path):
            folder.mkdir(parents=True, exist_ok=True)
        with _room(folder, decoding), closing(iter(decoding)) as decoded:
            replace_file(path, lambda file: _write(file, decoding, decoded))
        with open_plain(path) as file:
            return _map(file, decoding.images, whole=True)
    except OSError as error:
        if error.errno is None:  # of an image, and not of the disk
            raise
        warnings.warn(
            f"the decoded images cannot be kept in {folder}, and are decoded for this fit alone: "
            f"{error}",
            stacklevel=4,
        )
        return None


def _find(path: Path, images: Images) -> PixelStore | None:
    try:
        with open_plain(path) as file:
            return _map(file, images)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        warnings.warn(
            f"the file {path} cannot be used: {error}; its images are decoded anew", stacklevel=4
        )
        return None


def _write(file: IO[bytes], decoding: _Decoding, decoded: Iterable[np.ndarray]) -> None:
    # written rather than mapped: a full disk is then an error, and not a crash
    sizes, checksums = [], []
    for pixels in decoded:
        content = np.ascontiguousarray(pixels).data
        file.write(content)
        sizes.append(pixels.shape[:2])
        checksums.append(crc32(content))
    reasons = {
        row: message.removeprefix(_name(decoding.images, row))
        for row, message in decoding.broken.items()
    }
    index = json.dumps({"sizes": sizes, "checksums": checksums, "broken": reasons}).encode()
    file.write(index)
    file.write(_FOOTER.pack(_MAGIC, len(index), hashlib.sha256(index).digest()))


def _map(file: IO[bytes], images: Images, *, whole: bool = False) -> PixelStore:
    """Map what `_write` wrote; the map outlives the open file.

    Where it is not known to be whole, since this process has just written it, it is read once.
    """
    index_end = max(0, file.seek(0, os.SEEK_END) - _FOOTER.size)
    file.seek(index_end)
    footer = file.read(_FOOTER.size)
    if len(footer) < _FOOTER.size or not footer.startswith(_MAGIC):
        raise ValueError("it is cut off, or of another kind")
    _, length, checksum = _FOOTER.unpack(footer)
    pixels_end = file.seek(max(0, index_end - length))
    index = file.read(index_end - pixels_end)
    if hashlib.sha256(index).digest() != checksum:
        raise ValueError("its index is damaged")
    about = json.loads(index)
    sizes = np.array(about["sizes"], dtype=np.int64)
    ends = np.cumsum(sizes.prod(axis=1) * 3)
    if ends[-1] != pixels_end:
        raise ValueError("it has fewer or more pixels than its index says")
    if not whole:
        _check(file, ends, about["checksums"])
    broken = {int(row): _message(images, int(row), about["broken"][row]) for row in about["broken"]}
    rows = np.setdiff1d(np.arange(len(images)), list(broken))
    # plain arrays over the map: numpy's class for maps makes every view slow
    flat = np.asarray(np.memmap(file, dtype=np.uint8, mode="r", shape=(int(ends[-1]),)))
    if (sizes == sizes[0]).all():
        return PixelStore(flat.reshape(-1, *sizes[0], 3), rows, broken)
    parts = zip(np.split(flat, ends[:-1]), sizes, strict=True)
    return PixelStore([part.reshape(*size, 3) for part, size in parts], rows, broken)


def _check(file: IO[bytes], ends: np.ndarray, checksums: list[int]) -> None:
    """Compare the pixels of each image with its checksum."""
    starts = [0, *ends[:-1].tolist()]
    file.seek(0)
    for position, (start, end, checksum) in enumerate(zip(starts, ends, checksums, strict=True)):
        if crc32(file.read(int(end) - start)) != checksum:
            raise ValueError(f"its image {position} is damaged")


def _name(images: Images, row: int) -> str:
    try:
        return images[row].name
    except _READING:
        return ""


def _message(images: Images, row: int, reason: str) -> str:
    """Say what is wrong with an image, by the name that it has now."""
    try:
        return images[row].name + reason
    except _READING as error:
        return str(error)


def _room(folder: Path, decoding: _Decoding) -> AbstractContextManager[None]:
    cure = "; cache_dir= names a folder on another disk"
    return room_on_disk(folder, decoding.n_bytes, "decoded images", cure)
