"""Worst group and average over the rounds that learned a balance of the cells."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

from .._visible import visible_lines
from ._style import BLACK, VERMILLION, check_axes, legend_beside, open_frame

__all__ = ["BalanceDisplay"]

#: column of errors -> label and look of the line of accuracies
_LINES: dict[str, tuple[str, dict[str, Any]]] = {
    "worst": ("worst group", {"color": VERMILLION, "linewidth": 3.5}),
    "average": ("average", {"color": BLACK, "linestyle": ":", "linewidth": 2}),
}


class BalanceDisplay:
    """Held-out accuracy of the worst group and on average, round by round.

    It is recommended to use :meth:`from_estimator` to create one.

    Parameters
    ----------
    rounds : DataFrame
        ``history_`` of a :class:`MinimaxClassifier`: a row for each round.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the lines.
    figure_ : matplotlib Figure
        Figure that has the axes.

    See Also
    --------
    TrainingDisplay : The epochs of a classifier of this package.
    TradeoffDisplay : Average against worst group of many models.

    Notes
    -----
    The worst group is the cell whose accuracy, drawn towards that of its class where the cell is
    small, is lowest; it need not be the same in every round.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from gbmix_sklearn import BalanceDisplay, MinimaxClassifier
    >>> rng = np.random.default_rng(0)
    >>> y, place = rng.integers(2, size=(2, 300))
    >>> X = rng.normal(size=(300, 2)) + y[:, None] + place[:, None] * [1, 0]
    >>> model = MinimaxClassifier(LogisticRegression(), random_state=0).fit(X, y, groups=place)
    >>> BalanceDisplay.from_estimator(model).ax_.get_ylabel()
    'held-out accuracy'
    """

    def __init__(self, rounds: pd.DataFrame, *, name: str | None = None):
        self.rounds = rounds
        self.name = name

    def plot(self, ax: Any = None, *, name: str | None = None) -> BalanceDisplay:
        """Draw the two lines, and mark the round that was kept.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        name : str, default=None
            Title; None takes the name that the display was made with.

        Returns
        -------
        BalanceDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there are no rounds, or they are not those of a balance.
        TypeError
            If `ax` is no Axes, or the rounds are no DataFrame.
        """
        self._check_rounds()
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(7.2, 3), layout="constrained")
        ax = check_axes(ax)
        open_frame(ax, "both")
        rounds = self.rounds.index.to_numpy()
        dots: dict[str, Any] = {"marker": "o", "markersize": 3}
        handles = [
            ax.plot(rounds, 1 - self.rounds[column], label=label, **dots, **look)[0]
            for column, (label, look) in _LINES.items()
        ]
        kept = rounds[self.rounds["best"].to_numpy(bool)][-1]
        look = {"color": BLACK, "linestyle": "-.", "linewidth": 1, "zorder": 2.5}
        handles.append(ax.axvline(kept, label=f"round kept, {kept}", **look))
        legend_beside(ax, handles)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_xlabel("round")
        ax.set_ylabel("held-out accuracy")
        title = self.name if name is None else name
        if title is not None:
            ax.set_title(visible_lines(title), parse_math=False)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    def _check_rounds(self) -> None:
        if not isinstance(self.rounds, pd.DataFrame):
            raise TypeError(f"rounds must be a DataFrame, got {type(self.rounds).__name__}")
        missing = [column for column in (*_LINES, "best") if column not in self.rounds]
        if missing:
            raise ValueError(
                f"rounds has no column {missing[0]!r}: give the history_ of a MinimaxClassifier; "
                "the epochs of a training are drawn by TrainingDisplay"
            )
        if not len(self.rounds):
            raise ValueError("there are no rounds to draw")

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None
    ) -> BalanceDisplay:
        """Draw the rounds of a fitted MinimaxClassifier.

        Parameters
        ----------
        estimator : estimator
            Fitted :class:`MinimaxClassifier`, a pipeline that ends in one, a search over either
            (its best estimator is shown), or a :class:`GroupThresholdClassifier` around one.
        name : str, default=None
            Title; None takes the name of the classifier whose weights were learned.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.

        Returns
        -------
        BalanceDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If no balance was learned in it.
        """
        balanced = _balanced(estimator)
        if name is None:
            inner = getattr(balanced, "estimator", balanced)
            name = type(inner.steps[-1][1] if isinstance(inner, Pipeline) else inner).__name__
        return cls(balanced.history_, name=name).plot(ax)


def _has_rounds(estimator: Any) -> bool:
    history = getattr(estimator, "history_", None)
    return isinstance(history, pd.DataFrame) and set(_LINES) <= set(history.columns)


def _balanced(estimator: Any) -> Any:
    """Find the estimator with rounds in pipelines, searches and other estimators."""
    inner = estimator
    while not _has_rounds(inner):
        if isinstance(inner, Pipeline):
            inner = inner.steps[-1][1]
            continue
        for name in ("best_estimator_", "estimator_"):
            if hasattr(inner, name):
                inner = getattr(inner, name)
                break
        else:
            if hasattr(inner, "estimator") and hasattr(inner, "fit"):
                raise NotFittedError(
                    f"this {type(inner).__name__} is not fitted yet; call fit first"
                )
            raise TypeError(
                f"{type(inner).__name__} has learned no balance of cells; BalanceDisplay draws the "
                "rounds of a MinimaxClassifier"
            )
    return inner
