"""What the tables of the pages are made of."""

from __future__ import annotations

import pandas as pd

__all__ = ["pipes", "spread"]


def pipes(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(values: pd.Series, sign: str = "") -> str:
    """Mean ± std in per cent; `sign` is ``"+"`` for differences."""
    return f"{100 * values.mean():{sign}.1f} ± {100 * values.std(ddof=0):.1f}"
