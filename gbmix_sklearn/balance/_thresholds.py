"""Any classifier with scores, its threshold chosen for the worst cell."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from ..exceptions import SmallCellWarning
from ..groups import Cells, plan_cells
from ._fitting import fit_parameter, fitted_copy, generator, last_step, part_of, seeds_for
from ._folds import held_out_splits, warn_of_few_samples
from ._meta import GroupMetaClassifier
from ._offsets import cross_fitted_offsets, predict_codes

__all__ = ["GroupThresholdClassifier"]

#: probabilities are taken as at least that, so that their logarithms are finite
_LEAST = 1e-15


class GroupThresholdClassifier(GroupMetaClassifier):
    """Choose the threshold of any classifier for its worst group.

    Each training sample is scored by a copy of the classifier that has not seen it. The threshold
    (for more than two classes: an offset for each) with which the worst cell, class x attribute
    value, is best is used to predict, for all samples alike: no groups are needed then. It is
    adopted only where it helps on samples that it was not chosen on.

    Parameters
    ----------
    estimator : classifier
        Any classifier with ``predict_proba`` or ``decision_function``, or a Pipeline that ends in
        one. Groups and `keep_together` reach it where its ``fit`` takes them.
    cv : int, splitter, iterable of splits or "prefit", default=5
        How samples are held out to be scored: a number of folds, stratified by cell, or any splits;
        a splitter gets the groups. "prefit" takes `estimator` as it is, fitted on other data, as it
        is with scikit-learn's ``FrozenEstimator`` around it.
    max_average_loss : float, default=None
        How much of the average accuracy with the usual threshold may be given up, on the held-out
        samples: 0.01 is one point. None gives up whatever the worst group takes.
    group_columns : column name or list of them, default=None
        Columns of a DataFrame X that hold the sensitive attributes. They are taken out for the
        classifier, unless it has `group_columns` of its own, and may be absent when predicting.
    n_jobs : int, default=None
        Folds that are fitted at the same time, as in joblib.
    random_state : int, RandomState or None, default=None
        Seed of the folds, and of whatever in `estimator` has no seed of its own.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier, from all training data.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    offsets_ : ndarray of shape (n_classes,)
        Added to log-probabilities, or to decisions where there are no probabilities.
    threshold_ : float
        For two classes only: the second is predicted where its probability, or its decision where
        there are no probabilities, is above.
    adopted_ : bool
        Whether a threshold other than the usual one helps, and is used.
    held_out_accuracy_ : DataFrame
        Accuracy of the worst cell and on average, with the usual and with the chosen threshold,
        each sample with the one chosen on other folds. Cells of few samples are drawn towards their
        class.
    group_table_ : DataFrame
        Count and share of each cell in the training data.
    cell_table_ : DataFrame
        For each cell how many samples are trained on (``train``) and judge it (``validation``),
        and what they are too few for (``note``).
    n_features_in_ : int
        Columns of X, group columns included.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where all are text.

    See Also
    --------
    MinimaxClassifier : Learns weights of the cells; can be put into this.
    sklearn.model_selection.TunedThresholdClassifierCV : Thresholds for scores without groups.

    Notes
    -----
    ``TunedThresholdClassifierCV`` takes any score, for two classes, and chooses the best of a grid
    of thresholds; a scorer of ours needs groups, which it does not hand on with routing off. Here
    the accuracy of every cell is followed over all thresholds; those that are as good as the best
    but for noise are a range, whose middle is taken. A threshold moves classes against each other:
    where the worst cell shares its class with the best one, weights can do what a threshold cannot.

    ``predict_proba`` and ``decision_function`` are those of the classifier: the largest of them
    does not say what is predicted.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from gbmix_sklearn import GroupThresholdClassifier
    >>> rng = np.random.default_rng(0)
    >>> y, place = rng.random((2, 1000)) < [[0.1], [0.5]]  # one sample in ten is positive
    >>> X = rng.normal(size=(1000, 2)) + 2 * y[:, None] * [1, 0] + place[:, None] * [0, 1]
    >>> model = GroupThresholdClassifier(LogisticRegression(), random_state=0)
    >>> model = model.fit(X, y, groups=place)
    >>> model.adopted_, bool(model.threshold_ < 0.2)
    (True, True)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": "no_validation",
        "cv": ["cv_object", StrOptions({"prefit"})],
        "max_average_loss": [Interval(Real, 0, 1, closed="both"), None],
        "group_columns": "no_validation",
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        cv: Any = 5,
        max_average_loss: float | None = None,
        group_columns: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ):
        self.estimator = estimator
        self.cv = cv
        self.max_average_loss = max_average_loss
        self.group_columns = group_columns
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any, groups: Any = None, *, keep_together: Any = None
    ) -> GroupThresholdClassifier:
        """Choose the threshold, and fit the classifier on all data.

        Parameters
        ----------
        X : array-like, or whatever the classifier takes
            Training data; of a fitted classifier, data that it has not seen.
        y : array-like of shape (n_samples,)
            Class labels of any kind.
        groups : array-like of shape (n_samples,) or (n_samples, n_attributes), default=None
            The sensitive attribute, or several; needed unless `group_columns` is set.
        keep_together : array-like of shape (n_samples,), default=None
            Samples with the same value, such as photographs of one person, are held out together.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        MissingGroupsError
            If there are no groups.
        TypeError
            If the classifier has no scores.
        NotFittedError
            If the classifier is to be taken as it is, and is not fitted.
        ValueError
            If data, groups or parameters cannot be used.

        Warns
        -----
        SmallCellWarning
            If a cell has fewer than 10 samples to judge it by.
        """
        self._validate_params()
        self._check_scores()
        X, y, groups, classes, cells = self._check_training_data(X, y, groups)
        rng = generator(self.random_state)
        seed, seeds = int(rng.integers(2**31 - 1)), seeds_for(self.estimator, rng)
        prefit = self._is_prefit
        if prefit:
            classes, cells = self._classes_of_the_fitted(y, cells)
        splits = held_out_splits(
            5 if prefit else self.cv, X, y, groups, cells, keep_together=keep_together, seed=seed
        )
        held_out = np.concatenate([test for _, test in splits])
        folds = np.repeat(np.arange(len(splits)), [len(test) for _, test in splits])
        warn_of_few_samples(cells.take(held_out), stacklevel=2)
        if prefit:
            estimator = self.estimator
            scores = class_scores(estimator, X, classes)[held_out]
        else:
            given = self._given_to_fit(groups, keep_together)
            job = delayed(_scores_of_held_out)
            parts = Parallel(n_jobs=self.n_jobs)(
                job(self.estimator, seeds, X, y, given, classes, *split) for split in splits
            )
            scores = np.concatenate(parts)
            estimator = fitted_copy(self.estimator, seeds, X, y, given)
        chosen = cross_fitted_offsets(
            scores, cells.take(held_out), folds, max_average_loss=self.max_average_loss
        )
        self.estimator_, self.classes_ = estimator, classes
        self.offsets_, self.adopted_ = chosen.offsets, chosen.adopted
        self.__dict__.pop("threshold_", None)
        if len(classes) == 2:
            self.threshold_ = self._as_threshold(float(np.subtract(*chosen.offsets)))
        self.held_out_accuracy_ = pd.DataFrame(
            [chosen.before, chosen.after],
            index=["usual threshold", "chosen threshold"],
            columns=["worst", "average"],
        )
        self.group_table_ = cells.table
        self.cell_table_ = plan_cells(
            None if prefit else cells, cells.take(held_out), small_are_merged=False
        )
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes with the threshold; no groups are needed.

        Parameters
        ----------
        X : array-like, or whatever the classifier takes
            Samples. Group columns may be absent.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels from `classes_`.
        """
        check_is_fitted(self)
        if not self.adopted_:  # its own, ties included
            return super().predict(X)
        scores = class_scores(self.estimator_, self._without_group_columns(X), self.classes_)
        return self.classes_[predict_codes(scores, self.offsets_)]

    @property
    def _is_prefit(self) -> bool:
        is_word = isinstance(self.cv, str)
        return is_word or isinstance(last_step(self.estimator), FrozenEstimator)

    def _check_scores(self) -> None:
        if not _scoring_method(self.estimator):
            raise TypeError(
                "GroupThresholdClassifier needs scores, and this "
                f"{type(last_step(self.estimator)).__name__} has neither predict_proba nor "
                "decision_function. Give a classifier that has, such as LogisticRegression or "
                "HistGradientBoostingClassifier"
            )
        if self._is_prefit:
            try:
                check_is_fitted(self.estimator)
            except NotFittedError as error:
                raise NotFittedError(
                    f"cv='prefit' takes the classifier as it is, and this "
                    f"{type(self.estimator).__name__} is not fitted: fit it on other data first, "
                    "or give cv a number of folds"
                ) from error

    def _classes_of_the_fitted(self, y: np.ndarray, cells: Cells) -> tuple[np.ndarray, Cells]:
        """All that it knows, of which these data may have fewer."""
        classes = np.asarray(self.estimator.classes_)
        unknown = np.setdiff1d(y, classes)
        if len(unknown):
            raise ValueError(
                f"y has classes that the fitted classifier does not know: {unknown.tolist()}"
            )
        codes = np.searchsorted(classes, y).astype(np.int64)
        return classes, Cells(codes, list(classes), cells.attribute)

    def _given_to_fit(self, groups: Any, keep_together: Any) -> dict[str, Any]:
        """What the classifier's own fit takes of groups and the like, by the names it has there."""
        given = {"keep_together": keep_together}
        if not self._inner_takes_columns:
            given["groups"] = groups
        names = {name: fit_parameter(self.estimator, name) for name in given}
        return {known: given[name] for name, known in names.items() if known is not None}

    def _as_threshold(self, decision: float) -> float:
        if _scoring_method(self.estimator_) == "decision_function":
            return decision
        return float(1 / (1 + np.exp(-decision)))


