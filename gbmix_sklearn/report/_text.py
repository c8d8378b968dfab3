"""Names, numbers and lists as text for readers."""

from __future__ import annotations

import re

__all__ = ["listed", "markdown", "percent", "points", "pvalue_text", "samples", "visible"]

#: control characters, those that change the direction of text, and halves of characters: they
#: would be lost, break files or make text read differently from what it is
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

#: what Markdown reads as markup, wherever it stands
_MARKUP = re.compile(r"([\\`*_\[\]{}|~$#])")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def visible(text: str) -> str:
    """Show invisible characters as their hexadecimal escapes."""
    return _INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def markdown(text: str) -> str:
    """Write text in Markdown so that it shows as it is: no HTML, no markup, on one line."""
    text = "".join(_HTML.get(sign, sign) for sign in visible(text))
    return _MARKUP.sub(r"\\\1", text)


def percent(share: float) -> str:
    """Write a share as a percentage, ``61.2 %``."""
    return f"{100 * share:.1f} %"


def points(difference: float, digits: int = 1) -> str:
    """Write a difference of shares in percentage points, ``3.1``."""
    return f"{100 * difference:.{digits}f}"


def samples(count: int) -> str:
    """Write a number of samples."""
    return f"{count:,} sample{'' if count == 1 else 's'}"


def pvalue_text(value: float) -> str:
    """Write a p-value with its sign, ``p = 0.012`` or ``p < 0.001``."""
    return f"p = {value:.3f}" if value >= 0.001 else "p < 0.001"


def listed(names: list[str], most: int = 5) -> str:
    """Join names with semicolons, since they have commas; of many the first few."""
    rest = len(names) - most
    return "; ".join(names[:most]) + (f"; and {rest} more" if rest > 0 else "")
