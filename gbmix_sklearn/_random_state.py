"""PyTorch's global state: borrowed by one thread at a time, and given back as it was.

Initial weights and dropout draw from its random state, and there is one for all threads of a
process. Were two fits to seed it at once, neither would draw what its seed says, and it would be
left at what one of them had made of it. Its settings are the caller's as well: a notebook that only
embeds switches gradients off, numerical work has doubles by default.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import RLock

import torch

__all__ = ["borrowed_random_state"]

_lock = RLock()


def _renew_lock() -> None:
    global _lock
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


@contextmanager
def borrowed_random_state(seed: int | None = None, device: torch.device | None = None) -> Iterator:
    """Draw from PyTorch's global random state without a trace; other threads wait meanwhile.

    Within it gradients are computed, numbers are float32 on the CPU where nothing else is said, and
    nothing is cast, whatever the caller has set.

    Parameters
    ----------
    seed : int, default=None
        What to begin from; None goes on from where it is.
    device : torch.device, default=None
        A device whose random state is drawn from as well.

    Examples
    --------
    >>> before = torch.get_rng_state()
    >>> with borrowed_random_state(0):
    ...     drawn = torch.rand(2)
    >>> torch.equal(torch.get_rng_state(), before)
    True
    """
    is_cuda = device is not None and device.type == "cuda"
    with _lock, _own_settings(), torch.random.fork_rng(devices=[device] if is_cuda else []):
        if seed is not None:
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU
            if is_cuda:
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(seed)
            elif device is not None and device.type == "mps":
                torch.mps.manual_seed(seed)
        yield


@contextmanager
def _own_settings() -> Iterator[None]:
    default = torch.get_default_dtype()
    with ExitStack() as settings:
        settings.enter_context(torch.inference_mode(False))
        settings.enter_context(torch.enable_grad())
        for device_type in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device_type):
                settings.enter_context(torch.autocast(device_type, enabled=False))
        if torch.get_default_device().type != "cpu":  # which costs each call something
            settings.enter_context(torch.device("cpu"))
        if default != torch.float32:
            settings.callback(torch.set_default_dtype, default)
            torch.set_default_dtype(torch.float32)
        yield
