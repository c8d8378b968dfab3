"""What the defaults cost, in ``benchmarks.speed``: steps that fit the data, a learned balance."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.refit import deal_out, learned_head
from gbmix_sklearn.training import ArrayInputs, InputScaling, largest_eigenvalue

from ._timing import in_rounds, record

N_SAMPLES, N_FEATURES, BATCH = 20_000, 1_280, 64


def make_data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features with factors in common, as embeddings have, which the class shifts a little."""
    rng = np.random.default_rng(0)
    y, s = rng.integers(2, size=(2, N_SAMPLES))
    factors = rng.normal(size=(N_SAMPLES, 60)) + 0.5 * np.outer(2 * y - 1, rng.normal(size=60) > 1)
    X = factors @ rng.normal(size=(60, N_FEATURES)) + 5 * rng.normal(size=(N_SAMPLES, N_FEATURES))
    X += 0.5 * s[:, None]
    return ((X - X.mean(0)) / X.std(0)).astype(np.float32), y, s


def measure_defaults(rounds: int) -> dict[str, Any]:
    """Seconds of what the defaults do beside the training, to what users know the time of."""
    X, y, s = make_data()
    rows, cells = np.arange(N_SAMPLES), make_cells(y, s)
    weights = 1 / cells.counts[cells.codes]
    weights *= N_SAMPLES / weights.sum()
    folds = deal_out(cells.codes, np.random.default_rng(0))

    def epoch() -> None:
        x, target = torch.from_numpy(X), torch.from_numpy(y)
        model = torch.nn.Linear(N_FEATURES, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)
        order = torch.randperm(N_SAMPLES)
        for start in range(0, N_SAMPLES, BATCH):
            some = order[start : start + BATCH]
            loss = F.cross_entropy(model(x[some]), target[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def steps() -> None:
        inputs = ArrayInputs(torch.from_numpy(X))
        largest_eigenvalue(InputScaling.of(inputs, rows).apply(inputs), rows)

    times = in_rounds(
        rounds,
        epoch=epoch,
        steps=steps,
        weighted=lambda: LogisticRegression(C=1e-3, max_iter=1000).fit(X, y, sample_weight=weights),
        learned=lambda: learned_head(X, cells, folds=folds),
    )
    size = f"{N_SAMPLES:,} x {N_FEATURES:,}"
    return {
        "records": [
            record(
                f'`lr="auto"` with the standardisation, {size}, to an epoch of a bare loop',
                times["steps"] / times["epoch"],
                at_most=1.0,
            ),
            record(
                f'`refit="learned"`, penalty and shares chosen, {size}, to one cell-weighted '
                "logistic regression",
                times["learned"] / times["weighted"],
                at_most=10.0,
            ),
        ]
    }
