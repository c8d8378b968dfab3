"""Text files that are whole or not there at all."""

from __future__ import annotations

import os
from pathlib import Path

from .._files import replace_file

__all__ = ["write_text"]


def write_text(path: str | os.PathLike[str] | None, text: str) -> None:
    """Write a file if there is a path; halves of characters, which UTF-8 has not, as escapes."""
    if path is not None:
        content = text.encode("utf-8", "backslashreplace")
        replace_file(Path(path), lambda file: file.write(content))
