"""How long a comparison takes, before and while it runs."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from .._log import in_words, tell

__all__ = ["Progress", "short_time"]


def short_time(seconds: float) -> str:
    """Say how long that is, with a decimal where it is short."""
    return f"{seconds:.1f} s" if seconds < 9.95 else in_words(seconds)


class Progress:
    """Tell how the fits go: to the log always, to standard output on request.

    Parameters
    ----------
    jobs : list of (str, int)
        Method and fold of each fit that is still to be done.
    n_stored : int
        Fits that are there from an earlier run.
    n_folds : int
        Number of folds.
    n_workers : int
        Fits at the same time.
    seconds : dict
        Time of one fit of each method, as far as it is known.
    verbose : int
        Whether to print; the logger "gbmix_sklearn" gets the same lines at level INFO.
    """

    def __init__(
        self,
        jobs: list[tuple[str, int]],
        *,
        n_stored: int,
        n_folds: int,
        n_workers: int,
        seconds: dict[str, float],
        verbose: Any,
    ):
        self.left = Counter(name for name, _ in jobs)
        self.n_done = n_stored
        self.n_fits = n_stored + len(jobs)
        self.n_folds = n_folds
        self.n_workers = max(1, min(n_workers, len(jobs)))
        self.guessed = dict(seconds)
        self.measured: dict[str, list[float]] = {}
        self.verbose = verbose
        self._start = time.perf_counter()

    def begin(self, what: str) -> None:
        """Tell what will be done and how long that takes, as far as it is known."""
        left = self.seconds_left
        if not self.left.total():
            text = "all of them are there already"
        elif left is None:
            text = "how long they take is known when each method has been fitted once"
        else:
            text = f"about {in_words(left)}"
        stored = f" ({self.n_done} are there already)" if self.n_done and self.left.total() else ""
        line = f"{what}: {self.n_fits} fits{stored}; {text}"
        tell(line, {"n_fits": self.n_fits, "n_stored": self.n_done, "seconds": left}, self.verbose)

    @property
    def seconds_left(self) -> float | None:
        """Time until the end; None while a method has not been timed."""
        total = 0.0
        for name, n in self.left.items():
            times = self.measured.get(name)
            if n and not times and name not in self.guessed:
                return None
            each = sum(times) / len(times) if times else self.guessed.get(name, 0)
            total += n * each
        return total / self.n_workers

    def ended(self, name: str, fold: int, facts: dict[str, Any], error: str) -> None:
        """Report a fit that has just ended."""
        self.n_done += 1
        self.left[name] -= 1
        self.measured.setdefault(name, []).append(facts["seconds"])
        left = self.seconds_left
        facts = {"method": name, "fold": fold, "n_done": self.n_done, **facts, "seconds_left": left}
        found = f"failed: {error}"
        if not error:
            found = f"average {facts['average_accuracy']:.3f}  worst {facts['worst']:.3f}"
        width = len(str(self.n_fits))
        line = "  ".join(
            [
                f"fit {self.n_done:{width}}/{self.n_fits}",
                f"eta {'?' if left is None else in_words(left):>6}",
                f"{short_time(facts['seconds']):>6}",
                f"{name}, fold {fold + 1}/{self.n_folds}:",
                found,
            ]
        )
        tell(line, facts, self.verbose)

    def skipped(self, name: str) -> None:
        """Count a fit of a method that has failed on another fold."""
        self.n_fits -= 1
        self.left[name] -= 1

    def end(self) -> None:
        """Tell how long it took."""
        seconds = time.perf_counter() - self._start
        tell(f"compared in {in_words(seconds)}", {"seconds": seconds}, self.verbose)
