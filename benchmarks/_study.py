"""A study that fits families of methods on problems, and keeps what they got right.

Results are JSON: of each problem the cells of all samples, of each division its test part, of each
fit which test samples it got right. Any comparison can be made from that later. A fit is written as
soon as it ends, and never run again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch

from . import _records
from ._divisions import scores
from ._frozen_methods import BASELINE, Family, methods_of
from ._intervals import Outcomes, PairedBootstrap
from ._packed import pack_codes, pack_flags, unpack_codes, unpack_flags
from ._parts import Division
from .paper.data import AbsentError

__all__ = ["Study", "compare", "outcomes_of"]

Job = tuple[str, int, str]


class NamedProblem(Protocol):
    """What a study needs to know of a problem."""

    @property
    def name(self) -> str: ...
    @property
    def image_size(self) -> int | None: ...


P = TypeVar("P", bound=NamedProblem)


@dataclass(frozen=True)
class Study(Generic[P]):
    """What is run: problems, families of methods, and in which order.

    Attributes
    ----------
    name : str
        Of the command and the file of the results.
    about : str
        A line for its help.
    problems : mapping of str to problem
        By name; a problem has a `name`, and an `image_size`, which is None for tables.
    families : mapping of str to callable
        By name.
    divide : callable
        The parts of a problem with a seed, from below a folder.
    jobs : callable
        Problem, seed and family of each fit, in order, from the names that are asked for and the
        number of seeds.
    pairs : tuple of (method, other)
        What is compared besides all with the baseline and with the first.
    baseline : str
        The method that all others are held against.
    methods_of : callable
        The methods that a family yields, by its name.
    seeds : int
        How many there are unless asked for otherwise.
    """

    name: str
    about: str
    problems: Mapping[str, P]
    families: Mapping[str, Family]
    divide: Callable[[P, Path, int], Division]
    jobs: Callable[[list[str], list[str], int], Iterator[Job]]
    pairs: tuple[tuple[str, str], ...] = ()
    baseline: str = BASELINE
    methods_of: Callable[[str], tuple[str, ...]] = methods_of
    seeds: int = 3

    def main(self, argv: list[str] | None = None) -> int:
        """Run what is asked for on the command line and not there yet."""
        arguments = self._parser().parse_args(argv)
        torch.set_num_threads(1)
        results = _read(arguments.out)
        done = {(r["problem"], r["seed"], r["method"]) for r in results["records"]}
        at: tuple[str, int] | None = None
        absent: set[str] = set()
        for name, seed, family in self.jobs(arguments.problems, arguments.methods, arguments.seeds):
            methods = self.methods_of(family)
            if name in absent or all((name, seed, method) in done for method in methods):
                continue
            problem = self.problems[name]
            if at != (name, seed):
                self._compare(results, *(at or ())[:1])
                try:
                    division = self.divide(problem, arguments.data_root, seed)
                except AbsentError as error:
                    absent.add(name)
                    print(f"absent: {name}: {error}", file=sys.stderr, flush=True)
                    continue
                at = name, seed
            _add(results, problem, seed, division)
            try:
                for found in _records_of(self.families[family], division, seed):
                    results["records"].append({"problem": name, **found})
                    _write(results, arguments.out)
                    print(_line(results["records"][-1]), flush=True)
            except ModuleNotFoundError as error:  # a rival's
                print(f"absent: {family}: {error}", file=sys.stderr, flush=True)
        self._compare(results, *(about["problem"] for about in results["data"]))
        _write(results, arguments.out)
        return 0

    def _compare(self, results: dict[str, Any], *problems: str) -> None:
        """Replace the comparisons of some problems by those of all records there are."""
        kept = [c for c in results["comparisons"] if c["problem"] not in problems]
        new = [
            found
            for name in problems
            for found in compare(results, name, self.pairs, self.baseline)
        ]
        results["comparisons"] = kept + new

    def _parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(
            prog=f"python -m benchmarks {self.name}", description=self.about
        )
        problems, families = list(self.problems), list(self.families)
        parser.add_argument("--data-root", type=Path, required=True, metavar="DIR")
        parser.add_argument("--problems", nargs="+", default=problems, choices=problems,
                            metavar="PROBLEM")  # fmt: skip
        parser.add_argument("--methods", nargs="+", default=families, choices=families,
                            metavar="METHOD")  # fmt: skip
        parser.add_argument("--seeds", type=int, default=self.seeds)
        parser.add_argument("--out", type=Path, metavar="FILE",
                            default=_records.RESULTS / f"{self.name}.json")  # fmt: skip
        return parser


def _records_of(family: Family, division: Division, seed: int) -> Iterator[dict[str, Any]]:
    """Fit a family, and say what its methods predict of the test part."""
    test = division.test
    start = time.perf_counter()
    for method, setting, predict in family(division, seed):
        seconds = time.perf_counter() - start
        predicted = predict(test.X)
        found = scores(test.y, predicted, test.groups)
        yield {
            "method": method,
            "seed": seed,
            "setting": setting,
            **{name: round(float(score), 5) for name, score in found.items()},
            "right": pack_flags(predicted == test.y),
            "seconds": round(seconds, 2),
        }
        start = time.perf_counter()


def _line(record: dict[str, Any]) -> str:
    return (
        f"{record['problem']}, seed {record['seed']}, {record['method']}: worst group "
        f"{record['worst_group_accuracy']:.3f}, average {record['average_accuracy']:.3f}, "
        f"{record['seconds']:.0f} s"
    )


def _describe(problem: NamedProblem, division: Division) -> dict[str, Any]:
    """What a problem is, and the cell of every sample."""
    cells = division.cells
    about = {
        "problem": problem.name,
        "image_size": problem.image_size,
        "features": division.train.X.shape[1] if division.train.X.ndim > 1 else None,
        "labels": cells.labels,
        "cells": pack_codes(cells.codes),
        "units": None,
    }
    if division.units is not None:
        about["units"] = pack_codes(np.unique(division.units, return_inverse=True)[1])
    return about


def outcomes_of(results: dict[str, Any], problem: str) -> list[Outcomes]:
    """The test part of each seed, and what methods got right of it."""
    about = next(d for d in results["data"] if d["problem"] == problem)
    cells = unpack_codes(about["cells"])
    units = np.arange(len(cells)) if about["units"] is None else unpack_codes(about["units"])
    parts = []
    for division in results["divisions"]:
        if division["problem"] == problem:
            rows = np.flatnonzero(unpack_flags(division["in_test"], len(cells)))
            place = _place(division)
            right = {
                record["method"]: unpack_flags(record["right"], len(rows))
                for record in results["records"]
                if _place(record) == place
            }
            parts.append(Outcomes(cells[rows], units[rows], right))
    return parts


def compare(
    results: dict[str, Any],
    problem: str,
    pairs: tuple[tuple[str, str], ...] = (),
    baseline: str = BASELINE,
) -> list[dict[str, Any]]:
    """Differences of all methods to the baseline and to the first, and of pairs, with intervals."""
    worst: dict[str, list[float]] = {}
    for record in results["records"]:
        if record["problem"] == problem:
            worst.setdefault(record["method"], []).append(record["worst_group_accuracy"])
    if baseline not in worst:
        return []
    bootstrap = PairedBootstrap(outcomes_of(results, problem))
    first = max(worst, key=lambda name: float(np.mean(worst[name])))
    wanted = [(method, against) for method in worst for against in (baseline, first)]
    wanted += [pair for pair in pairs if set(pair) <= set(worst) and pair[0] != pair[1]]
    found = []
    for method, against in dict.fromkeys(wanted):
        difference = bootstrap.difference(method, against)
        names = dict(zip(("difference", "low", "high"), difference, strict=True))
        found.append(
            {
                "problem": problem,
                "method": method,
                "against": against,
                "is_first": against == first,
                **{name: round(value, 5) for name, value in names.items()},
            }
        )
    return found


def _read(path: Path) -> dict[str, Any]:
    if path.exists():
        return _records.read(str(path.resolve()))
    return {"data": [], "divisions": [], "records": [], "comparisons": []}


def _write(results: dict[str, Any], path: Path) -> None:
    _records.write(path, {**results, "machine": _records.machine()})


def _add(results: dict[str, Any], problem: NamedProblem, seed: int, division: Division) -> None:
    """Add a problem and its division, if they are not known yet."""
    place = {"problem": problem.name, "seed": seed}
    if not any(d["problem"] == problem.name for d in results["data"]):
        results["data"].append(_describe(problem, division))
    if not any(_place(d) == place for d in results["divisions"]):
        sizes = {name: len(getattr(division, name).y) for name in ("train", "valid", "test")}
        found = {**place, "samples": sizes, "in_test": pack_flags(division.in_test)}
        results["divisions"].append(found)


def _place(found: dict[str, Any]) -> dict[str, Any]:
    return {"problem": found["problem"], "seed": found["seed"]}
