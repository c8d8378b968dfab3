"""What each part of a method is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from .._visible import visible_lines
from ._results import results_frame, summarize, with_numbers
from ._rows import Rows
from ._style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, YELLOW, merged, open_frame

__all__ = ["AblationDisplay"]

_LOOKS = tuple(
    {"color": colour, "hatch": hatch}
    for colour, hatch in zip(
        (SKY, ORANGE, GREEN, PURPLE, YELLOW, BLUE),
        ("", "///", "...", "\\\\\\", "xxx", "---"),
        strict=True,
    )
)


class AblationDisplay:
    """Scores of variants of a method: a bar for each, grouped by data set.

    It is recommended to use :meth:`from_results` to create one.

    Parameters
    ----------
    bars : DataFrame
        A row for each bar with the columns ``variant``, ``mean``, ``std`` (NaN where it is not
        known) and, for several data sets, ``dataset``.
    metric : str, default=None
        Name of the score.
    reference : str, default=None
        The variant that the scores are differences to; None if they are the scores themselves.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the bars.
    figure_ : matplotlib Figure
        Figure that has the axes.
    bars_ : list of matplotlib Rectangle
        The bars, in the order of `bars`.
    text_ : list of matplotlib Text
        The number beside each bar.

    See Also
    --------
    TradeoffDisplay : Two scores of many models.

    Notes
    -----
    With a `reference` the runs are compared seed by seed, so that what a seed does to both cancels
    out: the deviation is that of the differences, usually smaller than that of the scores.

    Examples
    --------
    >>> from gbmix_sklearn import AblationDisplay
    >>> results = [
    ...     {"variant": "GBMix", "seed": 0, "worst_group_accuracy": 0.81},
    ...     {"variant": "GBMix", "seed": 1, "worst_group_accuracy": 0.85},
    ...     {"variant": "without refit", "seed": 0, "worst_group_accuracy": 0.75},
    ...     {"variant": "without refit", "seed": 1, "worst_group_accuracy": 0.81},
    ... ]
    >>> display = AblationDisplay.from_results(results, reference="GBMix")
    >>> [text.get_text() for text in display.text_]
    ['−0.050 ± 0.010']
    """

    def __init__(
        self,
        bars: pd.DataFrame,
        *,
        metric: str | None = None,
        reference: str | None = None,
        name: str | None = None,
    ):
        self.bars = bars
        self.metric = metric
        self.reference = reference
        self.name = name

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        values_format: str = ".3f",
        bar_kwargs: Mapping[str, Any] | None = None,
        text_kwargs: Mapping[str, Any] | None = None,
    ) -> AblationDisplay:
        """Draw a bar for each variant and data set, and its standard deviation.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure that is as large as the bars need. On axes of
            yours the labels shrink to the height that there is for each bar.
        name : str, default=None
            Title; None takes the name that the display was made with.
        values_format : str, default=".3f"
            Format of the numbers beside the bars.
        bar_kwargs : dict, default=None
            Keywords of matplotlib's ``barh``.
        text_kwargs : dict, default=None
            Keywords of matplotlib's ``text``, for the numbers.

        Returns
        -------
        AblationDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `bars` lacks a column or a number.
        TypeError
            If `ax` is no Axes, or `bars` is no DataFrame.
        """
        from matplotlib.patches import Rectangle

        bars = results_frame(self.bars, ["variant", "mean", "std"])
        bars = with_numbers(bars, ["mean"], "variant")
        datasets = bars["dataset"].map(str) if "dataset" in bars else pd.Series("", bars.index)
        variants = list(dict.fromkeys(bars["variant"].map(str)))
        headed = datasets.nunique() > 1

        # positions of the bars of each data set, below a heading where there are several
        names: list[str] = []
        headings, places = [], np.empty(len(bars), dtype=int)
        for dataset in dict.fromkeys(datasets):
            if headed:
                headings.append(len(names))
                names.append(dataset)
            for row in np.flatnonzero(datasets == dataset):
                places[row] = len(names)
                names.append(str(bars["variant"].iloc[row]))
        sign = "" if self.reference is None else "+"
        numbers = [f"{mean:{sign}{values_format}}".replace("-", "−") for mean in bars["mean"]]
        numbers = [
            number if np.isnan(std) else f"{number} ± {std:{values_format}}"
            for number, std in zip(numbers, bars["std"], strict=True)
        ]
        rows = Rows(names)
        self.ax_ = ax = rows.axes(ax, right=max(map(len, numbers)))
        self.figure_ = ax.figure
        labels = rows.write(ax)
        for heading in headings:
            labels[heading].set_fontweight("bold")

        # the look tells variants apart over data sets; of one data set the names do
        several = headed and len(variants) <= len(_LOOKS)
        self.bars_ = []
        for bar, place in enumerate(places.tolist()):
            mean, std = float(bars["mean"].iloc[bar]), float(bars["std"].iloc[bar])
            variant = variants.index(str(bars["variant"].iloc[bar]))
            look = {"edgecolor": "#333333", "linewidth": 0.6, "ecolor": "#333333", "capsize": 2}
            look |= _LOOKS[variant if several else 0]
            look |= {"height": 0.75 * rows.heights[place]}
            (drawn,) = ax.barh(rows.y[place], mean, xerr=std, **merged(look, bar_kwargs, Rectangle))
            self.bars_.append(drawn)
        self.text_ = rows.write_beside(ax, places.tolist(), numbers, text_kwargs)
        ax.axvline(0, color=BLACK, linewidth=0.8)
        label = (self.metric or "score").replace("_", " ")
        ax.set_xlabel(
            label if self.reference is None else f"{label}, difference to {self.reference}",
            parse_math=False,
        )
        open_frame(ax, "x")
        title = self.name if name is None else name
        if title is not None:
            ax.set_title(visible_lines(title), parse_math=False)
        return self

    @classmethod
    def from_results(
        cls,
        results: Any,
        *,
        metric: str = "worst_group_accuracy",
        reference: str | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> AblationDisplay:
        """Draw means and standard deviations of runs that are given as a table.

        Parameters
        ----------
        results : DataFrame or list of dict
            An entry for each run: its ``variant``, the score, and optionally ``dataset`` and
            ``seed``. Runs of one variant and data set become one bar.
        metric : str, default="worst_group_accuracy"
            The entry with the score.
        reference : str, default=None
            A variant, such as the whole method, to which the differences are drawn, seed by seed;
            runs whose seed one of the two lacks are left out. None draws the scores.
        name : str, default=None
            Title; None for none.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Further arguments of :meth:`plot`.

        Returns
        -------
        AblationDisplay
            The display, drawn. Standard deviations divide by the number of runs; a single
            run has none.

        Raises
        ------
        ValueError
            If an entry or a score is missing, `reference` is no variant or shares no run with the
            others, or a variant has several runs with the same seed to compare.
        TypeError
            If `results` is neither a DataFrame nor a list of dicts.
        """
        frame = with_numbers(results_frame(results, ["variant", metric]), [metric], "variant")
        if reference is not None:
            frame = _differences(frame, metric, reference)
        by = ["variant"] + (["dataset"] if "dataset" in frame else [])
        bars = summarize(frame, by, [metric])
        bars = bars.rename(columns={metric: "mean", f"{metric}_std": "std"})
        return cls(bars, metric=metric, reference=reference, name=name).plot(ax, **kwargs)


def _differences(frame: pd.DataFrame, metric: str, reference: str) -> pd.DataFrame:
    """Subtract the reference's score on the same data set with the same seed."""
    variants = list(dict.fromkeys(frame["variant"]))
    if reference not in variants:
        raise ValueError(
            f"reference={reference!r} is no variant; they are {', '.join(map(repr, variants))}"
        )
    runs = [column for column in ("dataset", "seed") if column in frame]
    twice = frame.duplicated(["variant", *runs])
    if twice.any():
        row = frame[["variant", *runs]][twice].iloc[0].to_dict()
        raise ValueError(
            "differences are taken run by run, but there are several runs of "
            f"{', '.join(f'{key} {value!r}' for key, value in row.items())}; give each run of a "
            "variant and data set an entry 'seed' of its own"
        )
    whole = frame[frame["variant"] == reference]
    others = frame[frame["variant"] != reference]
    if not runs:
        return others.assign(**{metric: others[metric] - whole[metric].iloc[0]})
    pairs = others.merge(whole[[*runs, metric]], on=runs, suffixes=("", "_reference"))
    if not len(pairs):
        raise ValueError(
            f"no variant has a run with {' and '.join(runs)} of a run of {reference!r}, so there "
            "is nothing to compare"
        )
    return pairs.assign(**{metric: pairs[metric] - pairs[f"{metric}_reference"]})
