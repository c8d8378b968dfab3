"""One fit of a study: data divided by a seed, a method, the scores on a part it has not seen."""

from __future__ import annotations

import time
import warnings
from typing import Any

from sklearn.pipeline import make_pipeline

from gbmix_sklearn import (
    EmptyErrorSetWarning,
    SmallCellWarning,
    group_report,
    subgroup_train_test_split,
)
from gbmix_sklearn.estimators import METHODS

from ._data import DATASETS

__all__ = ["run"]

_loaded: dict[str, tuple] = {}


def _load(dataset: str) -> tuple:
    if dataset not in _loaded:
        _loaded[dataset] = DATASETS[dataset]()
    return _loaded[dataset]


def run(dataset: str, method: str, setting: dict[str, Any], seed: int, part: str) -> dict[str, Any]:
    """Fit a method on 60 % of each cell, and judge it on one of the other two fifths.

    Parameters
    ----------
    dataset, method : str
        Names in DATASETS and METHODS.
    setting : dict
        Parameters that differ from the defaults.
    seed : int
        Divides the data and drives the fit, which sets its own validation part aside.
    part : {"validation", "test"}
        What judges: the part for decisions, or the one for reports.
    """
    X, y, groups, features = _load(dataset)
    rest = subgroup_train_test_split(X, y, groups, test_size=0.4, random_state=seed)
    halves = subgroup_train_test_split(*rest[1::2], test_size=0.5, random_state=seed)
    X_train, y_train, groups_train = rest[0::2]
    X_judge, y_judge, groups_judge = halves[0::2] if part == "validation" else halves[1::2]
    model = METHODS[method](random_state=seed, **setting)
    pipeline = make_pipeline(features, model)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallCellWarning)
        warnings.simplefilter("ignore", EmptyErrorSetWarning)
        step = pipeline.steps[-1][0]
        pipeline.fit(X_train, y_train, **{f"{step}__groups": groups_train})
    seconds = time.perf_counter() - start
    report = group_report(y_judge, pipeline.predict(X_judge), groups=groups_judge)
    return {
        "dataset": dataset,
        "method": method,
        "setting": setting,
        "seed": seed,
        "worst_group_accuracy": report.worst_group_accuracy,
        "robust_gap": report.robust_gap,
        "average_accuracy": report.average_accuracy,
        "mean_group_accuracy": report.mean_group_accuracy,
        "best_epoch": model.best_epoch_,
        "epochs": len(model.history_),
        "seconds": seconds,
    }
