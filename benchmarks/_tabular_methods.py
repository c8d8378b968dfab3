"""Methods of the tabular study: those of the package, and what else people use on tables.

All get the training and the validation part of a DataFrame. Linear models and networks get the
columns of TableEncoder, trees get numbers as they are and numbered categories.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.reductions import EqualizedOdds, ErrorRate, ExponentiatedGradient, GridSearch
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import OrdinalEncoder

from gbmix_sklearn import GroupThresholdClassifier, TableEncoder
from gbmix_sklearn.comparison._cell_weighted import CellWeightedClassifier
from gbmix_sklearn.groups import make_cells

from ._frozen_methods import (
    BOOSTING,
    LEARNED,
    Family,
    Fitted,
    boosted,
    boosting,
    chosen,
    chosen_boosting,
    learned_logistic,
    logistic,
    own,
)
from ._frozen_methods import methods_of as _methods_of
from ._parts import Division, Part, cell_balanced_weights

__all__ = ["FAMILIES", "OURS", "RIVALS", "THRESHOLDS", "encoded", "methods_of", "numbered"]

THRESHOLDS = "boosting, thresholds"
_OF_FAMILY = {
    "LightGBM": ("LightGBM, cell-weighted",),
    "XGBoost": ("XGBoost, cell-weighted",),
    "MLP": ("MLP, cells oversampled",),
    "thresholds by group": (
        "ThresholdOptimizer, boosting (knows the group)",
        "OxonFair, boosting (knows the group)",
    ),
    "thresholds by guess": ("OxonFair, boosting",),
    "reductions": ("ExponentiatedGradient, boosting", "GridSearch, boosting"),
}


class Numbers:
    """Columns of TableEncoder as a matrix."""

    def fit(self, table: pd.DataFrame) -> Numbers:
        self._encoder = TableEncoder().fit(table)
        return self

    def transform(self, table: pd.DataFrame) -> np.ndarray:
        return np.asarray(self._encoder.transform(table), dtype=np.float32)


def numbered() -> Any:
    """Categories by number, numbers as they are: what trees split."""
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return make_column_transformer(
        (ordinal, make_column_selector(dtype_exclude="number")), remainder="passthrough"
    )


def encoded(encoder: Callable[[], Any], family: Family) -> Family:
    """A family on the columns of an encoder that is fitted on the training part."""

    def fit(division: Division, seed: int) -> Iterator[Fitted]:
        encode = encoder().fit(division.train.X)
        parts = (Part(encode.transform(part.X), *part[1:]) for part in division[:3])
        inner = Division(*parts, *division[3:])
        for method, setting, predict in family(inner, seed):
            yield Fitted(method, setting, lambda X, p=predict: p(encode.transform(X)))

    return fit


def thresholds(division: Division, seed: int) -> Iterator[Fitted]:
    """Cell-weighted boosting with thresholds for the worst group, cross-fitted on both parts."""
    setting, _ = chosen_boosting(division, seed)
    whole = division.train.followed_by(division.valid)
    weighted = CellWeightedClassifier(boosted(setting, seed))
    model = GroupThresholdClassifier(weighted, random_state=seed)
    model.fit(whole.X, whole.y, whole.groups)
    yield Fitted(THRESHOLDS, setting, model.predict)


# ---------------------------------------------------------------------------- rivals


def lightgbm(division: Division, seed: int) -> Iterator[Fitted]:
    """LightGBM with cells of equal weight."""
    from lightgbm import LGBMClassifier

    def make(setting: dict[str, Any]) -> Any:
        names = {"learning_rate": "learning_rate", "max_leaf_nodes": "num_leaves"}
        options = {names[name]: value for name, value in setting.items()}
        return LGBMClassifier(**options, n_jobs=1, random_state=seed, verbose=-1)

    yield from _weighted("LightGBM, cell-weighted", make, division)


def xgboost(division: Division, seed: int) -> Iterator[Fitted]:
    """XGBoost with cells of equal weight."""
    from xgboost import XGBClassifier

    def make(setting: dict[str, Any]) -> Any:
        rate, leaves = setting["learning_rate"], setting["max_leaf_nodes"]
        return XGBClassifier(
            learning_rate=rate, max_leaves=leaves, grow_policy="lossguide", n_jobs=1,
            random_state=seed,
        )  # fmt: skip

    yield from _weighted("XGBoost, cell-weighted", make, division)


def _weighted(
    name: str, make: Callable[[dict[str, Any]], Any], division: Division
) -> Iterator[Fitted]:
    """A classifier of numbered classes, its size chosen as that of scikit-learn's."""
    train = division.train
    classes, y = np.unique(train.y, return_inverse=True)
    weights = cell_balanced_weights(train)

    def fits() -> Iterator[tuple[dict[str, Any], Any]]:
        for setting in BOOSTING:
            yield setting, Named(make(setting).fit(train.X, y, sample_weight=weights), classes)

    setting, model = chosen(fits(), division.valid)
    yield Fitted(name, setting, model.predict)


