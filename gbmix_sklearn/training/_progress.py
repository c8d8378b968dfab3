"""One line an epoch: loss, worst group, gap, target, time left; and more within long ones."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from skorch import NeuralNet
from skorch.callbacks import Callback

from .._log import SILENCE, in_words, is_told, tell

__all__ = ["Progress", "with_steps_shown"]


class Progress(Callback):
    """Tell how the training goes: to the log always, to standard output on request.

    Parameters
    ----------
    train_labels, valid_labels : sequence of str
        What the cell numbers of the training and of the validation part stand for.
    verbose : bool
        Whether to print, unless the log is on the screen already; the logger "gbmix_sklearn" gets
        the same lines at level INFO.
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
        if is_told(self.verbose):
            facts = self._facts(net)
            tell(_line(facts), facts, self.verbose)

    def _facts(self, net: NeuralNet) -> dict[str, Any]:
        """What there is to say about the last epoch; None where it says nothing."""
        epoch, done = net.history[-1], len(net.history)
        each = (time.perf_counter() - self.start_) / (done - self.epochs_before_)
        worst = target = None
        if "event_cell_accuracy" in epoch:
            worst = self.valid_labels[int(np.nanargmin(epoch["event_cell_accuracy"]))]
        if "event_target_counts" in epoch:
            target = self.train_labels[int(np.argmax(epoch["event_target_counts"]))]
        return {
            "stage": self.stage,
            "epoch": done,
            "max_epochs": net.max_epochs,
            "train_loss": epoch["train_loss"],
            "valid_loss": epoch.get("valid_loss"),
            "worst_group": worst,
            "worst_group_accuracy": epoch.get("worst_group_accuracy"),
            "robust_gap": epoch.get("robust_gap"),
            "average_accuracy": epoch.get("average_accuracy"),
            "target": target,
            "best": bool(epoch.get("best")),
            "seconds": each,
            "seconds_left": each * (net.max_epochs - done),
        }


def _line(facts: dict[str, Any]) -> str:
    """Put what has the same width in every line first, so that lines can be compared."""
    validated = facts["worst_group"] is not None
    stage = "" if facts["stage"] == "training" else f"{facts['stage']} stage, "
    total = str(facts["max_epochs"])
    star = "*" if validated and facts["best"] else " "
    parts = [
        f"{stage}epoch {facts['epoch']:{len(total)}}/{total} {star}",
        f"eta {in_words(facts['seconds_left']):>6}",
        f"loss {facts['train_loss']:.4f}",
    ]
    if validated:
        parts += [
            f"average {facts['average_accuracy']:.3f}",
            f"gap {facts['robust_gap']:.3f}",
            f"worst {facts['worst_group_accuracy']:.3f} ({facts['worst_group']})",
        ]
    if facts["target"] is not None:
        parts.append(f"target ({facts['target']})")
    return "  ".join(parts)


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
        if step and now - told >= SILENCE:  # before the first nobody knows how long they take
            told = now
            left = in_words((now - start) / step * (n_steps - step))
            print(f"epoch {epoch}: step {step}/{n_steps}, {left} left", file=sys.stderr, flush=True)  # noqa: T201
        yield batch
