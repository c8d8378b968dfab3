"""Learning rates that change: a linear warm-up, and the decay after it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from timm.scheduler.scheduler import Scheduler

__all__ = ["make_scheduler", "scheduled"]

Batch = TypeVar("Batch")


def make_scheduler(
    optimizer: torch.optim.Optimizer, decay: str, max_epochs: int, warmup_epochs: float = 0
) -> Scheduler | None:
    """Build timm's scheduler, which scales each parameter group's own learning rate.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rates are those to decay from.
    decay : {"constant", "cosine", "step"}
        What follows the warm-up: cosine to 0 in the epochs that are left, or a tenth after each
        third of them.
    max_epochs : int
        Epochs in all.
    warmup_epochs : float, default=0
        Epochs, or a part of one, in which the rates rise.

    Returns
    -------
    Scheduler or None
        Without a state of its own: ``step(t)`` sets the rates for the time t in epochs. None where
        the rates never change.
    """
    warmup_epochs = float(warmup_epochs)  # a number of numpy's would make all rates such
    length = max_epochs - warmup_epochs
    if length <= 1:  # no second epoch to decay in
        decay = "constant"
    if decay == "constant" and not warmup_epochs:
        return None
    from timm.scheduler.cosine_lr import CosineLRScheduler
    from timm.scheduler.step_lr import StepLRScheduler

    warmup = {"warmup_t": warmup_epochs, "warmup_prefix": True}
    if decay == "cosine":
        return CosineLRScheduler(optimizer, length, **warmup)
    rate = 0.1 if decay == "step" else 1.0
    return StepLRScheduler(optimizer, max(1, math.ceil(length / 3)), rate, **warmup)


def scheduled(
    scheduler: Scheduler, batches: Iterable[Batch], epoch: int, n_batches: int
) -> Iterator[Batch]:
    """Pass on the batches of an epoch, and set the learning rates: in the warm-up before each.

    Parameters
    ----------
    scheduler : Scheduler
        What :func:`make_scheduler` built.
    batches : iterable
        The batches.
    epoch : int
        Number of epochs before this one.
    n_batches : int
        Number of batches.
    """
    if epoch >= scheduler.warmup_t:
        scheduler.step(epoch)
        yield from batches
        return
    for number, batch in enumerate(batches, 1):  # from 1: a step at rate 0 would be lost
        scheduler.step(min(epoch + number / n_batches, scheduler.warmup_t))
        yield batch
