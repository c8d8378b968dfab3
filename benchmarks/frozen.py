"""All methods that take matrices on frozen features and tables, with no parameter but the seed.

Run ``python -m benchmarks frozen --data-root DIR``; docs/frozen.md has the protocol.
"""

from __future__ import annotations

from collections.abc import Iterator

from ._frozen_data import PROBLEMS, divide
from ._frozen_methods import BOTH_PARTS, CORE, FAMILIES, LEARNED, SECOND, takes_part
from ._study import Job, Study

__all__ = ["GAINS", "STUDY", "jobs", "main"]

#: what is gained by what: a method and the same without it
GAINS: dict[str, tuple[tuple[str, str], ...]] = {
    "mixing alone": (("Mixup", "ERM"),),
    "balance alone": (("RWG", "ERM"),),
    "a scale for each class": (("ERM, class-scaled", "ERM"),),
    "a learned balance": ((LEARNED, BOTH_PARTS),),
    "balanced mixing": (("GBMix without refit", "RWG"), ("GBMix", "GBMix without mixing")),
    "the refit": (("GBMix", "GBMix without refit"),),
    "shares of cells that are learned in training": (
        ("GBMix without refit, learned shares", "GBMix without refit"),
        ("GBMix, learned shares", "GBMix"),
    ),
    "GBMix beyond logistic regression on the same samples": (
        ("GBMix", BOTH_PARTS),
        ("GBMix", LEARNED),
    ),
}


def jobs(problems: list[str], families: list[str], seeds: int) -> Iterator[Job]:
    """Problem, seed and family of every fit, what matters most first."""
    rest = [name for name in families if name not in CORE + SECOND]
    for part in (CORE, SECOND, rest):
        for seed in range(seeds):
            for problem in problems:
                for family in part:
                    if family in families and takes_part(family, PROBLEMS[problem]):
                        yield problem, seed, family


STUDY = Study(
    "frozen",
    __doc__.splitlines()[0],
    PROBLEMS,
    FAMILIES,
    divide,
    jobs,
    pairs=tuple(pair for pairs in GAINS.values() for pair in pairs),
)
main = STUDY.main
