"""Why GBMix is where it is in the frozen tables: one thing varied at a time.

Run ``python -m benchmarks reading --data-root DIR``. The data are the training and validation parts
of the paper's data sets as the preset ``frozen`` has them; test data are not touched. For each seed
these are divided anew, within each cell: three fifths train, one fifth chooses epochs and the
refit's penalty, one judges. Every setting differs from GBMix's in the table in one thing.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import EmptyErrorSetWarning, SmallCellWarning
from gbmix_sklearn.estimators import METHODS

from ._divisions import divide, scores
from ._markdown import pipes, spread
from ._records import RESULTS, machine, read, write
from .paper import data
from .paper.config import preset

__all__ = ["block", "main", "run"]

STUDIED = ("UTKFace", "CelebA")
OUT = Path("paper_output")
#: GBMix as the frozen tables have it, at the rate that was chosen on UTKFace
BASE = {"lr": 0.001, "refit": "logistic"}
#: what is varied, the method, and what differs from the base
SETTINGS: list[tuple[str, str, dict[str, Any]]] = [
    ("base", "GBMix", {}),
    *[("learning rate (and loss scale)", "GBMix", {"lr": lr}) for lr in (1e-2, 3e-3, 3e-4, 1e-4)],
    *[("epochs", "GBMix", {"max_epochs": epochs}) for epochs in (5, 60)],
    *[("mixing ratio", "GBMix", {"alpha": alpha}) for alpha in (0.2, 2.0, 8.0)],
    *[("what shares a ratio", "GBMix", {"mix_granularity": name}) for name in ("pair", "batch")],
    ("mixed samples", "GBMix", {"k": "cells"}),
    *[("target smoothing", "GBMix", {"target_smoothing": share}) for share in (0.5, 0.9)],
    *[("weight decay", "GBMix", {"weight_decay": decay}) for decay in (1e-2, 1e-1)],
    ("refit", "GBMix", {"refit": None}),
    ("refit", "GBMix", {"refit": "anchored"}),
    ("refit", "GBMix", {"refit": "dfr"}),
    ("refit", "GBMix", {"refit": LogisticRegression(C=0.01, max_iter=1000)}),
    ("refit data", "GBMix", {"refit_on": "validation"}),
    ("refit data", "GBMix", {"refit_on": "train"}),
    *[("refit data", "GBMix", {"refit_fraction": fraction}) for fraction in (0.1, 0.4)],
    ("parts", "GBMix", {"categorize": False}),
    ("parts", "GBMix", {"mix": False}),
    ("parts", "GBMix", {"categorize": False, "mix": False}),
    ("parts", "GBMix", {"categorize": False, "mix": False, "refit": None}),
    ("selection", "GBMix", {"refit": None, "X_val": None}),
    ("other methods", "ERM", {"lr": 0.01}),
    ("other methods", "Mixup", {"lr": 0.01}),
    ("other methods", "RWG", {"lr": 0.001}),
    ("other methods", "SUBG", {"lr": 0.001}),
    ("other methods", "GroupDRO", {"lr": 0.01, "adjustment": 5.0, "weight_decay": 0.1}),
    ("other methods", "JTT", {"lr": 0.001, "lambda_up": 20, "first_stage_epochs": 1}),
    ("other methods", "DFR", {"lr": 0.01, "refit": "dfr"}),
]
#: of these the page shows two
SHOWN = ("worst_group_accuracy", "average_accuracy")


def _describe(setting: dict[str, Any]) -> dict[str, Any]:
    """A setting as JSON has it."""
    return {n: str(v) if isinstance(v, LogisticRegression) else v for n, v in setting.items()}


def _load(dataset: str, root: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings, classes and attribute of everything but the test part."""
    size = preset("frozen")
    source = data.prepare(dataset, root, OUT / "cache")
    parts = [
        (data.embed(source, part, size["backbone"], size["embedding"], verbose=1), *labels)
        for part in ("train", "valid")
        for labels in [data.labels(source, part)]
    ]
    X, y, groups = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return X, y, groups


