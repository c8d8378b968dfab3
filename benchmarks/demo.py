"""The main job, start to end: ``make demo``.

Trains empirical risk minimisation, mixup and GBMix on digits pasted on photographs (frozen features
of a real ImageNet backbone) and on the Adult census by sex; prints the accuracy of every group and
a comparison; writes a figure, the records and a trained model that can be loaded again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import (
    ERMClassifier,
    GBMixClassifier,
    MixupClassifier,
    TimmEmbedder,
    load_adult,
    load_model,
    make_waterdigits,
)

from ._data import tabular_features
from ._records import machine, write

METHODS = {"ERM": ERMClassifier, "Mixup": MixupClassifier, "GBMix": GBMixClassifier}
SEEDS = (0, 1, 2)
METRICS = {
    "worst_group_accuracy": "worst group",
    "robust_gap": "gap",
    "average_accuracy": "average",
}


def waterdigits(cache: Path) -> dict[str, Any]:
    """Digits on photographs, as standardised ImageNet features, with the official parts."""
    bunch = make_waterdigits(random_state=0)
    print(f"{len(bunch.images)} images: {bunch.images.shape[1]} pixels, embedded by EfficientNet")
    embedder = TimmEmbedder("tf_efficientnet_lite0", cache_dir=cache, verbose=1)
    features = embedder.transform(bunch.images)
    train, valid, test = (bunch.split == part for part in range(3))
    features = StandardScaler().fit(features[train]).transform(features)
    target = np.asarray(bunch.target_names)[bunch.target]
    place = pd.Series(np.asarray(bunch.group_names)[bunch.groups], name="background")
    return {
        "name": "Digits on photographs",
        "train": (features[train], target[train], place[train]),
        "valid": (features[valid], target[valid], place[valid]),
        "test": (features[test], target[test], place[test]),
    }


def adult() -> dict[str, Any]:
    """The census of 1994, by sex; the model does not see the sex."""
    bunch = load_adult(groups="sex", validation_fraction=0.2, random_state=0)
    train, valid, test = (np.asarray(bunch.split == part) for part in range(3))
    data = bunch.data.drop(columns="sex")
    features = tabular_features().fit(data[train]).transform(data).astype(np.float32)
    target, sex = np.asarray(bunch.target), bunch.groups
    return {
        "name": "Adult census by sex",
        "train": (features[train], target[train], sex[train]),
        "valid": (features[valid], target[valid], sex[valid]),
        "test": (features[test], target[test], sex[test]),
    }


def compare(data: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, list], Any]:
    """Fit every method with every seed; return records, reports, the first GBMix model."""
    records, reports, model = [], {name: [] for name in METHODS}, None
    X_val, y_val, groups_val = data["valid"]
    for name, method in METHODS.items():
        for seed in SEEDS:
            start = time.perf_counter()
            fitted = method(random_state=seed).fit(
                *data["train"], X_val=X_val, y_val=y_val, groups_val=groups_val
            )
            report = fitted.group_report(*data["test"])
            records.append(
                {
                    "dataset": data["name"],
                    "method": name,
                    "preset": "demo",
                    "seed": seed,
                    **report.attrs,
                    "best_epoch": fitted.best_epoch_,
                    "seconds": time.perf_counter() - start,
                }
            )
            last = records[-1]
            print(
                f"  {name:6} seed {seed}: worst group {last['worst_group_accuracy']:.3f}, "
                f"best epoch {last['best_epoch']}, {last['seconds']:.1f} s",
                flush=True,
            )
            reports[name].append(report)
            if method is GBMixClassifier and seed == SEEDS[0]:
                model = fitted
    return records, reports, model


def comparison(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean and standard deviation over the seeds, in per cent."""
    frame = pd.DataFrame(records).groupby("method", sort=False)[list(METRICS)]
    mean, std = 100 * frame.mean(), 100 * frame.std(ddof=0)
    text = mean.map("{:.1f}".format) + " ± " + std.map("{:.1f}".format)
    return text.rename(columns=METRICS)


def draw(results: dict[str, dict[str, list]], path: Path) -> None:
    """Accuracy of every group under every method, mean and standard deviation of the seeds."""
    figure, panels = plt.subplots(1, len(results), figsize=(11, 4), layout="constrained")
    colours = dict(zip(METHODS, ("#999999", "#56B4E9", "#D55E00"), strict=True))  # Okabe and Ito
    for panel, (title, reports) in zip(panels, results.items(), strict=True):
        for place, (method, seeds) in enumerate(reports.items()):
            cells = seeds[0].index
            names = [f"{cell[0]}\n{', '.join(map(str, cell[1:]))}" for cell in cells]
            accuracy = np.array([report.loc[cells, "accuracy"] for report in seeds])
            panel.bar(
                np.arange(len(names)) + 0.27 * (place - 1),
                accuracy.mean(axis=0),
                0.25,
                yerr=accuracy.std(axis=0),
                color=colours[method],
                ecolor="#333333",
                label=method,
            )
        panel.set_xticks(np.arange(len(names)), names)
        panel.set_ylim(0, 1)
        panel.set_title(title)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("accuracy on test data")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo_output"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    records, results = [], {}
    for load in (lambda: waterdigits(arguments.out / "embeddings"), adult):
        data = load()
        print(f"\n{data['name']}: {len(data['train'][1])} samples to train on")
        new, reports, model = compare(data)
        records += new
        results[data["name"]] = reports
        for name, seeds in reports.items():
            print(f"\n{name}, seed {SEEDS[0]}:\n{seeds[0]}")
        print(f"\nTest data, mean ± std of {len(SEEDS)} seeds, per cent:\n{comparison(new)}\n")
    draw(results, arguments.out / "demo.png")
    model.save(arguments.out / "model")
    X, _, _ = data["test"]
    assert (load_model(arguments.out / "model").predict(X) == model.predict(X)).all()
    write(arguments.out / "demo.json", {"machine": machine(), "records": records})
    print(f"Figure, records and model are in {arguments.out}/ (demo.png, demo.json, model/).")
    print(f"The whole took {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
