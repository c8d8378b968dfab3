"""Which candidate of a search to refit: the best worst group, without giving up the average."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from ..exceptions import RefitRuleError

__all__ = ["BestWorstGroup"]

#: scores are means over folds: beyond these decimals they differ by rounding only
_DECIMALS = 12


@dataclass(frozen=True)
class BestWorstGroup:
    """Choose the candidate with the best worst group among those with a good enough average.

    The `refit` of a search that scores every candidate by its worst group and by its average. Of
    two candidates with the same worst group the one with the better average is chosen, and of two
    that are equal in both the first.

    Parameters
    ----------
    floor : float, default=None
        The least average, such as 0.9.
    within : float, default=None
        How far the average may be below that of the best candidate, such as 0.01. Without `floor`
        and `within` it is one standard error, see Notes.
    worst, average : str, default="worst", "average"
        The names that the two scorers have in the search's `scoring`; of both, larger is better.

    Raises
    ------
    ValueError
        If `floor` and `within` are both given, or are no numbers that an average can be compared
        with.

    See Also
    --------
    worst_group_accuracy_scorer : Scores by the worst group.
    SubgroupStratifiedKFold : Folds in which every cell has its share.

    Notes
    -----
    The one-standard-error rule [1]_ takes all models for equal whose score is at most one standard
    error below the best, and then chooses among them by something else: there the simplest, here
    the best worst group. The standard error is that of the mean over the folds, for the candidate
    with the best average: s / sqrt(K), where s is the standard deviation of its K fold scores with
    K - 1 in the denominator, as in glmnet. (scikit-learn's example of a callable `refit` [2]_ takes
    s itself, a wider band.) The training sets of the folds overlap, so that the true error is
    rather larger.

    Candidates with a NaN in one of the two scores are never chosen, nor do they count as the best
    average. Where a search ran in several iterations, as halving searches do, only the candidates
    of the last one compete: the others were scored on less data.

    A search calls its `refit` when all candidates are scored and stores nothing before; so the
    error that is raised when none can be chosen holds the results, as `cv_results`.

    References
    ----------
    .. [1] Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees", 1984,
       section 3.4.3; Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning",
       section 7.10.1.
    .. [2] https://scikit-learn.org/stable/auto_examples/model_selection/plot_grid_search_refit_callable.html

    Examples
    --------
    >>> from gbmix_sklearn import BestWorstGroup
    >>> cv_results = {
    ...     "params": [{"alpha": 0.1}, {"alpha": 1.0}, {"alpha": 10.0}],
    ...     "mean_test_average": [0.95, 0.93, 0.80],
    ...     "mean_test_worst": [0.50, 0.70, 0.75],
    ... }
    >>> BestWorstGroup(floor=0.9)(cv_results)
    1
    >>> BestWorstGroup(within=0.01)(cv_results)
    0

    In a search, with metadata routing on:

    >>> from gbmix_sklearn import worst_group_accuracy_scorer
    >>> search = dict(
    ...     scoring={"worst": worst_group_accuracy_scorer, "average": "accuracy"},
    ...     refit=BestWorstGroup(within=0.01),
    ... )  # GridSearchCV(model, grid, **search).fit(X, y, groups=groups)
    """

    floor: float | None = None
    _: KW_ONLY
    within: float | None = None
    worst: str = "worst"
    average: str = "average"

    def __post_init__(self) -> None:  # at once: a search would only find out at its end
        if self.floor is not None and self.within is not None:
            raise ValueError(
                f"give floor={self.floor!r} or within={self.within!r}: they are two ways to say "
                "which average is good enough"
            )
        if self.floor is not None and not (_is_number(self.floor) and self.floor <= 1):
            raise ValueError(
                f"floor must be a number of at most 1, as accuracies are (90 % is 0.9), got "
                f"{self.floor!r}"
            )
        if self.within is not None and not (_is_number(self.within) and self.within >= 0):
            raise ValueError(
                f"within must be a number of 0 or more, such as 0.01, got {self.within!r}"
            )

    def __call__(self, cv_results: Mapping[str, Any]) -> int:
        """Choose a candidate.

        Parameters
        ----------
        cv_results : dict or DataFrame
            The `cv_results_` of a search.

        Returns
        -------
        int
            Its index.

        Raises
        ------
        RefitRuleError
            If a score is not there under its name, every candidate has a NaN, none reaches the
            floor, or there is a single fold, which has no standard error.
        """
        average = self._scores(cv_results, self.average)
        worst = self._scores(cv_results, self.worst)
        valid = np.isfinite(average) & np.isfinite(worst)
        if "iter" in cv_results:
            iteration = np.asarray(cv_results["iter"])
            valid &= iteration == iteration.max()
        if not valid.any():
            raise RefitRuleError(
                f"no candidate has both scores, {self.average!r} and {self.worst!r}: every one "
                "has a NaN. Set error_score='raise' in the search to see why",
                cv_results,
            )
        best = int(np.where(valid, average, -np.inf).argmax())
        floor = self._floor(cv_results, average, best)
        good = valid & (average >= floor)
        if not good.any():
            parameters = list(cv_results["params"])[best]
            raise RefitRuleError(
                f"no candidate has {self.average!r} of at least floor={self.floor}: the best is "
                f"{average[best]:.4f}, of candidate {best} ({parameters}), which has "
                f"{self.worst!r} {worst[best]:.4f}. Lower the floor, or give within=... instead",
                cv_results,
            )
        # lexsort is stable and sorts by its last key first
        return int(np.lexsort((-average, -worst, ~good))[0])

    def _scores(self, cv_results: Mapping[str, Any], name: str) -> np.ndarray:
        prefix = "mean_test_"
        if prefix + name not in cv_results:
            names = [key.removeprefix(prefix) for key in cv_results if key.startswith(prefix)]
            raise RefitRuleError(
                f"the search has no scores named {name!r}, only {', '.join(map(repr, names))}. "
                "Name them in its scoring, scoring={'worst': worst_group_accuracy_scorer, "
                "'average': 'accuracy'}, or name yours in "
                f"{type(self).__name__}(worst=..., average=...)",
                cv_results,
            )
        return np.round(np.asarray(cv_results[prefix + name], dtype=float), _DECIMALS)

    def _floor(self, cv_results: Mapping[str, Any], average: np.ndarray, best: int) -> float:
        """The least average, given the candidate with the best one."""
        if self.floor is not None:
            return round(float(self.floor), _DECIMALS)
        within = self.within
        if within is None:
            column = re.compile(rf"split\d+_test_{re.escape(self.average)}")
            folds = [np.asarray(cv_results[k])[best] for k in cv_results if column.fullmatch(k)]
            if len(folds) < 2:
                raise RefitRuleError(
                    "one standard error needs the scores of two folds or more, and there are "
                    f"{len(folds)}: give floor=... or within=...",
                    cv_results,
                )
            within = float(np.std(folds, ddof=1)) / math.sqrt(len(folds))
        return round(average[best] - within, _DECIMALS)


def _is_number(value: Any) -> bool:
    real = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
    return real and math.isfinite(value)
