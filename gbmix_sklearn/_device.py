"""Where to compute, and how precisely."""

from __future__ import annotations

import torch

__all__ = ["resolve_device", "resolve_precision"]

_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn a `device` parameter into a device that exists.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` takes the GPU where there is one.

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
            return torch.device("cuda")
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
