"""Many images through a backbone, read ahead in threads and looked up in a cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from joblib import cpu_count

from .._device import forward_what_fits
from .._finite import refuse_non_finite
from ._cache import Cache, CacheWriter, EmbeddingCache, open_cache
from ._images import Images
from ._memory import find_batch_size
from ._models import Backbone
from ._parallel import ordered_map

__all__ = ["embed", "open_cache_of"]

Prepared = TypeVar("Prepared")

_CHUNK = 8  # images that a thread prepares in one go


def embed(
    backbone: Backbone,
    images: Images,
    *,
    batch_size: int | None = None,
    cache: Cache | None = None,
    out: np.ndarray | None = None,
    broken: dict[int, str] | None = None,
    update: Callable[[int], object] | None = None,
) -> np.ndarray:
    """Embed images, which threads read batch by batch; beside a GPU, while it works.

    At most a few batches of prepared images are in memory, and one decoded image per core.

    Parameters
    ----------
    backbone : Backbone
        The backbone.
    images : Images
        The images.
    batch_size : int, default=None
        How many go through the model at once; None finds it from the memory. It is halved where
        the device turns out to be too small.
    cache : EmbeddingCache or MemoryCache, default=None
        Where embeddings are looked up and kept; with it, equal images go through the model once.
    out : ndarray of shape (n_images, *backbone.shape), default=None
        A float array to fill, such as a memory map; None makes one of dtype float32.
    broken : dict of int to str, default=None
        Takes the rows of images that cannot be read, and why; their embeddings are NaN. None
        raises the error of the first one.
    update : callable, default=None
        Is called with the number of rows that are done.

    Returns
    -------
    ndarray of shape (n_images, *backbone.shape)
        The embeddings, in order: `out`, if it was given.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If an image cannot be read and `broken` is None, or if `out` does not fit.
    NonFiniteOutputError
        If the backbone gives NaN or infinite values for an image that can be read.

    Examples
    --------
    >>> from ._models import load_backbone
    >>> backbone = load_backbone("resnet10t", pretrained=False, image_size=32)
    >>> broken = {}
    >>> images = Images([np.zeros((40, 30), dtype=np.uint8), "missing.jpg"])
    >>> embed(backbone, images, broken=broken).shape, list(broken)
    ((2, 512), [1])
    """
    shape = (len(images), *backbone.shape)
    if out is None:
        out = np.empty(shape, dtype=np.float32)
    elif out.shape != shape or out.dtype.kind != "f":
        raise ValueError(f"out must be a float array {shape}; got {out.dtype} {out.shape}")
    if batch_size is None:
        batch_size = find_batch_size(backbone.image_bytes, backbone.device)
    table = _Table(out, update)
    guard = _Guard(skips=broken is not None)
    if cache is None:
        source = _all(images, backbone, batch_size, guard)
        for batch, embeddings in _forwarded(backbone, _regrouped(source, batch_size)):
            table.put(batch.rows, embeddings)
    else:
        source = _missing(images, backbone, batch_size, guard, cache, table)
        with CacheWriter(cache) as writer:
            for batch, embeddings in _forwarded(backbone, _regrouped(source, batch_size)):
                table.put(batch.rows, embeddings)
                writer.add(batch.keys, embeddings.reshape(len(batch), -1))
    table.copy()
    if broken is not None and guard.broken:
        table.put(list(guard.broken), np.nan)
        broken.update(sorted(guard.broken.items()))
    return out


def open_cache_of(backbone: Backbone, folder: Path) -> EmbeddingCache:
    """Open the part of a cache folder that keeps the embeddings of one backbone.

    Parameters
    ----------
    backbone : Backbone
        The backbone.
    folder : Path
        The folder, which backbones share.

    Returns
    -------
    EmbeddingCache
        Its cache.
    """
    return open_cache(folder / f"{backbone.name}-{backbone.fingerprint}", backbone.n_features)


class _Table:
    """The result as it fills."""

    def __init__(self, values: np.ndarray, update: Callable[[int], object] | None):
        self.values = values
        self._update = update
        self._done = 0
        self._copies: list[tuple[int, int]] = []

    def put(self, rows: Any, embeddings: Any) -> None:
        self.values[rows] = embeddings
        self._done += np.size(rows)
        if self._update is not None:
            self._update(self._done)

    def copy_later(self, row: int, original: int) -> None:
        self._copies.append((row, original))

    def copy(self) -> None:
        for row, original in self._copies:  # one by one: feature maps may be larger than memory
            self.put(row, self.values[original])


class _Guard:
    """Notes the images that cannot be read, where they are to be skipped."""

    def __init__(self, skips: bool):
        self.broken: dict[int, str] = {}
        self._skips = skips

    @contextmanager
    def reading(self, row: int) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, TypeError, ValueError) as error:
            # whatever a decoder raises comes as one of these; too little memory breaks no image
            if not self._skips or isinstance(error.__cause__, MemoryError):
                raise
            self.broken[row] = str(error)


@dataclass(frozen=True)
class _Batch:
    """Prepared images, where they belong, and with a cache their keys."""

    rows: list[int]
    keys: list[bytes]
    pixels: torch.Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, start: int, stop: int | None = None) -> _Batch:
        part = slice(start, stop)
        return _Batch(self.rows[part], self.keys[part], self.pixels[part])


def _all(images: Images, backbone: Backbone, batch_size: int, guard: _Guard) -> Iterator[_Batch]:
    """Prepare all images; of what came as pixels of the right size, batches are copied whole."""
    preprocess = backbone.preprocess

    def copy(rows: range) -> list[_Batch]:
        return [_Batch(list(rows), [], preprocess.load(images, rows))]

    def prepare(rows: range) -> list[_Batch]:
        pixels = {}
        for row in rows:
            with guard.reading(row):
                pixels[row] = preprocess.pixels(images[row])
        return [_Batch(list(pixels), [], torch.stack(list(pixels.values())))] if pixels else []

    if preprocess.passes(images):
        batches = _read_ahead(copy, _chunks(len(images), batch_size), 1, backbone)
    else:
        chunks = _chunks(len(images), min(_CHUNK, batch_size))
        batches = _read_ahead(prepare, chunks, _rounded_up(batch_size), backbone)
    return chain.from_iterable(batches)


def _missing(
    images: Images,
    backbone: Backbone,
    batch_size: int,
    guard: _Guard,
    cache: Cache,
    table: _Table,
) -> Iterator[_Batch]:
    """Prepare what the cache lacks, each image once; put the rest into the table."""
    preprocess = backbone.preprocess
    first: dict[bytes, int] = {}  # row of the first among equal images

    def prepare(rows: range) -> list[tuple[int, bytes, np.ndarray | None, torch.Tensor | None]]:
        # read, name and prepare one by one: one file a thread is in memory, and read only once
        keys: dict[int, bytes] = {}
        pixels: dict[int, torch.Tensor] = {}
        for row in rows:
            with guard.reading(row):
                picture = images[row]
                key = picture.digest()
                if key not in cache and key not in first:
                    pixels[row] = preprocess.pixels(picture)
                keys[row] = key
        found = cache.get(keys.values())
        for row, key in keys.items():
            if row not in pixels and key not in found and key not in first:  # damaged or dropped
                with guard.reading(row):
                    pixels[row] = preprocess.pixels(images[row])
        return [(row, key, found.get(key), pixels.get(row)) for row, key in keys.items()]

    chunks = _chunks(len(images), _CHUNK)
    for chunk in _read_ahead(prepare, chunks, _rounded_up(batch_size), backbone):
        new: list[tuple[int, bytes, torch.Tensor]] = []
        for row, key, embedding, pixels in chunk:
            if embedding is not None:
                table.put(row, embedding.reshape(backbone.shape))
            elif key in first:
                table.copy_later(row, first[key])
            elif pixels is not None:
                first[key] = row
                new.append((row, key, pixels))
        if new:
            rows, keys, prepared = zip(*new, strict=True)
            yield _Batch(list(rows), list(keys), torch.stack(prepared))


def _chunks(n: int, size: int) -> Iterator[range]:
    return (range(start, min(start + size, n)) for start in range(0, n, size))


def _rounded_up(batch_size: int) -> int:
    return -(-batch_size // _CHUNK)


def _read_ahead(
    prepare: Callable[[range], Prepared],
    chunks: Iterator[range],
    chunks_per_batch: int,
    backbone: Backbone,
) -> Iterator[Prepared]:
    """Prepare one batch and, where the model leaves the cores free, the next while it works."""
    if backbone.device.type == "cpu":
        # reading beside a forward that uses all cores costs twice its time: the forward's own
        # threads wait for the one that was pushed aside
        return ordered_map(prepare, chunks, max(cpu_count(), chunks_per_batch), overlap=False)
    return ordered_map(prepare, chunks, max(cpu_count(), 2 * chunks_per_batch))


def _regrouped(parts: Iterable[_Batch], size: int) -> Iterator[_Batch]:
    """Batches of the given size, bar the last, out of smaller and larger ones."""
    waiting: list[_Batch] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) < size:
            continue
        joined = _joined(waiting)
        whole = len(joined) - len(joined) % size
        for start in range(0, whole, size):
            yield joined.part(start, start + size)
        waiting = [joined.part(whole)] if whole < len(joined) else []
    if waiting:
        yield _joined(waiting)


def _joined(parts: list[_Batch]) -> _Batch:
    if len(parts) == 1:
        return parts[0]
    return _Batch(
        [row for part in parts for row in part.rows],
        [key for part in parts for key in part.keys],
        torch.cat([part.pixels for part in parts]),
    )


def _forwarded(
    backbone: Backbone, batches: Iterable[_Batch]
) -> Iterator[tuple[_Batch, np.ndarray]]:
    """Embeddings, each batch fetched after the next is under way: a GPU need not wait."""
    limit = None
    before: tuple[_Batch, list[torch.Tensor]] | None = None
    for batch in batches:
        outputs, limit = forward_what_fits(backbone.forward, batch.pixels, limit or len(batch))
        if before is not None:
            yield before[0], _fetched(*before, backbone)
        before = batch, outputs
    if before is not None:
        yield before[0], _fetched(*before, backbone)


def _fetched(batch: _Batch, outputs: list[torch.Tensor], backbone: Backbone) -> np.ndarray:
    """Embeddings that are numbers: NaN is the mark of an image that cannot be read."""
    embeddings = torch.cat(outputs).float().cpu().numpy()
    refuse_non_finite(embeddings, np.array(batch.rows), half=backbone.dtype == torch.float16)
    return embeddings
