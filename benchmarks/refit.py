"""How the recipe of ``refit="logistic"`` was chosen: intercept and scaler of the refit.

Run ``python -m benchmarks.refit``. For each seed the data are divided into fifths of each cell: one
trains, one is held out for the refit, one chooses C, one judges. The last is not looked at. The
last layer is refitted on the features as they are, and on those of a hidden layer that
ERMClassifier has trained.
"""

from __future__ import annotations

import argparse
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone

from gbmix_sklearn import ERMClassifier, SubgroupStratifiedKFold, group_report
from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.refit import Recipe, refit_head, scaling_of

from ._data import DATASETS
from ._records import RESULTS, machine, read, write

STUDIED = ("UTKFace", "CelebA", "Adult")
LAYERS: dict[str, tuple[int, ...]] = {"features": (), "hidden layer": (64,)}
INTERCEPTS = {"penalised": 1.0, "free": 100.0}
SCALERS = ("train", "held_out")
PARTS = ("train", "held_out", "choose", "judge")  # four of the fifths


def divide(data: tuple, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Features, labels and groups of each part; the features learn from the training part."""
    X, y, groups, features = data
    folds = SubgroupStratifiedKFold(1 + len(PARTS), shuffle=True, random_state=seed)
    rows = [test for _, test in folds.split(X, y, groups)][: len(PARTS)]
    take = X.iloc.__getitem__ if isinstance(X, pd.DataFrame) else X.__getitem__
    features = clone(features).fit(take(rows[0]))
    return {
        part: (features.transform(take(r)).astype(np.float32), y[r], groups[r])
        for part, r in zip(PARTS, rows, strict=True)
    }


def embedded(parts: dict[str, tuple], hidden_units: tuple[int, ...], seed: int) -> dict[str, tuple]:
    """The same parts behind a trained hidden layer."""
    if not hidden_units:
        return parts
    model = ERMClassifier(hidden_units=hidden_units, random_state=seed)
    X, y, groups = parts["choose"]
    model.fit(*parts["train"], X_val=X, y_val=y, groups_val=groups)
    return {part: (model.transform(X), y, groups) for part, (X, y, groups) in parts.items()}


def judge(parts: dict[str, tuple], recipe: Recipe, seed: int) -> dict[str, float]:
    """Refit on the held-out part, choose C on another, and report on a third."""
    (z, y, groups), (z_choose, y_choose, groups_choose) = parts["held_out"], parts["choose"]
    cells, chosen_on = make_cells(y, groups), make_cells(y_choose, groups_choose)
    head = refit_head(
        z,
        cells.y,
        cells.codes,
        np.asarray(cells.classes),
        estimator=recipe,
        validation=(z_choose, chosen_on.y, chosen_on.codes),
        scaling=scaling_of(parts["train"][0]) if recipe.scaler == "train" else None,
        rng=np.random.default_rng(seed),
    )
    z, y, groups = parts["judge"]
    report = group_report(y, head.predict(z), groups=groups)
    return {
        "C": getattr(head, "C", None),
        "worst_group_accuracy": report.worst_group_accuracy,
        "mean_group_accuracy": report.mean_group_accuracy,
        "average_accuracy": report.average_accuracy,
    }


def table(results: dict[str, Any]) -> str:
    """Worst-group accuracy of every recipe, for the page about the refit."""
    frame = pd.DataFrame(results["records"])
    columns = [(d, layer) for d in frame["dataset"].unique() for layer in frame["layer"].unique()]
    frame = frame.set_index(["intercept", "scaler", "dataset", "layer", "seed"]).sort_index()
    scores = 100 * frame[["worst_group_accuracy", "mean_group_accuracy"]]
    published = scores.loc["penalised", "train"]
    header = ["intercept", "scale of", *(f"{d}, {layer}" for d, layer in columns)]
    header += ["worst group, to the first", "mean group, to the first"]
    lines = [header, ["---"] * len(header)]
    for intercept, scaler in product(INTERCEPTS, SCALERS):
        score = scores.loc[intercept, scaler]
        worst = [score.loc[column, "worst_group_accuracy"] for column in columns]
        gain = score - published
        means, errors = gain.mean(), gain.sem()
        changes = [f"{means[name]:+.1f} ± {errors[name]:.1f}" for name in scores.columns]
        changes = changes if gain.to_numpy().any() else ["", ""]
        shown = [f"{part.mean():.1f} ± {part.std(ddof=0):.1f}" for part in worst]
        lines.append([intercept, f"{scaler.replace('_', '-')} data", *shown, *changes])
    n_seeds = frame.index.unique("seed").size
    rows = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return (
        f"{rows}\n\nWorst-group accuracy on data that are neither trained on nor choose C, per "
        f"cent, mean ± std of {n_seeds} seeds, each with a division of its own. Last columns: mean "
        "difference of the worst group, and of the mean of the groups, to the first row (as "
        "published) on the same divisions, ± its standard error."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=list(STUDIED), choices=list(DATASETS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--anew", action="store_true", help="forget earlier results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "refit.json"
    records = [] if arguments.anew or not path.exists() else read(path.name)["records"]
    done = {(record["dataset"], record["seed"]) for record in records}
    for dataset in arguments.datasets:
        data = DATASETS[dataset]()
        for seed in range(arguments.seeds):
            if (dataset, seed) in done:
                continue
            divided = divide(data, seed)
            for layer, hidden_units in LAYERS.items():
                parts = embedded(divided, hidden_units, seed)
                for intercept, scaler in product(INTERCEPTS, SCALERS):
                    recipe = Recipe(scaler=scaler, intercept_scaling=INTERCEPTS[intercept])
                    records.append(
                        {
                            "dataset": dataset,
                            "layer": layer,
                            "intercept": intercept,
                            "scaler": scaler,
                            "seed": seed,
                            **judge(parts, recipe, seed),
                        }
                    )
            write(path, {"machine": machine(), "records": records})
            print(dataset, seed, flush=True)
    print(table({"records": records}))


if __name__ == "__main__":
    main()
