"""One line that says how far a long loop is."""

from __future__ import annotations

import sys
from time import monotonic

__all__ = ["Progress"]


class Progress:
    """Progress of a loop over images on stderr: rewritten in place, or, in a log, line by line.

    Parameters
    ----------
    name : str
        Head of the line.
    total : int
        Number of images.
    verbose : int
        0 writes nothing.
    """

    def __init__(self, name: str, total: int, verbose: int):
        self.name = name
        self.total = total
        self.verbose = verbose
        self._started = self._written = monotonic()

    def update(self, done: int) -> None:
        """Note that `done` images are finished."""
        now = monotonic()
        last = done == self.total
        in_place = sys.stderr.isatty()
        if not self.verbose or not (last or now - self._written >= (0.5 if in_place else 10)):
            return
        self._written = now
        rate = done / max(now - self._started, 1e-9)
        left = "done" if last else f"{_duration((self.total - done) / rate)} left"
        line = f"{self.name}: {done}/{self.total} images, {rate:.0f} images/s, {left}"
        sys.stderr.write(f"\r{line:<70}" + ("\n" if last else "") if in_place else f"{line}\n")
        sys.stderr.flush()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
