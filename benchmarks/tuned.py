"""Last stages trained against the same backbone frozen, with the same refit.

Run ``python -m benchmarks tuned --data-root DIR``; docs/tuned.md has the protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gbmix_sklearn.estimators import METHODS

from ._frozen_data import BACKBONE, CACHE, PARTS, Problem, named_cells
from ._frozen_methods import Fitted, fit
from ._parts import Division, Part
from ._study import Job, Study
from .paper import data

__all__ = ["FROZEN", "PROBLEMS", "STUDY", "divide", "jobs", "main"]

#: what all others are held against
FROZEN = "GBMix, frozen"
EPOCHS = 5
#: stages that are trained, counted from the last
STAGES = 2


@dataclass(frozen=True)
class TunedProblem(Problem):
    """A problem whose images are trained on, `persons` of them at most."""

    persons: int | None = None


PROBLEMS = {
    problem.name: problem
    for problem in (
        TunedProblem("Waterbirds", "Waterbirds", {}, 96, is_divided=False),
        TunedProblem(
            "CelebA, blond hair by gender",
            "CelebA",
            {"split": "person"},
            96,
            is_divided=False,
            persons=2000,
        ),
    )
}


def divide(problem: Problem, root: Path, seed: int) -> Division:
    """Load the parts of a problem: paths of images, which the classifiers read themselves."""
    assert isinstance(problem, TunedProblem)
    bunch = data.load(problem.dataset, root, CACHE, **problem.options)
    y, groups, split = (np.asarray(bunch[name]) for name in ("target", "groups", "split"))
    images, units = np.asarray(bunch.images, dtype=str), bunch.get("person")
    parts = []
    for number in range(len(PARTS)):
        rows = np.flatnonzero(split == number)
        if number == 0 and problem.persons is not None:
            known = np.random.default_rng(0).permutation(np.unique(units[rows]))
            rows = rows[np.isin(units[rows], known[: problem.persons])]
        of_persons = None if units is None else units[rows]
        parts.append(Part(images[rows], y[rows], groups[rows], of_persons))
    return Division(*parts, named_cells(bunch), units, split == PARTS.index("test"))


def tuned(name: str, division: Division, seed: int) -> Iterator[Fitted]:
    """A method that trains the last stages."""
    model = METHODS[name](
        BACKBONE,
        image_size=96,
        trainable=STAGES,
        max_epochs=EPOCHS,
        lr_schedule="cosine",
        refit="auto",
        random_state=seed,
    )
    yield _fitted(name, model, division)


def frozen(division: Division, seed: int) -> Iterator[Fitted]:
    """GBMix by its defaults on the embeddings of the same backbone."""
    cached = CACHE / "embeddings"
    model = METHODS["GBMix"](
        BACKBONE, image_size=96, trainable=False, cache_dir=cached, random_state=seed
    )
    yield _fitted(FROZEN, model, division)


def _fitted(name: str, model: Any, division: Division) -> Fitted:
    fitted = fit(model, division)
    facts = {"best_epoch": int(fitted.best_epoch_)}
    return Fitted(name, facts, lambda X: fitted.predict(X.tolist()))


def jobs(problems: list[str], families: list[str], seeds: int) -> Iterator[Job]:
    """Problem, seed and family of every fit: what matters most first."""
    for part in (STUDIED[:2], STUDIED[2:]):
        for seed in range(seeds):
            for problem in problems:
                for family in part:
                    if family in families:
                        yield problem, seed, family


FAMILIES = {FROZEN: frozen, **{n: partial(tuned, n) for n in ("GBMix", "RWG", "GroupDRO", "ERM")}}
STUDIED = tuple(FAMILIES)
STUDY = Study(
    "tuned",
    __doc__.splitlines()[0],
    PROBLEMS,
    FAMILIES,
    divide,
    jobs,
    pairs=(("GBMix", "RWG"), ("GBMix", "GroupDRO"), ("GBMix", "ERM")),
    baseline=FROZEN,
)
main = STUDY.main
