"""Speed and memory as ratios to bare PyTorch, timm and NumPy, measured in one run.

Run ``python -m benchmarks.speed``. Contenders take turns, and a ratio is that of neighbours, so
that a machine whose speed drifts does not favour one of them. ``--only`` measures one part; with
``--save`` the others keep their results, and each says where it was measured.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from gbmix_sklearn import ERMClassifier, GBMixClassifier

from ._records import RESULTS, machine, read, write
from ._speed_defaults import measure_defaults
from ._speed_images import measure_images, measure_memory_of_files
from ._speed_refit import measure_refit
from ._timing import in_fresh_process, in_turns, peak_growth

PARTS = ("matrices", "images", "memory-of-files", "refit", "defaults")
N_SAMPLES, N_FEATURES, BATCH = 20_000, 1_280, 64
N_PREDICT = 50_000
EPOCHS = 10
STEPS = EPOCHS * -(-N_SAMPLES // BATCH)


def make_data(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y, s = rng.integers(2, size=(2, n))
    return rng.standard_normal((n, N_FEATURES), dtype=np.float32), y, s


def bare_erm(X: np.ndarray, y: np.ndarray) -> None:
    """The loop that a user would write: slices of the same tensors, a linear head, SGD."""
    x, target = torch.from_numpy(X), torch.from_numpy(y)
    model = torch.nn.Linear(N_FEATURES, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for start in range(0, len(x), BATCH):
            rows = order[start : start + BATCH]
            loss = F.cross_entropy(model(x[rows]), target[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def fit(method: type, X: np.ndarray, y: np.ndarray, s: np.ndarray) -> Any:
    """The training alone: no validation part, no refit, both of which the bare loop lacks."""
    model = method(
        max_epochs=EPOCHS,
        batch_size=BATCH,
        validation_fraction=None,
        refit=None,
        random_state=0,
        device="cpu",
    )
    return model.fit(X, y, s)


def measure_steps(rounds: int) -> dict[str, Any]:
    X, y, s = make_data(N_SAMPLES)
    ours = {
        "ERMClassifier.fit": lambda: fit(ERMClassifier, X, y, s),
        "GBMixClassifier.fit": lambda: fit(GBMixClassifier, X, y, s),
    }
    for call in (lambda: bare_erm(X, y), *ours.values()):
        call()  # warm up
    return {"steps": STEPS, **in_turns(lambda: bare_erm(X, y), ours, rounds)}


def measure_prediction(rounds: int) -> dict[str, Any]:
    X, y, s = make_data(N_PREDICT)
    model = fit(GBMixClassifier, X[:2000], y[:2000], s[:2000])
    weight, bias = torch.randn(2, N_FEATURES), torch.randn(2)

    def bare() -> torch.Tensor:
        return torch.softmax(F.linear(torch.from_numpy(X), weight, bias), 1)

    ours = {"predict_proba": lambda: model.predict_proba(X)}
    bare(), ours["predict_proba"]()
    return {"rows": N_PREDICT, **in_turns(bare, ours, 3 * rounds)}


def _memory_of_fit(method: type, default: bool) -> float:
    fit(method, *make_data(500))  # load every library first

    def run() -> int:
        X, y, s = make_data(N_SAMPLES)
        if default:
            method(max_epochs=EPOCHS, random_state=0, device="cpu").fit(X, y, s)
        else:
            fit(method, X, y, s)
        return X.nbytes

    growth, n_bytes = peak_growth(run)
    return growth / n_bytes


def measure_memory() -> dict[str, float]:
    """Peak growth over the bytes of X, each in a fresh process; X itself is 1."""
    return {
        name: in_fresh_process(_memory_of_fit, method, default)
        for name, method, default in (
            ("ERMClassifier.fit", ERMClassifier, False),
            ("GBMixClassifier.fit", GBMixClassifier, False),
            ("GBMixClassifier.fit, default parameters", GBMixClassifier, True),
        )
    }


def measure(part: str, rounds: int, n_files: int) -> dict[str, Any]:
    if part == "images":
        return measure_images(rounds)
    if part == "memory-of-files":
        return measure_memory_of_files(n_files)
    if part == "refit":
        return measure_refit(rounds)
    if part == "defaults":
        return measure_defaults(rounds)
    return {
        "training": measure_steps(rounds),
        "prediction": measure_prediction(rounds),
        "peak_memory": measure_memory(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=PARTS, help="measure this part alone")
    parser.add_argument("--files", type=int, default=100_000, help="for memory-of-files")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/speed.json")
    arguments = parser.parse_args()
    for part in [arguments.only] if arguments.only else PARTS:
        result = {"machine": machine(), **measure(part, arguments.rounds, arguments.files)}
        print(json.dumps({part: result}, indent=1))
        if arguments.save:  # at once: a later part may be interrupted
            results = {**read("speed.json"), part: result}
            write(
                RESULTS / "speed.json", {name: results[name] for name in PARTS if name in results}
            )


if __name__ == "__main__":
    main()
