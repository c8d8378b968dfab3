"""Average against worst group accuracy of many models."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from .._visible import visible_lines
from ._results import results_frame, summarize, with_numbers
from ._style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
    check_axes,
    legend_beside,
    legend_name,
    merged,
    open_frame,
)

__all__ = ["TradeoffDisplay"]

_SCORES = ("average_accuracy", "worst_group_accuracy")
_COLOURS = (BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, PURPLE, GREY)
_MARKERS = "osvD^P>X<hpd8"  # 13 shapes and 8 colours: 104 pairs before one comes again


class TradeoffDisplay:
    """Average against worst group accuracy: a point for each model, and the Pareto front.

    It is recommended to use :meth:`from_results` or :meth:`from_cv_results` to create one.

    Parameters
    ----------
    models : DataFrame
        A row for each model with the columns ``name``, ``average_accuracy`` and
        ``worst_group_accuracy``, and optionally ``average_accuracy_std`` and
        ``worst_group_accuracy_std``.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the points.
    figure_ : matplotlib Figure
        Figure that has the axes.
    front_ : ndarray of bool, shape (n_models,)
        Which models are on the Pareto front: no other is at least as good in both scores and
        better in one.
    line_ : matplotlib Line2D
        The Pareto front.
    points_ : list of matplotlib Line2D
        The models that have a name in the legend, in its order.

    See Also
    --------
    GroupAccuracyDisplay : The cells of one model.
    worst_group_accuracy_scorer : A scorer for searches.

    Notes
    -----
    The front tells which models are worth a look. It does not tell which one to use: the scores
    of its ends are the best of many, and so look better than they are on new data.

    Examples
    --------
    >>> from gbmix_sklearn import TradeoffDisplay
    >>> results = [
    ...     {"name": "ERM", "average_accuracy": 0.95, "worst_group_accuracy": 0.49},
    ...     {"name": "Mixup", "average_accuracy": 0.94, "worst_group_accuracy": 0.46},
    ...     {"name": "GBMix", "average_accuracy": 0.92, "worst_group_accuracy": 0.91},
    ... ]
    >>> display = TradeoffDisplay.from_results(results)
    >>> display.models["name"][display.front_].tolist()
    ['ERM', 'GBMix']
    """

    def __init__(self, models: pd.DataFrame, *, name: str | None = None):
        self.models = models
        self.name = name

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        highlight: str | Collection[str] = (),
        max_labels: int = 10,
        legend: bool = True,
        point_kwargs: Mapping[str, Any] | None = None,
        line_kwargs: Mapping[str, Any] | None = None,
    ) -> TradeoffDisplay:
        """Draw a point for each model; those on the front are filled.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        name : str, default=None
            Title; None takes the name that the display was made with.
        highlight : str or collection of str, default=()
            Names of models that are drawn as large stars.
        max_labels : int, default=10
            So many models have a shape, a colour and a name in the legend. Of more, only those on
            the front have, the ends of the front first; the others are small grey points.
        legend : bool, default=True
            Whether to explain the points to the right of the axes.
        point_kwargs : dict, default=None
            Keywords of matplotlib's ``plot``, for the points with a name.
        line_kwargs : dict, default=None
            The same for the line of the front.

        Returns
        -------
        TradeoffDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `models` lacks a column or a score, `highlight` names no model, or `max_labels` is
            not positive.
        TypeError
            If `ax` is no Axes.
        """
        import matplotlib.pyplot as plt
        from matplotlib.lines import Line2D

        if max_labels < 1:
            raise ValueError(f"max_labels must be positive, got {max_labels!r}")
        models = with_numbers(results_frame(self.models, ["name", *_SCORES]), _SCORES, "name")
        names = models["name"].map(str).to_list()
        stars = {highlight} if isinstance(highlight, str) else set(highlight)
        if unknown := stars.difference(names):
            raise ValueError(f"highlight names {', '.join(sorted(unknown))}, which is no model")
        average, worst = (models[score].to_numpy(float) for score in _SCORES)
        spread = [
            models[f"{score}_std"].to_numpy(float) if f"{score}_std" in models else None
            for score in _SCORES
        ]
        self.front_ = front = pareto_front(average, worst)
        named = _named(worst, front, [name in stars for name in names], max_labels)
        others = np.setdiff1d(np.arange(len(names)), named)
        labels = {i: legend_name(names[i]) for i in named}

        if ax is None:
            lines = 3 + sum(1 + label.count("\n") for label in labels.values())
            width = max(len(line) for label in labels.values() for line in label.split("\n"))
            size = (5.4 + 0.085 * width if legend else 5.0, max(4.2, 0.8 + 0.2 * lines))
            ax = plt.subplots(figsize=size, layout="constrained")[1]
        self.ax_ = check_axes(ax)
        self.figure_ = ax.figure

        handles = []
        if len(others):
            dots = {"linestyle": "none", "marker": ".", "color": GREY, "alpha": 0.6, "zorder": 2}
            label = f"{len(others)} other models"
            handles = ax.plot(worst[others], average[others], label=label, **dots)
        self.points_ = []
        for place, i in enumerate(named):
            star = names[i] in stars
            colour = VERMILLION if star else _COLOURS[place % len(_COLOURS)]
            look = {
                "linestyle": "none",
                "marker": "*" if star else _MARKERS[place % len(_MARKERS)],
                "markersize": 15 if star else 8,
                "color": colour,
                "markerfacecolor": colour if front[i] else "white",
                "markeredgecolor": "#333333" if front[i] else colour,
                "markeredgewidth": 0.6 if front[i] else 1.8,
                "zorder": 5 if star else 4,
                "label": labels[i],
            }
            (point,) = ax.plot(worst[i], average[i], **merged(look, point_kwargs, Line2D))
            self.points_.append(point)
            up, across = (None if s is None else s[i] for s in spread)
            bar = {"fmt": "none", "ecolor": colour, "elinewidth": 1, "zorder": 3}
            ax.errorbar(worst[i], average[i], xerr=across, yerr=up, **bar)

        open_frame(ax, "both")
        look = {"label": "Pareto front" if len(others) else "Pareto front (filled)"}
        self.line_ = self._draw_front(worst[front], average[front], look | dict(line_kwargs or {}))
        ax.set_xlabel("worst group accuracy")
        ax.set_ylabel("average accuracy")
        title = self.name if name is None else name
        if title is not None:
            ax.set_title(visible_lines(title), parse_math=False)
        if legend:
            legend_beside(ax, [*self.points_, *handles, self.line_])
        return self

    def _draw_front(self, x: np.ndarray, y: np.ndarray, kwargs: Mapping[str, Any]) -> Any:
        """Draw the border of what is no better than the front, from side to side."""
        from matplotlib.lines import Line2D

        order = np.lexsort((-y, x))
        left, bottom = self.ax_.get_xlim()[0], self.ax_.get_ylim()[0]
        x = np.concatenate([[left], x[order], [x.max()]])
        y = np.concatenate([[y.max()], y[order], [bottom]])
        look = {"color": GREY, "linestyle": "--", "linewidth": 1, "zorder": 1}
        look |= {"drawstyle": "steps-pre"}
        line = Line2D(x, y, **merged(look, kwargs, Line2D))
        return self.ax_.add_artist(line)  # an artist, unlike a line, leaves the limits alone

    @classmethod
    def from_results(
        cls, results: Any, *, name: str | None = None, ax: Any = None, **kwargs: Any
    ) -> TradeoffDisplay:
        """Draw scores that are given as a table.

        Parameters
        ----------
        results : DataFrame or list of dict
            Entries ``name``, ``average_accuracy`` and ``worst_group_accuracy``. A name that is
            there several times stands for several runs, drawn as their mean and standard
            deviation (dividing by the number of runs). Deviations known before are the entries
            ``average_accuracy_std`` and ``worst_group_accuracy_std``.
        name : str, default=None
            Title; None for none.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        TradeoffDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If an entry or a score is missing, or a name with deviations is there twice.
        TypeError
            If `results` is neither a DataFrame nor a list of dicts.

        See Also
        --------
        TradeoffDisplay.from_cv_results : The candidates of a search.
        """
        frame = with_numbers(results_frame(results, ["name", *_SCORES]), _SCORES, "name")
        twice = frame["name"][frame["name"].duplicated()]
        if len(twice):
            known = [f"{score}_std" for score in _SCORES if f"{score}_std" in frame]
            if known:
                raise ValueError(
                    f"{twice.iloc[0]!r} is in results several times, and there is {known[0]!r} as "
                    "well; give either a row for each run or one row with deviations"
                )
            frame = summarize(frame, ["name"], _SCORES)
        return cls(frame, name=name).plot(ax, **kwargs)

    @classmethod
    def from_cv_results(
        cls,
        cv_results: Any,
        *,
        average: str,
        worst: str,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> TradeoffDisplay:
        """Draw the candidates of a search that has two scorers.

        Parameters
        ----------
        cv_results : dict of ndarray, or DataFrame
            ``cv_results_`` of a search with ``scoring={...}``.
        average, worst : str
            Names of the scorers of the average and of the worst group accuracy in ``scoring``.
        name : str, default=None
            Title; None for none.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        TradeoffDisplay
            The display, drawn. Candidates are named by the parameters in which they differ.

        Raises
        ------
        ValueError
            If there is no such scorer, or no candidate has both scores.
        TypeError
            If `cv_results` is no dict or DataFrame.

        Warns
        -----
        UserWarning
            If candidates without a score (NaN, from fits that failed) are left out.

        See Also
        --------
        TradeoffDisplay.from_results : Any models.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.model_selection import GridSearchCV
        >>> from gbmix_sklearn import TradeoffDisplay, make_group_scorer
        >>> X = pd.DataFrame({"hours": [20, 50, 30, 60] * 6, "sex": [0, 0, 1, 1] * 6})
        >>> y = [0, 1, 0, 1] * 5 + [1, 1, 1, 1]
        >>> worst = make_group_scorer("worst_group_accuracy", group_columns="sex")
        >>> search = GridSearchCV(
        ...     LogisticRegression(), {"class_weight": [None, "balanced"]}, refit=False, cv=3,
        ...     scoring={"average": "accuracy", "worst": worst}, error_score="raise",
        ... ).fit(X, y)
        >>> display = TradeoffDisplay.from_cv_results(
        ...     search.cv_results_, average="average", worst="worst"
        ... )
        >>> display.models["name"].tolist()
        ['class_weight=None', 'class_weight=balanced']
        """
        if not isinstance(cv_results, Mapping | pd.DataFrame):
            raise TypeError(
                "cv_results must be the cv_results_ of a search, a dict or a DataFrame; "
                f"got {type(cv_results).__name__}"
            )
        found = [
            k.removeprefix("mean_test_") for k in map(str, cv_results) if k.startswith("mean_test_")
        ]
        for argument, scorer in (("average", average), ("worst", worst)):
            if scorer not in found:
                raise ValueError(
                    f"{argument}={scorer!r} is no scorer of this search; it has "
                    f"{', '.join(map(repr, found)) or 'none'}. Make it with "
                    "scoring={'average': 'accuracy', 'worst': worst_group_accuracy_scorer}, "
                    "refit='worst'"
                )
        columns = {}
        for score, scorer in zip(_SCORES, (average, worst), strict=True):
            columns[score] = np.asarray(cv_results[f"mean_test_{scorer}"], dtype=float)
            columns[f"{score}_std"] = np.asarray(cv_results[f"std_test_{scorer}"], dtype=float)
        models = pd.DataFrame({"name": _candidates(list(cv_results["params"])), **columns})
        scored = models[list(_SCORES)].notna().all(axis=1)
        if not scored.any():
            raise ValueError(
                "no candidate has both scores, all are NaN: fits or scorers failed; search again "
                'with error_score="raise" to see why'
            )
        if not scored.all():
            warnings.warn(
                f"{(~scored).sum()} of {len(models)} candidates have no score (NaN) and are left "
                'out; search again with error_score="raise" to see why',
                UserWarning,
                stacklevel=2,
            )
        return cls(models[scored].reset_index(drop=True), name=name).plot(ax, **kwargs)


def pareto_front(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Find the points that no other one dominates: at least as large in both, larger in one."""
    points = np.column_stack([a, b])
    return np.array(
        [not ((points >= p).all(axis=1) & (points > p).any(axis=1)).any() for p in points]
    )


