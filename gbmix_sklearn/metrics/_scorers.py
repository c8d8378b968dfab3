"""Scorers for searches and cross-validation; they require groups and never score without."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

import pandas as pd
import sklearn

# Private, and used in this one place: searches treat a scorer as one of their own, with routed
# metadata and predictions shared among several scorers, only if it derives from this class.
from sklearn.metrics._scorer import _BaseScorer, _cached_call

from ..exceptions import MissingGroupsError
from ..groups import check_group_columns, check_same_order, take_groups
from ._bound import BoundScore, check_bound, groups_by_index
from ._parity import demographic_parity_difference, equalized_odds_difference
from ._scores import (
    adjusted_average_accuracy_score,
    mean_group_accuracy_score,
    robust_gap_score,
    worst_group_accuracy_score,
)

__all__ = [
    "demographic_parity_scorer",
    "equalized_odds_scorer",
    "make_group_scorer",
    "mean_group_accuracy_scorer",
    "robust_gap_scorer",
    "worst_group_accuracy_scorer",
]

#: name -> score function, whether greater is better
_SCORES: dict[str, tuple[Callable[..., float], bool]] = {
    "worst_group_accuracy": (worst_group_accuracy_score, True),
    "robust_gap": (robust_gap_score, False),
    "mean_group_accuracy": (mean_group_accuracy_score, True),
    "adjusted_average_accuracy": (adjusted_average_accuracy_score, True),
    "demographic_parity": (demographic_parity_difference, False),
    "equalized_odds": (equalized_odds_difference, False),
}
_RESPONSE_METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


class _WithGroups:
    """A score function that says what to do where scikit-learn calls it without groups.

    TunedThresholdClassifierCV and others take it out of the scorer, which then finds no columns.
    """

    def __init__(self, score_func: Callable[..., float]):
        update_wrapper(self, score_func)
        self._score_func = score_func

    def __call__(self, *args: Any, groups: Any = None, **kwargs: Any) -> float:
        if groups is None:
            raise MissingGroupsError(
                f"{getattr(self, '__name__', self._score_func)} got no groups: what scores here "
                "takes the score function out of the scorer, so that group_columns cannot reach "
                "it. Enable metadata routing, with sklearn.set_config(enable_metadata_routing="
                "True), make the scorer without group_columns, and pass groups=... to fit"
            )
        return self._score_func(*args, groups=groups, **kwargs)


class GroupScorer(_BaseScorer):
    """The scorer that :func:`make_group_scorer` makes, called as ``scorer(estimator, X, y)``.

    See Also
    --------
    make_group_scorer : Makes it, and says how to use it.
    """

    def __init__(
        self,
        score: str | Callable[..., float],
        score_func: Callable[..., float],
        sign: int,
        kwargs: dict[str, Any],
        response_method: str,
        group_columns: Any,
        groups: pd.Series | pd.DataFrame | None = None,
    ):
        super().__init__(BoundScore(score_func, groups), sign, kwargs, response_method)
        self._score_name = score if isinstance(score, str) else None
        self._group_columns = group_columns
        self._groups = groups
        # set_score_request refuses while routing is off; once made, the request persists
        with sklearn.config_context(enable_metadata_routing=True):
            self.set_score_request()

    def set_score_request(self, **kwargs: Any) -> GroupScorer:
        """Set which metadata the scorer requests; groups stay requested unless named here.

        Parameters
        ----------
        **kwargs : dict
            ``name=alias``, where `alias` is True, False, None or a string; for instance
            ``sample_weight=True``.

        Returns
        -------
        GroupScorer
            The scorer itself.
        """
        # scikit-learn starts from nothing at each call: that would silently drop the groups.
        # Weights that are passed but neither requested nor refused are an error (None).
        requests: dict[str, Any] = {"groups": self._group_columns is None and self._groups is None}
        if self._accept_sample_weight():
            requests["sample_weight"] = None
        super().set_score_request(**{**requests, **kwargs})
        return self

    def _accept_sample_weight(self) -> bool:
        # asked by scikit-learn from 1.7 on, which then hands over weights with routing off
        return "sample_weight" in inspect.signature(self._score_func).parameters

    def __call__(
        self,
        estimator: Any,
        X: Any,
        y_true: Any,
        *,
        groups: Any = None,
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> float:
        """Score the predictions of a fitted estimator, with metadata routing on or off.

        Parameters
        ----------
        estimator : object
            Fitted classifier.
        X : array-like
            Samples.
        y_true : array-like of shape (n_samples,)
            True labels.
        groups : array-like, default=None
            Sensitive attributes; required unless the scorer takes them from columns of `X`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        **kwargs : dict
            Other arguments of the score function.

        Returns
        -------
        float
            The score; larger is better, so that gaps and differences are negated.

        Raises
        ------
        MissingGroupsError
            If there are no groups.
        """
        given = {"groups": groups, "sample_weight": sample_weight, **kwargs}
        given = {name: value for name, value in given.items() if value is not None}
        return self._score(partial(_cached_call, None), estimator, X, y_true, **given)

    def _score(
        self,
        method_caller: Callable[..., Any],
        estimator: Any,
        X: Any,
        y_true: Any,
        *,
        groups: Any = None,
        **kwargs: Any,
    ) -> float:
        check_same_order(X=X, y=y_true)
        if self._groups is not None:
            groups = groups_by_index(self._groups, X, y_true)
        groups = take_groups(X, groups, self._group_columns)
        if groups is None:
            raise MissingGroupsError(
                f"{self!r} needs groups and got none. In a search or cross-validation: call "
                "sklearn.set_config(enable_metadata_routing=True) and pass groups=... "
                "(to functions such as cross_validate: params={'groups': ...}), or, where the "
                "sensitive attribute is a column of the DataFrame X, make the scorer with "
                "make_group_scorer(..., group_columns='column'), or bind them to the index of X "
                "with make_group_scorer(..., groups=series). In a direct call: pass groups=..."
            )
        y_pred = method_caller(estimator, self._response_method, X, pos_label=self._get_pos_label())
        arguments = {**self._kwargs, **kwargs}
        return self._sign * self._score_func(y_true, y_pred, groups=groups, **arguments)

    def __repr__(self) -> str:
        # quoted where it is a name, so that the text is the call that makes the scorer
        shown = [
            repr(self._score_name)
            if self._score_name is not None
            else getattr(self._score_func, "__name__", repr(self._score_func.__wrapped__))
        ]
        if self._group_columns is not None:
            shown.append(f"group_columns={self._group_columns!r}")
        if self._groups is not None:
            shown.append(f"groups={type(self._groups).__name__}")
        if self._score_name is None and self._sign < 0:
            shown.append("greater_is_better=False")
        if self._response_method != "predict":
            shown.append(f"response_method={self._response_method!r}")
        for name, value in self._kwargs.items():
            text = repr(value)
            shown.append(f"{name}={text if chr(10) not in text else type(value).__name__}")
        return f"make_group_scorer({', '.join(shown)})"


def make_group_scorer(
    score: str | Callable[..., float],
    *,
    group_columns: Any = None,
    groups: pd.Series | pd.DataFrame | None = None,
    greater_is_better: bool | None = None,
    response_method: str = "predict",
    **kwargs: Any,
) -> GroupScorer:
    """Make a scorer that knows the groups of the samples it scores.

    Parameters
    ----------
    score : str or callable
        ``"worst_group_accuracy"``, ``"robust_gap"``, ``"mean_group_accuracy"``,
        ``"adjusted_average_accuracy"`` (needs ``cell_weights=``), ``"demographic_parity"``,
        ``"equalized_odds"``, or a function ``score(y_true, y_pred, *, groups, **kwargs)``.
    group_columns : column name or list of them, default=None
        Columns of the DataFrame `X` that hold the sensitive attributes. None takes the groups
        that are passed as metadata, see Notes.
    groups : Series or DataFrame, default=None
        Groups of all samples that will be scored, bound to the scorer by their index: those of a
        sample are found under the label that its row of `X`, or its label in `y`, has.
    greater_is_better : bool, default=None
        Whether a larger value of `score` is better; where it is not, the scorer negates it.
        None knows the functions of this package, and takes True for others.
    response_method : str, default="predict"
        The method of the estimator whose result is scored: ``"predict"``, ``"predict_proba"``,
        ``"predict_log_proba"`` or ``"decision_function"``. The scores listed above need
        predicted labels.
    **kwargs : dict
        Further arguments of the score function, such as ``pos_label`` or ``cell_weights``.

    Returns
    -------
    GroupScorer
        A scorer for ``scoring=``, alone or in a dict of several; or to be called as
        ``scorer(estimator, X, y, groups=groups)``.

    Raises
    ------
    ValueError
        If `score` is no known name, or is a function that does not take groups, if
        `response_method` is none of the above, or if ``cell_weights`` is needed and missing.
    GroupsError
        If `groups` and `group_columns` are both given, or the index of `groups` repeats a label.
    TypeError
        If the score function does not take one of `kwargs`, or `groups` has no index.

    See Also
    --------
    sklearn.metrics.make_scorer : Scorers that need no groups.
    SubgroupStratifiedKFold : Folds that have every cell, so that every fold can be scored.

    Notes
    -----
    Groups reach the scorer in one of three ways.

    - ``sklearn.set_config(enable_metadata_routing=True)``; then ``search.fit(X, y,
      groups=groups)`` or ``cross_validate(..., params={"groups": groups})``. The scorer requests
      groups by itself. To have ``sample_weight`` routed as well, call
      ``scorer.set_score_request(sample_weight=True)``, on a scorer made for it rather than on
      the module's own, which it would change for everyone.
    - ``group_columns=``, with routing on or off: the columns are read from the `X` that the
      search was given, before any pipeline step.
    - ``groups=``, a Series or DataFrame with the index of `X`: for whatever changes the columns of
      `X`, as ``permutation_importance`` does, which would score permuted groups if they were read
      from a column; and for ``TunedThresholdClassifierCV``, which hands on no X.

    With routing off, scikit-learn hands the ``groups`` of a search to the splitter only. The
    scorer then raises :class:`MissingGroupsError`, and scikit-learn turns errors of a scorer into
    a score of NaN and a warning, unless the search has ``error_score="raise"``. Set that: a
    search over nothing but NaN still ends with a "best" estimator.

    A list as ``scoring=`` can have names only, in scikit-learn; give several scorers as a dict.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from gbmix_sklearn.metrics import make_group_scorer
    >>> from gbmix_sklearn.model_selection import SubgroupStratifiedKFold
    >>> scorer = make_group_scorer("worst_group_accuracy", group_columns="sex")
    >>> scorer
    make_group_scorer('worst_group_accuracy', group_columns='sex')
    >>> X = pd.DataFrame({"hours": [20, 50, 30, 60] * 4, "sex": [0, 0, 1, 1] * 4})
    >>> y = [0, 1, 0, 1] * 4
    >>> search = GridSearchCV(
    ...     LogisticRegression(), {"C": [0.1, 1]}, scoring=scorer, error_score="raise",
    ...     cv=SubgroupStratifiedKFold(2, group_columns="sex"),
    ... )
    >>> float(search.fit(X, y).best_score_)
    1.0
    """
    if isinstance(score, str):
        if score not in _SCORES:
            raise ValueError(f"unknown score {score!r}; the names are {', '.join(_SCORES)}")
        score_func, default = _SCORES[score]
        if score == "adjusted_average_accuracy" and kwargs.get("cell_weights") is None:
            raise ValueError(
                "adjusted_average_accuracy needs cell_weights=..., the weight of each cell in the "
                "training set: a mapping or the group_table_ of a fitted model"
            )
    elif callable(score):
        score_func = score
        default = dict(_SCORES.values()).get(score, True)
    else:
        raise ValueError(f"score must be a name or a function, got {score!r}")
    if response_method not in _RESPONSE_METHODS:
        raise ValueError(
            f"response_method must be one of {', '.join(_RESPONSE_METHODS)}, "
            f"got {response_method!r}"
        )
    _check_arguments(score_func, kwargs)
    better = default if greater_is_better is None else greater_is_better
    columns = None if group_columns is None else check_group_columns(group_columns)
    if groups is not None:
        check_bound(groups, columns)
    sign = 1 if better else -1
    return GroupScorer(score, score_func, sign, kwargs, response_method, columns, groups)


def _check_arguments(score_func: Callable[..., float], kwargs: dict[str, Any]) -> None:
    """Find mistakes when the scorer is made: in a search they would end as NaN."""
    parameters = inspect.signature(score_func).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    name = getattr(score_func, "__name__", repr(score_func))
    if "groups" not in parameters and not takes_any:
        raise ValueError(
            f"{name} does not take groups; write a function (y_true, y_pred, *, groups) around it"
        )
    unknown = [] if takes_any else [key for key in kwargs if key not in parameters]
    if unknown:
        raise TypeError(f"{name} does not take {', '.join(unknown)}")


worst_group_accuracy_scorer = make_group_scorer("worst_group_accuracy")
robust_gap_scorer = make_group_scorer("robust_gap")
mean_group_accuracy_scorer = make_group_scorer("mean_group_accuracy")
demographic_parity_scorer = make_group_scorer("demographic_parity")
equalized_odds_scorer = make_group_scorer("equalized_odds")
