"""Embeddings kept by the process, found again by the content of their images."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from threading import Lock

import numpy as np

from ._memory import available_memory

__all__ = ["MemoryCache", "memory_cache"]

_OVERHEAD = 256  # bytes that an entry takes besides its embedding, about
_MOST = 1 << 30


class _Store:
    """Embeddings of all backbones; those that were not used for longest make room for new ones."""

    def __init__(self, limit: int):
        self.limit = limit
        self.forget()

    def forget(self) -> None:
        # anew, the lock too: where a process forks, another thread may have been holding it
        self.lock = Lock()
        self.rows: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()
        self.size = 0

    def add(self, key: tuple[str, bytes], row: bytes) -> None:
        if (known := self.rows.pop(key, None)) is not None:
            self.size -= len(known) + _OVERHEAD
        self.rows[key] = row
        self.size += len(row) + _OVERHEAD
        while self.size > self.limit:
            self.size -= len(self.rows.popitem(last=False)[1]) + _OVERHEAD


def _find_limit() -> int:
    return min(_MOST, available_memory() // 4)


_store = _Store(_find_limit())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_store.forget)


class MemoryCache:
    """The embeddings that this process keeps of one backbone.

    All backbones share the memory, a quarter of what was free at first and 1 GiB at most. Threads
    may share a cache. A pickle of it, and a process that is forked, begin without content.

    Parameters
    ----------
    fingerprint : str
        The backbone's.
    n_features : int
        Length of an embedding.

    Examples
    --------
    >>> cache = MemoryCache("of a backbone", n_features=2)
    >>> key = b"sixteen bytes it"
    >>> cache.add([key], np.ones((1, 2), np.float32))
    True
    >>> MemoryCache("of a backbone", n_features=2).get([key])
    {b'sixteen bytes it': array([1., 1.], dtype=float32)}
    >>> key in MemoryCache("of another", n_features=2)
    False
    """

    def __init__(self, fingerprint: str, n_features: int):
        self.fingerprint = fingerprint
        self.n_features = n_features

    def __contains__(self, key: bytes) -> bool:
        return (self.fingerprint, key) in _store.rows

    def get(self, keys: Iterable[bytes]) -> dict[bytes, np.ndarray]:
        """Look up embeddings.

        Parameters
        ----------
        keys : iterable of bytes
            What images are wanted.

        Returns
        -------
        dict of bytes to ndarray of shape (n_features,), dtype float32
            The embeddings that the cache has; read-only.
        """
        found = {}
        with _store.lock:
            for key in keys:
                place = self.fingerprint, key
                if (row := _store.rows.get(place)) is not None:
                    _store.rows.move_to_end(place)
                    found[key] = np.frombuffer(row, dtype=np.float32)
        return found

    def add(self, keys: Sequence[bytes], embeddings: np.ndarray) -> bool:
        """Keep embeddings, as long as there is room.

        Parameters
        ----------
        keys : sequence of bytes
            What images they are of.
        embeddings : ndarray of shape (n_keys, n_features)
            The embeddings.

        Returns
        -------
        bool
            True: there is nothing that could fail.
        """
        # a copy each: a view would keep all of its batch in memory
        for key, row in zip(keys, np.asarray(embeddings, dtype=np.float32), strict=True):
            data = row.tobytes()
            with _store.lock:
                _store.add((self.fingerprint, key), data)
        return True


def memory_cache(fingerprint: str, n_features: int) -> MemoryCache:
    """Open the part of a backbone in the embeddings that this process keeps.

    Parameters
    ----------
    fingerprint : str
        See :attr:`Backbone.fingerprint`.
    n_features : int
        Length of an embedding.

    Returns
    -------
    MemoryCache
        The cache.
    """
    return MemoryCache(fingerprint, n_features)
