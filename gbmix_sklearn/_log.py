"""What long fits tell: lines to the log always, to standard output on request."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

from ._visible import visible_lines

__all__ = ["SILENCE", "in_words", "is_told", "logger", "tell"]

logger = logging.getLogger("gbmix_sklearn")
logger.addHandler(logging.NullHandler())  # whether and where to log is up to the program

#: seconds without a line within a long epoch or round
SILENCE = 10


def in_words(seconds: float) -> str:
    """Say how long that is: ``"12 s"``, ``"3 min"``, ``"2 h 5 min"``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def is_told(verbose: Any) -> bool:
    """Whether anybody would read a line."""
    return bool(verbose) or logger.isEnabledFor(logging.INFO)


def tell(line: str, facts: Mapping[str, Any], verbose: Any) -> None:
    """Log a line, with its numbers in the record; print it unless the log is on the screen."""
    line = visible_lines(line)  # names of groups may have anything in them
    logger.info(line, extra=dict(facts))
    if verbose and not _log_is_on_screen():
        print(line, flush=True)  # noqa: T201


def _log_is_on_screen() -> bool:
    """Whether the log writes the lines to where they would be printed, which would double them."""
    at: logging.Logger | None = logger
    while at is not None and logger.isEnabledFor(logging.INFO):
        for handler in at.handlers:
            stream = getattr(handler, "stream", None)
            if stream in (sys.stdout, sys.stderr) and handler.level <= logging.INFO:
                return True
        at = at.parent if at.propagate else None
    return False
