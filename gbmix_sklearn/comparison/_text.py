"""A comparison as a table and sentences, for readers of any background."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from ..balance import FEW_SAMPLES
from ..report._text import listed, percent, points, visible
from ._progress import short_time

if TYPE_CHECKING:
    from ._result import MethodComparison

__all__ = ["HEADER", "as_text", "cells", "rows", "sentences", "short_html"]


def rows(comparison: MethodComparison) -> list[dict[str, Any]]:
    """Rows of the table for readers, with a verdict on each method."""
    best = comparison.best_ if len(comparison._frame) else ""
    frame = comparison.to_frame()
    first = comparison._frame.index[:1].tolist()
    found = []
    for name, values in zip(frame.index, frame.to_dict("records"), strict=True):
        row: dict[str, Any] = {"name": str(name), "best": name == best}
        row |= {str(key): value for key, value in values.items()}
        row["verdict"] = _verdict(row, first)
        found.append(row)
    return found


def _verdict(row: dict[str, Any], first: list[Any]) -> str:
    if row["error"]:
        return "failed"
    if row["best"]:
        return "use this"
    if row["name"] in first:
        return "best worst group"
    return "worse" if row["distinguishable"] else "not told from the best"


def sentences(comparison: MethodComparison) -> list[str]:
    """What was found, the best method first."""
    if not len(comparison._frame):
        return ["Every method failed.", *_failures(comparison)]
    return [
        *_best(comparison),
        *_alternatives(comparison),
        *_small(comparison),
        *_failures(comparison),
        *_warnings(comparison),
    ]


def _best(comparison: MethodComparison) -> list[str]:
    frame = comparison._frame
    row: Any = frame.loc[comparison.best_]
    found = [
        f"The method to use here is {comparison.best_}: its worst group, {row['worst_group']}, has "
        f"an accuracy of {percent(row['worst_group_accuracy'])} ({points(row['low'])} to "
        f"{points(row['high'])}), and the average is {percent(row['average_accuracy'])}."
    ]
    first = str(frame.index[0])
    if first != comparison.best_:
        ahead = points(frame["shrunken_worst"].iloc[0] - row["shrunken_worst"])
        found.append(
            f"The worst group of {first} is {ahead} points better, within a standard error "
            f"({points(row['standard_error'])}), but its average is "
            f"{points(row['average_accuracy'] - frame['average_accuracy'].iloc[0])} points lower."
        )
    return found


def _alternatives(comparison: MethodComparison) -> list[str]:
    frame, best = comparison._frame, comparison.best_
    others = [name for name in comparison.alternatives_ if name != best]
    worse = [name for name in frame.index if name not in (best, *others)]
    if len(frame) == 1:
        return []
    if not others:
        return ["Each of the others has a worse worst group, beyond chance."]
    found = [f"By their worst group, these cannot be told from the best: {listed(others, 10)}."]
    if worse:
        found.append(f"These are worse beyond chance: {listed(worse, 10)}.")
    return found


def _small(comparison: MethodComparison) -> list[str]:
    small = comparison.small_cells_
    if not small:
        return []
    return [f"Fewer than {FEW_SAMPLES} samples, which do not decide: {listed(small)}."]


def _failures(comparison: MethodComparison) -> list[str]:
    return [f"{name} failed ({error})." for name, error in comparison.errors_.items()]


def _warnings(comparison: MethodComparison) -> list[str]:
    warned = [name for name in comparison.warnings_ if name not in comparison.errors_]
    if not warned:
        return []
    return [f"Fits of these warned, see warnings_: {listed(warned, 10)}."]


#: names of the columns
HEADER = ("", "worst group", "interval", "shrunken", "gap", "average", "mean group", "a fold", "")


def as_text(comparison: MethodComparison) -> str:
    """Write the table, and below it what it means."""
    table = [HEADER, *map(cells, rows(comparison))]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEADER))]
    lines = [_line(line, widths) for line in table]
    return "\n".join([lines[0], "", *lines[1:], "", *map(visible, sentences(comparison))])


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Write the numbers of a row."""
    time, name = short_time(row["seconds"]), visible(row["name"])
    if row["error"]:
        return (name, *[""] * 6, time, row["verdict"])
    return (
        name,
        percent(row["worst_group_accuracy"]),
        f"{points(row['low'])} to {points(row['high'])}",
        percent(row["shrunken_worst"]),
        points(row["robust_gap"]),
        percent(row["average_accuracy"]),
        percent(row["mean_group_accuracy"]),
        time,
        row["verdict"],
    )


def _line(texts: tuple[str, ...], widths: list[int]) -> str:
    name, *numbers, verdict = texts
    right = [text.rjust(width) for text, width in zip(numbers, widths[1:-1], strict=True)]
    return "  ".join([name.ljust(widths[0]), *right, verdict]).rstrip()


def short_html(comparison: MethodComparison) -> str:
    """Write table and sentences for a notebook; whatever the user named is escaped."""
    head = "".join(f"<th>{escape(name)}</th>" for name in HEADER)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in cells(row)) + "</tr>"
        for row in rows(comparison)
    )
    told = "".join(f"<p>{escape(visible(text))}</p>" for text in sentences(comparison))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{told}"
