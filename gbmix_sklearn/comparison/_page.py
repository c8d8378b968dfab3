"""A comparison as one page of HTML that needs nothing else."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from .. import __version__
from ..balance import FEW_SAMPLES
from ..plotting._style import BLACK, legend_beside
from ..report._figures import Look
from ..report._page import hash_of, picture_of
from ..report._templates import fill, source
from ..report._text import percent
from ._text import rows, sentences

if TYPE_CHECKING:
    from ._result import MethodComparison

__all__ = ["write_page"]


def write_page(comparison: MethodComparison) -> str:
    """Fill the template; whatever the user named is escaped by it."""
    style, script = source("audit.css"), source("audit.js")
    return fill(
        "comparison.html.j2",
        title="Comparison of methods",
        comparison=comparison,
        rows=rows(comparison),
        sentences=sentences(comparison),
        cells=_cells(comparison),
        pictures=[_picture(comparison)] if len(comparison._frame) else [],
        warnings=comparison.warnings_,
        few=FEW_SAMPLES,
        style=Markup(style),
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src '{hash_of(style)}'; "
        f"script-src '{hash_of(script)}'",
        version=__version__,
    )


def _cells(comparison: MethodComparison) -> list[dict[str, Any]]:
    """Rows of the table of cells: name, samples, whether it decides, accuracy of each method."""
    frame = comparison.cells_
    labels = comparison._board.cells.labels
    present = comparison._board.cells.present
    small = set(comparison._board.small.tolist())
    return [
        {
            "name": labels[cell],
            "count": int(values[0]),
            "small": int(cell) in small,
            "accuracies": [float(value) for value in values[1:]],
        }
        for cell, values in zip(present, frame.to_numpy(), strict=True)
    ]


def _picture(comparison: MethodComparison) -> Any:
    frame = comparison._frame
    first, best = str(frame.index[0]), comparison.best_
    return picture_of(
        partial(_draw, comparison),
        title="Average against worst group",
        alt=f"Average accuracy against that of the worst group, for {len(frame)} methods. The best "
        f"worst group is that of {first} with {percent(frame['worst_group_accuracy'].iloc[0])}; "
        f"{best}, the method to use, is a star. The table has the numbers.",
        note="To the right is better for the worst group, up is better on average.",
    )


def _draw(comparison: MethodComparison, look: Look) -> Any:
    display = comparison.plot(legend=False)
    for point in display.points_:
        if point.get_color() == BLACK:  # which a dark page hides
            point.set(color=look.text, markeredgecolor=look.text)
    for line in (*display.ax_.get_xgridlines(), *display.ax_.get_ygridlines()):
        line.set_color(look.grid)
    display.figure_.set_size_inches(8.5, max(4.2, 0.8 + 0.24 * len(display.points_)))
    legend_beside(display.ax_, [*display.points_, display.line_])
    return display.figure_