def _scoring_method(estimator: Any) -> str | None:
    methods = ("predict_proba", "decision_function")
    return next((name for name in methods if hasattr(estimator, name)), None)


def class_scores(model: Any, X: Any, classes: np.ndarray) -> np.ndarray:
    """Scores of a fitted classifier for all classes, of which it may know fewer.

    Parameters
    ----------
    model : classifier
        Fitted, with ``predict_proba`` or ``decision_function``.
    X : array-like
        Samples.
    classes : ndarray of shape (n_classes,)
        All classes, sorted.

    Returns
    -------
    ndarray of shape (n_samples,) or (n_samples, n_classes)
        For two classes the log-odds or the decision for the second, else log-probabilities or
        decisions. Classes that the model does not know have the least.
    """
    known = np.searchsorted(classes, model.classes_)
    if _scoring_method(model) == "predict_proba":
        known_to_it = np.asarray(model.predict_proba(X), dtype=np.float64)
        probabilities = np.zeros((len(known_to_it), len(classes)))
        probabilities[:, known] = known_to_it
        scores = np.log(np.maximum(probabilities, _LEAST))
    else:
        decision = np.asarray(model.decision_function(X), dtype=np.float64)
        if decision.ndim == 1:  # half each, so that their difference is the decision
            decision = np.stack([-decision, decision], axis=1) / 2
        scores = np.full((len(decision), len(classes)), decision.min(initial=0.0) - 1e3)
        scores[:, known] = decision
    return scores[:, 1] - scores[:, 0] if len(classes) == 2 else scores


def _scores_of_held_out(
    estimator: Any,
    seeds: Mapping[str, int],
    X: Any,
    y: np.ndarray,
    given: Mapping[str, Any],
    classes: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
) -> np.ndarray:
    labels = np.unique(y[train])
    if len(labels) == 1:  # nothing to fit: a tiny class is wholly in the other part
        scores = np.full((len(test), len(classes)), np.log(_LEAST))
        scores[:, np.searchsorted(classes, labels)] = 0
        return scores[:, 1] - scores[:, 0] if len(classes) == 2 else scores
    given = {
        name: None if value is None else _safe_indexing(value, train)
        for name, value in given.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallCellWarning)  # the fit on all data tells of them
        model = fitted_copy(estimator, seeds, part_of(estimator, X, train), y[train], given)
    return class_scores(model, part_of(estimator, X, test, train), classes)
