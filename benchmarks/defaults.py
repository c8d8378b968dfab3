"""How the defaults of GBMixClassifier were chosen.

Run ``python -m benchmarks.defaults``. Every setting differs from the defaults in one thing. For
each seed the data are divided 60 / 20 / 20 within each cell: the model is fitted on the first part
(setting its own validation fraction aside), and judged on the second. The third is not looked at.
Settings that are in the results already are not run again.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch

from ._data import DATASETS
from ._records import RESULTS, machine, read, write
from ._runs import run

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
                record = run(dataset, method, setting, seed, "validation")
                scores.append(record["worst_group_accuracy"])
                records.append(record)
            if scores:
                write(path, {"machine": machine(), "records": records})
                mean, std = np.mean(scores), np.std(scores)
                print(f"{dataset:8} {method:6} {setting!s:50} {mean:.3f} ± {std:.3f}", flush=True)


if __name__ == "__main__":
    main()
