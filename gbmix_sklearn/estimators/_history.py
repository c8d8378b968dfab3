"""The training history as a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["history_frame"]

_COLUMNS = (
    "epoch",
    "train_loss",
    "valid_loss",
    "worst_group_accuracy",
    "robust_gap",
    "mean_group_accuracy",
    "average_accuracy",
    "refitted_worst_group_accuracy",
    "lr",
    "dur",
    "best",
)


def history_frame(
    history: Any, train_labels: list[str], valid_labels: list[str] | None
) -> pd.DataFrame:
    """Turn skorch's history into a row for each epoch.

    Beside the losses and the metrics of the validation part there is a column ``accuracy[cell]``
    for each of its cells, and, for methods that choose a target, ``target`` (the cell chosen most
    often) and ``target_share[cell]``; where shares of cells are learned, ``share[cell]``.
    """
    rows = []
    for epoch in history:
        row = {name: epoch[name] for name in _COLUMNS if name in epoch}
        if "event_target_counts" in epoch:
            counts = np.zeros(len(train_labels))
            counts[: len(epoch["event_target_counts"])] = epoch["event_target_counts"]
            row["target"] = train_labels[int(counts.argmax())]
            shares = counts / counts.sum()
            row |= {f"target_share[{c}]": p for c, p in zip(train_labels, shares, strict=True)}
        if "event_cell_shares" in epoch:
            shares_of = zip(train_labels, epoch["event_cell_shares"], strict=True)
            row |= {f"share[{cell}]": share for cell, share in shares_of}
        if valid_labels is not None and "event_cell_accuracy" in epoch:
            accuracies = zip(valid_labels, epoch["event_cell_accuracy"], strict=True)
            row |= {f"accuracy[{cell}]": accuracy for cell, accuracy in accuracies}
        rows.append(row)
    return pd.DataFrame(rows)
