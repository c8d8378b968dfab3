"""The tabular study as tables for its page."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ._markdown import pipes, spread
from ._tabular_causes import VARIATIONS
from ._tabular_data import ATTRIBUTES, DATASETS
from ._tabular_methods import CONTESTANTS, Contestant

__all__ = ["block", "duels"]

COLUMNS = {
    "worst_group_accuracy": "worst group ↑",
    "robust_gap": "gap ↓",
    "average_accuracy": "average ↑",
    "balanced_accuracy": "balanced ↑",
    "mean_group_accuracy": "mean of groups ↑",
    "demographic_parity_difference": "parity difference ↓",
    "equalized_odds_difference": "odds difference ↓",
}
#: what the overview shows of them
OVERVIEW = (
    "worst_group_accuracy",
    "average_accuracy",
    "balanced_accuracy",
    "demographic_parity_difference",
    "equalized_odds_difference",
)
STUDIES = ["dataset", "attributes"]
#: what is held against all others: the method of the package, and the simplest remedy
SUBJECTS = ("GBMix", "LogisticRegression, cell-weighted")


def ordered(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Records in the order of the study, in whatever order they were run."""
    frame = pd.DataFrame(records)
    orders = {"dataset": DATASETS, "attributes": ATTRIBUTES, "method": CONTESTANTS}
    for column, order in orders.items():
        frame[column] = pd.Categorical(frame[column], list(order)).remove_unused_categories()
    return frame.sort_values(list(orders), kind="stable")


def _ratio(values: pd.Series) -> str:
    return f"{values.median():.2g}" if values.median() < 100 else f"{values.median():.0f}"


def _groups(contestant: Contestant) -> str:
    if contestant.groups_in_prediction:
        return "training and prediction"
    return "training" if contestant.groups_in_training else "none"


def data_table(results: dict[str, Any]) -> str:
    """What was divided, and which cells came of it."""
    order = [(dataset, attributes) for dataset in DATASETS for attributes in ATTRIBUTES]
    rows = [
        [
            d["dataset"],
            d["attributes"],
            " / ".join(f"{n:,}" for n in d["samples"].values()),
            str(d["cells"]),
            ", ".join(d["merged_races"]) or "none",
            f"{d['smallest_cell']}: {d['smallest_cell_test_samples']}",
        ]
        for d in sorted(results["data"], key=lambda d: order.index((d["dataset"], d["attributes"])))
    ]
    header = ["data", "groups", "train / valid / test", "cells", "races merged as others"]
    return pipes([*header, "smallest cell: test samples"], rows)


def overview(frame: pd.DataFrame) -> str:
    """Means over all data sets and groups, best worst group first."""
    means = frame.groupby([*STUDIES, "method"], observed=True)[list(OVERVIEW)].mean()
    worst = means["worst_group_accuracy"].unstack("method")
    rank = worst.rank(axis="columns", ascending=False).mean()
    scores = 100 * means.groupby("method", observed=True).mean()
    datasets = frame["dataset"].cat.categories
    rows = []
    for name in scores.sort_values("worst_group_accuracy", ascending=False, kind="stable").index:
        part = frame[frame["method"] == name].set_index("dataset")
        rows.append(
            [
                name,
                CONTESTANTS[name].library,
                _groups(CONTESTANTS[name]),
                *(f"{scores.loc[name, column]:.1f}" for column in OVERVIEW),
                f"{rank[name]:.1f}",
                *(_ratio(part.loc[[dataset], "fit_ratio"]) for dataset in datasets),
            ]
        )
    header = ["method", "from", "groups needed in", *(COLUMNS[column] for column in OVERVIEW)]
    header += ["mean rank", *(f"fit time, {dataset}" for dataset in datasets)]
    return pipes(header, rows)


def duels(frame: pd.DataFrame, subject: str) -> pd.DataFrame:
    """Differences of a method to every other one, on the same divisions.

    Returns
    -------
    DataFrame
        A row for each other method, data set and seed; columns are scores, each the difference of
        its means over the choices of groups.
    """
    scores = ["worst_group_accuracy", "average_accuracy", "equalized_odds_difference"]
    means = frame.groupby(["method", "dataset", "seed"], observed=True)[scores].mean()
    differences = means.loc[subject] - means.drop(index=subject, level="method")
    return differences.reorder_levels(["method", "dataset", "seed"])


