"""Training parts in which a class goes with an attribute to a degree that is set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import subgroup_train_test_split

from ._frozen_data import CACHE, Problem, embedded, named_cells
from ._parts import Division, Part
from .paper import data

__all__ = ["PROBLEMS", "RATIOS", "SharedProblem", "divide", "thinned"]

RATIOS = (2, 4, 8, 16, 32, 64)
#: samples of a class that train, at most
MOST = 1500


@dataclass(frozen=True)
class SharedProblem(Problem):
    """A problem of two classes and two values, with one frequent and one rare value in each class.

    In class 0 the frequent value is `frequent`, in class 1 the other one. One sample of a rare cell
    trains for each `ratio` of the frequent one of its class.
    """

    ratio: int = 1
    frequent: int = 0


def _problems() -> dict[str, SharedProblem]:
    kinds: tuple[tuple[str, str, dict[str, Any], int, int], ...] = (
        ("Waterbirds", "Waterbirds", {}, 128, 0),
        (
            "CelebA, wavy hair by gender",
            "CelebA",
            {"split": "person", "target": "Wavy_Hair"},
            96,
            1,  # straight hair goes with men
        ),
        (
            "UTKFace, gender by race",
            "UTKFace",
            {"target": "gender", "validation_fraction": 0.1, "test_fraction": 0.4},
            96,
            0,
        ),
    )
    made = [
        SharedProblem(f"{name}, 1:{ratio}", dataset, options, size, True, ratio, frequent)
        for name, dataset, options, size, frequent in kinds
        for ratio in RATIOS
    ]
    return {problem.name: problem for problem in made}


PROBLEMS = _problems()


def thinned(
    y: np.ndarray, s: np.ndarray, ratio: int, frequent: int, rng: np.random.Generator
) -> np.ndarray:
    """Rows in which one of the rare value comes with `ratio` of the frequent one, in each class.

    How many a class has is the same for all of `RATIOS`, and rows of a rare cell that a larger
    ratio keeps are among those of a smaller one with the same generator.

    Parameters
    ----------
    y, s : ndarray of shape (n_samples,)
        Class and attribute value, 0 or 1.
    ratio : int
        One of `RATIOS`.
    frequent : int
        The frequent value in class 0; in class 1 it is the other one.
    rng : Generator
        Draws the rows.

    Returns
    -------
    ndarray of shape (n_kept,), dtype int
        Ascending.
    """
    kept = []
    for label in (0, 1):
        often = frequent if label == 0 else 1 - frequent
        many, few = (
            rng.permutation(np.flatnonzero((y == label) & (s == value)))
            for value in (often, 1 - often)
        )
        least, most = min(RATIOS), max(RATIOS)
        total = min(MOST, len(few) * (least + 1), len(many) * (most + 1) // most)
        n_few = max(1, round(total / (ratio + 1)))
        kept += [many[: total - n_few], few[:n_few]]
    return np.sort(np.concatenate(kept))


@lru_cache(maxsize=2)
def _load(dataset: str, options: tuple[tuple[str, Any], ...], root: Path, seed: int) -> Any:
    random_state = {} if dataset == "Waterbirds" else {"random_state": seed}
    return data.load(dataset, root, CACHE, **dict(options), **random_state)


def divide(problem: Problem, root: Path, seed: int) -> Division:
    """Load the parts: training and validation part with the shares of the problem, test part whole.

    Half of the samples of a cell are there to train, a tenth to choose, and the rest to test; of
    UTKFace those of the two races that are named. Waterbirds' official parts are put together,
    since its rare cells have 56 and 184 samples in the training part.
    """
    assert isinstance(problem, SharedProblem)
    assert problem.image_size is not None
    bunch = _load(problem.dataset, tuple(sorted(problem.options.items())), root, seed)
    y, s = np.asarray(bunch.target), np.asarray(bunch.groups)
    known = np.flatnonzero(s < 2)
    if problem.dataset == "Waterbirds":
        train, rest = _halves(known, y, s, 0.5, seed)
        valid, test = _halves(rest, y, s, 0.8, seed)
        rows = [train, valid, test]
    else:
        rows = [known[bunch.split[known] == number] for number in range(3)]
    rng = np.random.default_rng(seed)
    for number in (0, 1):
        of_part = rows[number]
        kept = thinned(y[of_part], s[of_part], problem.ratio, problem.frequent, rng)
        rows[number] = of_part[kept]
    X = embedded(tuple(bunch.images), problem.image_size)
    scaler = StandardScaler().fit(X[rows[0]])
    units = bunch.get("person")
    parts = (
        Part(scaler.transform(X[r]), y[r], s[r], None if units is None else units[r]) for r in rows
    )
    in_test = np.zeros(len(known), dtype=bool)
    in_test[np.searchsorted(known, rows[2])] = True
    return Division(
        *parts, named_cells(bunch).take(known), None if units is None else units[known], in_test
    )


def _halves(
    rows: np.ndarray, y: np.ndarray, s: np.ndarray, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Divide rows within each cell; the second part, which has the share, is the later one."""
    found = subgroup_train_test_split(rows, y[rows], s[rows], test_size=share, random_state=seed)
    return np.sort(found[0]), np.sort(found[1])
