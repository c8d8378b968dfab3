"""What a comparison of methods found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..plotting import TradeoffDisplay
from ..report import GroupAudit
from ..report._json import as_json
from ..report._output import write_text
from ._inputs import Samples, prepare, read_samples, with_front
from ._leaderboard import Leaderboard
from ._run import fit_whole
from ._storage import Part
from ._text import as_text, short_html

__all__ = ["MethodComparison"]

#: how far the worst group may be behind the best for the average to choose, within chance
_CLOSE = 0.01


class MethodComparison:
    """Methods compared on the same folds, by what they predict of samples they have not seen.

    It is what :func:`compare` returns; there is no other way to make one.

    Parameters
    ----------
    samples : Samples
        What was compared on.
    splits : list of (train, test)
        The folds.
    methods : dict
        The estimators, unfitted, by name.
    parts : dict
        What each method gave on each fold.
    seeds : dict
        Seeds of each method.
    cell_weights : mapping, Series or DataFrame, default=None
        Weights of the cells where the model will be used.
    confidence : float in (0, 1), default=0.95
        Confidence of the intervals.
    seed : int, default=0
        Seed of the resamples.

    Attributes
    ----------
    best_ : str
        The method to use. Of those whose worst group is as good as the best but for a standard
        error, and at most one point, the one with the best average.
    alternatives_ : list of str
        The methods that cannot be told from the best one by their worst group, the best first. The
        one that is truly best is among them with the confidence of the comparison.
    predictions_ : DataFrame
        What each method predicts of each sample, by a fit that has not seen it: a column for each
        method, a row for each sample that was held out, labelled by its number in X.
    cells_ : DataFrame
        The accuracy of every cell (rows) with every method (columns), and its number of samples,
        ``count``.
    small_cells_ : list of str
        Cells of fewer than 10 samples, which do not decide.
    errors_ : dict of str
        Why methods failed.
    warnings_ : dict of list of str
        What the fits of each method warned of.
    methods_ : dict
        The estimators, unfitted, by name.
    best_estimator_ : estimator
        The best method, fitted on all samples; only after :meth:`fit_best`, or with
        ``refit=True``. Takes samples as they were given.

    See Also
    --------
    compare : Makes one.
    GroupAudit : One model in detail, see :meth:`audit`.

    Notes
    -----
    **The worst group** of a method is the cell with the lowest accuracy among those of at least 10
    samples: a cell of three says nothing. Methods are ranked by its *shrunken* accuracy, for which
    each cell counts as if 25 more samples had been seen of it, with the mean accuracy of its class,
    so that a cell of twelve has less of a say than one of hundreds. Where cells are large the two
    are the same.

    **Its interval** covers the accuracy of the cell that is truly the worst, whichever that is: it
    is the smallest of the lower ends of the exact intervals of all cells to the smallest of their
    upper ends, the latter with the level divided by the number of cells.

    **Told from the best** is a method whose difference from the first of the table, in the accuracy
    of the worst group, has an interval without 0. It is that of :meth:`GroupAudit.compare`, from
    resamples of the samples of each cell with the outcomes of both models, at a level that is
    divided by the number of the other methods.

    **The method to use** is not simply any that cannot be told from the best: of few samples that
    is nearly all of them, and the one with the best average would often be the worst for the worst
    group. The best guess is the first of the table; only a difference of at most one point, within
    one standard error, leaves it to the average.

    With `keep_together` units take the place of samples in all of them: the variance between units
    decides how many samples a cell is worth [1]_.

    The folds' models are not the one that is used then, which learns from all samples, and the best
    of many looks better than it is: audit the fitted model on samples that were not in here.

    References
    ----------
    .. [1] E. L. Korn, B. I. Graubard, "Confidence intervals for proportions with small expected
       number of positive counts estimated from survey data", Survey Methodology 24, 1998.

    Examples
    --------
    >>> import numpy as np
    >>> from gbmix_sklearn import MethodComparison, compare
    >>> rng = np.random.default_rng(0)
    >>> y, place = rng.integers(2, size=(2, 300))
    >>> X = rng.normal(size=(300, 3)) + y[:, None] * (2 - place[:, None])
    >>> found = compare(X, y, place, methods=["logistic", "class-scaled ERM"], cv=3, verbose=0)
    >>> isinstance(found, MethodComparison), len(found.predictions_)
    (True, 300)
    """

    def __init__(
        self,
        samples: Samples,
        splits: list[tuple[np.ndarray, np.ndarray]],
        methods: Mapping[str, Any],
        parts: Mapping[str, list[Part]],
        seeds: Mapping[str, dict[str, int]],
        *,
        cell_weights: Any = None,
        confidence: float = 0.95,
        seed: int = 0,
    ):
        rows = np.concatenate([test for _, test in splits])
        order = np.argsort(rows)
        rows = rows[order]
        self.confidence = confidence
        self.n_folds = len(splits)
        self.n_samples = len(rows)
        self.methods_ = dict(methods)
        self.errors_ = {n: error for n, of in parts.items() for error in _errors(of)}
        self.warnings_ = {
            name: told
            for name, of in parts.items()
            if (told := list(dict.fromkeys(text for part in of for text in part.warnings)))
        }
        self._seconds = {n: float(np.mean([p.seconds for p in of])) for n, of in parts.items()}
        self._seeds = dict(seeds)
        self._front, self._has_images = samples.front, samples.has_images
        self._group_columns = samples.group_columns
        codes = {
            name: np.concatenate([part.codes for part in of]).astype(np.int64)[order]
            for name, of in parts.items()
            if name not in self.errors_
        }
        units = None if samples.units is None else samples.units[rows]
        self._board = Leaderboard(samples.cells.take(rows), codes, units, confidence, seed)
        self._frame = self._board.frame(cell_weights)
        self.predictions_ = pd.DataFrame(
            {name: samples.classes[predicted] for name, predicted in codes.items()},
            index=pd.Index(rows, name="row"),
        )
        self._y, self._groups = samples.y[rows], _rows_of(samples.groups, rows)

    # ------------------------------------------------------------------ results

    @property
    def best_(self) -> str:
        """The method to use."""
        self._check_any()
        behind = self._frame["shrunken_worst"].iloc[0] - self._frame["shrunken_worst"]
        close = self._frame[behind <= self._frame["standard_error"].clip(upper=_CLOSE) + 1e-12]
        return str(close["average_accuracy"].idxmax())

    @property
    def alternatives_(self) -> list[str]:
        """The methods that cannot be told from the best."""
        self._check_any()
        return list(self._frame.index[~self._frame["distinguishable"].astype(bool)])

    @property
    def small_cells_(self) -> list[str]:
        """Cells that are too small to decide."""
        return [self._board.cells.labels[cell] for cell in self._board.small]

    @property
    def cells_(self) -> pd.DataFrame:
        """The accuracy of every cell with every method."""
        cells = self._board.cells
        columns = {name: self._board.accuracies(name)[cells.present] for name in self._frame.index}
        index = cells.index[cells.present]
        return pd.DataFrame({"count": cells.counts[cells.present], **columns}, index=index)

    def _check_any(self) -> None:
        if not len(self._frame):
            failed = "; ".join(f"{name}: {error}" for name, error in self.errors_.items())
            raise ValueError(f"every method failed, so that none is the best. {failed}")

    def to_frame(self) -> pd.DataFrame:
        """Return the table, the best worst group first and methods that failed last.

        Returns
        -------
        DataFrame
            A row for each method, with the columns ``worst_group_accuracy`` and its interval
            ``low`` to ``high``, ``shrunken_worst`` (what the methods are ranked by),
            ``worst_group`` (which cell it is), ``robust_gap``, ``average_accuracy``,
            ``mean_group_accuracy``, ``adjusted_average_accuracy`` (where there are weights of
            cells), ``difference`` of the worst group from the first method's with its interval
            ``difference_low`` to ``difference_high`` (NaN for itself) and its ``standard_error``,
            ``distinguishable`` (whether that interval leaves out 0), ``seconds`` (mean time of a
            fold) and ``error``. The worst group, the gap and the mean are of the cells of at
            least 10 samples.
        """
        frame = self._frame.copy()
        if self.errors_:
            frame = frame.reindex([*frame.index, *self.errors_]).rename_axis("method")
        if "distinguishable" in frame:
            frame["distinguishable"] = frame["distinguishable"].astype("boolean")
        frame["seconds"] = [self._seconds[name] for name in frame.index]
        frame["error"] = [self.errors_.get(name, "") for name in frame.index]
        return frame

    def audit(self, name: str | None = None) -> GroupAudit:
        """Audit the predictions of one method, all cells included.

        Parameters
        ----------
        name : str, default=None
            The method; None is the best one.

        Returns
        -------
        GroupAudit
            The audit.

        Raises
        ------
        ValueError
            If there is no such method, or it failed.
        """
        name = self._known(name)
        return GroupAudit.from_predictions(
            self._y,
            self.predictions_[name].to_numpy(),
            groups=self._groups,
            confidence=self.confidence,
        )

    def _known(self, name: str | None) -> str:
        name = self.best_ if name is None else name
        if name not in self.predictions_:
            problem = (
                f"failed ({self.errors_[name]})" if name in self.errors_ else "is none of them"
            )
            raise ValueError(
                f"{name!r} {problem}; the methods are {', '.join(map(repr, self.predictions_))}"
            )
        return name

    # ------------------------------------------------------------------ the winner

    def fit_best(
        self,
        X: Any,
        y: Any,
        groups: Any = None,
        *,
        keep_together: Any = None,
        name: str | None = None,
    ) -> Any:
        """Fit the best method on all samples, or on others like them.

        Parameters
        ----------
        X : array-like
            Samples, as they were given to :func:`compare`.
        y : array-like of shape (n_samples,)
            Class labels.
        groups : array-like, default=None
            Sensitive attributes; None where `group_columns` finds them in X.
        keep_together : array-like of shape (n_samples,), default=None
            What samples belong to.
        name : str, default=None
            Another method than the best.

        Returns
        -------
        estimator
            The fitted one, which is `best_estimator_` as well. It predicts from samples as they are
            given here.

        Raises
        ------
        ValueError
            If there is no such method, or the data cannot be used.
        """
        samples = read_samples(
            X,
            y,
            groups,
            keep_together=keep_together,
            group_columns=self._group_columns,
            embedder=self._embedder,
            folder=None,
        )
        return self._fit_best(prepare(samples), self._known(name))

    def _fit_best(self, samples: Samples, name: str) -> Any:
        method = self.methods_[name]
        X = samples.for_method(method)
        fitted = fit_whole(method, self._seeds[name], X, samples, np.arange(len(samples)))
        front = None if X is samples.given else samples.front
        self.best_estimator_ = with_front(front, fitted)
        return self.best_estimator_

    @property
    def _embedder(self) -> Any:
        """What embeds images."""
        if not self._has_images:
            return None
        return getattr(self._front, "steps", [("", self._front)])[-1][1]

    # ------------------------------------------------------------------ for readers

    def plot(self, ax: Any = None, **kwargs: Any) -> TradeoffDisplay:
        """Draw the average against the worst group, the best method as a star.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Further arguments of :meth:`TradeoffDisplay.plot`.

        Returns
        -------
        TradeoffDisplay
            The display, drawn.
        """
        kwargs = {"highlight": self.best_, "max_labels": max(10, len(self._frame)), **kwargs}
        return self._display().plot(ax, **kwargs)

    def _display(self) -> TradeoffDisplay:
        scores = ["average_accuracy", "worst_group_accuracy"]
        return TradeoffDisplay(self._frame[scores].rename_axis("name").reset_index())

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return what was found as JSON text.

        Parameters
        ----------
        path : str or Path, default=None
            File to write as well.

        Returns
        -------
        str
            An object with ``n_samples``, ``n_folds``, ``confidence``, ``best`` (null if every
            method failed), ``alternatives``, ``methods`` (the rows of :meth:`to_frame`), ``cells``
            (a list with the accuracy of each cell with each method), ``small_cells`` and
            ``warnings``. Numbers that are not there are null.
        """
        found = len(self._frame) > 0
        cells, board = self.cells_, self._board.cells
        accuracies = cells.drop(columns="count").to_dict("records")
        text = as_json(
            {
                "n_samples": self.n_samples,
                "n_folds": self.n_folds,
                "confidence": self.confidence,
                "best": self.best_ if found else None,
                "alternatives": self.alternatives_ if found else [],
                "methods": self.to_frame().reset_index().to_dict("records"),
                "cells": [
                    {"label": board.labels[cell], "count": board.counts[cell], "accuracy": values}
                    for cell, values in zip(board.present, accuracies, strict=True)
                ],
                "small_cells": self.small_cells_,
                "warnings": self.warnings_,
            }
        )
        write_text(path, text)
        return text

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return one page of HTML that needs nothing else, as that of :meth:`GroupAudit.to_html`.

        Parameters
        ----------
        path : str or Path, default=None
            File to write as well.

        Returns
        -------
        str
            The page.
        """
        from ._page import write_page  # Jinja2 and matplotlib load when a page is wanted

        page = write_page(self)
        write_text(path, page)
        return page

    def __str__(self) -> str:
        return as_text(self)

    def __repr__(self) -> str:
        n = len(self.methods_)
        of = f"{n} method{'s' * (n != 1)} on {self.n_folds} folds of {self.n_samples:,} samples"
        return f"<MethodComparison of {of}>"

    def _repr_html_(self) -> str:
        return short_html(self)


def _errors(parts: list[Part]) -> list[str]:
    """Why a method failed, if it did: the first of its folds to fail."""
    return [f"fold {fold + 1}: {part.error}" for fold, part in enumerate(parts) if part.error][:1]


def _rows_of(groups: Any, rows: np.ndarray) -> Any:
    return groups.iloc[rows] if hasattr(groups, "iloc") else np.asarray(groups, dtype=object)[rows]
