"""What the page about networks trained as a whole shows of them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ._markdown import pipes, spread
from .networks import AS_TRAINED

__all__ = ["block"]

#: the last layer that validation data prefer to the other
BETTER = "trained or logistic, whichever chooses better"
#: what tells lines apart, and the line that all are compared with
CASE = ["network", "head", "statistics"]
BASE = ("GBMix", "logistic", AS_TRAINED)
#: the metrics that are shown, and what they are called
SHOWN = {"worst_group_accuracy": "worst group", "average_accuracy": "average"}


def _frame(records: list[dict[str, Any]]) -> pd.DataFrame:
    """One row for each last layer that was judged."""
    return pd.DataFrame(
        {
            **{name: record[name] for name in ("network", "dataset", "seed", "aside")},
            **{name: head[name] for name in ("head", "statistics")},
            **{metric: head["judged"][metric] for metric in SHOWN},
        }
        for record in records
        for head in [*record["heads"], *_better(record)]
    ).set_index(CASE)


def _better(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The refitted last layer where it is better on the choosing part, else that as trained."""
    if not record["aside"]:
        return []
    of_both = [
        head
        for name in (AS_TRAINED, BASE[1])
        for head in record["heads"]
        if (head["head"], head["statistics"]) == (name, AS_TRAINED)
    ]
    best = max(of_both, key=lambda head: head["chosen_on"]["worst_group_accuracy"])
    return [best | {"head": BETTER}]


def block(results: dict[str, Any], source: str) -> str:
    """Differences to GBMix as the tables have it, on the same divisions, for a page."""
    frame = _frame(results["records"])
    shown = list(SHOWN)
    base = frame.loc[[BASE]].set_index(["dataset", "seed"])[shown]
    divisions = pd.MultiIndex.from_frame(frame[["dataset", "seed"]])
    differences = frame.assign(**(frame[shown] - base.loc[divisions].to_numpy()))
    datasets = list(frame["dataset"].unique())

    def scores(of: pd.DataFrame, case: tuple[str, str, str], sign: str) -> list[str]:
        runs = dict(list(of.loc[[case]].groupby("dataset")))
        return [
            spread(runs[name][metric], sign) if name in runs else "–"
            for name in datasets
            for metric in shown
        ]

    rows = [["GBMix as in the tables", *BASE[1:], *scores(frame, BASE, "")]]
    for network, head, statistics in dict.fromkeys(frame.index):
        case = network, head, statistics
        if case == BASE:
            continue
        on_train = head not in (AS_TRAINED, BETTER) and not frame.loc[[case], "aside"].all()
        layer = f"{head}, on the training data" if on_train else head
        rows.append([network, layer, statistics, *scores(differences, case, "+")])
    header = ["network", "last layer", "statistics of batch norm"]
    header += [f"{dataset}, {what}" for dataset in datasets for what in SHOWN.values()]
    return "\n\n".join(
        [
            pipes(header, rows),
            "Judging part of the training and validation data, in points, mean ± std of "
            f"{frame['seed'].nunique()} divisions: accuracies in the first line, below it "
            f"differences to that line on the same divisions. {source}",
        ]
    )
