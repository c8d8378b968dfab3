"""Tensors for NumPy, and files of them.

Nothing in a file runs, and it takes no more memory than it has bytes.
"""

from __future__ import annotations

import os
import zipfile
from typing import IO, Any

import torch

__all__ = ["as_readable", "load_plain"]


def as_readable(tensor: torch.Tensor) -> torch.Tensor:
    """Bring a tensor to where NumPy can read it, in numbers that it knows.

    Examples
    --------
    >>> as_readable(torch.ones(2, dtype=torch.bfloat16)).numpy().dtype
    dtype('float32')
    """
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor


def load_plain(file: IO[bytes], device: Any = "cpu") -> Any:
    """Read what ``torch.save`` has written, weights-only.

    Parameters
    ----------
    file : file
        Open, and at its begin.
    device : str or torch.device, default="cpu"
        Where tensors go.

    Returns
    -------
    object
        Tensors, numbers and text, in dicts and lists.

    Raises
    ------
    ValueError
        If it would take more memory than it has bytes, as a packed file may.
    Exception
        Whatever torch raises of files that are damaged or hold something else.
    """
    size = file.seek(0, os.SEEK_END)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
        packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
        if packed or sum(member.file_size for member in members) > size:
            raise ValueError("it is packed, which torch.save never does")
    file.seek(0)
    return torch.load(file, map_location=device, weights_only=True)