class Named:
    """A fitted classifier of numbered classes that predicts their names."""

    def __init__(self, model: Any, classes: np.ndarray):
        self.model, self.classes = model, classes

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.classes[np.asarray(self.model.predict(X)).astype(np.int64)]


def oversampled(division: Division, seed: int) -> Iterator[Fitted]:
    """A network of scikit-learn's on cells that imbalanced-learn has made equally large."""
    from imblearn.over_sampling import RandomOverSampler

    train = division.train
    cells = make_cells(train.y, train.groups)
    rows = np.arange(len(train.y))[:, None]
    rows, _ = RandomOverSampler(random_state=seed).fit_resample(rows, cells.codes)

    def fits() -> Iterator[tuple[dict[str, Any], Any]]:
        for alpha in (1e-4, 1e-2, 1.0):
            model = MLPClassifier(alpha=alpha, early_stopping=True, random_state=seed)
            yield {"alpha": alpha}, model.fit(train.X[rows.ravel()], train.y[rows.ravel()])

    setting, model = chosen(fits(), division.valid)
    yield Fitted("MLP, cells oversampled", setting, model.predict)


def _costs(y: np.ndarray) -> ErrorRate:
    """Errors under which both classes count the same, as they do for the worst cell."""
    share = float(np.mean(y))
    return ErrorRate(costs={"fp": 0.5 / (1 - share), "fn": 0.5 / share})


def reductions(division: Division, seed: int) -> Iterator[Fitted]:
    """fairlearn's reductions around boosting, for equalized odds at balanced costs."""
    train, valid = division.train, division.valid
    classes, y = np.unique(train.y, return_inverse=True)
    base = boosted({}, seed)

    def fits() -> Iterator[tuple[dict[str, Any], Any]]:
        for bound in (0.01, 0.05):
            constraint = EqualizedOdds(difference_bound=bound)
            model = ExponentiatedGradient(base, constraint, objective=_costs(y))
            model.fit(train.X, y, sensitive_features=train.groups)
            drawn = partial(model.predict, random_state=seed)
            yield {"difference_bound": bound}, Named(Predicting(drawn), classes)

    with _quietly():
        setting, model = chosen(fits(), valid)
        yield Fitted("ExponentiatedGradient, boosting", setting, model.predict)
        search = GridSearch(base, EqualizedOdds(), grid_size=10)
        search.fit(train.X, y, sensitive_features=train.groups)
        tried = [({"number": k}, Named(m, classes)) for k, m in enumerate(search.predictors_)]
        setting, model = chosen(tried, valid)
    yield Fitted("GridSearch, boosting", setting, model.predict)


class Predicting:
    """Something with nothing but a function that predicts."""

    def __init__(self, predict: Callable[[np.ndarray], Any]):
        self.predict = predict


