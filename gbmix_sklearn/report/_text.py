"""Names, numbers and lists as text for readers."""

from __future__ import annotations

import re

from .._visible import visible

__all__ = ["listed", "markdown", "percent", "points", "pvalue_text", "samples", "visible"]

#: what Markdown reads as markup, wherever it stands
_MARKUP = re.compile(r"([\\`*_\[\]{}|~$#])")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


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
    return "; ".join(map(visible, names[:most])) + (f"; and {rest} more" if rest > 0 else "")
