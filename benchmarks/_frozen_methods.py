"""Methods of the study of frozen features: what they fit, and what chooses among what they try.

A family is fitted together: its methods share a fit, or the choice of a parameter. Whatever is
chosen is chosen by the worst group of the validation part.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from gbmix_sklearn import (
    EmptyErrorSetWarning,
    GroupThresholdClassifier,
    MinimaxClassifier,
    SmallCellWarning,
)
from gbmix_sklearn.balance import choose_offsets, predict_codes
from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.groups import make_cells

from ._divisions import scores
from ._frozen_data import Problem
from ._parts import Division, Part, cell_balanced_weights
from .paper.choice import choose

__all__ = [
    "ABLATIONS",
    "BASELINE",
    "BOOSTED",
    "BOOSTED_LEARNED",
    "BOOSTING",
    "BOTH_PARTS",
    "CORE",
    "FAMILIES",
    "LEARNED",
    "SECOND",
    "Family",
    "Fitted",
    "boosted",
    "boosting",
    "chosen",
    "chosen_boosting",
    "class_scaled",
    "fit",
    "learned_logistic",
    "logistic",
    "methods_of",
    "own",
    "takes_part",
]

#: what all others are held against
BASELINE = "logistic, cell-weighted"
BOTH_PARTS = "logistic, cell-weighted, then on both parts"
LEARNED = "logistic, learned balance"
BOOSTED = "boosting, cell-weighted"
BOOSTED_LEARNED = "boosting, learned balance"
#: inverse strengths of the penalty, from strong to weak
PENALTIES = tuple(10.0**power for power in range(-5, 3))
#: those that are tried with a learned balance, where there are few features; it takes forty fits
#: for each, and so with many features only that which equal weights have chosen
LEARNED_PENALTIES = (0.001, 0.01, 0.1, 1.0)
MANY_FEATURES = 200
BOOSTING = tuple(
    {"learning_rate": rate, "max_leaf_nodes": leaves}
    for rate, leaves in product((0.03, 0.1, 0.3), (8, 31))
)
#: GBMix without one of its parts
ABLATIONS: dict[str, dict[str, Any]] = {
    "GBMix without refit": {"refit": None},
    "GBMix without mixing": {"mix": False},
    "GBMix, learned shares": {"cell_shares": "learned"},
    "GBMix without refit, learned shares": {"refit": None, "cell_shares": "learned"},
}


class Fitted(NamedTuple):
    """A method that is fitted: its name, what was chosen for it, and its predictions."""

    method: str
    setting: dict[str, Any]
    predict: Callable[[np.ndarray], np.ndarray]


Family = Callable[[Division, int], Iterator[Fitted]]


def logistic(division: Division, seed: int) -> Iterator[Fitted]:
    """Logistic regression with cells of equal weight, C chosen."""
    train, valid = division.train, division.valid
    setting, model = chosen(_warm_path(train), valid)
    yield Fitted(BASELINE, setting, model.predict)
    whole = train.followed_by(valid)
    model = LogisticRegression(**setting, max_iter=1000)
    weighted = model.fit(whole.X, whole.y, sample_weight=cell_balanced_weights(whole))
    yield Fitted(BOTH_PARTS, setting, weighted.predict)


def learned_logistic(division: Division, seed: int) -> Iterator[Fitted]:
    """Logistic regression with a learned balance."""
    whole = division.train.followed_by(division.valid)
    penalties = LEARNED_PENALTIES
    if whole.X.shape[1] > MANY_FEATURES:
        setting, _ = chosen(_warm_path(division.train), division.valid)
        penalties = (setting["C"],)
    models = [({"C": C}, LogisticRegression(C=C, max_iter=1000)) for C in penalties]
    setting, model = _learned(models, whole, seed)
    yield Fitted(LEARNED, setting, model.predict)


def _learned(
    models: list[tuple[dict[str, Any], Any]], whole: Part, seed: int
) -> tuple[dict[str, Any], MinimaxClassifier]:
    """Learn a balance with each model, and choose by the worst cell of the samples held out."""
    tried = []
    for setting, model in models:
        learned = MinimaxClassifier(model, random_state=seed)
        learned.fit(whole.X, whole.y, whole.groups, keep_together=whole.units)
        worst = float(learned.history_["worst"].iloc[learned.best_round_])
        tried.append((worst, setting, learned))
    _, setting, learned = min(tried, key=lambda found: found[0])
    return setting, learned


def _warm_path(train: Part) -> Iterator[tuple[dict[str, Any], LogisticRegression]]:
    """Fits from the strongest penalty to the weakest, each from where the one before has ended."""
    weights = cell_balanced_weights(train)
    model = LogisticRegression(warm_start=True, max_iter=1000)
    for C in PENALTIES:
        model.set_params(C=C).fit(train.X, train.y, sample_weight=weights)
        fitted = clone(model)
        fitted.__dict__ |= {name: value for name, value in vars(model).items() if name[-1] == "_"}
        fitted.coef_, fitted.intercept_ = model.coef_.copy(), model.intercept_.copy()
        yield {"C": C}, fitted


def boosting(division: Division, seed: int) -> Iterator[Fitted]:
    """Boosted trees with cells of equal weight, their size chosen, and with a learned balance."""
    setting, model = chosen_boosting(division, seed)
    yield Fitted(BOOSTED, setting, model.predict)
    whole = division.train.followed_by(division.valid)
    setting, learned = _learned([(setting, boosted(setting, seed))], whole, seed)
    yield Fitted(BOOSTED_LEARNED, setting, learned.predict)


def chosen_boosting(
    division: Division, seed: int
) -> tuple[dict[str, Any], HistGradientBoostingClassifier]:
    """Boosted trees with cells of equal weight, of the size that the validation part chooses."""
    train = division.train
    weights = cell_balanced_weights(train)
    fits = (
        (setting, boosted(setting, seed).fit(train.X, train.y, sample_weight=weights))
        for setting in BOOSTING
    )
    return chosen(fits, division.valid)


def boosted(setting: dict[str, Any], seed: int) -> HistGradientBoostingClassifier:
    """Boosted trees of scikit-learn's."""
    return HistGradientBoostingClassifier(random_state=seed, **setting)


