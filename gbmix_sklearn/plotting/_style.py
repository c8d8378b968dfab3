"""Colours, shapes and axes that the displays share."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._visible import visible_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, told apart with any colour vision (https://jfly.uni-koeln.de/color/);
# shapes, hatches and words say the same without colour.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
GREY, MIDDLE, LIGHT = "#767676", "#BBBBBB", "#DDDDDD"

#: characters; longer names in a legend go on in the next line
_NAME_WIDTH = 36


def merged(defaults: dict[str, Any], given: Mapping[str, Any] | None, artist: Any) -> dict:
    """Add what the user gave to the defaults; aliases such as ``c`` for ``color`` replace them."""
    from matplotlib.cbook import normalize_kwargs

    return defaults | normalize_kwargs(dict(given or {}), artist)


def check_axes(ax: Any) -> Axes:
    """Return the axes as they are.

    Raises
    ------
    TypeError
        If `ax` is something else, such as the array that ``plt.subplots(1, 2)`` returns.
    """
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(
            f"ax must be a matplotlib Axes, got {type(ax).__name__}; of several, give one: "
            "figure, axes = plt.subplots(1, 2), then plot(ax=axes[0])"
        )
    return ax


def open_frame(ax: Axes, grid: str) -> None:
    """Thin lines along one axis (or both) behind the data, no frame above and to the right."""
    ax.grid(axis=grid, color=LIGHT, linewidth=0.6)  # type: ignore[arg-type]
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def legend_above(ax: Axes, title: str | None, handles: Sequence[Any]) -> None:
    """Put a row of explanations above the axes, where it hides no data, and the title above it."""
    legend = ax.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=len(handles),
        frameon=False,
        borderaxespad=0,
    )
    if title is not None:
        size = float(legend.get_texts()[0].get_fontsize())
        ax.set_title(visible_lines(title), pad=2.2 * size, parse_math=False)


def legend_beside(ax: Axes, handles: Sequence[Any]) -> None:
    """Put explanations to the right of the axes, where they hide no data."""
    legend = ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)


def legend_name(name: str) -> str:
    """Break a long name into lines; one that begins with ``_`` would be left out of the legend."""
    name = textwrap.fill(visible_lines(name), _NAME_WIDTH)
    return f" {name}" if name.startswith("_") else name
