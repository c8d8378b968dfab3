"""How the recipes of the refit were chosen: penalty, intercept and scaler.

Run ``python -m benchmarks.refit``. For each seed the data are divided into fifths of each cell: one
trains, one is held out for the refit, one chooses C, one judges. The last is not looked at. The
last layer is refitted on the features as they are, and on those of a hidden layer that
ERMClassifier has trained.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from gbmix_sklearn import ERMClassifier, SubgroupStratifiedKFold, group_report
from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.refit import Recipe, refit_head, scaling_of

from ._data import DATASETS
from ._markdown import pipes, spread
from ._records import RESULTS, machine, read, write

STUDIED = ("UTKFace", "CelebA", "Adult")
LAYERS: dict[str, tuple[int, ...]] = {"features": (), "hidden layer": (64,)}
#: penalty, intercept and scale of each recipe, as the page has them
RECIPES = {
    ("L1", "penalised", "train"): Recipe(scaler="train", intercept_scaling=1.0),
    ("L1", "penalised", "held-out"): Recipe(intercept_scaling=1.0),
    ("L1", "free", "train"): Recipe(scaler="train"),
    ("L1", "free", "held-out"): Recipe(),
    ("L2, to zero", "free", "held-out"): Recipe(penalty="anchored"),
    ("L2, to the trained layer", "free", "held-out"): Recipe(penalty="anchored"),
}
KEY = ("dataset", "layer", "penalty", "intercept", "scaler", "seed")
PUBLISHED = ("L1", "penalised", "train")
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


def embedded(
    parts: dict[str, tuple], hidden_units: tuple[int, ...], seed: int
) -> tuple[dict[str, tuple], LogisticRegression]:
    """The same parts behind a trained hidden layer, if any, and the trained last layer."""
    model = ERMClassifier(hidden_units=hidden_units, random_state=seed)
    X, y, groups = parts["choose"]
    model.fit(*parts["train"], X_val=X, y_val=y, groups_val=groups)
    found = {part: (model.transform(X), y, groups) for part, (X, y, groups) in parts.items()}
    return found, model.head_


def judge(
    parts: dict[str, tuple], recipe: Recipe, trained: LogisticRegression | None, seed: int
) -> dict[str, float]:
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
        trained=trained,
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
    frame = frame.set_index(["penalty", "intercept", "scaler", "dataset", "layer", "seed"])
    scores = frame.sort_index()[["worst_group_accuracy", "mean_group_accuracy"]]
    published = scores.loc[PUBLISHED]
    header = ["penalty", "intercept", "scale of", *(f"{d}, {layer}" for d, layer in columns)]
    header += ["worst group, to the first", "mean group, to the first"]
    rows = []
    for recipe in RECIPES:
        score = scores.loc[recipe]
        worst = [score.loc[column, "worst_group_accuracy"] for column in columns]
        gain = 100 * (score - published)
        means, errors = gain.mean(), gain.sem()
        changes = [f"{means[name]:+.1f} ± {errors[name]:.1f}" for name in scores.columns]
        changes = changes if gain.to_numpy().any() else ["", ""]
        penalty, intercept, scaler = recipe
        shown = [spread(part) for part in worst]
        rows.append([penalty, intercept, f"{scaler} data", *shown, *changes])
    n_seeds = frame.index.unique("seed").size
    return (
        f"{pipes(header, rows)}\n\n"
        "Worst-group accuracy on data that are neither trained on nor choose C, per cent, mean "
        f"± std of {n_seeds} seeds, each with a division of its own. Last columns: mean "
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
    done = {tuple(record[name] for name in KEY) for record in records}
    for dataset in arguments.datasets:
        data = DATASETS[dataset]()
        for seed in range(arguments.seeds):
            divided = divide(data, seed)
            for layer, hidden_units in LAYERS.items():
                todo = [recipe for recipe in RECIPES if (dataset, layer, *recipe, seed) not in done]
                if not todo:
                    continue
                parts, trained = embedded(divided, hidden_units, seed)
                for recipe in todo:
                    anchor = trained if "trained" in recipe[0] else None
                    names = dict(zip(KEY, (dataset, layer, *recipe, seed), strict=True))
                    records.append(names | judge(parts, RECIPES[recipe], anchor, seed))
            write(path, {"machine": machine(), "records": records})
            print(dataset, seed, flush=True)
    print(table({"records": records}))


if __name__ == "__main__":
    main()
