"""How many of the samples that are predicted were in a fit: told to whoever asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["Noted", "copies_are_wanted", "note_copies", "noting_copies"]


@dataclass
class Noted:
    """What the models inside a ``with noting_copies()`` have said.

    Attributes
    ----------
    n_copies : int or None
        Samples that were in the fit; None where no model could tell.
    """

    n_copies: int | None = None


_asked: ContextVar[Noted | None] = ContextVar("asked", default=None)


@contextmanager
def noting_copies() -> Iterator[Noted]:
    """Ask the models that predict here, in pipelines and searches too, for their count.

    Yields
    ------
    Noted
        What they said, once they have predicted.
    """
    noted = Noted()
    token = _asked.set(noted)
    try:
        yield noted
    finally:
        _asked.reset(token)


def copies_are_wanted() -> bool:
    """Whether somebody asks for the count."""
    return _asked.get() is not None


def note_copies(n_copies: int) -> None:
    """Answer; of several models that predict the same samples the largest count stays."""
    noted = _asked.get()
    if noted is not None:
        noted.n_copies = max(n_copies, noted.n_copies or 0)
