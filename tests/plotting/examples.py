"""Data for pictures, the same on every machine."""

import numpy as np
import pandas as pd

from gbmix_sklearn.metrics._intervals import clopper_pearson

#: names that labels and attribute values may have, each a trap for something
STRANGE = (
    "$20k to $50k",
    "_private",
    "two\nlines",
    "100%",
    "{x}",
    "back\\slash",
    "ü & é",
    "x" * 90,
)


def cells(classes, values, attribute="group"):
    """Cells with accuracies that need no generator of random numbers."""
    index = pd.MultiIndex.from_product([list(classes), list(values)], names=["target", attribute])
    place = np.arange(len(index))
    count = 20 + 37 * place % 400
    correct = (count * (0.97 - 0.4 * (7 * place % 11 / 11) ** 2)).astype(int)
    low, high = clopper_pearson(correct, count)
    columns = {"accuracy": correct / count, "count": count, "low": low, "high": high}
    return pd.DataFrame(columns, index=index)


def models(n):
    """Scores of models along a front, some behind it."""
    place = np.arange(n)
    along, behind = place / max(n - 1, 1), 0.08 * (5 * place % 7 / 7)
    return pd.DataFrame(
        {
            "name": [f"model {i}" for i in place],
            "average_accuracy": 0.95 - 0.15 * along**2 - behind,
            "worst_group_accuracy": 0.4 + 0.45 * along - behind,
            "average_accuracy_std": 0.01,
            "worst_group_accuracy_std": 0.02,
        }
    )


def history(n_epochs, cells, *, target=True, validation=True):
    """A history as that of a classifier, without training one."""
    epoch = np.arange(1, n_epochs + 1)
    done = epoch / n_epochs
    frame = {"epoch": epoch, "train_loss": 2 - done}
    if validation:
        accuracies = {
            f"accuracy[{cell}]": 0.5 + 0.45 * done / (1 + 3 * i / len(cells))
            for i, cell in enumerate(cells)
        }
        table = np.stack(list(accuracies.values()))
        frame |= {"valid_loss": 1.8 - done + 0.3 * done**4}
        frame |= {"worst_group_accuracy": table.min(axis=0), "average_accuracy": table.mean(axis=0)}
    frame |= {"best": epoch <= max(n_epochs - 2, 1)}
    if target:
        frame |= {"target": [cells[(i * i) % len(cells)] for i in epoch]}
        for i, cell in enumerate(cells):
            frame[f"target_share[{cell}]"] = [
                0.6 * (name == cell) + 0.4 * 2 * (i + 1) / len(cells) / (len(cells) + 1)
                for name in frame["target"]
            ]
    if validation:
        frame |= accuracies
    return pd.DataFrame(frame)


def ablation(datasets, variants, seeds=3):
    """Scores of variants on data sets with several seeds."""
    return pd.DataFrame(
        [
            {
                "dataset": dataset,
                "variant": variant,
                "seed": seed,
                "worst_group_accuracy": 0.8
                - 0.04 * v
                - 0.1 * d
                + 0.02 * (seed * (v + d + 1) % seeds),
            }
            for d, dataset in enumerate(datasets)
            for v, variant in enumerate(variants)
            for seed in range(seeds)
        ]
    )
