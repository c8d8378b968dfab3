"""The refit of the last layer, behind any fitted classifier."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
    is_classifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _num_samples, check_array, check_is_fitted

from .._copies import noting_copies
from .._sparse import canonical, check_indices, is_csr, stack_rows
from .._state import PlainState
from ..exceptions import DuplicateSamplesWarning, MissingGroupsWarning
from ..groups import (
    Cells,
    check_same_order,
    drop_columns,
    encode_attribute,
    list_columns,
    no_attribute,
    plan_cells,
    require_groups,
    take_groups,
    training_cells,
    validation_codes,
    warn_of_cells_without_judge,
)
from ..model_selection._units import Units, encode_units, refuse_single_unit
from ._balanced import refit_head
from ._held_out import deal_out
from ._learned import learned_head
from ._linear import head_probabilities, linear_decision, linear_predict
from ._parts_of import embeddings_of, last_of, unwrapped
from ._recipe import RECIPES, LearnedRecipe, Recipe, find_recipe

__all__ = ["LastLayerRefit"]


def _knows_probabilities(estimator: LastLayerRefit) -> bool:
    head = getattr(estimator, "head_", estimator.recipe)
    return isinstance(head, str | Recipe | LearnedRecipe) or hasattr(head, "predict_proba")


class LastLayerRefit(
    PlainState, ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClassifierMixin, BaseEstimator
):
    """Replace the last layer of a fitted classifier by one fitted on group-balanced data.

    The classifier is left as it is: its embeddings of held-out data are computed, and a linear
    classifier is fitted on them, the cells (class x attribute) weighted by what errors on held-out
    folds say, or on group-balanced draws (deep feature reweighting). It may know other classes than
    these data have.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier. Its embeddings are what its ``transform`` gives; of a Pipeline whose
        last step has none, what the steps before the last give; of a linear classifier X itself.
        A search, a frozen estimator or a tuned threshold around it make no difference. It is
        neither copied nor changed, and stays fitted in copies that a search makes.
    embed : callable, default=None
        Maps X to an array of shape (n_samples, n_embedding), for every other classifier, such as
        ``lambda X: numpy.tanh(X @ mlp.coefs_[0] + mlp.intercepts_[0])``.
    recipe : str, Recipe, LearnedRecipe or linear classifier, default="learned"
        Logistic regression on all samples, its cells weighted as errors on held-out folds ask for,
        and held near zero or near the layer that it replaces, where that is one itself and `embed`
        is None: whichever these errors prefer ("learned"). Or on balanced draws: held near that
        layer ("anchored"); L1-penalised with the intercept and scaler of our choice ("logistic") or
        as published ("dfr"; there are no training data here, whose scale it would take); or a
        linear classifier of scikit-learn, fitted as it is.
    group_columns : str or list of str, default=None
        Columns of a DataFrame X that hold the sensitive attributes. Those that `estimator` was not
        fitted with are taken out for it; they may be absent when predicting.
    random_state : int, RandomState or None, default=None
        Seed of the draws.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    head_ : LogisticRegression or the classifier given as `recipe`
        The new last layer, a linear classifier on the embeddings.
    coef_ : ndarray of shape (1 or n_classes, n_features)
        Coefficients of `head_`, only where `estimator` is a linear classifier of X itself.
    intercept_ : ndarray of shape (1 or n_classes,)
        Its intercepts, only where `estimator` is a linear classifier of X itself.
    group_table_ : DataFrame
        Count and share of each cell in the data of the refit.
    cell_table_ : DataFrame
        For each cell how many samples the last layer is fitted on (``refit``) and judge it
        (``validation``), and what they are too few for (``note``).
    cell_weights_ : Series
        Share of each cell in the loss, where the balance was learned, else None.
    refit_history_ : DataFrame
        The rounds in which it was learned: errors and weights of the cells; else None.
    n_features_in_ : int
        Features that `estimator` has seen, where it knows.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where it knows them.

    See Also
    --------
    DFRClassifier : Training and refit in one.

    References
    ----------
    Kirichenko, Izmailov and Wilson, "Last Layer Re-Training is Sufficient for Robustness to
    Spurious Correlations", ICLR 2023, https://arxiv.org/abs/2204.02937

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import SGDClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from gbmix_sklearn import LastLayerRefit, worst_group_accuracy_score
    >>> rng = np.random.default_rng(0)
    >>> y, s = rng.integers(2, size=(2, 800))
    >>> X = rng.normal(size=(800, 5)) + 3 * y[:, None] * [1, 1, 0, 0, 0] + s[:, None]
    >>> trained = make_pipeline(StandardScaler(), SGDClassifier()).fit(X[:400], y[:400])
    >>> model = LastLayerRefit(trained, random_state=0)
    >>> model = model.fit(X[400:], y[400:], groups=s[400:])
    >>> worst_group_accuracy_score(y, model.predict(X), groups=s) > 0.8
    True
    """

    # routes groups to fit without asking the user to request them
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"groups": True, "keep_together": True}

    cell_weights_: pd.Series | None
    refit_history_: pd.DataFrame | None

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": "no_validation",
        "embed": [callable, None],
        "recipe": [StrOptions(set(RECIPES)), Recipe, LearnedRecipe, HasMethods("fit")],
        "group_columns": "no_validation",
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        embed: Callable[[Any], np.ndarray] | None = None,
        recipe: Any = "learned",
        group_columns: Any = None,
        random_state: Any = None,
    ):
        self.estimator = estimator
        self.embed = embed
        self.recipe = recipe
        self.group_columns = group_columns
        self.random_state = random_state

    # --------------------------------------------------- the fitted classifier stays what it is

    def __sklearn_clone__(self) -> LastLayerRefit:
        twin = type(self)(
            **{
                name: value if name in ("estimator", "embed") else clone(value, safe=False)
                for name, value in self.get_params(deep=False).items()
            }
        )
        for name in ("_metadata_request", "_sklearn_output_config"):
            if name in vars(self):
                setattr(twin, name, copy.deepcopy(getattr(self, name)))
        return twin

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters; those of the fitted classifier are none of them.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of a classifier given as `recipe`.

        Returns
        -------
        dict
            Names and values.
        """
        params = super().get_params(deep)
        return {name: value for name, value in params.items() if not name.startswith("estimator__")}

    def set_params(self, **params: Any) -> LastLayerRefit:
        """Set parameters, but none of the fitted classifier.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self
            The estimator.
        """
        nested = sorted(name for name in params if name.startswith("estimator__"))
        if nested:
            raise ValueError(
                f"{', '.join(nested)}: the classifier is fitted already, and is not fitted again "
                "with other parameters. Search over them before the refit"
            )
        return super().set_params(**params)

    # ------------------------------------------------------------------------------------ fit

    def fit(
        self,
        X: Any,
        y: Any,
        groups: Any = None,
        *,
        keep_together: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        groups_val: Any = None,
    ) -> LastLayerRefit:
        """Fit the last layer.

        Parameters
        ----------
        X : array-like, or whatever the classifier takes
            Held-out data: the classifier must not have been trained on them.
        y : array-like of shape (n_samples,)
            Class labels of any kind.
        groups : array-like of shape (n_samples,) or (n_samples, n_attributes), default=None
            The sensitive attribute, as for the classifiers; needed unless `group_columns` is set.
        keep_together : array-like of shape (n_samples,), default=None
            Samples of equal values, such as the photographs of a person, are never on two sides of
            a split.
        X_val, y_val : array-like, default=None
            More held-out data. A learned balance takes them as it takes X; with balanced draws they
            choose C, for which None takes one half of each cell of X, and the other to fit.
        groups_val : array-like, default=None
            Their sensitive attribute. Without it the worst class chooses.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        MissingGroupsError
            If there are no groups.
        TypeError
            If there is no way to the embeddings of the classifier.
        ValueError
            If data, groups or parameters cannot be used.
        """
        self._validate_params()
        self._check_parameters()
        name = type(self).__name__
        groups = require_groups(X, groups, self.group_columns, name=name)
        classes, cells = training_cells(X, y, groups, name=name)
        validation = self._check_validation(X_val, y_val, groups_val, cells)
        units = None
        if keep_together is not None:
            units = encode_units(keep_together, len(cells.y), beside={"X": X, "y": y})
            refuse_single_unit(units)
        self.classes_ = classes
        self.group_table_ = cells.table
        self.cell_weights_ = self.refit_history_ = None
        z = self._embed_held_out(X)
        others = None if validation is None else (self._embed(X_val), validation)
        recipe = find_recipe(self.recipe)
        if isinstance(recipe, LearnedRecipe):
            if others is not None and not others[1].attribute.is_absent:
                z, cells = stack_rows([z, others[0]]), cells.followed_by(others[1])
            self.cell_table_ = plan_cells(None, cells, cells)
            self.head_ = self._learn(z, cells, recipe, units)
        else:
            self.cell_table_ = plan_cells(None, validation or cells, cells)
            self.head_ = refit_head(
                z,
                cells.y,
                cells.codes,
                self.classes_,
                estimator=self.recipe,
                validation=others and (others[0], others[1].y, others[1].codes),
                trained=self._trained_layer(z.shape[1]),
                units=None if units is None else units.codes,
                rng=self._generator(),
            )
        self._n_features_out = self.head_.coef_.shape[1]
        return self

    def _embed_held_out(self, X: Any) -> Any:
        with noting_copies() as noted:
            z = self._embed(X)
        if noted.n_copies:
            warnings.warn(
                f"{noted.n_copies:,} of the {z.shape[0]:,} samples were in the fit of the "
                "classifier, whose errors on them say nothing: refit the last layer on data that "
                "it has not seen",
                DuplicateSamplesWarning,
                stacklevel=3,
            )
        return z

    def _learn(
        self, z: Any, cells: Cells, recipe: LearnedRecipe, units: Units | None
    ) -> LogisticRegression:
        rng = self._generator()
        folds = deal_out(cells.codes, rng, None if units is None else units.codes)
        trained = self._trained_layer(z.shape[1])
        found = learned_head(z, cells, recipe=recipe, trained=trained, folds=folds)
        self.cell_weights_ = found.cell_weights
        self.refit_history_ = found.rounds
        return found.head

    def _check_parameters(self) -> None:
        if not isinstance(self.recipe, str | Recipe | LearnedRecipe) and not is_classifier(
            self.recipe
        ):
            raise TypeError(
                f"recipe must be {', '.join(map(repr, RECIPES))}, a recipe of your own or a linear "
                f"scikit-learn classifier, such as RidgeClassifier(), got {self.recipe!r}"
            )
        self._way_to_embeddings()
        if not hasattr(self.estimator, "fit"):
            return  # not scikit-learn's: `embed` knows how to use it
        try:
            check_is_fitted(self.estimator)
        except NotFittedError as error:
            raise NotFittedError(
                f"LastLayerRefit replaces the last layer of a fitted classifier, and this "
                f"{type(self.estimator).__name__} is not fitted: call its fit first, on other data "
                "than those of the refit"
            ) from error

    def _check_validation(self, X: Any, y: Any, groups: Any, cells: Cells) -> Cells | None:
        codes = validation_codes(X, y, groups, np.asarray(cells.classes))
        if codes is None:
            return None
        if groups is None and self.group_columns is not None:
            groups = take_groups(X, None, self.group_columns)
        if groups is None:
            warnings.warn(
                "X_val came without groups_val: the worst class, not the worst group, chooses C. "
                "Give groups_val as well",
                MissingGroupsWarning,
                stacklevel=3,
            )
            attribute = no_attribute(len(codes))
        else:
            attribute = encode_attribute(groups, len(codes), name="groups_val", of="X_val")
            attribute = attribute.in_order_of(cells.attribute, name="groups_val", of="groups")
        judged = Cells(codes, cells.classes, attribute)
        if not isinstance(find_recipe(self.recipe), LearnedRecipe):  # which pools the two
            warn_of_cells_without_judge(cells, judged, stacklevel=3)
        return judged

    def _generator(self) -> np.random.Generator:
        seed = self.random_state
        if isinstance(seed, np.random.RandomState):
            seed = seed.randint(2**31 - 1)
        return np.random.default_rng(seed)

    # ----------------------------------------------------------------------------- embeddings

    def _way_to_embeddings(self) -> Callable[[Any], Any]:
        if self.embed is not None:
            return self.embed
        found = embeddings_of(self.estimator)
        if found is not None:
            return found
        raise TypeError(
            f"LastLayerRefit finds no embeddings in this {type(self.estimator).__name__}. Give a "
            "classifier with a transform method, as those of gbmix_sklearn have; a linear one; a "
            "Pipeline, whose steps before the last compute them; or embed=..., a callable that "
            "maps X to an array of shape (n_samples, n_embedding)"
        )

    def _trained_layer(self, n_embedding: int) -> LogisticRegression | None:
        """The layer that is replaced, where it is a logistic regression on these embeddings."""
        if self.embed is not None:  # nobody knows what follows them
            return None
        last = last_of(self.estimator)
        layer = getattr(last, "head_", last)
        fits = (
            isinstance(layer, LogisticRegression)
            and layer.coef_.shape[1] == n_embedding
            and np.array_equal(layer.classes_, self.classes_)
        )
        return layer if fits else None

    def _embed(self, X: Any) -> Any:
        X = self._without_group_columns(X)
        z = self._way_to_embeddings()(X)
        check_indices(z, "the sparse matrix of embeddings")
        z = check_array(
            z,
            accept_sparse="csr",
            dtype=[np.float32, np.float64],
            input_name="the embeddings of X",
            estimator=self,
        )
        if z.shape[0] != _num_samples(X):
            raise ValueError(f"X has {_num_samples(X)} samples and {z.shape[0]} embeddings")
        return canonical(z) if is_csr(z) else z

    def _without_group_columns(self, X: Any) -> Any:
        if self.group_columns is None:
            return X
        columns = list_columns(self.group_columns)
        wanted = getattr(self.estimator, "feature_names_in_", ())
        unwanted = [column for column in columns if column not in wanted]
        return drop_columns(X, unwanted)

    def transform(self, X: Any) -> Any:
        """Compute the embeddings that the head works on.

        Parameters
        ----------
        X : array-like, or whatever the classifier takes
            Samples.

        Returns
        -------
        ndarray or CSR matrix of shape (n_samples, n_embedding)
            The classifier's own, sparse where those are.
        """
        check_is_fitted(self, "head_")
        return self._embed(X)

    @property
    def coef_(self) -> np.ndarray:
        """Coefficients of the features of X, where the last layer is all there is."""
        return self._linear_head("coef_").coef_

    @property
    def intercept_(self) -> np.ndarray:
        """Intercepts of a linear model, where the last layer is all there is."""
        return self._linear_head("intercept_").intercept_

    def _linear_head(self, name: str) -> Any:
        last = unwrapped(self.estimator)
        if self.embed is not None or not hasattr(last, name) or not hasattr(self, "head_"):
            raise AttributeError(
                f"this {type(self).__name__} has no {name!r}: it is no fitted linear model of X; "
                f"see head_.{name}, which works on embeddings"
            )
        return self.head_

    # ------------------------------------------------------------------------------ prediction

    def decision_function(self, X: Any) -> np.ndarray:
        """Compute the scores of the classes.

        Parameters
        ----------
        X : array-like, or whatever the classifier takes
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the score of the second, as scikit-learn has it.
        """
        return linear_decision(self._head(), self._embed(X))

    @available_if(_knows_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Compute class probabilities.

        Parameters
        ----------
        X : array-like, or whatever the classifier takes
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return head_probabilities(self._head(), self._embed(X))

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes.

        Parameters
        ----------
        X : array-like, or whatever the classifier takes
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels from `classes_`.
        """
        return linear_predict(self._head(), self._embed(X))

    def group_report(self, X: Any, y: Any, groups: Any = None) -> pd.DataFrame:
        """Report the accuracy of every cell.

        Parameters
        ----------
        X : array-like, or whatever the classifier takes
            Samples.
        y : array-like of shape (n_samples,)
            Their classes.
        groups : array-like, default=None
            Sensitive attributes; not needed where `group_columns` finds them in X.

        Returns
        -------
        DataFrame
            See :func:`gbmix_sklearn.group_report`.
        """
        from ..metrics import group_report
        from ..metrics._fitted import refuse_swapped

        if groups is None:
            groups = take_groups(X, None, self.group_columns)
        check_same_order(X=X, y=y, groups=groups)
        refuse_swapped(y, groups, self.group_table_)
        return group_report(y, self.predict(X), groups=groups)

    def _head(self) -> Any:
        check_is_fitted(self, "head_")
        return self.head_

    # ------------------------------------------------------------------- what scikit-learn asks

    @property
    def n_features_in_(self) -> int:
        """Features that the classifier has seen."""
        return self.estimator.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the features that the classifier has seen."""
        return self.estimator.feature_names_in_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        if hasattr(self.estimator, "__sklearn_tags__"):
            tags.input_tags = self.estimator.__sklearn_tags__().input_tags
        return tags
