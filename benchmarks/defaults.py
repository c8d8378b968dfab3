"""How the defaults of GBMixClassifier were chosen.

Run ``python -m benchmarks.defaults``. Every setting differs from the defaults in one thing. For
each seed the data are divided 60 / 20 / 20 within each cell: the model is fitted on the first part
(setting its own validation fraction aside), and judged on the second. The third is not looked at.
Settings that are in the results already are not run again.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import make_pipeline

from gbmix_sklearn import (
    ERMClassifier,
    GBMixClassifier,
    MixupClassifier,
    SmallCellWarning,
    group_report,
    subgroup_train_test_split,
)

from ._data import DATASETS
from ._records import RESULTS, machine, read, write

METHODS = {"GBMix": GBMixClassifier, "ERM": ERMClassifier, "Mixup": MixupClassifier}

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("GBMix", {}),
    *[("GBMix", {"lr": lr}) for lr in (0.03, 0.01, 0.001, 0.0003)],
    *[("GBMix", {"alpha": alpha}) for alpha in (0.2, 0.5, 2.0, 8.0)],
    ("GBMix", {"k": "cells"}),
    *[("GBMix", {"mix_granularity": shared}) for shared in ("pair", "batch")],
    *[("GBMix", {"target_smoothing": share}) for share in (0.5, 0.9, 0.98)],
    *[("GBMix", {"batch_size": size}) for size in (32, 128, 256)],
    ("GBMix", {"lr_schedule": "cosine"}),
    *[("GBMix", {"weight_decay": decay}) for decay in (0.0, 0.01)],
    *[("GBMix", {"validation_fraction": fraction}) for fraction in (0.1, 0.3)],
    *[("GBMix", {"patience": epochs}) for epochs in (5, 20)],
    ("GBMix", {"optimizer": "adam", "lr": 0.001}),
    ("GBMix", {"refit": "logistic"}),
    *[
        ("GBMix", {"hidden_units": units, "refit": refit})
        for units in ((64,), (256,))
        for refit in ("logistic", None)
    ],
    *[
        ("GBMix", {"hidden_units": (64,), "refit": "logistic", "refit_fraction": fraction})
        for fraction in (0.1, 0.3)
    ],
    ("GBMix", {"momentum": 0.0}),
    ("GBMix", {"categorize": False}),
    ("GBMix", {"mix": False}),
    ("GBMix", {"categorize": False, "mix": False}),
    ("ERM", {}),
    *[("ERM", {"lr": lr}) for lr in (0.1, 0.001)],
    ("Mixup", {}),
]


def run(dataset: str, method: str, setting: dict[str, Any], seed: int) -> dict[str, Any]:
    """Fit one setting and judge it on the second part."""
    X, y, groups, features = _load(dataset)
    rest = subgroup_train_test_split(X, y, groups, test_size=0.4, random_state=seed)
    halves = subgroup_train_test_split(*rest[1::2], test_size=0.5, random_state=seed)
    X_train, y_train, groups_train = rest[0::2]
    X_judge, y_judge, groups_judge = halves[0::2]
    model = METHODS[method](random_state=seed, **setting)
    pipeline = make_pipeline(features, model)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallCellWarning)
        step = f"{type(model).__name__.lower()}__groups"
        pipeline.fit(X_train, y_train, **{step: groups_train})
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


_loaded: dict[str, tuple] = {}


def _load(dataset: str) -> tuple:
    if dataset not in _loaded:
        _loaded[dataset] = DATASETS[dataset]()
    return _loaded[dataset]


def _key(record: dict[str, Any]) -> tuple:
    setting = {k: list(v) if isinstance(v, tuple) else v for k, v in record["setting"].items()}
    return record["dataset"], record["method"], str(sorted(setting.items())), record["seed"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=list(DATASETS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--anew", action="store_true", help="forget earlier results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "defaults.json"
    records = [] if arguments.anew or not path.exists() else read(path.name)["records"]
    done = {_key(record) for record in records}
    for method, setting in SETTINGS:
        for dataset in arguments.datasets:
            scores = []
            for seed in range(arguments.seeds):
                wanted = {"dataset": dataset, "method": method, "setting": setting, "seed": seed}
                if _key(wanted) in done:
                    continue
                record = run(dataset, method, setting, seed)
                scores.append(record["worst_group_accuracy"])
                records.append(record)
            if scores:
                write(path, {"machine": machine(), "records": records})
                mean, std = np.mean(scores), np.std(scores)
                print(f"{dataset:8} {method:6} {setting!s:50} {mean:.3f} ± {std:.3f}", flush=True)


if __name__ == "__main__":
    main()
