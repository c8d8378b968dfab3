"""What an audit found, in plain sentences."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..metrics._report import group_name
from ._text import listed, percent, points, pvalue_text, samples

if TYPE_CHECKING:
    from ._audit import GroupAudit

__all__ = ["group_names", "group_values", "named_rows", "named_scores", "sentences"]

#: names of the scores, and what they mean
_SCORES = {
    "worst_group_accuracy": ("Worst group accuracy", "accuracy of the worst group"),
    "robust_gap": ("Robust gap", "accuracy of the best group minus that of the worst"),
    "average_accuracy": ("Average accuracy", "over all samples"),
    "mean_group_accuracy": ("Mean group accuracy", "each group counts the same"),
    "adjusted_average_accuracy": ("Adjusted average", "each group counts as in training"),
    "demographic_parity_difference": (
        "Demographic parity difference",
        "largest difference in how often a class is predicted",
    ),
    "equalized_odds_difference": (
        "Equalized odds difference",
        "largest difference in the true or false positive rate of a class",
    ),
}


def sentences(audit: GroupAudit) -> list[str]:
    """Tell what the audit found, the worst group first; for readers of any background."""
    following = audit._worst.next
    found = _only(audit) if following is None else _worst(audit, following)
    return [
        *found,
        *_copies(audit),
        *_averages(audit),
        *_calibration(audit),
        *_small(audit),
        *_training(audit),
    ]


def _measured(audit: GroupAudit, number: int) -> str:
    row = audit.to_frame().iloc[number]
    return (
        f"{audit.labels[number]} with an accuracy of {percent(row['accuracy'])} "
        f"({points(row['low'])} to {points(row['high'])}, {samples(int(row['count']))})"
    )


def _only(audit: GroupAudit) -> list[str]:
    return [f"There is a single group, {_measured(audit, 0)}: nothing to compare it with."]


def _worst(audit: GroupAudit, following: int) -> list[str]:
    frame = audit.to_frame()
    verdict = "is significantly" if audit.lead_is_significant else "cannot be told to be"
    found = [
        f"The worst group is {_measured(audit, audit._worst.cell)}.",
        f"It {verdict} worse than the next group, {audit.labels[following]} with "
        f"{percent(frame['accuracy'].iloc[following])} (adjusted "
        f"{pvalue_text(audit.lead_pvalue)}); it is the worst of all groups in "
        f"{percent(audit.rank_confidence)} of the bootstrap resamples.",
    ]
    by_accuracy = np.argsort(frame["accuracy"].to_numpy(), kind="stable")
    cannot = (frame["pvalue_adjusted"] > 1 - audit.confidence).to_numpy()
    alike = [audit.labels[number] for number in by_accuracy if cannot[number]]
    n_others = len(frame) - 1
    if n_others > 1 and not alike:
        found.append("It is significantly worse than each of the other groups.")
    elif n_others > 1 and alike != [audit.labels[following]]:
        found.append(
            f"Of the {n_others} other groups, {len(alike)} cannot be told from it: {listed(alike)}."
        )
    elif n_others > 1:
        found.append("It is significantly worse than each of the groups after that.")
    large = np.flatnonzero(~frame["too_small"].to_numpy())
    if len(large) and audit._worst.cell not in large:
        number = int(large[frame["accuracy"].to_numpy()[large].argmin()])
        found.append(
            f"The worst of the groups that are large enough to say something is "
            f"{_measured(audit, number)}."
        )
    return found


def _copies(audit: GroupAudit) -> list[str]:
    if not audit.n_copies:
        return []
    some = "All" if audit.n_copies == audit.n_samples else f"{audit.n_copies:,}"
    return [
        f"{some} of the {audit.n_samples:,} samples were in the fit of the model, which knows "
        "them: others may fare worse."
    ]


def _averages(audit: GroupAudit) -> list[str]:
    if len(audit.labels) == 1:
        return []
    text = (
        f"The best and the worst group are {points(audit.robust_gap)} points apart. The accuracy "
        f"is {percent(audit.average_accuracy)} over all samples and "
        f"{percent(audit.mean_group_accuracy)} when each group counts the same"
    )
    if audit.adjusted_average_accuracy is not None:
        text += f", {percent(audit.adjusted_average_accuracy)} when each counts as in training"
    return [f"{text}."]


def _calibration(audit: GroupAudit) -> list[str]:
    if audit.calibration_by_group is None:
        return []
    over = audit.calibration_by_group["overconfidence"]
    number = int(over.abs().to_numpy().argmax())
    direction = "above" if over.iloc[number] > 0 else "below"
    return [
        f"The probabilities are furthest off for {group_names(over.index)[number]}: there the mean "
        f"confidence is {points(abs(over.iloc[number]))} points {direction} the accuracy."
    ]


def _small(audit: GroupAudit) -> list[str]:
    if not audit.small_cells:
        return []
    return [f"Too small to say anything: {listed(audit.small_cells)}."]


def _training(audit: GroupAudit) -> list[str]:
    model = audit.model
    if model is None or model.cell_table is None:
        return []
    totals = {key: int(model.cell_table[key].sum()) for key in model.cell_counts}
    done = {"train": "trained on", "validation": "judged by", "refit": "refitted on"}
    parts = [f"{done[key]} {samples(total)}" for key, total in totals.items()]
    found = [f"In its fit the model was {', '.join(parts)}."] if parts else []
    noted = [f"{row['name']} ({row['note']})" for row in model.cell_rows if row["note"]]
    if noted:
        found.append(f"Groups with few samples in the fit: {listed(noted)}.")
    return found


def group_names(index: pd.Index) -> list[str]:
    """Name combinations of attribute values, ``sex=Female, age=old``."""
    return [group_name(index.names, values) for values in group_values(index)]


def group_values(index: pd.Index) -> list[tuple]:
    """Attribute values of each group, also where there is a single attribute."""
    return list(index) if isinstance(index, pd.MultiIndex) else [(value,) for value in index]


def named_rows(frame: pd.DataFrame, names: list[str]) -> list[dict[Hashable, Any]]:
    """Rows of a table with a name each, for templates."""
    rows = zip(names, frame.to_dict("records"), strict=True)
    return [{"name": name, **row} for name, row in rows]


def named_scores(audit: GroupAudit) -> list[dict[str, Any]]:
    """Scores that sum up the cells, for readers: ``key``, ``name``, ``meaning`` and ``value``."""
    return [
        {"key": key, "name": _SCORES[key][0], "meaning": _SCORES[key][1], "value": value}
        for key, value in audit.summary.items()
    ]