def _named(worst: np.ndarray, front: np.ndarray, stars: list[bool], max_labels: int) -> np.ndarray:
    """Models with a name: all, or the front from its best worst group on and what is starred."""
    if len(worst) <= max_labels:
        return np.arange(len(worst))
    members = np.flatnonzero(front)
    members = members[np.argsort(-worst[members], kind="stable")]
    evenly = np.unique(np.linspace(0, len(members) - 1, max_labels).round().astype(int))
    members = members[evenly]
    return np.concatenate([members, np.setdiff1d(np.flatnonzero(stars), members)])


def _candidates(params: list[dict[str, Any]]) -> list[str]:
    """Name each candidate by the parameters in which it differs from others."""
    keys = dict.fromkeys(key for candidate in params for key in candidate)
    shown = {
        key: len({_value(candidate[key]) if key in candidate else None for candidate in params}) > 1
        for key in keys
    }
    if not any(shown.values()):  # a single candidate
        shown = dict.fromkeys(keys, True)
    last = [key.rsplit("__", 1)[-1] for key in keys]
    short = {k: s if last.count(s) == 1 else k for k, s in zip(keys, last, strict=True)}
    return [
        ", ".join(f"{short[k]}={_value(v)}" for k, v in candidate.items() if shown[k])
        for candidate in params
    ]


def _value(value: Any) -> str:
    if isinstance(value, BaseEstimator):
        return type(value).__name__
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return str(value)
