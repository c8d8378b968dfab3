"""Where to compute, how precisely, and how much at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from multiprocessing import current_process

import torch

__all__ = [
    "forward_what_fits",
    "is_out_of_memory",
    "largest_that_fits",
    "resolve_device",
    "resolve_precision",
]

_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

#: how errors say it that have no class of their own: the CPU's, the libraries', other devices'
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")

#: joblib's worker processes are numbered from 1 on, nested ones in several parts
_WORKER = re.compile(r"Loky(?:InitMain)?Process-(?:\d+:)*(\d+)")


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn a `device` parameter into a device that exists.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` takes the GPU where there is one; of several the current one, and in the worker
        processes of joblib, such as a search with `n_jobs` starts, each its own in turn.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    ValueError
        If there is no such device.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return _gpu_of_this_process()
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"device must be 'auto' or a device that torch finds on this machine, such as 'cpu'; "
            f"got {device!r}: {error}"
        ) from error
    return resolved


def _gpu_of_this_process() -> torch.device:
    worker = _WORKER.fullmatch(current_process().name)
    if worker is None or torch.cuda.device_count() < 2:
        return torch.device("cuda")
    gpu = torch.device("cuda", (int(worker[1]) - 1) % torch.cuda.device_count())
    torch.cuda.set_device(gpu)  # or what names no device, such as pinned memory, goes to the first
    return gpu


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Turn a `precision` parameter into the type to compute in.

    Parameters
    ----------
    precision : {"auto", "fp32", "bf16", "fp16"}
        ``"auto"`` is bf16 on GPUs that compute in it, and fp32 everywhere else.
    device : torch.device
        Where the computation will run.

    Returns
    -------
    torch.dtype
        The type for :class:`torch.autocast`.

    Raises
    ------
    ValueError
        If there is no such precision.
    """
    if precision == "auto":
        # capability 8 on: older GPUs only emulate bf16, slower than fp32
        native = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if native else torch.float32
    if precision not in _PRECISIONS:
        raise ValueError(f"precision must be one of {['auto', *_PRECISIONS]}; got {precision!r}")
    return _PRECISIONS[precision]


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether the memory of a device, or of the CPU, was too small for an operation."""
    return isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(reason in str(error) for reason in _OUT_OF_MEMORY)
    )


def forward_what_fits(
    forward: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor, limit: int
) -> tuple[list[torch.Tensor], int]:
    """Pass a batch through a model, in smaller parts where the memory is too small for it.

    Parameters
    ----------
    forward : callable
        The model.
    batch : Tensor of shape (n_samples, ...)
        On any device.
    limit : int
        How many may go through the model at once.

    Returns
    -------
    outputs : list of Tensor
        The parts' outputs, in order.
    limit : int
        How many fit: the limit for the next batch.

    Examples
    --------
    >>> import torch
    >>> outputs, limit = forward_what_fits(torch.nn.Linear(3, 2), torch.ones(10, 3), 4)
    >>> [len(output) for output in outputs], limit
    ([4, 4, 2], 4)
    """
    outputs: list[torch.Tensor] = []
    start = 0
    while start < len(batch):
        try:
            outputs.append(forward(batch[start : start + limit]))
            start += limit
            continue
        except (RuntimeError, MemoryError) as error:
            if limit == 1 or not is_out_of_memory(error):
                raise
        limit = max(1, min(limit, len(batch) - start) // 2)
        torch.cuda.empty_cache()  # after the error is gone, and what it held
    return outputs, limit


def largest_that_fits(attempt: Callable[[int], object], size: int) -> int:
    """Halve a size until an attempt with it succeeds.

    Parameters
    ----------
    attempt : callable
        Is called with sizes. Whatever it raises counts as a failure: layers may refuse sizes that
        are too small for them.
    size : int
        The first size to try.

    Returns
    -------
    int
        The size that fits; 0 where not even 1 does.
    """
    while size:
        torch.cuda.empty_cache()
        try:
            attempt(size)
        except Exception:
            size //= 2
        else:
            break
    return size
