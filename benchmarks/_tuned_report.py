"""The study of trained last stages as tables for its page."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ._frozen_report import COLUMNS, interval, score
from ._markdown import pipes
from .tuned import FROZEN, STUDIED, STUDY

__all__ = ["block"]


def block(results: dict[str, Any], source: str) -> str:
    """Everything, for the page of the study."""
    frame = pd.DataFrame(results["records"])
    differences = pd.DataFrame(results["comparisons"]).set_index(["problem", "method", "against"])
    parts = []
    for problem in STUDY.problems:
        of_problem = frame[frame["problem"] == problem]
        if len(of_problem):
            parts += [f"### {problem}", _table(of_problem, differences.loc[problem])]
    parts.append(
        "Test data, per cent, mean ± std of the seeds; differences of worst groups in points, with "
        "paired 95 % intervals over images (persons in CelebA) and seeds. An epoch 0 is the "
        f"pretrained embedding, which was kept. {source}"
    )
    return "\n\n".join(parts)


def _table(frame: pd.DataFrame, differences: pd.DataFrame) -> str:
    rows = []
    for method in STUDIED:
        part = frame[frame["method"] == method]
        if not len(part):
            continue
        epochs = ", ".join(str(setting["best_epoch"]) for setting in part["setting"])

        def of(pair: tuple[str, str]) -> str:
            return interval(differences.loc[pair]) if pair in differences.index else ""

        rows.append(
            [
                method,
                str(part["seed"].nunique()),
                *(score(part[column]) for column in COLUMNS),
                "" if method == FROZEN else of((method, FROZEN)),
                "" if method == "GBMix" else of(("GBMix", method)),
                epochs,
            ]
        )
    header = ["method", "seeds", *COLUMNS.values(), "to frozen", "GBMix to it", "epochs kept"]
    return pipes(header, rows)