def thresholds_by_group(division: Division, seed: int) -> Iterator[Fitted]:
    """Thresholds for each group around boosting: they know the group when they predict.

    OxonFair's are for the worst cell.
    """
    from oxonfair import FairPredictor
    from oxonfair import group_metrics as metrics

    train, valid, test = division[:3]
    classes, y = np.unique(train.y, return_inverse=True)
    values = np.unique(train.groups)
    model = boosted({}, seed).fit(train.X, y)
    with _quietly():
        optimizer = ThresholdOptimizer(
            estimator=model,
            constraints="equalized_odds",
            objective="balanced_accuracy_score",
            prefit=True,
            predict_method="predict_proba",
        )
        codes = np.searchsorted(classes, valid.y)
        optimizer.fit(valid.X, codes, sensitive_features=valid.groups)
        drawn = partial(optimizer.predict, sensitive_features=test.groups, random_state=seed)
        found = Named(Predicting(drawn), classes)
        yield Fitted("ThresholdOptimizer, boosting (knows the group)", {}, found.predict)
        known = FairPredictor(model, _for_oxonfair(valid, classes, values))
        known.fit(metrics.min_accuracy.min, metrics.accuracy, 0)
        tested = _for_oxonfair(test, classes, values)
        found = Named(Predicting(lambda X: known.predict(tested)), classes)
        yield Fitted("OxonFair, boosting (knows the group)", {}, found.predict)


def thresholds_by_guess(division: Division, seed: int) -> Iterator[Fitted]:
    """OxonFair's thresholds where the group is inferred by a classifier of its own."""
    from oxonfair import FairPredictor
    from oxonfair import group_metrics as metrics

    train, valid, test = division[:3]
    classes, y = np.unique(train.y, return_inverse=True)
    values, s = np.unique(train.groups, return_inverse=True)
    model, guess = boosted({}, seed).fit(train.X, y), boosted({}, seed).fit(train.X, s)
    with _quietly():
        inferred = FairPredictor(
            model, _for_oxonfair(valid, classes, values), inferred_groups=guess
        )
        tested = _for_oxonfair(test, classes, values)
        try:
            inferred.fit(metrics.min_accuracy.min, metrics.accuracy, 0)
            predicted = np.asarray(inferred.predict(tested))
        except (ValueError, IndexError) as error:  # version 0.3, where a group is never inferred
            print(f"OxonFair, boosting cannot be used: {error}", file=sys.stderr)
            return
    yield Fitted("OxonFair, boosting", {}, Named(Predicting(lambda X: predicted), classes).predict)


def _for_oxonfair(part: Part, classes: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "data": part.X,
        "target": np.searchsorted(classes, part.y),
        "groups": np.searchsorted(values, part.groups),
    }


class _quietly(warnings.catch_warnings):
    """Without what fairlearn and OxonFair say of their own insides."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")


#: families of the package and of scikit-learn alone
OURS: dict[str, Family] = {
    "logistic": encoded(Numbers, logistic),
    "boosting": encoded(numbered, boosting),
    **{name: encoded(Numbers, partial(own, name)) for name in ("GBMix", "RWG", "GroupDRO")},
    LEARNED: encoded(Numbers, learned_logistic),
    THRESHOLDS: encoded(numbered, thresholds),
}
RIVALS: dict[str, Family] = {
    "LightGBM": encoded(numbered, lightgbm),
    "XGBoost": encoded(numbered, xgboost),
    "MLP": encoded(Numbers, oversampled),
    "thresholds by group": encoded(numbered, thresholds_by_group),
    "thresholds by guess": encoded(numbered, thresholds_by_guess),
    "reductions": encoded(numbered, reductions),
}
FAMILIES = OURS | RIVALS


def methods_of(family: str) -> tuple[str, ...]:
    """The methods that a family yields, in the order of the tables."""
    return _OF_FAMILY.get(family) or _methods_of(family)
