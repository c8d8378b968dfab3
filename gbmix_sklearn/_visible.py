"""Text that reads as what it is, whatever names it has in it."""

from __future__ import annotations

import re

__all__ = ["visible", "visible_json", "visible_lines"]

#: control characters, those that change the direction of text or take no room, halves of
#: characters, and what is no character: they would be lost, break files or terminals, or make text
#: read differently from what it is; joiners, which some scripts are written with, stay
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f"
    + "".join(chr((plane << 16) + end) for plane in range(1, 17) for end in (0xFFFE, 0xFFFF))
    + "]"
)


def visible(text: str) -> str:
    r"""Show invisible characters as their hexadecimal escapes, on one line.

    Examples
    --------
    >>> print(visible("red: \x1b[31m"))
    red: \u001b[31m
    """
    return _INVISIBLE.sub(_escape, text)


def visible_lines(text: str) -> str:
    """Do the same for text of several lines."""
    return "\n".join(map(visible, text.split("\n")))


def visible_json(text: str) -> str:
    """Escape what is invisible in JSON, which stands for the same as before."""
    return _INVISIBLE.sub(
        lambda found: found[0] if found[0] in "\n\r\t" else _escape_of_json(found), text
    )


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"


def _escape_of_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n : n + 2].hex()}" for n in range(0, len(units), 2))