def chosen(fits: Iterable[tuple[dict[str, Any], Any]], valid: Part) -> tuple[dict[str, Any], Any]:
    """The setting that is best for the worst group of the validation part, and its fit."""
    tried = [
        (setting, model, scores(valid.y, model.predict(valid.X), valid.groups))
        for setting, model in fits
    ]
    best = choose((setting, score) for setting, _, score in tried)
    return next((setting, model) for setting, model, _ in tried if setting == best)


def erm(division: Division, seed: int) -> Iterator[Fitted]:
    """ERM; and its outputs scaled for each class, as the validation part chooses."""
    model = fit(METHODS["ERM"](random_state=seed), division)
    yield Fitted("ERM", {}, model.predict)
    offsets, predict = class_scaled(model, division.valid)
    yield Fitted("ERM, class-scaled", {"offsets": offsets}, predict)
    thresholds = GroupThresholdClassifier(model, cv="prefit", random_state=seed)
    with _quietly():
        thresholds.fit(*division.valid[:3], keep_together=division.valid.units)
    yield Fitted("ERM, thresholds", {"adopted": bool(thresholds.adopted_)}, thresholds.predict)


def class_scaled(model: Any, valid: Part) -> tuple[list[float], Callable[[np.ndarray], np.ndarray]]:
    """One factor for each class on a model's probabilities, best for the worst validation group.

    Class-specific scaling, https://arxiv.org/abs/2412.15311. GroupThresholdClassifier is more
    careful: it draws small cells towards their class, and keeps the usual threshold unless another
    helps beyond noise.

    Returns
    -------
    offsets : list of float
        Logarithms of the factors.
    predict : callable
        Labels from features.
    """

    def log_probabilities(X: np.ndarray) -> np.ndarray:
        found = np.log(np.maximum(model.predict_proba(X), 1e-15))
        return found[:, 1] - found[:, 0] if found.shape[1] == 2 else found

    cells = make_cells(valid.y, valid.groups)
    offsets = choose_offsets(log_probabilities(valid.X), cells, prior_samples=0)

    def predict(X: np.ndarray) -> np.ndarray:
        return model.classes_[predict_codes(log_probabilities(X), offsets)]

    return [round(float(offset), 4) for offset in offsets], predict


def own(name: str, division: Division, seed: int) -> Iterator[Fitted]:
    """A method of the package with no parameter but the seed."""
    yield Fitted(name, {}, fit(METHODS[name](random_state=seed), division).predict)


def ablated(name: str, division: Division, seed: int) -> Iterator[Fitted]:
    """GBMix without one of its parts, everything else as by default."""
    setting = ABLATIONS[name]
    model = METHODS["GBMix"](random_state=seed, **setting)
    yield Fitted(name, setting, fit(model, division).predict)


def fit(model: Any, division: Division) -> Any:
    """Fit a classifier of the package: validation data are given, persons stay together."""
    train, valid = division.train, division.valid
    with _quietly():
        return model.fit(
            train.X,
            train.y,
            train.groups,
            X_val=valid.X,
            y_val=valid.y,
            groups_val=valid.groups,
            keep_together=train.units,
        )


class _quietly(warnings.catch_warnings):
    """Without what a study need not hear of each fit."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore", SmallCellWarning)
        warnings.simplefilter("ignore", EmptyErrorSetWarning)


_REST = [name for name, cls in METHODS.items() if not cls._images_only and name != "ERM"]
#: all families by their names
FAMILIES: dict[str, Family] = {
    "logistic": logistic,
    LEARNED: learned_logistic,
    "boosting": boosting,
    "ERM": erm,
    **{name: partial(own, name) for name in _REST},
    **{name: partial(ablated, name) for name in ABLATIONS},
}
#: what is run first, and what then
CORE = ("logistic", "GBMix", "RWG", "GroupDRO", "DFR", "ERM")
SECOND = (LEARNED, "boosting", *ABLATIONS, "SUBG", "Mixup")
_OF_FAMILY = {
    "logistic": (BASELINE, BOTH_PARTS),
    "boosting": (BOOSTED, BOOSTED_LEARNED),
    "ERM": ("ERM", "ERM, class-scaled", "ERM, thresholds"),
}


def methods_of(family: str) -> tuple[str, ...]:
    """The methods that a family yields, in the order of the tables."""
    return _OF_FAMILY.get(family, (family,))


def takes_part(family: str, problem: Problem) -> bool:
    """Whether a family is run on a problem: trees are for tables."""
    return family != "boosting" or problem.image_size is None
