"""The last-layer refit in ``benchmarks.speed``: what it adds to the logistic regressions in it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn.groups import Cells, make_cells
from gbmix_sklearn.refit import RECIPES, linear_head, refit_head
from gbmix_sklearn.refit._balanced import _balanced_draw

from ._timing import in_rounds, record

N_FEATURES = 2_048  # of a ResNet-50
COUNTS = (800, 200, 400, 600)  # held-out samples in each cell
RECIPE = RECIPES["logistic"]


def make_embeddings(counts: tuple[int, ...], seed: int) -> tuple[np.ndarray, Cells]:
    """Like those behind a ReLU: none negative, shifted a little by class and by attribute."""
    y, s = np.divmod(np.repeat(np.arange(len(counts)), counts), 2)
    shift = 0.05 * np.random.default_rng(0).normal(size=(2, N_FEATURES))
    noise = np.random.default_rng(seed).normal(size=(len(y), N_FEATURES))
    z = np.maximum(noise + y[:, None] * shift[0] + s[:, None] * shift[1], 0)
    return z.astype(np.float32), make_cells(y, s)


def plain(z: np.ndarray, cells: Cells, z_val: np.ndarray, val: Cells) -> np.ndarray:
    """The same recipe as a user would write it, one fit after the other."""
    rng, everyone = np.random.default_rng(0), np.arange(len(z))
    scaler = StandardScaler().fit(z)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        rows = _balanced_draw(everyone, cells.codes, rng)
        return scaler.transform(z[rows]), cells.y[rows]

    def model(c: float) -> LogisticRegression:
        return LogisticRegression(
            C=c,
            solver="liblinear",
            l1_ratio=1.0,
            intercept_scaling=RECIPE.intercept_scaling,
            random_state=0,
        )

    samples, scaled_val, accuracies = draw(), scaler.transform(z_val), []
    for c in RECIPE.grid:
        hits = model(c).fit(*samples).predict(scaled_val) == val.y
        accuracies.append(min(hits[val.codes == cell].mean() for cell in val.present))
    best = RECIPE.grid[int(np.argmax(accuracies))]
    return np.mean([model(best).fit(*draw()).coef_ for _ in range(RECIPE.n_draws)], axis=0)


def ours(z: np.ndarray, cells: Cells, z_val: np.ndarray, val: Cells) -> np.ndarray:
    head = refit_head(
        z,
        cells.y,
        cells.codes,
        np.arange(2),
        validation=(z_val, val.y, val.codes),
        rng=np.random.default_rng(0),
    )
    return head.coef_ * z.std(axis=0)


def anchored(z: np.ndarray, cells: Cells, z_val: np.ndarray, val: Cells) -> None:
    """The default recipe on the same data, near a layer that tells nothing."""
    trained = linear_head(np.zeros((2, N_FEATURES)), np.zeros(2), np.arange(2))
    refit_head(
        z,
        cells.y,
        cells.codes,
        np.arange(2),
        estimator="anchored",
        validation=(z_val, val.y, val.codes),
        trained=trained,
        rng=np.random.default_rng(0),
    )


def measure_refit(rounds: int) -> dict[str, Any]:
    """Seconds of the whole refit to those of plain calls that do the same fits."""
    parts = *make_embeddings(COUNTS, 1), *make_embeddings((200,) * 4, 2)
    theirs, same = plain(*parts), ours(*parts)
    assert np.allclose(theirs, same, atol=1e-4), "not the same fits"
    times = in_rounds(
        rounds,
        plain=partial(plain, *parts),
        ours=partial(ours, *parts),
        anchored=partial(anchored, *parts),
    )
    what = (
        f'`refit="logistic"`, {sum(COUNTS):,} samples of {N_FEATURES:,} features, '
        f"{len(RECIPE.grid)} values of C, {RECIPE.n_draws} draws, seconds, to the same fits by "
        "scikit-learn alone"
    )
    return {
        "records": [
            record(what, times["ours"] / times["plain"], at_most=1.0),
            record(
                '`refit="anchored"`, the same samples and draws, seconds, to `"logistic"`',
                times["anchored"] / times["ours"],
            ),
        ]
    }
