"""Many images through a backbone, read ahead in threads and looked up in a cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from joblib import cpu_count

from ._cache import CacheWriter, EmbeddingCache
from ._images import Images
from ._memory import find_batch_size, is_out_of_memory
from ._models import Backbone
from ._parallel import ordered_map

__all__ = ["embed"]

Prepared = TypeVar("Prepared")

_CHUNK = 8  # images that a thread prepares in one go


def embed(
    backbone: Backbone,
    images: Images,
    *,
    batch_size: int | None = None,
    cache: EmbeddingCache | None = None,
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
    cache : EmbeddingCache, default=None
        Where embeddings are looked up and kept; with it, equal images go through the model once.
    update : callable, default=None
        Is called with the number of rows that are done.

    Returns
    -------
    ndarray of shape (n_images, n_features), dtype float32
        The embeddings, in order.
    """
    if batch_size is None:
        batch_size = find_batch_size(backbone.image_bytes, backbone.device)
    table = _Table(len(images), backbone.n_features, update)
    if cache is None:
        source = _all(images, backbone, batch_size)
        for batch, embeddings in _forwarded(backbone, _regrouped(source, batch_size)):
            table.put(batch.rows, embeddings)
    else:
        source = _missing(images, backbone, batch_size, cache, table)
        with CacheWriter(cache) as writer:
            for batch, embeddings in _forwarded(backbone, _regrouped(source, batch_size)):
                table.put(batch.rows, embeddings)
                writer.add(batch.keys, embeddings)
    return table.finished()


class _Table:
    """The result as it fills."""

    def __init__(self, rows: int, columns: int, update: Callable[[int], object] | None):
        self.values = np.empty((rows, columns), dtype=np.float32)
        self._update = update
        self._done = 0
        self._copies: list[int] = []
        self._originals: list[int] = []

    def put(self, rows: Any, embeddings: np.ndarray) -> None:
        self.values[rows] = embeddings
        self._done += np.size(rows)
        if self._update is not None:
            self._update(self._done)

    def copy_later(self, row: int, original: int) -> None:
        self._copies.append(row)
        self._originals.append(original)

    def finished(self) -> np.ndarray:
        if self._copies:
            self.put(self._copies, self.values[self._originals])
        return self.values


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


def _all(images: Images, backbone: Backbone, batch_size: int) -> Iterator[_Batch]:
    preprocess = backbone.preprocess
    whole = preprocess.passes(images)  # then there is nothing to do but to copy

    def prepare(rows: range) -> _Batch:
        return _Batch(list(rows), [], preprocess.load(images, rows))

    chunks = _chunks(len(images), batch_size if whole else min(_CHUNK, batch_size))
    return _read_ahead(prepare, chunks, 1 if whole else _rounded_up(batch_size), backbone)


def _missing(
    images: Images,
    backbone: Backbone,
    batch_size: int,
    cache: EmbeddingCache,
    table: _Table,
) -> Iterator[_Batch]:
    """Prepare what the cache lacks, each image once; put the rest into the table."""
    preprocess = backbone.preprocess
    first: dict[bytes, int] = {}  # row of the first among equal images

    def prepare(rows: range) -> list[tuple[int, bytes, np.ndarray | None, torch.Tensor | None]]:
        # read, name and prepare one by one: one file a thread is in memory, and read only once
        keys, pixels = [], []
        for row in rows:
            picture = images[row]
            keys.append(key := picture.digest())
            known = key in cache or key in first
            pixels.append(None if known else preprocess.pixels(picture))
        found = cache.get(keys)
        for position, key in enumerate(keys):
            if pixels[position] is None and key not in found and key not in first:  # damaged
                pixels[position] = preprocess.pixels(images[rows[position]])
        return [
            (row, key, found.get(key), prepared)
            for row, key, prepared in zip(rows, keys, pixels, strict=True)
        ]

    chunks = _chunks(len(images), _CHUNK)
    for chunk in _read_ahead(prepare, chunks, _rounded_up(batch_size), backbone):
        new: list[tuple[int, bytes, torch.Tensor]] = []
        for row, key, embedding, pixels in chunk:
            if embedding is not None:
                table.put(row, embedding)
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
        outputs, limit = _forward_what_fits(backbone, batch.pixels, limit or len(batch))
        if before is not None:
            yield before[0], _fetched(before[1])
        before = batch, outputs
    if before is not None:
        yield before[0], _fetched(before[1])


def _forward_what_fits(
    backbone: Backbone, pixels: torch.Tensor, limit: int
) -> tuple[list[torch.Tensor], int]:
    outputs, start = [], 0
    while start < len(pixels):
        try:
            outputs.append(backbone.forward(pixels[start : start + limit]))
            start += limit
            continue
        except (RuntimeError, MemoryError) as error:
            if limit == 1 or not is_out_of_memory(error):
                raise
        limit = max(1, min(limit, len(pixels)) // 2)
        if backbone.device.type == "cuda":  # after the error is gone, and what it held
            torch.cuda.empty_cache()
    return outputs, limit


def _fetched(outputs: list[torch.Tensor]) -> np.ndarray:
    return torch.cat(outputs).float().cpu().numpy()
