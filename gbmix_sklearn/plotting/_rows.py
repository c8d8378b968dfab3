"""Rows with a name each, from the top down: as high as their names need, and never overlapping."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._visible import visible_lines
from ._style import check_axes, merged

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

#: longer names go on in the next line
_NAME_WIDTH = 40
#: height of a line, and the space between two rows, in font sizes
_LINE, _SPACE = 1.2, 0.6
#: inches: the axes without names, and what lies above and below them
_AXES_WIDTH, _AROUND = 4.0, 1.5
#: inches; matplotlib draws no picture of more than 65536 pixels
_LARGEST = 200.0


class Rows:
    """Places of rows on a y axis whose unit is the font size.

    Parameters
    ----------
    names : sequence of str
        Name of each row.

    Attributes
    ----------
    room : float or None
        Inches that a figure made for the rows has for them; None where the axes are the user's.
    """

    room: float | None = None

    def __init__(self, names: Sequence[str]) -> None:
        self.names = ["\n".join(textwrap.wrap(visible_lines(name), _NAME_WIDTH)) for name in names]
        self.heights = _LINE * np.array([1 + name.count("\n") for name in self.names]) + _SPACE
        self.edges = np.concatenate([[0], np.cumsum(self.heights)])
        self.y = self.edges[1:] - self.heights / 2

    @property
    def inches(self) -> float:
        """Height of all rows."""
        return self.edges[-1] * _font_size() / 72

    @property
    def name_inches(self) -> float:
        """Width of the longest name, about."""
        return text_inches(max(len(line) for name in self.names for line in name.split("\n")))

    def axes(self, ax: Any, *, right: int = 0) -> Axes:
        """Return the axes given, or new ones in a figure that fits the rows.

        Parameters
        ----------
        ax : Axes or None
            Axes given by the user.
        right : int
            Characters of the longest text to the right of the axes.
        """
        import matplotlib.pyplot as plt

        if ax is not None:
            return check_axes(ax)
        width = _AXES_WIDTH + self.name_inches + text_inches(right)
        height = max(_AROUND + self.inches, 2.5)
        size = (width, min(height, _LARGEST))
        self.room = size[1] - _AROUND
        return plt.subplots(figsize=size, layout="constrained")[1]

    def write(self, ax: Axes) -> list[Text]:
        """Name the rows on the axis, in smaller letters where rows are low; return the names."""
        ax.set_ylim(self.edges[-1], 0)
        room = ax.bbox.height / ax.figure.dpi if self.room is None else self.room
        ax.set_yticks(self.y, self.names, fontsize=_font_size() * min(1, room / self.inches))
        ax.tick_params(axis="y", length=0)
        # of the ticks: axes that share their names with others hide their own
        labels = [tick.label1 for tick in ax.yaxis.get_major_ticks()]
        for label in labels:
            label.set_parse_math(False)  # a name such as "$20k to $50k" is no formula
        self._size = float(labels[0].get_fontsize())
        return labels

    def write_beside(
        self, ax: Axes, places: Sequence[int], texts: Sequence[str], given: Mapping[str, Any] | None
    ) -> list[Text]:
        """Write a text to the right of each of the rows, after `write`."""
        from matplotlib.text import Text

        look: dict[str, Any] = {"fontsize": self._size, "verticalalignment": "center"}
        look = merged(look, given, Text)
        across = ax.get_yaxis_transform()
        return [
            ax.text(1.02, self.y[place], text, transform=across, **look)
            for place, text in zip(places, texts, strict=True)
        ]


def _font_size() -> float:
    import matplotlib as mpl
    from matplotlib.font_manager import FontProperties

    return FontProperties(size=mpl.rcParams["ytick.labelsize"]).get_size_in_points()


def text_inches(characters: int) -> float:
    """Width of so much text: a character of DejaVu Sans is 0.6 font sizes wide on average."""
    return 0.6 * characters * _font_size() / 72