def duel_table(frame: pd.DataFrame, subject: str) -> str:
    """Where a method wins and loses, and against which."""
    differences = duels(frame, subject)
    studies = frame.groupby([*STUDIES, "method"], observed=True)["worst_group_accuracy"].mean()
    worst = studies.unstack("method")
    ahead = worst.drop(columns=subject).lt(worst[subject], axis="index").sum()
    columns = [
        ("worst_group_accuracy", "worst group"),
        ("average_accuracy", "average"),
        ("equalized_odds_difference", "odds difference"),
    ]
    datasets = list(frame["dataset"].cat.categories)
    rows = []
    for name, part in differences.groupby("method", observed=True):
        cells = [
            spread(part.xs(dataset, level="dataset")[column], "+")
            for column, _ in columns
            for dataset in datasets
        ]
        rows.append([str(name), f"{ahead[name]} of {len(worst)}", *cells])
    header = [f"{what}, {dataset}" for _, what in columns for dataset in datasets]
    return pipes(["against", "better worst group", *header], rows)


def study_table(part: pd.DataFrame) -> str:
    """All methods on one data set with one choice of groups."""
    rows = [
        [
            str(name),
            f"`{records['setting'].iloc[0]}`",
            *(spread(records[column]) for column in COLUMNS),
            f"{records['fit_seconds'].median():.2g}",
            _ratio(records["fit_ratio"]),
        ]
        for name, records in part.groupby("method", observed=True)
    ]
    return pipes(["method", "setting chosen", *COLUMNS.values(), "fit, s", "fit, ratio"], rows)


def causes_table(causes: list[dict[str, Any]]) -> str:
    """One thing varied at a time, with the difference to the first of each method."""
    scores = ["worst_group_accuracy", "average_accuracy"]
    keys = ["method", "what", "dataset", "seed"]
    means = ordered(causes).groupby(keys, observed=True)[scores].mean()
    datasets = list(means.index.unique("dataset"))
    rows = []
    for method, what in dict.fromkeys((v.method, v.what) for v in VARIATIONS):
        if (method, what) not in means.index:
            continue
        part, base = means.loc[(method, what)], means.loc[(method, "")]
        cells = [
            spread((part - base if what else part).loc[dataset, score], "+" if what else "")
            for score in scores
            for dataset in datasets
        ]
        setting = next(c["setting"] for c in causes if (c["method"], c["what"]) == (method, what))
        rows.append([f"… {what}" if what else f"{method}, `{setting}`", *cells])
    header = [f"{name}, {d}" for name in ("worst group", "average") for d in datasets]
    return pipes(["method, and what differs", *header], rows)


def block(results: dict[str, Any], source: str) -> str:
    """Everything, for the page of the study."""
    frame = ordered(results["records"])
    apart = (frame["adjusted_average_accuracy"] - frame["average_accuracy"]).abs().max()
    seeds = f"mean ± std of {results['seeds']} seeds"
    parts = [data_table(results), "### Over all six", overview(frame)]
    for subject in SUBJECTS:
        if subject in frame["method"].cat.categories:
            parts += [
                f"### {subject} against the others",
                duel_table(frame, subject),
                f"Differences in points, {subject} minus the other, on the same divisions, each "
                f"the mean over the choices of groups; {seeds}. Of the odds difference less is "
                "better.",
            ]
    for (dataset, attributes), part in frame.groupby(STUDIES, observed=True):
        parts += [f"### {dataset} by {attributes}", study_table(part)]
    parts.append(
        f"Test data, per cent, {seeds}, each with a division of its own; in the overview the mean "
        "over all. Cells have the same shares in all parts, so that the adjusted average, weighted "
        f"by those of training, is never more than {100 * apart:.2f} points from the average, and "
        "has no column. Fit times are medians: seconds, and ratios to plain logistic regression "
        f"in the same process. {source}"
    )
    if results["causes"]:
        parts += [
            "### One thing varied at a time",
            causes_table(results["causes"]),
            f"Validation data, in points, {seeds}, each the mean over the choices of groups: "
            "scores in the first line of each method, and below it differences to that line on the "
            "same divisions.",
        ]
    return "\n\n".join(parts)
