"""Accuracy of each cell with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier

from ..exceptions import MissingGroupsError
from ..groups import take_groups
from ..metrics import group_report
from ..metrics._intervals import clopper_pearson
from ..metrics._report import cell_names
from ._rows import Rows
from ._style import BLUE, GREY, VERMILLION, legend_above, merged, open_frame

__all__ = ["GroupAccuracyDisplay"]

_COLUMNS = ("accuracy", "count", "low", "high")
_ORDERS = (None, "accuracy", "count")


class GroupAccuracyDisplay:
    """Accuracy of each cell (class x sensitive attribute), with exact intervals and counts.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to create one.

    Parameters
    ----------
    cells : DataFrame
        A row for each cell, indexed as the table of :func:`group_report` (or by names), with the
        columns ``accuracy``, ``count``, ``low`` and ``high``; accuracies between 0 and 1.
    name : str, default=None
        Name of the model, the title of the picture.
    confidence : float, default=0.95
        Confidence of the intervals, for the label of the axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the accuracies.
    figure_ : matplotlib Figure
        Figure that has the axes.
    errorbars_ : list of matplotlib ErrorbarContainer
        Points and intervals of the worst cells and, if there are others, of these.
    text_ : list of matplotlib Text
        Accuracy and count of each cell, in the order of `cells`.

    See Also
    --------
    group_report : The same numbers as a table.
    TradeoffDisplay : Many models, each a point.

    Notes
    -----
    The intervals are those of Clopper and Pearson [1]_: each covers its accuracy with at least the
    given probability. Among many cells some intervals miss: the worst of 50 cells is partly bad
    luck, which a small count beside a wide interval shows.

    References
    ----------
    .. [1] C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in
       the case of the binomial", Biometrika 26, 1934. https://doi.org/10.1093/biomet/26.4.404

    Examples
    --------
    >>> from gbmix_sklearn import GroupAccuracyDisplay
    >>> y_true = ["cat", "cat", "cat", "dog", "dog", "dog"]
    >>> y_pred = ["cat", "cat", "dog", "dog", "dog", "dog"]
    >>> place = ["indoor", "indoor", "outdoor", "outdoor", "outdoor", "indoor"]
    >>> display = GroupAccuracyDisplay.from_predictions(y_true, y_pred, groups=place)
    >>> display.cells.loc["cat", ["accuracy", "count", "low", "high"]].round(2)
             accuracy  count   low  high
    group
    indoor        1.0      2  0.16  1.00
    outdoor       0.0      1  0.00  0.98
    >>> display.ax_.get_xlabel()
    'accuracy, with 95% interval'
    """

    def __init__(self, cells: pd.DataFrame, *, name: str | None = None, confidence: float = 0.95):
        self.cells = cells
        self.name = name
        self.confidence = confidence

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        sort_by: str | None = None,
        errorbar_kwargs: Mapping[str, Any] | None = None,
        worst_kwargs: Mapping[str, Any] | None = None,
        text_kwargs: Mapping[str, Any] | None = None,
    ) -> GroupAccuracyDisplay:
        """Draw a row for each cell.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure that is as large as the cells need. On axes of
            yours the labels shrink to the height that there is for each cell.
        name : str, default=None
            Title; None takes the name that the display was made with.
        sort_by : {"accuracy", "count"}, default=None
            Begin with the smallest of these; None keeps the order of `cells`.
        errorbar_kwargs : dict, default=None
            Keywords of matplotlib's ``errorbar``, for the points and intervals of all cells.
        worst_kwargs : dict, default=None
            The same for the worst cells alone.
        text_kwargs : dict, default=None
            Keywords of matplotlib's ``text``, for the numbers.

        Returns
        -------
        GroupAccuracyDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `cells` is no table of accuracies, or `sort_by` is none of the above.
        TypeError
            If `ax` is no Axes.
        """
        from matplotlib.lines import Line2D

        _check_cells(self.cells)
        if sort_by not in _ORDERS:
            raise ValueError(f"sort_by must be 'accuracy', 'count' or None, got {sort_by!r}")
        order = np.arange(len(self.cells))
        if sort_by is not None:
            order = np.argsort(self.cells[sort_by].to_numpy(), kind="stable")
        cells = self.cells.iloc[order]
        accuracy, count, low, high = (cells[column].to_numpy(float) for column in _COLUMNS)
        worst = accuracy == accuracy.min()

        numbers = [f"{a:.3f}  n={n:,.0f}" for a, n in zip(accuracy, count, strict=True)]
        numbers = [f"{n}  worst" if w else n for n, w in zip(numbers, worst, strict=True)]
        rows = Rows(_names(cells.index))
        self.ax_ = ax = rows.axes(ax, right=max(map(len, numbers)))
        self.figure_ = ax.figure
        labels = rows.write(ax)

        dot = {"linestyle": "none", "marker": "o", "markersize": 6, "color": BLUE}
        dot |= {"elinewidth": 1.5, "label": "cell", "zorder": 3}
        dot = merged(dot, errorbar_kwargs, Line2D)
        diamond = {"marker": "D", "markersize": 8, "color": VERMILLION, "label": "worst cell"}
        diamond = merged(dot | diamond, worst_kwargs, Line2D)
        reach = np.stack([accuracy - low, high - accuracy])
        self.errorbars_ = [
            ax.errorbar(accuracy[part], rows.y[part], xerr=reach[:, part], **look)
            for part, look in ((worst, diamond), (~worst, dot))
            if part.any()
        ]
        average = np.average(accuracy, weights=count)
        line = ax.axvline(
            average, color=GREY, linestyle="--", label=f"average, {average:.3f}", zorder=2
        )

        texts = rows.write_beside(ax, range(len(cells)), numbers, text_kwargs)
        for label, number, bad in zip(labels, texts, worst, strict=True):
            if bad:
                label.set_fontweight("bold")
                number.set_fontweight("bold")
        self.text_ = [texts[place] for place in np.argsort(order)]

        left = np.floor(10 * min(low.min(), 0.9)) / 10
        ax.set_xlim(left - 0.02 * (1 - left), 1 + 0.02 * (1 - left))
        ax.set_xlabel(f"accuracy, with {100 * self.confidence:g}% interval")
        open_frame(ax, "x")
        legend_above(ax, self.name if name is None else name, [*self.errorbars_[::-1], line])
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        group_columns: Any = None,
        confidence: float = 0.95,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> GroupAccuracyDisplay:
        """Draw the accuracies of a fitted classifier, any that has scikit-learn's interface.

        Parameters
        ----------
        estimator : estimator
            Fitted classifier, or pipeline or search that ends in one.
        X : array-like of shape (n_samples, n_features)
            Samples, as the classifier takes them.
        y : array-like of shape (n_samples,)
            True labels.
        groups : array-like of shape (n_samples,) or (n_samples, n_attributes), default=None
            Sensitive attributes; required unless `group_columns` is given.
        group_columns : column name or list of them, default=None
            Columns of the DataFrame `X` that hold the sensitive attributes.
        confidence : float, default=0.95
            Probability that an interval covers its accuracy, at least.
        name : str, default=None
            Title; None takes the name of the class.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        GroupAccuracyDisplay
            The display, drawn.

        Raises
        ------
        MissingGroupsError
            If there are neither `groups` nor `group_columns`.
        GroupsError
            If there are both, or they do not fit the data.
        ValueError
            If `estimator` is no classifier, or the labels cannot be scored.

        See Also
        --------
        GroupAccuracyDisplay.from_predictions : The same for predictions made before.
        """
        if not is_classifier(estimator):
            raise ValueError(f"estimator must be a fitted classifier, got {estimator!r}")
        groups = take_groups(X, groups, group_columns)
        if groups is None:
            raise MissingGroupsError(
                "groups is required: give the sensitive attribute of each sample as groups=..., "
                "or name the columns of the DataFrame X that hold it with group_columns=..."
            )
        return cls.from_predictions(
            y,
            estimator.predict(X),
            groups=groups,
            confidence=confidence,
            name=type(estimator).__name__ if name is None else name,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        groups: Any,
        confidence: float = 0.95,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> GroupAccuracyDisplay:
        """Draw the accuracies of predicted labels.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels.
        y_pred : array-like of shape (n_samples,)
            Predicted labels.
        groups : array-like of shape (n_samples,) or (n_samples, n_attributes)
            Sensitive attributes. The cells are their values combined with the classes of `y_true`.
        confidence : float, default=0.95
            Probability that an interval covers its accuracy, at least.
        name : str, default=None
            Title; None for none.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        GroupAccuracyDisplay
            The display, drawn.

        Raises
        ------
        MissingGroupsError
            If `groups` is None.
        GroupsError
            If `groups` has another length than `y_true`, or missing values.
        ValueError
            If the labels cannot be scored, or `confidence` is not between 0 and 1.

        See Also
        --------
        GroupAccuracyDisplay.from_estimator : Predicts first.
        """
        if not 0 < confidence < 1:
            raise ValueError(f"confidence must lie between 0 and 1, got {confidence!r}")
        cells = pd.DataFrame(group_report(y_true, y_pred, groups=groups))
        count = cells["count"].to_numpy()
        correct = np.rint(cells["accuracy"].to_numpy() * count)
        low, high = clopper_pearson(correct, count, confidence)
        display = cls(cells.assign(low=low, high=high), name=name, confidence=confidence)
        return display.plot(ax, **kwargs)


def _names(index: pd.Index) -> list[str]:
    """Name the cells as the report prints them; an index of names has them already."""
    return cell_names(index) if isinstance(index, pd.MultiIndex) else [str(name) for name in index]


def _check_cells(cells: Any) -> None:
    if not isinstance(cells, pd.DataFrame):
        raise ValueError(f"cells must be a DataFrame, got {type(cells).__name__}")
    missing = [column for column in _COLUMNS if column not in cells.columns]
    if missing:
        raise ValueError(
            f"cells has no column {', '.join(missing)}; it has {', '.join(map(str, cells.columns))}"
        )
    if not len(cells):
        raise ValueError("cells has no rows; there is nothing to draw")
    accuracy, low, high = (cells[column].to_numpy(float) for column in ("accuracy", "low", "high"))
    fits = (low >= 0) & (low <= accuracy) & (accuracy <= high) & (high <= 1)
    if not fits.all():
        row = int(np.argmin(fits))
        raise ValueError(
            "each cell needs 0 <= low <= accuracy <= high <= 1; "
            f"{_names(cells.index)[row]} has {low[row]}, {accuracy[row]}, {high[row]}"
        )
