"""Losses, group accuracies and chosen targets over the epochs of a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

from .._visible import visible_lines
from ._rows import Rows
from ._style import (
    BLACK,
    BLUE,
    GREEN,
    LIGHT,
    MIDDLE,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    check_axes,
    legend_above,
    legend_beside,
    legend_name,
    open_frame,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TrainingDisplay"]

_PANELS = ("loss", "accuracy", "target")
#: column -> label and look of its line
_LOSSES = {
    "train_loss": ("training", {"color": BLUE}),
    "valid_loss": ("validation", {"color": ORANGE, "linestyle": "--"}),
}
_SUMMARIES = {
    "worst_group_accuracy": ("worst group", {"color": VERMILLION, "linewidth": 3.5}),
    "average_accuracy": ("average", {"color": BLACK, "linestyle": ":", "linewidth": 2}),
}
_CELL_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY)
_CELL_LINES = ("-", "--")
#: inches: height of a panel of lines, and what lies around the rows of targets
_LINES, _AROUND = 2.2, 0.6


class TrainingDisplay:
    """Losses, accuracies of the groups and the targets chosen, epoch by epoch.

    It is recommended to use :meth:`from_estimator` to create one.

    Parameters
    ----------
    history : DataFrame
        ``history_`` of a classifier of this package: a row for each epoch.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes, shape (n_panels,)
        The panels, from the top down.
    figure_ : matplotlib Figure
        Figure that has the panels.
    panels_ : tuple of str
        What the panels show: ``"loss"``, ``"accuracy"`` and ``"target"``.

    See Also
    --------
    GroupAccuracyDisplay : The trained classifier on test data.

    Notes
    -----
    The training loss is the one that the method minimizes, on its mixed or weighted samples: it is
    not to be compared with the validation loss, nor with those of other methods. Accuracies are
    those of the validation part. The target is the cell that a method such as GBMix aims at in a
    mini-batch; the picture has each cell's share of the mini-batches of an epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from gbmix_sklearn import GBMixClassifier, TrainingDisplay
    >>> rng = np.random.default_rng(0)
    >>> y, place = rng.integers(2, size=(2, 300))
    >>> X = rng.normal(size=(300, 4)) + y[:, None] + place[:, None] * [1, 1, 0, 0]
    >>> model = GBMixClassifier(max_epochs=3, random_state=0).fit(X, y, groups=place)
    >>> TrainingDisplay.from_estimator(model).panels_
    ('loss', 'accuracy', 'target')
    """

    def __init__(self, history: pd.DataFrame, *, name: str | None = None):
        self.history = history
        self.name = name

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        panels: str | Sequence[str] | None = None,
        max_labels: int = 10,
    ) -> TrainingDisplay:
        """Draw a panel for each kind of number.

        Parameters
        ----------
        ax : matplotlib Axes, or array-like of them with one for each panel, default=None
            Axes to draw on; None makes a figure. A single one is divided among several panels.
        name : str, default=None
            Title; None takes the name that the display was made with.
        panels : {"loss", "accuracy", "target"} or sequence of them, default=None
            What to show, from the top down; None shows all that the history has.
        max_labels : int, default=10
            So many cells have an accuracy line and a name of their own; of more, the range and
            its middle half are drawn.

        Returns
        -------
        TrainingDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the history has no epochs, not what `panels` asks for, or `ax` is an array of
            another length than there are panels.
        TypeError
            If `ax` is neither an Axes nor an array of them, or the history is no DataFrame.
        """
        shown = self._shown(panels)
        rows = Rows(list(self._of_cells("target_share"))) if "target" in shown else None
        axes = _divide(ax, shown, rows)
        epochs = self.history["epoch"].to_numpy()
        for place, (panel, kind) in enumerate(zip(axes, shown, strict=True)):
            best = self._mark_best(panel)
            handles = [best] if place == 0 else []
            if kind == "loss":
                self._draw_losses(panel, epochs, handles)
                panel.set_ylabel("loss")
            elif kind == "accuracy":
                self._draw_accuracies(panel, epochs, handles, max_labels)
                panel.set_ylabel("validation accuracy")
            elif rows is not None:
                self._draw_targets(panel, epochs, handles, rows)
            panel.xaxis.get_major_locator().set_params(integer=True)
            panel.tick_params(labelbottom=panel is axes[-1])
        axes[-1].set_xlabel("epoch")
        title = self.name if name is None else name
        if title is not None:
            # above the explanation of the targets, where these are the first panel
            axes[0].set_title(
                visible_lines(title), parse_math=False, pad=22 if shown[0] == "target" else None
            )
        self.panels_ = shown
        self.ax_ = axes
        self.figure_ = axes[0].figure
        return self

    def _shown(self, panels: str | Sequence[str] | None) -> tuple[str, ...]:
        history = self.history
        if not isinstance(history, pd.DataFrame):
            raise TypeError(f"history must be a DataFrame, got {type(history).__name__}")
        if not len(history):
            raise ValueError("the history has no epochs; there is nothing to draw")
        if "epoch" not in history:
            raise ValueError(
                f"history has no column 'epoch'; its columns are {', '.join(history.columns)}"
            )
        there = {
            "loss": "train_loss" in history,
            "accuracy": "worst_group_accuracy" in history or bool(self._of_cells("accuracy")),
            "target": bool(self._of_cells("target_share")),
        }
        if panels is None:
            shown = tuple(kind for kind in _PANELS if there[kind])
        else:
            shown = (panels,) if isinstance(panels, str) else tuple(panels)
        for kind in shown:
            if kind not in there:
                raise ValueError(f"panels must be among {', '.join(_PANELS)}, got {kind!r}")
            if not there[kind]:
                why = {
                    "loss": "it has no column 'train_loss'",
                    "accuracy": "it was made without a validation part",
                    "target": "the method chooses no target",
                }
                raise ValueError(f"the history has no {kind} to draw: {why[kind]}")
        if not shown:
            raise ValueError("panels names nothing to draw")
        return shown

    def _of_cells(self, kind: str) -> dict[str, str]:
        """Cells that have columns of a kind: name -> column."""
        return {
            column[len(kind) + 1 : -1]: column
            for column in map(str, self.history.columns)
            if column.startswith(f"{kind}[") and column.endswith("]")
        }

    def _draw_losses(self, panel: Axes, epochs: np.ndarray, handles: list[Any]) -> None:
        handles[:0] = self._draw_lines(panel, epochs, _LOSSES)
        legend_beside(panel, handles)

    def _draw_accuracies(
        self, panel: Axes, epochs: np.ndarray, handles: list[Any], max_labels: int
    ) -> None:
        cells = self._of_cells("accuracy")
        bands, lines = [], {}
        if len(cells) > max_labels:
            values = self.history[list(cells.values())].to_numpy(float)
            values = values[:, ~np.isnan(values).all(axis=0)]  # of cells that are judged
            n = values.shape[1]
            low, q1, q3, high = np.nanquantile(values, [0, 0.25, 0.75, 1], axis=1)
            name = f"all {n} cells" if n == len(cells) else f"{n} of {len(cells)} cells"
            bands = [
                panel.fill_between(epochs, low, high, color=LIGHT, label=name),
                panel.fill_between(epochs, q1, q3, color=MIDDLE, label="middle half of the cells"),
            ]
        else:
            for place, (cell, column) in enumerate(cells.items()):
                style = _CELL_LINES[place // len(_CELL_COLOURS) % len(_CELL_LINES)]
                look = {"color": _CELL_COLOURS[place % len(_CELL_COLOURS)], "linestyle": style}
                lines[column] = legend_name(cell), look
        # the broad line of the worst group lies below: its cell's own runs in the middle of it
        handles[:0] = [*self._draw_lines(panel, epochs, _SUMMARIES | lines), *bands]
        legend_beside(panel, handles)

    def _draw_lines(self, panel: Axes, epochs: np.ndarray, lines: dict[str, Any]) -> list[Any]:
        dots: dict[str, Any] = {"marker": "o" if len(epochs) <= 20 else None, "markersize": 3}
        open_frame(panel, "both")
        return [
            panel.plot(epochs, self.history[column].to_numpy(float), label=label, **dots, **look)[0]
            for column, (label, look) in lines.items()
            if column in self.history
        ]

    def _draw_targets(
        self, panel: Axes, epochs: np.ndarray, handles: list[Any], rows: Rows
    ) -> None:
        shares = self.history[list(self._of_cells("target_share").values())].to_numpy(float).T
        edges = np.append(epochs, epochs[-1] + 1) - 0.5
        mesh = panel.pcolormesh(edges, rows.edges, shares, cmap="Blues", vmin=0)
        most = shares.argmax(axis=0)
        (dots,) = panel.plot(
            epochs,
            rows.y[most],
            linestyle="none",
            marker="o",
            markersize=float(np.clip(200 / len(epochs), 1.5, 6)),
            color=VERMILLION,
            markeredgecolor="white",
            markeredgewidth=0.5,
            label="most frequent target",
        )
        rows.write(panel)
        legend_above(panel, None, [dots, *handles])
        bar = panel.figure.colorbar(mesh, cax=panel.inset_axes((1.02, 0, 0.025, 1)))
        bar.set_label("share of mini-batches")

    def _mark_best(self, panel: Axes) -> Any:
        """Mark the last epoch that was better than all before: the one that is kept."""
        kept = self.history["epoch"][self.history["best"].astype(bool)]
        best = kept.iloc[-1] if len(kept) else 0  # a pretrained network may stay as it was
        return panel.axvline(
            best, color=BLACK, linestyle="-.", linewidth=1, zorder=2.5, label=f"epoch kept, {best}"
        )

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None, **kwargs: Any
    ) -> TrainingDisplay:
        """Draw the training of a fitted classifier of this package.

        Parameters
        ----------
        estimator : estimator
            Fitted classifier, a pipeline that ends in one, a search over either (its best
            estimator is shown), or a :class:`LastLayerRefit` of one.
        name : str, default=None
            Title; None takes the name of the classifier's class.
        ax : matplotlib Axes, or array-like of them, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        TrainingDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the classifier or the search was not fitted.
        TypeError
            If there is no classifier of this package in it.
        """
        trained = _trained(estimator)
        name = type(trained).__name__ if name is None else name
        return cls(trained.history_, name=name).plot(ax, **kwargs)


def _trained(estimator: Any) -> Any:
    """Find the classifier with a history in pipelines, searches and refits."""
    inner = estimator
    while not isinstance(getattr(inner, "history_", None), pd.DataFrame):
        if hasattr(inner, "best_estimator_"):
            inner = inner.best_estimator_
        elif isinstance(inner, Pipeline):
            inner = inner.steps[-1][1]
        elif hasattr(inner, "cv_results_"):
            raise TypeError("the search keeps no model: make it with refit=True, or refit='worst'")
        elif hasattr(inner, "estimator"):
            inner = inner.estimator
        elif type(inner).__module__.startswith("gbmix_sklearn.") and hasattr(inner, "fit"):
            raise NotFittedError(f"this {type(inner).__name__} is not fitted yet; call fit first")
        else:
            raise TypeError(
                f"{type(inner).__name__} keeps no history of its training; TrainingDisplay draws "
                "classifiers of gbmix_sklearn, alone or at the end of a pipeline or search"
            )
    return inner


def _divide(ax: Any, shown: tuple[str, ...], rows: Rows | None) -> np.ndarray:
    """Return one Axes for each panel, in a new figure or in what the user gave."""
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes

    if ax is not None and not isinstance(ax, Axes):
        given = np.asarray(ax, dtype=object).ravel()
        if len(given) != len(shown):
            raise ValueError(
                f"ax has {len(given)} axes for {len(shown)} panels ({', '.join(shown)}); give one "
                "for each, or say with panels= which to show"
            )
        return np.array([check_axes(panel) for panel in given], dtype=object)
    if ax is not None and len(shown) == 1:
        return np.array([ax], dtype=object)

    target = 0.0 if rows is None else max(_LINES, rows.inches + _AROUND)
    heights = [target if kind == "target" else _LINES for kind in shown]
    figure: Any
    grid: Any
    place = None if ax is None else ax.get_subplotspec()
    if ax is None:
        names = 0.0
        if rows is not None:
            names, rows.room = rows.name_inches, target - _AROUND
        figure = plt.figure(figsize=(7.2 + names, 0.6 + sum(heights)), layout="constrained")
        grid = figure.add_gridspec(len(shown), 1, height_ratios=heights)
    elif place is None:
        raise ValueError("ax is not part of a grid of subplots and cannot be divided")
    else:
        ax.set_axis_off()
        figure = ax.figure
        grid = place.subgridspec(len(shown), 1, height_ratios=heights)
    first = figure.add_subplot(grid[0])
    others = [figure.add_subplot(grid[i], sharex=first) for i in range(1, len(shown))]
    return np.array([first, *others], dtype=object)
