"""A classifier with equal weight for each cell, its parameters chosen for the worst of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from ..balance import MinimaxClassifier, shrunken_errors, start_shares
from ..balance._fitting import fit_parameter, generator, seeds_for
from ..balance._folds import held_out_splits
from ..balance._meta import GroupMetaClassifier
from ..balance._rounds import WeightedFits

__all__ = ["CellWeightedClassifier"]


class CellWeightedClassifier(GroupMetaClassifier):
    """Fit a classifier with samples weighted so that the cells weigh equally.

    ``MinimaxClassifier(n_rounds=1)`` has the same weights, and judges them by a cross-validation
    that there is nothing to choose by. Here one is run only where there are parameters to choose.

    Parameters
    ----------
    estimator : classifier
        Any classifier whose ``fit`` takes `sample_weight`.
    param_grid : mapping, default=None
        Values of parameters; those whose worst cell is best on held-out samples are taken, of equal
        ones the first. None leaves the classifier as it is.
    learn : bool, default=False
        Whether the weights are learned then, see :class:`MinimaxClassifier`.
    cv : int, default=3
        Folds that choose the parameters.
    random_state : int, default=None
        Seed of the folds.
    """

    group_columns = None

    def __init__(
        self,
        estimator: Any,
        *,
        param_grid: Mapping[str, Sequence[Any]] | None = None,
        learn: bool = False,
        cv: int = 3,
        random_state: Any = None,
    ):
        self.estimator = estimator
        self.param_grid = param_grid
        self.learn = learn
        self.cv = cv
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any, groups: Any = None, *, keep_together: Any = None
    ) -> CellWeightedClassifier:
        """Choose the parameters and fit."""
        X, y, groups, classes, cells = self._check_training_data(X, y, groups)
        rng = generator(self.random_state)
        seed = int(rng.integers(2**31 - 1))
        name = fit_parameter(self.estimator, "sample_weight")
        assert name is not None
        fits = WeightedFits(self.estimator, seeds_for(self.estimator, rng), name, X, y, cells)
        self.best_params_: Mapping[str, Any] = {}
        if self.param_grid is not None:
            splits = held_out_splits(
                self.cv, X, y, groups, cells, keep_together=keep_together, seed=seed
            )
            self.best_params_ = self._choose(fits, splits)
        chosen = self._with(self.best_params_)
        if self.learn:
            minimax = MinimaxClassifier(chosen, random_state=seed)
            minimax.fit(X, y, groups, keep_together=keep_together)
            self.estimator_ = minimax.estimator_
        else:
            fits = WeightedFits(chosen, fits.seeds, name, X, y, cells)
            self.estimator_ = fits.fit(start_shares(cells))
        self.classes_ = classes
        self.group_table_ = cells.table
        return self

    def _with(self, parameters: Mapping[str, Any]) -> Any:
        return clone(self.estimator).set_params(**parameters)

    def _choose(self, fits: WeightedFits, splits: Any) -> Mapping[str, Any]:
        held_out = fits.cells.take(np.concatenate([test for _, test in splits]))
        shares = start_shares(fits.cells)
        candidates = list(ParameterGrid(self.param_grid))
        scores = []
        for parameters in candidates:
            tried = WeightedFits(
                self._with(parameters), fits.seeds, fits.weight_name, fits.X, fits.y, fits.cells
            )
            wrong = np.concatenate([tried.wrong_on(shares, *split) for split in splits])
            worst = float(np.nanmax(shrunken_errors(wrong, held_out)))
            scores.append((worst, float(wrong.mean())))
        return candidates[min(range(len(scores)), key=scores.__getitem__)]
