"""Arrays as short text, so that results can hold what was predicted of every sample."""

from __future__ import annotations

import base64
import zlib

import numpy as np

__all__ = ["pack_codes", "pack_flags", "unpack_codes", "unpack_flags"]

_CODES = np.dtype("<u2")


def pack_flags(flags: np.ndarray) -> str:
    """Write truth values as text.

    Parameters
    ----------
    flags : ndarray of shape (n,), dtype bool

    Returns
    -------
    str
        Eight a byte, compressed, in base 64.
    """
    return _text(np.packbits(flags))


def unpack_flags(text: str, n: int) -> np.ndarray:
    """Read `n` truth values that :func:`pack_flags` has written."""
    return np.unpackbits(np.frombuffer(_bytes(text), np.uint8), count=n).astype(bool)


def pack_codes(codes: np.ndarray) -> str:
    """Write whole numbers below 65,536 as text.

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    if len(codes) and not 0 <= codes.min() <= codes.max() <= np.iinfo(_CODES).max:
        raise ValueError(f"codes from {codes.min()} to {codes.max()} do not fit into 16 bits")
    return _text(codes.astype(_CODES))


def unpack_codes(text: str) -> np.ndarray:
    """Read what :func:`pack_codes` has written."""
    return np.frombuffer(_bytes(text), _CODES).astype(np.int64)


def _text(array: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(array.tobytes(), 9)).decode()


def _bytes(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))
