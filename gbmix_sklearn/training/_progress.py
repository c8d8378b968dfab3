"""One line an epoch: loss, worst group, gap, target, time left; and more within long ones."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from skorch import NeuralNet
from skorch.callbacks import Callback

__all__ = ["Progress", "with_steps_shown"]

logger = logging.getLogger("gbmix_sklearn")

#: seconds of silence within an epoch
_SILENCE = 10


def _seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class Progress(Callback):
    """Tell how the training goes: to the log always, to standard output on request.

    Parameters
    ----------
    train_labels, valid_labels : sequence of str
        What the cell numbers of the training and of the validation part stand for.
    verbose : bool
        Whether to print; the logger "gbmix_sklearn" gets the same lines at level INFO.
    stage : str, default="training"
        Which of the trainings of a fit it is; those before the last are named in each line.
    """

    def __init__(
        self,
        train_labels: Sequence[str],
        valid_labels: Sequence[str],
        verbose: bool,
        stage: str = "training",
    ):
        self.train_labels = train_labels
        self.valid_labels = valid_labels
        self.verbose = verbose
        self.stage = stage

    def on_train_begin(self, net: NeuralNet, **_: Any) -> None:
        """Start the clock."""
        self.start_, self.epochs_before_ = time.perf_counter(), len(net.history)

    def on_epoch_end(self, net: NeuralNet, **_: Any) -> None:
        """Report the epoch that has just ended."""
        if not self.verbose and not logger.isEnabledFor(logging.INFO):
            return
        epoch = net.history[-1]
        done = len(net.history)
        stage = "" if self.stage == "training" else f"{self.stage} stage, "
        parts = [f"{stage}epoch {done}/{net.max_epochs}", f"loss {epoch['train_loss']:.4f}"]
        if "worst_group_accuracy" in epoch:
            worst = self.valid_labels[int(np.nanargmin(epoch["cell_accuracy"]))]
            parts += [
                f"worst group {epoch['worst_group_accuracy']:.3f} ({worst})",
                f"gap {epoch['robust_gap']:.3f}",
                f"average {epoch['average_accuracy']:.3f}",
            ]
        if "target_counts" in epoch:
            target = self.train_labels[int(np.argmax(epoch["target_counts"]))]
            parts.append(f"target {target}")
        each = (time.perf_counter() - self.start_) / (done - self.epochs_before_)
        parts.append(
            f"{_seconds(each)} each, at most {_seconds(each * (net.max_epochs - done))} left"
        )
        line = "  ".join(parts) + ("  *" if epoch.get("best") else "")
        logger.info(line)
        if self.verbose:
            print(line, flush=True)  # noqa: T201


def with_steps_shown(batches: Iterable[tuple], epoch: int, n_steps: int) -> Iterator[tuple]:
    """Pass on the batches of an epoch, and tell on stderr how far it is where it takes long.

    Parameters
    ----------
    batches : iterable of tuple
        The batches.
    epoch : int
        Number of the epoch, from 1.
    n_steps : int
        Number of batches.
    """
    start = told = time.perf_counter()
    for step, batch in enumerate(batches):
        now = time.perf_counter()
        if now - told >= _SILENCE:
            told = now
            left = _seconds((now - start) / step * (n_steps - step))
            print(f"epoch {epoch}: step {step}/{n_steps}, {left} left", file=sys.stderr, flush=True)  # noqa: T201
        yield batch
