"""One line a round: average, worst cell, time left; and more within long ones."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .._log import SILENCE, in_words, is_told, tell
from ..groups import Cells
from ._cell_errors import shrunken_errors

__all__ = ["Progress"]


class Progress:
    """Tell how the rounds go: to the log always, to standard output on request.

    Parameters
    ----------
    held_out : Cells
        The cells that are judged.
    n_rounds : int
        Rounds at most.
    n_fits : int
        Fits in each.
    verbose : int
        Whether to print; the logger "gbmix_sklearn" gets the same lines at level INFO.
    """

    def __init__(self, held_out: Cells, n_rounds: int, n_fits: int, verbose: Any):
        self.held_out = held_out
        self.n_rounds = n_rounds
        self.n_fits = n_fits
        self.verbose = verbose
        self.best = -1
        self._start = time.perf_counter()

    def during(self, number: int, fits: Iterable[Any]) -> Iterator[Any]:
        """Pass on the fits of a round, and tell on stderr how far it is where it takes long."""
        start = told = time.perf_counter()
        for done, fit in enumerate(fits, 1):
            yield fit
            now = time.perf_counter()
            if self.verbose and now - told >= SILENCE and done < self.n_fits:
                told = now
                left = in_words((now - start) / done * (self.n_fits - done))
                line = f"round {number + 1}: fit {done}/{self.n_fits}, {left} left"
                print(line, file=sys.stderr, flush=True)  # noqa: T201

    def ended(self, number: int, wrong: np.ndarray) -> None:
        """Report the round that has just ended."""
        if not is_told(self.verbose):
            return
        errors = shrunken_errors(wrong, self.held_out)
        worst = int(np.nanargmax(errors))
        each = (time.perf_counter() - self._start) / (number + 1)
        facts = {
            "round": number,
            "n_rounds": self.n_rounds,
            "average_accuracy": 1 - float(wrong.mean()),
            "worst_group": self.held_out.labels[worst],
            "worst_group_accuracy": 1 - float(errors[worst]),
            "best": self.best == number,
            "seconds": each,
            "seconds_left": each * (self.n_rounds - number - 1),
        }
        tell(_line(facts), facts, self.verbose)


def _line(facts: dict[str, Any]) -> str:
    total = str(facts["n_rounds"])
    star = "*" if facts["best"] else " "
    return "  ".join(
        [
            f"round {facts['round'] + 1:{len(total)}}/{total} {star}",
            f"eta {in_words(facts['seconds_left']):>6}",
            f"average {facts['average_accuracy']:.3f}",
            f"worst {facts['worst_group_accuracy']:.3f} ({facts['worst_group']})",
        ]
    )
