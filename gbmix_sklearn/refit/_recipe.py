"""What a refit by logistic regression consists of, and the two recipes that have names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.utils.fixes import parse_version

__all__ = ["DFR_C", "RECIPES", "Recipe", "find_recipe", "scaled_by_training"]

#: the grid of the paper's code, in the order in which ties are decided
DFR_C = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)


@dataclass(frozen=True)
class Recipe:
    """L1-penalised logistic regressions on balanced draws, and their mean.

    Parameters
    ----------
    scaler : {"held_out", "train"}, default="held_out"
        The data whose mean and standard deviation standardise the embeddings: those of the refit,
        or those that the network was trained on.
    intercept_scaling : float, default=100.0
        Divides the penalty of the intercept, which liblinear penalises as it does every weight: 1
        is as published, 100 as good as none.
    n_draws : int, default=20
        Balanced draws to average.
    C : tuple of float, default=DFR_C
        Inverse strengths of the penalty to choose from; in a tie the first is taken.
    """

    scaler: Literal["held_out", "train"] = "held_out"
    intercept_scaling: float = 100.0
    n_draws: int = 20
    C: tuple[float, ...] = DFR_C

    def model(self, c: float, n_classes: int) -> LogisticRegression:
        """Build the unfitted classifier of one draw."""
        if n_classes == 2:
            return _l1_logistic(c, self.intercept_scaling)
        return _OneVsRestLogistic(C=c, solver="liblinear", intercept_scaling=self.intercept_scaling)


#: The recipes that ``refit`` knows by name: ours, as ``benchmarks/refit.py`` decided, and that of
#: DFR's authors.
RECIPES = {"logistic": Recipe(), "dfr": Recipe(scaler="train", intercept_scaling=1.0)}


def find_recipe(refit: Any) -> Recipe | None:
    """Return the recipe that `refit` is or names; None where it is something else."""
    if isinstance(refit, str):
        return RECIPES.get(refit)
    return refit if isinstance(refit, Recipe) else None


def scaled_by_training(refit: Any) -> bool:
    """Whether a refit wants the scale of the embeddings that the network was trained on."""
    recipe = find_recipe(refit)
    return recipe is not None and recipe.scaler == "train"


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
