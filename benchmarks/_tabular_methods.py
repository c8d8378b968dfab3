"""Contestants of the tabular study: what fits, with which settings, and what predicts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.reductions import (
    DemographicParity,
    EqualizedOdds,
    ErrorRate,
    ErrorRateParity,
    ExponentiatedGradient,
)
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from gbmix_sklearn import EmptyErrorSetWarning, SmallCellWarning
from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.groups import make_cells

from ._tabular_data import Part

__all__ = ["CONTESTANTS", "REFERENCE", "Contestant", "Predict", "cell_balanced_weights"]

#: labels from features and, where a method needs them, groups
Predict = Callable[[np.ndarray, pd.DataFrame], np.ndarray]
#: a predictor from the training part, a setting and a seed
Fit = Callable[[Part, dict[str, Any], int], Predict]

#: the same for all methods of the package; the rest are their defaults
TRAINING = {"max_epochs": 30, "patience": 5}
#: about the same number of steps in an epoch, however large the training part
N_STEPS = 58
#: learning rates as multiples of what was a method's default when this was run
RATES = (1, 5)
LAYERS: tuple[tuple[int, ...], ...] = ((), (64,))
#: what else is tried of a method, at the larger rate; of the others another mixing ratio, or a
#: larger weight decay where nothing is mixed
OWN_PARAMETERS: dict[str, dict[str, Any]] = {
    "GroupDRO": {"adjustment": 3.0},
    "JTT": {"lambda_up": 5},
    "AFR": {"reg_coeff": 0.1},
    "DFR": {"refit": "dfr"},
    "FairMix": {"weight": 5.0},
    "Balanced-MixUp": {"alpha": 1.0},
}
OTHER_ALPHA = {"alpha": 0.2}
OTHER_DECAY = {"weight_decay": 0.01}


@dataclass(frozen=True)
class Contestant:
    """A method with the settings that are tried."""

    name: str
    library: str
    #: whether the fit, and the prediction, use the groups
    groups_in_training: bool
    groups_in_prediction: bool
    settings: tuple[dict[str, Any], ...]
    fit: Fit


def logistic(C: float = 1.0, **options: Any) -> LogisticRegression:
    """The one logistic regression of the study; this solver is the fastest for many samples."""
    return LogisticRegression(C=C, solver="newton-cholesky", **options)


def cell_balanced_weights(part: Part) -> np.ndarray:
    """Weights that give every cell the same sum, with a mean of 1."""
    cells = make_cells(part.y, part.groups)
    return (len(part.y) / len(cells.present) / cells.counts)[cells.codes]


def _fit_own(name: str, train: Part, setting: dict[str, Any], seed: int) -> Predict:
    options = {**TRAINING, "batch_size": _batch_size(len(train.y)), **setting}
    if name == "GBMix" and options.get("hidden_units"):  # the default when this was run
        options.setdefault("refit", "logistic")
    model = METHODS[name](random_state=seed, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallCellWarning)
        warnings.simplefilter("ignore", EmptyErrorSetWarning)
        model.fit(*train)
    return lambda X, groups: model.predict(X)


def _batch_size(n_samples: int) -> int:
    """A power of two that makes about `N_STEPS` steps of an epoch, 64 at least."""
    return max(64, 2 ** round(np.log2(n_samples / N_STEPS)))


def _fit_sklearn(
    make: Callable[..., Any], balance_cells: bool, train: Part, setting: dict[str, Any], seed: int
) -> Predict:
    weights = cell_balanced_weights(train) if balance_cells else None
    model = make(random_state=seed, **setting).fit(train.X, train.y, sample_weight=weights)
    return lambda X, groups: model.predict(X)


def balancing_costs(y: np.ndarray) -> dict[str, float]:
    """Costs of errors under which both classes count the same, with a mean of 1."""
    share = float(np.mean(y))
    return {"fp": 0.5 / (1 - share), "fn": 0.5 / share}


def _fit_reduction(
    constraint: Callable[..., Any], train: Part, setting: dict[str, Any], seed: int
) -> Predict:
    costs = balancing_costs(train.y) if setting["costs"] == "balanced" else None
    model = ExponentiatedGradient(
        logistic(),
        constraint(difference_bound=setting["difference_bound"]),
        objective=ErrorRate(costs=costs),
    )
    model.fit(train.X, train.y, sensitive_features=train.groups)
    return lambda X, groups: np.asarray(model.predict(X, random_state=seed))


def _fit_thresholds(constraints: str, train: Part, setting: dict[str, Any], seed: int) -> Predict:
    scores = logistic(setting["C"]).fit(train.X, train.y)
    model = ThresholdOptimizer(
        estimator=scores,
        constraints=constraints,
        objective=setting["objective"],
        prefit=True,
        predict_method="predict_proba",
    )
    model.fit(train.X, train.y, sensitive_features=train.groups)
    return lambda X, groups: np.asarray(
        model.predict(X, sensitive_features=groups, random_state=seed)
    )


def _grid(**values: tuple[Any, ...]) -> tuple[dict[str, Any], ...]:
    return tuple(dict(zip(values, setting, strict=True)) for setting in product(*values.values()))


def _own(name: str) -> Contestant:
    model = METHODS[name]()
    rates = [rate * (0.003 if name == "GBMix" else 0.01) for rate in RATES]
    other = OWN_PARAMETERS.get(name, OTHER_ALPHA if hasattr(model, "alpha") else OTHER_DECAY)
    settings = (
        *_grid(lr=tuple(rates), hidden_units=LAYERS),
        *({**setting, **other} for setting in _grid(lr=(rates[-1],), hidden_units=LAYERS)),
    )
    needs_groups = model._groups_policy != "optional"
    fit = partial(_fit_own, name)
    return Contestant(name, "gbmix_sklearn", needs_groups, False, settings, fit)


def _sklearn(
    name: str, make: Callable[..., Any], settings: tuple[dict[str, Any], ...]
) -> list[Contestant]:
    """Plain, class-weighted and cell-weighted."""
    balanced = partial(make, class_weight="balanced")
    return [
        Contestant(
            label, "scikit-learn", cells, False, settings, partial(_fit_sklearn, model, cells)
        )
        for label, model, cells in (
            (name, make, False),
            (f"{name}, class-weighted", balanced, False),
            (f"{name}, cell-weighted", make, True),
        )
    ]


def _fairlearn() -> list[Contestant]:
    reductions = {
        "demographic parity": DemographicParity,
        "equalized odds": EqualizedOdds,
        "error rate parity": ErrorRateParity,
    }
    bounds = _grid(difference_bound=(0.01, 0.03, 0.1), costs=("equal", "balanced"))
    thresholds = _grid(C=(0.01, 0.1, 1.0), objective=("accuracy_score", "balanced_accuracy_score"))
    return [
        *(
            Contestant(
                f"ExponentiatedGradient, {name}",
                "fairlearn",
                True,
                False,
                bounds,
                partial(_fit_reduction, constraint),
            )
            for name, constraint in reductions.items()
        ),
        *(
            Contestant(
                f"ThresholdOptimizer, {name.replace('_', ' ')}",
                "fairlearn",
                True,
                True,
                thresholds,
                partial(_fit_thresholds, name),
            )
            for name in ("demographic_parity", "equalized_odds")
        ),
    ]


#: all that are compared, by their names
CONTESTANTS = {
    contestant.name: contestant
    for contestant in [
        *_sklearn("LogisticRegression", logistic, _grid(C=(0.001, 0.01, 0.1, 1.0, 10.0, 100.0))),
        *_sklearn(
            "HistGradientBoosting",
            HistGradientBoostingClassifier,
            _grid(learning_rate=(0.03, 0.1, 0.3), max_leaf_nodes=(8, 31)),
        ),
        *_fairlearn(),
        *(_own(name) for name, cls in METHODS.items() if not cls._images_only),
    ]
}
#: what fit times are ratios to: plain, with its default penalty
REFERENCE = CONTESTANTS["LogisticRegression"]
