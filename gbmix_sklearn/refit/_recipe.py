"""What a refit by logistic regression consists of, and the recipes that have names."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.utils.fixes import parse_version

from ._anchored import fit_anchored

__all__ = [
    "ANCHORED_C",
    "DFR_C",
    "RECIPES",
    "LearnedRecipe",
    "Recipe",
    "find_recipe",
    "scaled_by_training",
]

#: the grid of the paper's code, in the order in which ties are decided
DFR_C = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)
#: the same for the penalty on the distance, which does not grow with the number of samples
ANCHORED_C = (0.1, 1.0, 10.0, 100.0, 1000.0)


def _is_positive(value: Any) -> bool:
    return isinstance(value, Real) and 0 < float(value) < np.inf


@dataclass(frozen=True)
class Recipe:
    """Penalised logistic regressions on balanced draws, and their mean.

    Parameters
    ----------
    penalty : {"l1", "anchored"}, default="l1"
        On the sum of the absolute weights, as published; or on the squared distance to the weights
        as they were trained, or to zero where these are not known.
    scaler : {"held_out", "train"}, default="held_out"
        The data whose mean and standard deviation standardise the embeddings: those of the refit,
        or those that the network was trained on.
    intercept_scaling : float, default=100.0
        Divides the penalty of the intercept, which liblinear penalises as it does every weight: 1
        is as published, 100 as good as none. The other penalty leaves the intercept alone.
    n_draws : int, default=20
        Balanced draws to average.
    C : tuple of float, default=None
        Inverse strengths of the penalty to choose from; in a tie the first is taken. None is
        `DFR_C` or `ANCHORED_C`.

    Raises
    ------
    ValueError
        If there is no such penalty or scaler.

    Examples
    --------
    >>> from gbmix_sklearn.refit import Recipe
    >>> Recipe(penalty="anchored").grid
    (0.1, 1.0, 10.0, 100.0, 1000.0)
    """

    penalty: Literal["l1", "anchored"] = "l1"
    scaler: Literal["held_out", "train"] = "held_out"
    intercept_scaling: float = 100.0
    n_draws: int = 20
    C: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name, known in (("penalty", ("l1", "anchored")), ("scaler", ("held_out", "train"))):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name} must be {known[0]!r} or {known[1]!r}, got {value!r}")

    def check(self) -> None:
        """Refuse numbers that no fit could work with.

        Raises
        ------
        ValueError
            If one is out of range.
        """
        if not _is_positive(self.intercept_scaling):
            raise ValueError(
                f"intercept_scaling must be a positive number, got {self.intercept_scaling!r}"
            )
        if not isinstance(self.n_draws, Integral) or self.n_draws < 1:
            raise ValueError(f"n_draws must be a whole number of at least 1, got {self.n_draws!r}")
        given = self.C is None or isinstance(self.C, tuple | list)
        if not given or (self.C is not None and not (self.C and all(map(_is_positive, self.C)))):
            raise ValueError(
                f"C must be None or a tuple of positive numbers, such as (0.1, 1.0), got {self.C!r}"
            )

    @property
    def grid(self) -> tuple[float, ...]:
        """Inverse strengths to choose from."""
        if self.C is not None:
            return self.C
        return ANCHORED_C if self.penalty == "anchored" else DFR_C

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        classes: np.ndarray,
        *,
        C: float,
        anchor: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> LogisticRegression:
        """Fit the classifier of one draw.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Standardised embeddings.
        y : ndarray of shape (n_samples,)
            Labels, of each class at least one.
        classes : ndarray of shape (n_classes,)
            All labels, ascending.
        C : float
            Inverse strength of the penalty.
        anchor : tuple of (coef, intercept), default=None
            The trained weights for standardised embeddings, which only one penalty asks for.
        """
        if self.penalty == "anchored":
            return fit_anchored(X, y, classes, C=C, anchor=anchor)
        if len(classes) == 2:
            return _l1_logistic(C, self.intercept_scaling).fit(X, y)
        model = _OneVsRestLogistic(
            C=C, solver="liblinear", intercept_scaling=self.intercept_scaling
        )
        return model.fit(X, y)


@dataclass(frozen=True)
class LearnedRecipe:
    """One logistic regression on all samples, its cells weighted by errors on held-out folds.

    The same errors choose the strength of the penalty, and whether it pulls towards the layer as it
    was trained or towards zero; and they move the intercept where that helps.

    Parameters
    ----------
    n_rounds : int, default=8
        Times that the weights are judged, for each penalty.
    eta : float, default=2.0
        How fast the weights move: they are multiplied by ``exp(eta * (error - mean error))``.
    max_average_loss : float, default=None
        How much average accuracy on held-out samples, from 0 to 1, may be given up for the worst
        cell, against cells that weigh alike.

    Raises
    ------
    ValueError
        If a value is out of range.

    See Also
    --------
    MinimaxClassifier : The same for any classifier with sample weights.

    Examples
    --------
    >>> from gbmix_sklearn.refit import LearnedRecipe
    >>> LearnedRecipe(n_rounds=4)
    LearnedRecipe(n_rounds=4, eta=2.0, max_average_loss=None)
    """

    n_rounds: int = 8
    eta: float = 2.0
    max_average_loss: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.n_rounds, Integral) or self.n_rounds < 1:
            raise ValueError(
                f"n_rounds must be a whole number of at least 1, got {self.n_rounds!r}"
            )
        if not isinstance(self.eta, Real) or not 0 <= float(self.eta) < np.inf:
            raise ValueError(f"eta must be a number of at least 0, got {self.eta!r}")
        loss = self.max_average_loss
        if loss is not None and not (isinstance(loss, Real) and 0 <= float(loss) <= 1):
            raise ValueError(
                f"max_average_loss must be None or from 0 to 1, got {self.max_average_loss!r}"
            )


#: The recipes that ``refit`` knows by name: a balance learned from held-out errors; held near the
#: trained layer, which ``benchmarks/networks.py`` decided; that of DFR's authors; and that with the
#: intercept and the scaler that ``benchmarks/refit.py`` decided.
RECIPES: dict[str, Recipe | LearnedRecipe] = {
    "learned": LearnedRecipe(),
    "anchored": Recipe(penalty="anchored"),
    "logistic": Recipe(),
    "dfr": Recipe(scaler="train", intercept_scaling=1.0),
}


def find_recipe(refit: Any) -> Recipe | LearnedRecipe | None:
    """Return the recipe that `refit` is or names; None where it is something else."""
    if isinstance(refit, str):
        return RECIPES.get(refit)
    return refit if isinstance(refit, Recipe | LearnedRecipe) else None


def scaled_by_training(refit: Any) -> bool:
    """Whether a refit wants the scale of the embeddings that the network was trained on."""
    recipe = find_recipe(refit)
    return isinstance(recipe, Recipe) and recipe.scaler == "train"


def _l1_logistic(c: float, intercept_scaling: float) -> LogisticRegression:
    # the seed is that of the order in which liblinear visits the weights
    options: dict[str, Any] = {"solver": "liblinear", "random_state": 0}
    if parse_version(sklearn.__version__) >= parse_version("1.8"):
        options["l1_ratio"] = 1.0
    else:
        options["penalty"] = "l1"
    return LogisticRegression(C=c, intercept_scaling=intercept_scaling, **options)


class _OneVsRestLogistic(LogisticRegression):
    """The same for more than two classes, which liblinear refuses."""

    def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: Any = None) -> _OneVsRestLogistic:
        self.classes_ = np.unique(y)
        rows = [
            _l1_logistic(self.C, self.intercept_scaling).fit(X, y == label, sample_weight)
            for label in self.classes_
        ]
        self.coef_ = np.vstack([row.coef_ for row in rows])
        self.intercept_ = np.hstack([row.intercept_ for row in rows])
        self.n_iter_ = np.hstack([row.n_iter_ for row in rows])
        return self
