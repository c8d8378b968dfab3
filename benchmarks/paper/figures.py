"""The figures: what each part of GBMix is worth, and average against worst group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from gbmix_sklearn import AblationDisplay, TradeoffDisplay

from .results import select, shown

__all__ = ["draw"]

METRICS = {"average": "average accuracy", "worst": "worst group accuracy", "gap": "robust gap"}


def draw(
    results: dict[str, Any], config: dict[str, Any], preset: dict[str, Any], path: Path
) -> bool:
    """Draw a table or figure to a file; whether there was something to draw."""
    frame = select(results, config, preset)
    if frame.empty or "ranked" in config:
        return False
    # the order of the paper
    frame["dataset"] = pd.Categorical(frame["dataset"], config["datasets"])
    frame["method"] = pd.Categorical(frame["method"], shown(config))
    frame = frame.sort_values(["dataset", "method", "seed"]).astype({"dataset": str, "method": str})
    figure = (_ablation if config["kind"] == "ablation" else _tradeoff)(frame, config)
    if figure is None:
        return False
    figure.suptitle(f"{config['title']} (preset {preset['name']}, {len(set(frame['seed']))} seeds)")
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return True


def _ablation(frame: pd.DataFrame, config: dict[str, Any]) -> Figure | None:
    """Change that each variant makes, seed by seed."""
    whole = config["methods"][0]
    runs = frame.rename(columns={"method": "variant"})
    kept = runs[runs["variant"] == whole]
    others = runs[runs["variant"] != whole]
    pairs = others.merge(kept[["dataset", "seed"]])  # what has a counterpart
    if pairs.empty:
        return None
    height = 1.6 + 0.25 * len(pairs.groupby(["variant", "dataset"]))
    figure, panels = plt.subplots(1, 3, figsize=(13, height), layout="constrained", sharey=True)
    for panel, (metric, title) in zip(panels, METRICS.items(), strict=True):
        AblationDisplay.from_results(
            runs, metric=metric, reference=whole, ax=panel, values_format=".1f", name=title
        )
        panel.set_xlabel(f"change against {whole}, points")
    return figure


def _tradeoff(frame: pd.DataFrame, config: dict[str, Any]) -> Figure:
    columns = {"method": "name", "average": "average_accuracy", "worst": "worst_group_accuracy"}
    frame = frame.rename(columns=columns)
    datasets = list(dict.fromkeys(frame["dataset"]))
    size = (6.2 * len(datasets), 4.6)
    figure, panels = plt.subplots(
        1, len(datasets), figsize=size, layout="constrained", squeeze=False
    )
    for panel, dataset in zip(panels[0], datasets, strict=True):
        runs = frame[frame["dataset"] == dataset]
        stars = {"GBMix"} & set(runs["name"])
        TradeoffDisplay.from_results(runs, ax=panel, name=dataset, highlight=stars)
        panel.set_xlabel("worst group accuracy, %")
        panel.set_ylabel("average accuracy, %")
    return figure
