"""Audits as tables in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._visible import visible
from ._console import stdout

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table
    from rich.text import Text

    from ..comparison import MethodComparison
    from ..report import AuditComparison, GroupAudit

__all__ = ["show_audit", "show_comparison", "show_methods", "worst_row"]

_MOST_ROWS = 50
#: columns of running text
_LINE = 100


def show_audit(audit: GroupAudit, target: str) -> None:
    """Print the cells, the worst first, and below them what they mean."""
    frame = audit.to_frame()
    worst = worst_row(frame)
    by_accuracy = frame["accuracy"].to_numpy().argsort(kind="stable")
    order = [worst, *(int(number) for number in by_accuracy if number != worst)]
    interval = f"{100 * audit.confidence:g} % interval"
    table = _table(target, *map(str, frame.index.names[1:]), numbers=["accuracy", interval, "rows"])
    for number in order[:_MOST_ROWS]:
        row = frame.iloc[number]
        marks = ["worst"] * (number == worst) + ["too small"] * bool(row["too_small"])
        table.add_row(
            *map(_plain, frame.index[number]),
            f"{row['accuracy']:.1%}",
            f"{row['low']:.1%} to {row['high']:.1%}",
            f"{row['count']:,.0f}",
            ", ".join(marks),
            style="bold red" if number == worst else "",
        )
    console = stdout()
    console.print(table)
    if len(order) > _MOST_ROWS:
        console.print(f"and {len(order) - _MOST_ROWS} better groups; a report (-o) has all\n")
    console.print(_plain(audit), width=min(console.width, _LINE))


def show_comparison(comparison: AuditComparison, this: str, other: str) -> None:
    """Print the paired differences of two models, cell by cell and of their worst."""
    from ..report._text import pvalue_text

    table = _table("group", numbers=[this, other, "difference", "adjusted p"])
    for label, row in zip(comparison.labels, comparison.cells.to_dict("records"), strict=True):
        table.add_row(
            _plain(label),
            f"{row['accuracy']:.1%}",
            f"{row['other_accuracy']:.1%}",
            f"{100 * row['difference']:+.1f}",
            pvalue_text(row["pvalue_adjusted"]).removeprefix("p ").removeprefix("= "),
            "different" if row["significant"] else "",
        )
    verdict = "leaves out 0" if comparison.worst_group_is_different else "includes 0"
    console = stdout()
    console.print()
    console.print(table)
    console.print(
        _plain(
            f"Worst group: {comparison.worst_group_accuracy:.1%} for {this}, "
            f"{comparison.other_worst_group_accuracy:.1%} for {other}, a difference of "
            f"{100 * comparison.worst_group_difference:+.1f} points; its interval, "
            f"{100 * comparison.low:+.1f} to {100 * comparison.high:+.1f}, {verdict}."
        )
    )


def show_methods(comparison: MethodComparison) -> None:
    """Print a row for each method, and below them what they mean."""
    from ..comparison._text import HEADER, cells, rows, sentences

    table = _table("method", numbers=list(HEADER[1:-1]))
    for row in rows(comparison):
        table.add_row(*map(_plain, cells(row)), style="bold" if row["best"] else "")
    console = stdout()
    console.print(table)
    console.print(_plain(" ".join(sentences(comparison))), width=min(console.width, _LINE))


def worst_row(frame: pd.DataFrame) -> int:
    """Position of the worst cell in the table of an audit: the one that others are compared to."""
    return int(frame["pvalue_adjusted"].isna().to_numpy().argmax())


def _table(*texts: str, numbers: list[str]) -> Table:
    """A table whose last column is for marks."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in texts:
        table.add_column(_plain(name), overflow="fold")
    for name in numbers:
        table.add_column(_plain(name), justify="right", no_wrap=True)
    table.add_column()
    return table


def _plain(value: object) -> Text:
    """Text that is shown as it is, whatever brackets or control characters it has."""
    from rich.text import Text

    return Text(visible(str(value)))
