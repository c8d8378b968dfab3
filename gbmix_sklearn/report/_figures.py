"""Figures of an audit as SVG, for light and for dark pages."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ._calibration import Calibration
from ._text import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Look", "LOOKS", "draw_accuracies", "draw_reliability", "to_svg"]

#: of many cells the worst are drawn; the table has all
MOST_ROWS, MOST_PANELS = 40, 12


@dataclass(frozen=True)
class Look:
    """Colours on a light or a dark page."""

    text: str
    background: str
    grid: str
    points: str
    worst: str

    @property
    def settings(self) -> Any:
        """The settings of matplotlib."""
        places = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
        return {
            **dict.fromkeys(places, self.text),
            **dict.fromkeys(("figure.facecolor", "axes.facecolor"), self.background),
            "svg.fonttype": "none",  # the reader's fonts have signs that matplotlib's do not
            "svg.hashsalt": "gbmix_sklearn",  # the same figure twice is the same file
            "font.family": "sans-serif",
            "font.size": 10,
        }


LOOKS = {
    "light": Look("#1b1b1b", "#ffffff", "#dddddd", "#0072b2", "#d55e00"),
    "dark": Look("#ececec", "#1e2023", "#44484d", "#56b4e9", "#e69f00"),
}


def draw_accuracies(cells: pd.DataFrame, names: list[str], confidence: float, look: Look) -> Any:
    """Draw the accuracy of each cell with its interval, the worst first."""
    from ..plotting import GroupAccuracyDisplay

    named = cells.set_axis(pd.Index([visible(name) for name in names]))
    worst = named.sort_values("accuracy", kind="stable").head(MOST_ROWS)
    display = GroupAccuracyDisplay(worst, confidence=confidence).plot(
        errorbar_kwargs={"color": look.points}, worst_kwargs={"color": look.worst}
    )
    for line in display.ax_.get_xgridlines():
        line.set_color(look.grid)
    return display.figure_


def draw_reliability(calibration: Calibration, names: list[str], look: Look) -> Figure:
    """Draw how often predictions of a given confidence are right, a panel for each set."""
    from matplotlib.figure import Figure

    n_panels = len(names)
    n_columns = min(n_panels, 4)
    n_rows = -(-n_panels // n_columns)
    figure = Figure(figsize=(2.4 * n_columns, 2.6 * n_rows + 0.4), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
    for ax in axes[n_panels:]:
        ax.remove()
    for number, (ax, name) in enumerate(zip(axes, names, strict=False)):
        count = calibration.count[number]
        filled = count > 0
        confidence = calibration.confidence[number][filled] / count[filled]
        accuracy = calibration.hits[number][filled] / count[filled]
        ax.plot([0, 1], [0, 1], color=look.text, linestyle="--", linewidth=0.8)
        ax.plot(confidence, accuracy, color=look.points, linewidth=1)
        size = 6 + 74 * count[filled] / count.max()
        ax.scatter(confidence, accuracy, size, color=look.points, zorder=3, clip_on=False)
        title = "\n".join(textwrap.wrap(visible(name), 26)[:3])
        ax.set_title(title, fontsize=9, parse_math=False)
        ax.set(xlim=(0, 1), ylim=(-0.04, 1.04), aspect="equal", xticks=[0, 0.5, 1])
        ax.set_yticks([0, 0.5, 1])
        ax.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("confidence of the prediction", fontsize=10)
    figure.supylabel("accuracy", fontsize=10)
    return figure


def to_svg(draw: Callable[[Look], Any], look: Look) -> bytes:
    """Draw with the colours of a look and return the picture."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    with mpl.rc_context(look.settings), warnings.catch_warnings():
        # only the width of such a sign is guessed: the reader's own fonts draw it
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = draw(look)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(figure)
    return buffer.getvalue()


def worst_first(accuracy: np.ndarray) -> np.ndarray:
    """Numbers of the worst sets, as many as there are panels for."""
    return np.argsort(accuracy, kind="stable")[:MOST_PANELS]
