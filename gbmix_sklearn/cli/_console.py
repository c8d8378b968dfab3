"""What goes to the terminal: results on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .._visible import visible_lines

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["stdout", "tell", "tell_error", "tell_warning"]

#: columns of a table where no terminal says how many it has
_WIDTH = 160


def stdout() -> Console:
    """Where results go; wide where it is a file or a pipe."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)


def tell(text: str, head: str = "", style: str = "") -> None:
    """Write a line to stderr, as it is: long lines stay whole, so that they can be searched."""
    from rich.console import Console
    from rich.text import Text

    line = Text.assemble((head, style), visible_lines(text))
    Console(stderr=True, highlight=False, soft_wrap=True).print(line)


def tell_error(text: str) -> None:
    """Write an error to stderr."""
    tell(text, "Error: ", "bold red")


def tell_warning(text: str) -> None:
    """Write a warning to stderr."""
    tell(text, "Warning: ", "bold yellow")
