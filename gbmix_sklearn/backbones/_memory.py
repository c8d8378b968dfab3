"""How many images go through a backbone at once."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from .._device import is_out_of_memory

__all__ = ["find_batch_size", "is_out_of_memory", "measure_image_bytes"]

# more at once is hardly faster
_MOST = {"cpu": 64, "cuda": 256}
# on the CPU the memory is everyone's: a bound keeps the whole of an embedding under 2 GiB
_CPU_BUDGET = 1 << 30


def find_batch_size(image_bytes: int, device: torch.device) -> int:
    """Find how many images fit, well clear of the limit.

    Parameters
    ----------
    image_bytes : int
        Memory that one image takes, see :func:`measure_image_bytes`.
    device : torch.device
        Where they go.

    Returns
    -------
    int
        A power of two, so that a little more or less free memory mostly changes nothing.

    Examples
    --------
    >>> import torch
    >>> find_batch_size(20 << 10, torch.device("cpu"))
    64
    """
    if device.type == "cuda":
        budget = torch.cuda.mem_get_info(device)[0] // 2
    else:
        budget = min(_CPU_BUDGET, available_memory() // 4)
    fitting = max(1, budget // image_bytes)
    return min(_MOST.get(device.type, 64), 1 << (fitting.bit_length() - 1))


def available_memory() -> int:
    """Bytes that this process may still take; a guess of 4 GiB where the system does not say."""
    available = 4 << 30
    try:
        meminfo = Path("/proc/meminfo").read_text()
        available = int(meminfo.partition("MemAvailable:")[2].split()[0]) << 10
        group = Path("/sys/fs/cgroup")  # a container's limit, where it has one
        limit = int((group / "memory.max").read_text())
        available = min(available, limit - int((group / "memory.current").read_text()))
    except (OSError, ValueError, IndexError):
        pass
    return max(available, 0)


@torch.inference_mode()
def measure_image_bytes(model: nn.Module, image: torch.Tensor) -> int:
    """Estimate the memory that one more image takes in a forward.

    Parameters
    ----------
    model : nn.Module
        The backbone.
    image : Tensor of shape (1, 3, height, width)
        An image.

    Returns
    -------
    int
        Bytes: three times the largest input and output of a layer, which leaves room for what
        runs beside it (a shortcut, the device's own workspace).
    """
    largest = image.numel() * image.element_size()

    def note(layer: nn.Module, inputs: tuple, output: object) -> None:
        nonlocal largest
        tensors = [item for item in (*inputs, output) if isinstance(item, torch.Tensor)]
        largest = max(largest, sum(item.numel() * item.element_size() for item in tensors))

    leaves = [layer for layer in model.modules() if not any(layer.children())]
    hooks = [layer.register_forward_hook(note) for layer in leaves]
    try:
        model(image)
    finally:
        for hook in hooks:
            hook.remove()
    return 3 * largest
