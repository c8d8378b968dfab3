"""Six tables: methods of the package against what else people use there.

Run ``python -m benchmarks tabular --data-root DIR``; docs/tabular.md has the protocol.
"""

from __future__ import annotations

from collections.abc import Iterator

from ._frozen_methods import BOOSTED
from ._study import Job, Study
from ._tabular_data import PROBLEMS, divide
from ._tabular_methods import FAMILIES, OURS, RIVALS, methods_of

__all__ = ["STUDY", "jobs", "main"]


def jobs(problems: list[str], families: list[str], seeds: int) -> Iterator[Job]:
    """Problem, seed and family of every fit, what matters most first."""
    for part in (OURS, RIVALS):
        for seed in range(seeds):
            for problem in problems:
                for family in part:
                    if family in families:
                        yield problem, seed, family


STUDY = Study(
    "tabular",
    __doc__.splitlines()[0],
    PROBLEMS,
    FAMILIES,
    divide,
    jobs,
    # beside logistic regression
    pairs=tuple((method, BOOSTED) for family in FAMILIES for method in methods_of(family)),
    methods_of=methods_of,
    seeds=10,
)
main = STUDY.main
