"""Rare groups made rarer step by step: from 1:2 to 1:64, everything else alike.

Run ``python -m benchmarks shares --data-root DIR``; docs/frozen.md has the protocol.
"""

from __future__ import annotations

from collections.abc import Iterator

from ._frozen_methods import FAMILIES
from ._shares_data import PROBLEMS, divide
from ._study import Job, Study

__all__ = ["STUDY", "jobs", "main"]

_NAMES = ("logistic", "ERM", "Mixup", "RWG", "GroupDRO", "DFR", "GBMix")


def jobs(problems: list[str], families: list[str], seeds: int) -> Iterator[Job]:
    """Problem, seed and family of every fit: all of a seed before the next."""
    for seed in range(seeds):
        for problem in problems:
            for family in families:
                yield problem, seed, family


STUDY = Study(
    "shares",
    __doc__.splitlines()[0],
    PROBLEMS,
    {name: FAMILIES[name] for name in _NAMES},
    divide,
    jobs,
    pairs=(("Mixup", "ERM"), ("GBMix", "RWG"), ("GBMix", "DFR")),
)
main = STUDY.main
