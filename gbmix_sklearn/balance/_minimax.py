"""Any classifier with sample weights, made good for its worst cell.

Minimax group fairness, Diana et al., "Minimax Group Fairness: Algorithms and Experiments", AIES
2021, https://arxiv.org/abs/2011.03108
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import column_or_1d

from ..exceptions import MissingGroupsError
from ..groups import Cells, encode_together, plan_cells, take_groups, validation_codes
from ._cell_errors import start_shares
from ._fitting import fit_parameter, generator, last_step, seeds_for
from ._folds import held_out_splits, warn_of_few_samples
from ._learning import learn_balance
from ._meta import GroupMetaClassifier
from ._progress import Progress
from ._rounds import Rounds, WeightedFits

__all__ = ["MinimaxClassifier"]


class MinimaxClassifier(GroupMetaClassifier):
    """Make any classifier with sample weights good for its worst group.

    The cells (class x attribute value) weigh equally in the loss at first. In each of a few rounds
    the classifier is fitted with the weights so far, and cells that it gets wrong on samples it has
    not seen weigh more in the next. The round whose worst cell is best is kept: one fitted
    classifier, which needs no groups to predict.

    Parameters
    ----------
    estimator : classifier
        Any classifier whose ``fit`` takes `sample_weight`, or a Pipeline that ends in one. Copies
        of it are fitted.
    cv : int, splitter or iterable of splits, default=5
        How training samples are held out: a number of folds, stratified by cell, or any splits;
        a splitter gets the groups.
    n_rounds : int, default=8
        Rounds at most; each fits the classifier once for each fold.
    eta : float, default=1.0
        Step of the weights, in units of the range of the errors. Above 2 the rounds overshoot.
    max_average_loss : float, default=None
        How much of the average accuracy of the first round, of equal weights, may be given up: 0.01
        keeps rounds with at most one point less. None keeps the best worst group, whatever that
        costs on average.
    group_columns : column name or list of them, default=None
        Columns of a DataFrame X that hold the sensitive attributes. They are taken out for the
        classifier, and may be absent when predicting.
    n_jobs : int, default=None
        Folds that are fitted at the same time, as in joblib.
    random_state : int, RandomState or None, default=None
        Seed of the folds, and of whatever in `estimator` has no seed of its own.
    verbose : int, default=0
        1 prints a line for each round.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier, from all training data with the weights that were kept.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    cell_weights_ : Series
        Share of each cell in the loss, with sum 1; its index is that of `group_table_`.
    history_ : DataFrame
        A row for each round: ``worst`` and ``average`` error on held-out samples, ``best`` (whether
        the round was the best so far), error and weight of each cell.
    best_round_ : int
        The round that was kept, counted from 0.
    group_table_ : DataFrame
        Count and share of each cell in the training data.
    cell_table_ : DataFrame
        For each cell how many samples are trained on (``train``) and judge it (``validation``, of
        held-out folds and of `X_val`), and what they are too few for (``note``).
    n_features_in_ : int
        Columns of X, group columns included.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where all are text.

    See Also
    --------
    GroupThresholdClassifier : Thresholds for the worst group; can be put around this.
    BalanceDisplay : Draws the rounds.

    Notes
    -----
    A cell of n samples has ``n / (n + m)`` of a full share at first, m being the smaller of 25 and
    a tenth of the mean count. Errors of small cells are drawn towards that of their class, as if 25
    more samples had been seen: two samples cannot tell whether a cell is the worst. Weights have
    the mean 1 in every fit, so that regularisation means what it does without them.

    It is group DRO by ordinary fits, with held-out errors: a classifier that learns its rare cells
    by heart has no training errors left that could raise their weights. The published algorithm
    returns a mixture of the models of all rounds, which predicts at random; this is one of them.

    References
    ----------
    Diana, Gill, Kearns, Kenthapadi and Roth, "Minimax Group Fairness: Algorithms and Experiments",
    AIES 2021, https://arxiv.org/abs/2011.03108

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> from gbmix_sklearn import MinimaxClassifier
    >>> rng = np.random.default_rng(0)
    >>> y, place = rng.integers(2, size=(2, 400))
    >>> X = rng.normal(size=(400, 3)) + y[:, None] * (2 - place[:, None]) + place[:, None]
    >>> boosting = HistGradientBoostingClassifier(max_iter=10)
    >>> model = MinimaxClassifier(boosting, n_rounds=3, random_state=0).fit(X, y, groups=place)
    >>> model.predict(X[:3])
    array([1, 1, 1])
    >>> model.history_["worst"][model.best_round_] < model.history_["worst"][0]
    np.True_
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": "no_validation",
        "cv": ["cv_object"],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "eta": [Interval(Real, 0, None, closed="neither")],
        "max_average_loss": [Interval(Real, 0, 1, closed="both"), None],
        "group_columns": "no_validation",
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        cv: Any = 5,
        n_rounds: int = 8,
        eta: float = 1.0,
        max_average_loss: float | None = None,
        group_columns: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.cv = cv
        self.n_rounds = n_rounds
        self.eta = eta
        self.max_average_loss = max_average_loss
        self.group_columns = group_columns
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: Any,
        groups: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        groups_val: Any = None,
        keep_together: Any = None,
    ) -> MinimaxClassifier:
        """Learn the weights of the cells, and fit the classifier with them.

        Parameters
        ----------
        X : array-like, or whatever the classifier takes
            Training data.
        y : array-like of shape (n_samples,)
            Class labels of any kind.
        groups : array-like of shape (n_samples,) or (n_samples, n_attributes), default=None
            The sensitive attribute, or several; needed unless `group_columns` is set.
        X_val, y_val : array-like, default=None
            Further data that nothing is fitted on, judged together with the held-out folds.
        groups_val : array-like, default=None
            Their sensitive attribute; needed with `X_val` unless `group_columns` is set.
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
            If the classifier takes no sample weights.
        ValueError
            If data, groups or parameters cannot be used.

        Warns
        -----
        SmallCellWarning
            If a cell has fewer than 10 samples to judge it by.
        """
        self._validate_params()
        weight_name = self._weight_name()
        X, y, groups, classes, cells = self._check_training_data(X, y, groups)
        cells, validation = self._with_validation(X_val, y_val, groups_val, groups, cells)
        rng = generator(self.random_state)
        seed = int(rng.integers(2**31 - 1))
        splits = held_out_splits(
            self.cv, X, y, groups, cells, keep_together=keep_together, seed=seed
        )
        held_out = cells.take(np.concatenate([test for _, test in splits]))
        if validation is not None:
            held_out = held_out.followed_by(validation)
            X_val = self._without_group_columns(X_val)
            y_val = column_or_1d(y_val)
        warn_of_few_samples(held_out, stacklevel=2)
        fits = WeightedFits(
            self.estimator, seeds_for(self.estimator, rng), weight_name, X, y, cells
        )
        progress = Progress(
            held_out, self.n_rounds, len(splits) + (X_val is not None), self.verbose
        )
        rounds = Rounds(fits, splits, (X_val, y_val), self.n_jobs, progress)
        learned = learn_balance(
            rounds.wrong,
            held_out,
            start_shares(cells),
            n_rounds=self.n_rounds,
            eta=self.eta,
            max_average_loss=self.max_average_loss,
            on_best=rounds.note_best,
            on_round=rounds.note_end,
        )
        model = rounds.best_model  # there with validation data: that of all training data
        self.estimator_ = fits.fit(learned.weights) if model is None else model
        self.classes_ = classes
        self.group_table_ = cells.table
        self.cell_table_ = plan_cells(cells, held_out, small_are_merged=False)
        self.cell_weights_ = pd.Series(learned.weights, index=cells.index, name="weight")
        self.history_ = learned.rounds
        self.best_round_ = learned.best_round
        return self

    def _weight_name(self) -> str:
        name = fit_parameter(self.estimator, "sample_weight")
        if name is None:
            inner = last_step(self.estimator)
            raise TypeError(
                f"MinimaxClassifier weighs samples, and the fit of {type(inner).__name__}"
                + (", the last step of the Pipeline," if inner is not self.estimator else "")
                + " takes no sample_weight. Give a classifier that does, such as "
                "LogisticRegression, HistGradientBoostingClassifier or RandomForestClassifier"
            )
        return name

    def _with_validation(
        self, X: Any, y: Any, groups_val: Any, groups: Any, cells: Cells
    ) -> tuple[Cells, Cells | None]:
        """Cells of the training and of the validation data, with the same numbers."""
        codes = validation_codes(X, y, groups_val, np.asarray(cells.classes))
        if codes is None:
            return cells, None
        if groups_val is None:
            groups_val = take_groups(X, None, self.group_columns)
        if groups_val is None:
            raise MissingGroupsError(
                "X_val needs groups_val: validation data judge the cells, as the training data do"
            )
        of_training, of_validation = encode_together(groups, groups_val, len(codes))
        return (
            Cells(cells.y, cells.classes, of_training),
            Cells(codes, cells.classes, of_validation),
        )
