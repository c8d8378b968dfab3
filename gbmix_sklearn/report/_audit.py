"""The audit of a classifier by group: what was measured, how sure it is, and what it means."""

from __future__ import annotations

import os
import warnings
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from .._copies import noting_copies
from .._visible import visible
from ..exceptions import SmallCellWarning
from ..groups import check_same_order, take_groups
from ..metrics import demographic_parity_difference, equalized_odds_difference, group_report
from ..metrics._fitted import refuse_swapped
from ..metrics._intervals import clopper_pearson
from ..metrics._scores import plain_cell
from ..metrics._summary import SummaryScores
from ._calibration import Calibration, calibrate
from ._compare import AuditComparison, compare_outcomes
from ._json import as_json, audit_record
from ._model import ModelFacts, describe
from ._outcomes import Outcomes, check_groups, count_outcomes
from ._output import write_text
from ._small import small_cells_message, too_small
from ._summary import sentences
from ._worst import find_worst

__all__ = ["GroupAudit"]


class GroupAudit(SummaryScores):
    """How good a classifier is for each group, how sure that is, and which group is the worst.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to create one. A
    *cell* is a class combined with the values of the sensitive attributes.

    Parameters
    ----------
    outcomes : Outcomes
        The samples, counted by cell and prediction.
    calibration : Calibration, default=None
        Probabilities of the predictions, counted by cell.
    model : ModelFacts, default=None
        Name and parameters of the classifier.
    n_copies : int, default=None
        Samples that were in the fit of the classifier, where it can tell.
    cell_weights : mapping, Series or DataFrame, default=None
        Weights of the cells in the training set, for the adjusted average.
    confidence : float in (0, 1), default=0.95
        Confidence of the intervals; one minus it is the level of the tests.
    random_state : int, RandomState instance or None, default=0
        Seed of the bootstrap.

    Attributes
    ----------
    labels : list of str
        One line for each cell, in the order of the rows of :meth:`to_frame`.
    worst_cell, next_cell : tuple
        Class and attribute values of the worst cell and of the next; there is no next (None)
        where there is a single cell.
    lead : float
        How far the worst cell is behind the next, as a difference of accuracies.
    lead_pvalue : float
        P-value of that difference, adjusted for all pairs of cells.
    lead_is_significant : bool
        Whether that is at most one minus `confidence`.
    rank_confidence : float
        Share of the bootstrap resamples in which the worst cell is the worst of all.
    small_cells : list of str
        Labels of the cells that are too small to say anything.
    calibration : DataFrame or None
        Mean confidence, overconfidence, expected calibration error and Brier score of each cell;
        None without probabilities.
    calibration_by_group : DataFrame or None
        The same for each value of the sensitive attributes, over all classes.
    model : ModelFacts or None
        Name and parameters of the classifier.
    n_copies : int or None
        Samples that were in the fit of the classifier, where it can tell: of images, and of rows
        with many continuous numbers.
    n_samples : int
        Number of samples.
    summary : dict
        Scores by name, each of them an attribute too: ``worst_group_accuracy``, ``robust_gap``,
        ``average_accuracy``, ``mean_group_accuracy``, ``adjusted_average_accuracy`` (where there
        are weights), ``demographic_parity_difference`` and ``equalized_odds_difference``.

    See Also
    --------
    group_report : The accuracies alone, as a table to print.
    model_card : Writes what was measured into a model card.
    GroupAccuracyDisplay : The picture of an audit.

    Notes
    -----
    **Intervals** are those of Clopper and Pearson [1]_: each covers the accuracy of its cell with
    at least the given probability, whatever the size of the cell. They are for one cell at a
    time; that of the worst cell, which the data chose, tends to be too low.

    **Is the worst cell really worse?** It is compared with each other cell by Fisher's exact test
    (two-sided, by doubling the smaller tail). Which cell is the worst was seen in the same data, so
    that any of the ``n_cells * (n_cells - 1) / 2`` pairs might have been compared; Holm's
    correction [2]_ therefore counts all of them, those that are not tested as not rejected. Since
    Fisher's test holds its level for any counts, and Holm's correction holds it under any
    dependence, the probability to call any cell worse than another that is not better is at most
    one minus `confidence`. The correction is conservative, the more so with many cells.

    **Rank confidence** is from a stratified bootstrap: each resample draws the samples of every
    cell anew, which for an accuracy is to draw a binomial count. It compares all cells at once and
    shows which worst cell other data might have had; it is no test. Half a sample of each kind is
    added to the proportion that is drawn from (Jeffreys' prior [3]_), since otherwise a cell with a
    single error in a single sample would be the same in every resample.

    **Calibration** compares the probability of the predicted class with how often it is right: its
    mean (``overconfidence`` is the mean minus the accuracy), and its expected calibration error
    [4]_ in ten bins of the same width. The Brier score is that of
    :func:`sklearn.metrics.brier_score_loss`. A model can be calibrated within a *group*, over all
    classes; within a cell, whose class is known, even a perfect model is not. Compare cells with
    one another, and groups with zero. The error of a small group is too large, by chance.

    **Too small** is a cell whose interval is wider than 0.4.

    References
    ----------
    .. [1] C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in
       the case of the binomial", Biometrika 26, 1934. https://doi.org/10.1093/biomet/26.4.404
    .. [2] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
       of Statistics 6, 1979. https://www.jstor.org/stable/4615733
    .. [3] L. D. Brown, T. T. Cai, A. DasGupta, "Interval estimation for a binomial proportion",
       Statistical Science 16, 2001. https://doi.org/10.1214/ss/1009213286
    .. [4] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks",
       ICML 2017. https://arxiv.org/abs/1706.04599

    Examples
    --------
    >>> from gbmix_sklearn import GroupAudit
    >>> y_true = ["cat"] * 200 + ["dog"] * 200
    >>> place = (["indoor"] * 100 + ["outdoor"] * 100) * 2
    >>> y_pred = ["cat"] * 150 + ["dog"] * 250
    >>> audit = GroupAudit.from_predictions(y_true, y_pred, groups=place)
    >>> audit.to_frame()[["accuracy", "low", "high", "count"]].round(3)
                    accuracy    low   high  count
    target group
    cat    indoor        1.0  0.964  1.000    100
           outdoor       0.5  0.398  0.602    100
    dog    indoor        1.0  0.964  1.000    100
           outdoor       1.0  0.964  1.000    100
    >>> audit.worst_cell, audit.lead_is_significant
    (('cat', 'outdoor'), True)
    >>> print(audit)
    The worst group is cat, group=outdoor with an accuracy of 50.0 % (39.8 to 60.2, 100 samples).
    It is significantly worse than the next group, cat, group=indoor with 100.0 % (adjusted
    p < 0.001); it is the worst of all groups in 100.0 % of the bootstrap resamples. It is
    significantly worse than each of the other groups. ...
    """

    def __init__(
        self,
        outcomes: Outcomes,
        *,
        calibration: Calibration | None = None,
        model: ModelFacts | None = None,
        n_copies: int | None = None,
        cell_weights: Any = None,
        confidence: float = 0.95,
        random_state: Any = 0,
    ):
        if not 0 < confidence < 1:
            raise ValueError(f"confidence must lie between 0 and 1, got {confidence!r}")
        self.model = model
        self.n_copies = n_copies
        self.confidence = confidence
        self.labels = outcomes.labels
        self._outcomes = outcomes
        self._calibration = calibration
        if cell_weights is None and model is not None:
            cell_weights = model.weights_of(outcomes.index)
        self._report = group_report(**outcomes.kinds, cell_weights=cell_weights)
        self._low, self._high = clopper_pearson(outcomes.correct, outcomes.count, confidence)
        self._random_state = random_state
        self._worst = find_worst(outcomes.correct, outcomes.count, self._rng())
        message = small_cells_message(self.labels, outcomes.count, self._low, self._high)
        if message is not None:
            # of the caller of the class methods, which are how audits are made
            warnings.warn(message, SmallCellWarning, stacklevel=3)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        group_columns: Any = None,
        cell_weights: Any = None,
        confidence: float = 0.95,
        random_state: Any = 0,
    ) -> GroupAudit:
        """Audit a fitted classifier of any kind.

        Parameters
        ----------
        estimator : object
            Fitted classifier, pipeline or search. Probabilities are audited if it has
            ``predict_proba``.
        X : array-like
            Samples.
        y : array-like of shape (n_samples,)
            True labels.
        groups : array-like of shape (n_samples,) or (n_samples, n_attributes), default=None
            Sensitive attributes; required unless `group_columns` is given.
        group_columns : column name or list of them, default=None
            Columns of the DataFrame `X` that hold the sensitive attributes.
        cell_weights : mapping, Series or DataFrame, default=None
            Weight of each cell in the training set, see :func:`adjusted_average_accuracy_score`.
            None takes the ``group_table_`` of a classifier that has one for these cells.
        confidence : float in (0, 1), default=0.95
            Confidence of the intervals; one minus it is the level of the tests.
        random_state : int, RandomState instance or None, default=0
            Seed of the bootstrap.

        Returns
        -------
        GroupAudit
            The audit.

        Raises
        ------
        MissingGroupsError
            If there are no groups.
        GroupsError
            If groups and `group_columns` are both given, or the groups do not fit `y`.
        ValueError
            If labels or weights cannot be scored.

        Warns
        -----
        SmallCellWarning
            If a cell is too small to say anything.

        See Also
        --------
        from_predictions : From predictions that are there already.
        """
        groups = check_groups(take_groups(X, groups, group_columns))
        check_same_order(X=X, y=y, groups=groups)
        model = describe(estimator)
        refuse_swapped(y, groups, model.training_cells)
        with noting_copies() as noted:
            y_pred = estimator.predict(X)
        outcomes = count_outcomes(y, y_pred, groups)
        calibration = None
        if hasattr(estimator, "predict_proba"):
            calibration = calibrate(
                outcomes, estimator.predict_proba(X), getattr(estimator, "classes_", None)
            )
        return cls(
            outcomes,
            calibration=calibration,
            model=model,
            n_copies=noted.n_copies,
            cell_weights=cell_weights,
            confidence=confidence,
            random_state=random_state,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        groups: Any,
        y_proba: Any = None,
        classes: Any = None,
        estimator: Any = None,
        cell_weights: Any = None,
        confidence: float = 0.95,
        random_state: Any = 0,
    ) -> GroupAudit:
        """Audit predictions.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels of any kind.
        y_pred : array-like of shape (n_samples,)
            Predicted labels.
        groups : array-like of shape (n_samples,) or (n_samples, n_attributes)
            Sensitive attributes. The cells are their values combined with the classes of `y_true`.
        y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), default=None
            Probabilities of the classes; of two classes those of the second are enough.
        classes : array-like of shape (n_classes,), default=None
            Class of each column of `y_proba`. None takes the names of the columns of a DataFrame,
            and otherwise the sorted labels of `y_true` and `y_pred`.
        estimator : object, default=None
            The fitted classifier that has made the predictions: reports then say what it is and
            what it was trained on.
        cell_weights : mapping, Series or DataFrame, default=None
            Weight of each cell in the training set; adds the adjusted average accuracy, see
            :func:`adjusted_average_accuracy_score`.
        confidence : float in (0, 1), default=0.95
            Confidence of the intervals; one minus it is the level of the tests.
        random_state : int, RandomState instance or None, default=0
            Seed of the bootstrap.

        Returns
        -------
        GroupAudit
            The audit.

        Raises
        ------
        MissingGroupsError
            If `groups` is None.
        GroupsError
            If `groups` has another length than `y_true`, or missing values.
        ValueError
            If labels, probabilities or weights cannot be scored.

        Warns
        -----
        SmallCellWarning
            If a cell is too small to say anything.

        See Also
        --------
        from_estimator : From a fitted classifier.
        """
        outcomes = count_outcomes(y_true, y_pred, groups)
        calibration = None if y_proba is None else calibrate(outcomes, y_proba, classes)
        return cls(
            outcomes,
            calibration=calibration,
            model=None if estimator is None else describe(estimator),
            cell_weights=cell_weights,
            confidence=confidence,
            random_state=random_state,
        )

    def _rng(self) -> np.random.Generator:
        if self._random_state is None or isinstance(self._random_state, int | np.integer):
            return np.random.default_rng(self._random_state)
        seed = check_random_state(self._random_state).randint(2**31)
        return np.random.default_rng(seed)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self._outcomes.kind)

    @property
    def worst_cell(self) -> tuple:
        """Class and attribute values of the worst cell."""
        return plain_cell(self._outcomes.index[self._worst.cell])

    @property
    def next_cell(self) -> tuple | None:
        """Class and attribute values of the cell that is the next after the worst."""
        number = self._worst.next
        return None if number is None else plain_cell(self._outcomes.index[number])

    @property
    def lead(self) -> float:
        """How far the worst cell is behind the next; NaN where there is no other."""
        return float(self._leads[self._worst.next]) if self._worst.next is not None else np.nan

    @property
    def _leads(self) -> np.ndarray:
        accuracy = self._report["accuracy"].to_numpy()
        return accuracy - accuracy[self._worst.cell]

    @property
    def lead_pvalue(self) -> float:
        """Adjusted p-value of the lead; 1 where there is no other cell."""
        return 1.0 if self._worst.next is None else float(self._worst.pvalues[self._worst.next])

    @property
    def lead_is_significant(self) -> bool:
        """Whether the worst cell is significantly worse than the next."""
        return self.lead_pvalue <= 1 - self.confidence

    @property
    def rank_confidence(self) -> float:
        """Share of the bootstrap resamples in which the worst cell is the worst of all."""
        return self._worst.rank_confidence

    @property
    def small_cells(self) -> list[str]:
        """Labels of the cells that are too small to say anything."""
        return [self.labels[cell] for cell in np.flatnonzero(too_small(self._low, self._high))]

    @cached_property
    def demographic_parity_difference(self) -> float:
        """Largest difference between groups in the rate of a predicted class."""
        return demographic_parity_difference(**self._outcomes.kinds)

    @cached_property
    def equalized_odds_difference(self) -> float:
        """Largest difference between groups in the true or false positive rate of a class."""
        return equalized_odds_difference(**self._outcomes.kinds)

    @property
    def calibration(self) -> pd.DataFrame | None:
        """Scores of the probabilities in each cell; None without probabilities."""
        if self._calibration is None:
            return None
        return self._calibration.scores(self._outcomes.index)

    @property
    def calibration_by_group(self) -> pd.DataFrame | None:
        """Scores of the probabilities for each attribute value; None without probabilities."""
        if self._calibration is None:
            return None
        groups = self._calibration.together(self._outcomes.attribute)
        return groups.scores(self._group_index)

    @property
    def _group_index(self) -> pd.Index:
        _, first = np.unique(self._outcomes.attribute, return_index=True)
        return self._outcomes.index[first].droplevel(0)

    @property
    def summary(self) -> dict[str, float]:
        """The scores that sum up the cells, by name."""
        return {
            **self._report.summary,
            "demographic_parity_difference": self.demographic_parity_difference,
            "equalized_odds_difference": self.equalized_odds_difference,
        }

    def compare(self, other: GroupAudit) -> AuditComparison:
        """Compare with the audit of another model on the same samples.

        Parameters
        ----------
        other : GroupAudit
            Audit of the other model, made from the same labels and groups in the same order.

        Returns
        -------
        AuditComparison
            Exact paired tests for each cell, and an interval for the difference of the worst
            groups. Differences are those of this audit minus those of the other.

        Raises
        ------
        ValueError
            If the two audits are not of the same samples.
        TypeError
            If `other` is no audit.
        """
        if not isinstance(other, GroupAudit):
            raise TypeError(f"other must be a GroupAudit, got {type(other).__name__}")
        return compare_outcomes(self._outcomes, other._outcomes, self.confidence, self._rng())

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each cell.

        Returns
        -------
        DataFrame
            Indexed by class and attribute values, with the columns ``accuracy``, ``count``,
            ``share`` (of the samples), ``low`` and ``high`` (exact interval), ``lead`` (accuracy
            minus that of the worst cell), ``pvalue_adjusted`` (of that difference; NaN for the
            worst cell), ``too_small``, and with probabilities ``confidence``,
            ``overconfidence``, ``expected_calibration_error`` and ``brier_score``.
        """
        frame = pd.DataFrame(
            {
                "accuracy": self._report["accuracy"].to_numpy(),
                "count": self._outcomes.count,
                "share": self._outcomes.count / self.n_samples,
                "low": self._low,
                "high": self._high,
                "lead": self._leads,
                "pvalue_adjusted": self._worst.pvalues,
                "too_small": too_small(self._low, self._high),
            },
            index=self._outcomes.index,
        )
        calibration = self.calibration
        return frame if calibration is None else pd.concat([frame, calibration], axis=1)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return all that was measured as JSON text.

        Parameters
        ----------
        path : str or Path, default=None
            File to write as well.

        Returns
        -------
        str
            An object with ``n_samples``, ``n_copies`` (that were in the fit; null where the model
            cannot tell), ``confidence``, ``summary`` (the scores by name), ``worst``, ``cells`` (a
            list with an object for each), ``small_cells``, with probabilities
            ``calibration_by_group``, and with a model ``model`` (its ``cells`` are what the samples
            of each cell did in the fit). Numbers that are not finite are null; labels that JSON
            does not know are text.
        """
        text = as_json(audit_record(self))
        write_text(path, text)
        return text

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return one page of HTML that shows the audit to readers of any background.

        The page needs nothing else, loads nothing from anywhere, and runs no code but its own. It
        can be read by screen readers, used with the keyboard and printed, and follows the
        reader's choice of a light or dark look.

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
        return visible(" ".join(sentences(self)))

    def __repr__(self) -> str:
        n_cells = len(self.labels)
        return f"<GroupAudit of {self.n_samples:,} samples in {n_cells} cells>"
