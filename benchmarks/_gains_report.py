"""What parts of methods gain, for the page that reads the studies."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ._frozen_data import PROBLEMS
from ._frozen_report import interval
from ._markdown import pipes
from .frozen import GAINS

__all__ = ["block"]


def block(results: dict[str, Any], source: str) -> str:
    """Differences of worst groups and of averages, for each part and problem."""
    frame = pd.DataFrame(results["records"])
    averages = frame.set_index(["problem", "method", "seed"])["average_accuracy"].sort_index()
    comparisons = pd.DataFrame(results["comparisons"])
    differences = comparisons.set_index(["problem", "method", "against"])
    problems = [name for name in PROBLEMS if name in set(frame["problem"])]
    rows = []
    for what, pairs in GAINS.items():
        for method, against in pairs:
            keys = {problem: (problem, method, against) for problem in problems}
            worst = [
                f"{interval(differences.loc[key])}; {_average(averages, *key):+.1f}"
                if key in differences.index
                else "–"
                for key in keys.values()
            ]
            rows.append([what, f"{method}, to {against}", *worst])
    return "\n\n".join(
        [
            pipes(["what gains", "difference", *problems], rows),
            "Worst group in points, with a paired 95 % interval over samples and seeds; then the "
            f"average accuracy. Test data. {source}",
        ]
    )


def _average(averages: pd.Series, problem: str, method: str, against: str) -> float:
    """Mean difference of the averages, over the seeds that both have."""
    difference = averages[problem, method] - averages[problem, against]
    return 100 * float(difference.dropna().mean())