def _standardised(parts: list[tuple]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Training, choosing and judging part, on the scale of the first."""
    scaler = StandardScaler().fit(parts[0][0])
    return [(scaler.transform(X).astype(np.float32), y, groups) for X, y, groups in parts]


def _trained_layer(model: Any, X: np.ndarray) -> np.ndarray:
    """Predictions of the last layer as it was trained, before the refit."""
    network = model.net_.raw_module.eval()
    with torch.no_grad():
        return model.classes_[network(torch.from_numpy(X)).argmax(1).numpy()]


def run(parts: list[tuple], method: str, setting: dict[str, Any], seed: int) -> dict[str, Any]:
    """Fit one setting; score it on the choosing and on the judging part."""
    size = preset("frozen")
    options = {**size["parameters"], "max_epochs": 20, "patience": None}
    options |= (BASE if method == "GBMix" else {}) | setting
    (X, y, groups), (X_val, y_val, groups_val) = parts[:2]
    validation = {"X_val": X_val, "y_val": y_val, "groups_val": groups_val}
    if "X_val" in options:  # the last epoch is kept
        del options["X_val"]
        options["validation_fraction"] = None
        validation = {}
    model = METHODS[method](random_state=seed, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallCellWarning)
        warnings.simplefilter("ignore", EmptyErrorSetWarning)
        model.fit(X, y, groups, **validation)
    outcome: dict[str, Any] = {"best_epoch": model.best_epoch_}
    refitted = getattr(model, "refit", None) is not None
    for name, (X, y, groups) in zip(("chosen_on", "judged"), parts[1:], strict=True):
        outcome[name] = scores(y, model.predict(X), groups)
        if refitted:  # what the trained layer would have done
            outcome[f"{name}_unrefitted"] = scores(y, _trained_layer(model, X), groups)
    return outcome


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks reading", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data-root", type=Path, required=True, metavar="DIR")
    parser.add_argument("--datasets", nargs="+", default=list(STUDIED), choices=list(STUDIED))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    path = RESULTS / "reading.json"
    records = read(path.name)["records"] if path.exists() else []

    def key(record: dict[str, Any]) -> tuple:
        setting = sorted(record["setting"].items())
        return record["dataset"], record["seed"], record["method"], str(setting)

    done = {key(record) for record in records}
    for dataset in arguments.datasets:
        samples = _load(dataset, arguments.data_root)
        for seed in range(arguments.seeds):
            parts = _standardised(divide(*samples, seed))
            for factor, method, setting in SETTINGS:
                record = {
                    "dataset": dataset,
                    "factor": factor,
                    "method": method,
                    "setting": _describe(setting),
                    "seed": seed,
                }
                if key(record) in done:
                    continue
                records.append(record | run(parts, method, setting, seed))
                records.sort(key=_place)
                write(path, {"machine": machine(), "records": records})
            print(f"{dataset}, seed {seed}: done", flush=True)
    return 0


def _place(record: dict[str, Any]) -> tuple:
    """Where a record stands, whenever it was run."""
    settings = [(method, _describe(setting)) for _, method, setting in SETTINGS]
    place = settings.index((record["method"], record["setting"]))
    return STUDIED.index(record["dataset"]), record["seed"], place


def block(results: dict[str, Any], source: str) -> str:
    """All settings as differences to GBMix's in the tables, on the same divisions, for a page."""
    frame = pd.DataFrame(
        {
            **{name: record[name] for name in ("dataset", "factor", "method", "seed")},
            "setting": _shown(record["setting"]),
            **{metric: record["judged"][metric] for metric in SHOWN},
        }
        for record in results["records"]
    )
    base = frame.loc[frame["factor"] == "base", ["dataset", "seed", *SHOWN]]
    differences = frame.merge(base, on=["dataset", "seed"], suffixes=("", "_of_base"))
    for metric in SHOWN:
        differences[metric] -= differences.pop(f"{metric}_of_base")
    datasets = list(dict.fromkeys(frame["dataset"]))
    names = {"worst_group_accuracy": "worst group", "average_accuracy": "average"}
    header = ["varied", "setting", *(f"{d}, {names[m]}" for d in datasets for m in SHOWN)]
    rows = []
    settings = list(dict.fromkeys(frame[["factor", "method", "setting"]].itertuples(index=False)))
    for factor, method, setting in settings:
        shown = frame if factor == "base" else differences
        same = (shown["factor"] == factor) & (shown["method"] == method)
        runs = shown[same & (shown["setting"] == setting)]
        what = "as in the tables" if factor == "base" else factor
        of_method = f"{method}: {setting}" if factor == "other methods" else setting
        sign = "" if factor == "base" else "+"
        scores = [
            spread(runs.loc[runs["dataset"] == dataset, metric], sign)
            for dataset in datasets
            for metric in SHOWN
        ]
        rows.append([what, of_method, *scores])
    n_seeds = frame["seed"].nunique()
    return "\n\n".join(
        [
            pipes(header, rows),
            "Judging part of the training and validation data, in points, mean ± std of "
            f"{n_seeds} divisions: accuracies in the first line, below it differences to that "
            f"line on the same divisions. {source}",
        ]
    )


def _shown(setting: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in setting.items())
