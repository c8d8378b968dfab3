"""Embeddings kept on disk, found again by the content of their images.

A folder holds *shards*: files that are written whole, under another name first, and never changed
after. So readers and writers of several processes need no locks, and a process that is killed
leaves no half of a file behind. Small shards are merged as they become many. A shard has a header,
the keys, a checksum per embedding, and the embeddings, so that one is read alone and a damaged file
is noticed.
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from threading import RLock
from time import monotonic
from typing import Any, Protocol
from uuid import uuid4
from zlib import crc32

import numpy as np

from .._files import open_plain, read_plain, replace_file
from ._images import DIGEST_SIZE

__all__ = ["Cache", "CacheWriter", "EmbeddingCache", "open_cache"]

_HEADER = struct.Struct("<8sQQ")  # magic, embeddings, features
_MAGIC = b"gbmixE01"
_SUFFIX = ".embeddings"
_SMALL = 16 << 20  # bytes from which a shard is left alone
_MOST_SMALL = 32  # shards that may be small before some are merged
_MERGED = 16
_MOST_COLLECTED = 64 << 20  # bytes: feature maps are large, 1024 of them may not fit into memory


class Cache(Protocol):
    """What embedding needs of a cache, wherever it keeps things."""

    @property
    def n_features(self) -> int:
        """Length of an embedding."""

    def __contains__(self, key: bytes, /) -> bool: ...

    def get(self, keys: Iterable[bytes]) -> dict[bytes, np.ndarray]:
        """Look up embeddings; those that it has."""

    def add(self, keys: Sequence[bytes], embeddings: np.ndarray) -> bool:
        """Keep embeddings of shape (n_keys, n_features); tell whether that works."""


class EmbeddingCache:
    """The embeddings of one folder.

    Threads may share it; processes have one each over the same folder.

    Parameters
    ----------
    folder : Path
        The folder, made when something is first written. All embeddings in it are of the same
        backbone, weights and preprocessing.
    n_features : int
        Length of an embedding.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> cache = EmbeddingCache(Path(folder.name), n_features=2)
    >>> key = b"sixteen bytes it"
    >>> cache.add([key], np.ones((1, 2), np.float32))
    True
    >>> cache.get([key])
    {b'sixteen bytes it': array([1., 1.], dtype=float32)}
    >>> folder.cleanup()
    """

    def __init__(self, folder: Path, n_features: int):
        self.folder = folder
        self.n_features = n_features
        self._row_bytes = 4 * n_features
        self._lock = RLock()
        self._shards: dict[str, tuple[list[bytes], np.ndarray]] = {}  # keys, checksums
        self._places: dict[bytes, tuple[str, int]] = {}  # key -> shard and row
        self.refresh()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def refresh(self) -> None:
        """Notice what others wrote, merged or deleted."""
        with self._lock:
            try:
                names = {name for name in os.listdir(self.folder) if name.endswith(_SUFFIX)}
            except FileNotFoundError:
                names = set()
            for name in sorted(names - self._shards.keys()):
                self._register(name)
            self._forget(self._shards.keys() - names)

    def get(self, keys: Iterable[bytes]) -> dict[bytes, np.ndarray]:
        """Read embeddings.

        Parameters
        ----------
        keys : iterable of bytes
            What images are wanted.

        Returns
        -------
        dict of bytes to ndarray of shape (n_features,), dtype float32
            The embeddings that the cache has, and that are undamaged.
        """
        keys = list(keys)
        found = self._get(keys)
        lost = [key for key in keys if key not in found and key in self]
        if lost:  # another process merged the file away in between
            self.refresh()
            found |= self._get(lost)
        return found

    def _get(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        wanted: dict[str, list[tuple[int, bytes]]] = {}
        for key in keys:
            if (place := self._places.get(key)) is not None:
                wanted.setdefault(place[0], []).append((place[1], key))
        found = {}
        for name, rows in wanted.items():
            if name not in self._shards:
                continue
            checksums = self._shards[name][1]
            start = self._start(len(checksums))
            try:
                with open_plain(self.folder / name) as file:
                    for row, key in sorted(rows):
                        file.seek(start + row * self._row_bytes)
                        data = file.read(self._row_bytes)
                        if len(data) < self._row_bytes or _checksum(key, data) != checksums[row]:
                            raise ValueError(f"its embedding {row} is damaged")
                        found[key] = np.frombuffer(data, dtype="<f4")
            except FileNotFoundError:
                continue
            except OSError as error:
                self._pass_over(name, error)
            except ValueError as error:
                self._repair(name, str(error))
        return found

    def add(self, keys: Sequence[bytes], embeddings: np.ndarray) -> bool:
        """Write embeddings, at once or not at all.

        Parameters
        ----------
        keys : sequence of bytes
            What images they are of.
        embeddings : ndarray of shape (n_keys, n_features), dtype float32
            The embeddings.

        Returns
        -------
        bool
            Whether they could be written; a warning says why not.
        """
        written = self._append(keys, embeddings)
        self._merge()
        return written

    def _append(self, keys: Sequence[bytes], embeddings: np.ndarray) -> bool:
        rows = np.ascontiguousarray(embeddings, dtype="<f4")
        checksums = [_checksum(key, row.data) for key, row in zip(keys, rows, strict=True)]
        parts: list[Any] = [
            _HEADER.pack(_MAGIC, len(keys), self.n_features),
            b"".join(keys),
            np.array(checksums, dtype="<u4").tobytes(),
            rows.data,
        ]
        name = f"{uuid4().hex}{_SUFFIX}"
        try:
            replace_file(self.folder / name, lambda file: file.writelines(parts))
        except OSError as error:
            warnings.warn(
                f"the embeddings are computed but cannot be kept in {self.folder}: {error}",
                stacklevel=3,
            )
            return False
        with self._lock:
            self._know(name, list(keys), np.array(checksums, dtype=np.uint32))
        return True

    def _register(self, name: str) -> None:
        try:
            with open_plain(self.folder / name) as file:
                magic, n, n_features = _HEADER.unpack(file.read(_HEADER.size))
                size = _HEADER.size + n * (DIGEST_SIZE + 4 + self._row_bytes)
                if magic != _MAGIC or n_features != self.n_features:
                    raise ValueError("it is of another kind")
                if os.fstat(file.fileno()).st_size != size:
                    raise ValueError("it is cut off, or longer than it says")
                keys = file.read(n * DIGEST_SIZE)
                checksums = np.frombuffer(file.read(4 * n), dtype="<u4")
        except FileNotFoundError:
            return  # merged by another process
        except OSError as error:
            self._pass_over(name, error)
            return
        except (ValueError, struct.error) as error:
            self._discard(name, str(error))
            return
        starts = range(0, len(keys), DIGEST_SIZE)
        self._know(name, [keys[start : start + DIGEST_SIZE] for start in starts], checksums)

    def _know(self, name: str, keys: list[bytes], checksums: np.ndarray) -> None:
        self._shards[name] = keys, checksums
        self._places.update((key, (name, row)) for row, key in enumerate(keys))

    def _start(self, n: int) -> int:
        return _HEADER.size + n * (DIGEST_SIZE + 4)

    def _forget(self, names: set[str]) -> None:
        for name in names:
            self._shards.pop(name, None)
        if names:  # anew, for some of their keys may be in other shards too
            self._places = {
                key: (name, row)
                for name, (keys, _) in self._shards.items()
                for row, key in enumerate(keys)
            }

    def _whole(self, name: str) -> dict[bytes, np.ndarray]:
        """Read all of a shard, bar what is damaged."""
        keys, checksums = self._shards[name]
        data = read_plain(self.folder / name)
        found = {}
        for row, key in enumerate(keys):
            place = self._start(len(keys)) + row * self._row_bytes
            embedding = data[place : place + self._row_bytes]
            if len(embedding) == self._row_bytes and _checksum(key, embedding) == checksums[row]:
                found[key] = np.frombuffer(embedding, dtype="<f4")
        return found

    def _repair(self, name: str, reason: str) -> None:
        """Write what is whole in a damaged shard anew."""
        with self._lock:
            if name not in self._shards:  # another thread was faster
                return
            try:
                whole = self._whole(name)
            except OSError as error:
                self._pass_over(name, error)
                return
            del self._shards[name]  # who looks for its keys waits for the end of this
            if whole and not self._append(list(whole), np.stack(list(whole.values()))):
                self._forget({name})  # it stays until what is whole in it has another place
                return
            self._discard(name, reason)

    def _pass_over(self, name: str, error: OSError) -> None:
        """Do without a shard that cannot be read now, which says nothing of what is in it."""
        with self._lock:
            self._forget({name})
        warnings.warn(
            f"the file {self.folder / name} cannot be read: {error}; what it has is embedded anew",
            stacklevel=2,
        )

    def _discard(self, name: str, reason: str) -> None:
        path = self.folder / name
        with self._lock:
            self._forget({name})
        _remove(path)
        warnings.warn(
            f"the file {path} cannot be used: {reason}; what it lacks is embedded anew",
            stacklevel=2,
        )

    def _merge(self) -> None:
        """Make one shard of the smallest, while many are small.

        A shard is deleted after the one that has all its content is there. Two processes that
        merge at once leave some embeddings twice, which does no harm.
        """
        with self._lock:
            limit = _SMALL // (self._row_bytes + DIGEST_SIZE + 4)
            sizes = {name: len(keys) for name, (keys, _) in self._shards.items()}
            small = sorted((name for name in sizes if sizes[name] < limit), key=sizes.__getitem__)
            if len(small) <= _MOST_SMALL:
                return
            names = set(small[:_MERGED])
            found: dict[bytes, np.ndarray] = {}
            try:
                for name in names:
                    found |= self._whole(name)
            except OSError:  # another process is about it
                return
            if not found or self._append(list(found), np.stack(list(found.values()))):
                self._forget(names)
                for name in names:
                    _remove(self.folder / name)


class CacheWriter:
    """Collects embeddings and writes them now and then, and at the end, come what may.

    Parameters
    ----------
    cache : Cache
        Where they go.
    every : int, default=1024
        How many are written at once, fewer where they are large,
    seconds : float, default=30
        or after how long: whoever is killed loses no more.
    """

    def __init__(self, cache: Cache, every: int = 1024, seconds: float = 30):
        self.cache = cache
        self.every = every
        self.seconds = seconds
        self._keys: list[bytes] = []
        self._embeddings: list[np.ndarray] = []
        self._bytes = 0
        self._written = monotonic()
        self._works = True

    def __enter__(self) -> CacheWriter:
        return self

    def __exit__(self, *_: Any) -> None:
        self.flush()

    def add(self, keys: Sequence[bytes], embeddings: np.ndarray) -> None:
        """Take embeddings of shape (n_keys, n_features)."""
        self._keys.extend(keys)
        self._embeddings.append(embeddings)
        self._bytes += embeddings.nbytes
        many = len(self._keys) >= self.every or self._bytes >= _MOST_COLLECTED
        if many or monotonic() - self._written >= self.seconds:
            self.flush()

    def flush(self) -> None:
        """Write what was collected; after a failure, no more is tried."""
        if self._keys and self._works:
            self._works = self.cache.add(self._keys, np.concatenate(self._embeddings))
        self._keys, self._embeddings, self._bytes = [], [], 0
        self._written = monotonic()


def open_cache(folder: Path, n_features: int) -> EmbeddingCache:
    """Open a cache, or take it from the few that this process keeps, as it is on disk now.

    Parameters
    ----------
    folder : Path
        The folder.
    n_features : int
        Length of an embedding.

    Returns
    -------
    EmbeddingCache
        The cache.
    """
    cache = _open(folder.absolute(), n_features)
    cache.refresh()
    return cache


@lru_cache(maxsize=8)
def _open(folder: Path, n_features: int) -> EmbeddingCache:
    return EmbeddingCache(folder, n_features)


def _checksum(key: bytes, embedding: Any) -> int:
    return crc32(embedding, crc32(key))


def _remove(path: Path) -> None:
    with suppress(OSError):  # read-only, or open elsewhere on Windows: a later merge tries again
        path.unlink(missing_ok=True)
