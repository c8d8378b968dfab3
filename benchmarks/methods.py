"""All methods with their defaults, side by side: ``python -m benchmarks.methods``.

Frozen embeddings of faces, and tables; every seed divides the data anew and gives all methods the
same parts. Results that are there already are not run again. Methods for images only are left out,
since nothing here is an image any more.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from gbmix_sklearn.estimators import METHODS

from ._data import DATASETS
from ._records import RESULTS, machine, read, write
from ._runs import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=list(DATASETS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--anew", action="store_true", help="forget earlier results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "methods.json"
    records = [] if arguments.anew or not path.exists() else read(path.name)["records"]
    done = {(record["dataset"], record["method"], record["seed"]) for record in records}
    for dataset in arguments.datasets:
        for method in arguments.methods:
            if METHODS[method]._images_only:
                continue
            scores = []
            for seed in range(arguments.seeds):
                if (dataset, method, seed) not in done:
                    records.append(run(dataset, method, {}, seed, "test"))
                    scores.append(records[-1]["worst_group_accuracy"])
            if scores:
                write(path, {"machine": machine(), "records": records})
                mean, std = np.mean(scores), np.std(scores)
                print(f"{dataset:8} {method:14} {mean:.3f} ± {std:.3f}", flush=True)


if __name__ == "__main__":
    main()
