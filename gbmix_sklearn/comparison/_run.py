"""Every method on every fold: in parallel, stored as it ends, a failure being a result."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed

from .._log import tell
from ..balance import shrunken_errors
from ..balance._fitting import fit_parameter, fitted_copy, last_step, part_of
from ..groups import Cells
from ..model_selection._split import allocate_per_cell, draw_per_cell
from ._inputs import Samples
from ._progress import Progress
from ._storage import Part, PartFile, key_of

__all__ = ["Job", "fit_whole", "run"]

#: from so many training samples on, the time is guessed from fits of these smaller numbers
_MANY, _FEW, _MORE = 4000, 500, 2000


@dataclass(frozen=True)
class Job:
    """One fit, and what it predicts.

    Attributes
    ----------
    name : str
        The method.
    fold : int
        Number of the fold, from 0.
    estimator : estimator
        Unfitted.
    seeds : dict
        Seeds for what has none.
    train, test : ndarray
        Rows.
    file : PartFile or None
        Where the result is kept.
    """

    name: str
    fold: int
    estimator: Any
    seeds: dict[str, int]
    train: np.ndarray
    test: np.ndarray
    file: PartFile | None = None

    def do(self, X: Any, samples: Samples) -> Part:
        """Fit on some samples and predict others; what goes wrong becomes part of the result."""
        start = time.perf_counter()
        codes, error = np.empty(0, dtype=np.int64), ""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                model = fit_whole(self.estimator, self.seeds, X, samples, self.train)
                predicted = model.predict(part_of(self.estimator, X, self.test, self.train))
                codes = _codes(predicted, samples.classes)
            except Exception as problem:
                error = _in_a_line(problem)
        seconds = time.perf_counter() - start
        told = dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught if _concerns(w))
        part = Part(codes.tolist(), seconds, list(told), error)
        if self.file is not None:
            self.file.save(part)
        return part


def _concerns(warning: warnings.WarningMessage) -> bool:
    """Whether a warning is one for users, and not for those who write libraries."""
    return issubclass(warning.category, UserWarning | RuntimeWarning)


def _in_a_line(problem: Exception) -> str:
    text = "".join(traceback.format_exception_only(problem)).strip()
    return " ".join(text.removeprefix("builtins.").split())


def _codes(predicted: Any, classes: np.ndarray) -> np.ndarray:
    predicted = np.asarray(predicted).ravel()
    codes = np.minimum(np.searchsorted(classes, predicted), len(classes) - 1)
    unknown = classes[codes] != predicted
    if unknown.any():
        raise ValueError(f"it predicts {predicted[unknown].tolist()[0]!r}, which is no class of y")
    return codes


def fit_whole(
    estimator: Any, seeds: dict[str, int], X: Any, samples: Samples, rows: np.ndarray
) -> Any:
    """Fit a copy of a method on some samples, with groups and units where it takes them."""
    given = {"groups": samples.groups, "keep_together": samples.keep_together}
    if getattr(last_step(estimator), "group_columns", None) is not None:
        del given["groups"]  # which it takes from X
    extra = {}
    for name, value in given.items():
        known = fit_parameter(estimator, name)
        if known is not None and value is not None:
            extra[known] = _safe_indexing(value, rows)
    return fitted_copy(estimator, seeds, part_of(estimator, X, rows), samples.y[rows], extra)


def run(
    methods: dict[str, Any],
    seeds: dict[str, dict[str, int]],
    samples: Samples,
    splits: list[tuple[np.ndarray, np.ndarray]],
    *,
    folder: Any,
    n_jobs: int | None,
    seed: int,
    verbose: Any,
) -> dict[str, list[Part]]:
    """Fit every method on every fold.

    Returns
    -------
    dict
        The results of each method in the order of the folds; of one that failed, those up to then.
    """
    digest = samples.digest() if folder is not None else ""
    jobs = []
    for fold, (train, test) in enumerate(splits):  # a fold of all methods after the other
        for name, estimator in methods.items():
            file = None
            if folder is not None:
                key = key_of(estimator, seeds[name], digest, train, test)
                file = PartFile.of(folder, name, fold, key)
            jobs.append(Job(name, fold, estimator, seeds[name], train, test, file))
    found: dict[tuple[str, int], Part] = {}
    for job in jobs:
        part = job.file.load(len(job.test)) if job.file is not None else None
        if part is not None:
            found[job.name, job.fold] = part
    missing = [job for job in jobs if (job.name, job.fold) not in found]
    known = {name: part.seconds for (name, _), part in found.items()}
    n_workers = effective_n_jobs(n_jobs)
    untimed = {job.name: job for job in reversed(missing) if job.name not in known}
    known |= _guess(list(untimed.values()), samples, n_jobs, seed, verbose)
    progress = Progress(
        [(job.name, job.fold) for job in missing],
        n_stored=len(found),
        n_folds=len(splits),
        n_workers=n_workers,
        seconds=known,
        verbose=verbose,
    )
    progress.begin(
        f"comparing {len(methods)} method{'s' * (len(methods) != 1)} on {len(splits)} folds of "
        f"{len(samples):,} samples in {len(samples.cells.present)} cells"
    )
    if missing:
        found |= _do(missing, samples, n_jobs, progress)
        progress.end()
    return {
        name: [found[name, fold] for fold in range(len(splits)) if (name, fold) in found]
        for name in methods
    }


def _do(
    jobs: list[Job], samples: Samples, n_jobs: int | None, progress: Progress
) -> dict[tuple[str, int], Part]:
    failed: set[str] = set()
    given: list[Job] = []
    labels = replace(samples, given=None, features=None)  # X goes to the processes once

    def wanted() -> Iterator[Any]:
        for job in jobs:
            if job.name in failed:  # the other folds would change nothing
                progress.skipped(job.name)
                continue
            given.append(job)
            yield delayed(job.do)(samples.for_method(job.estimator), labels)

    found = {}
    # joblib takes from the iterator while results come
    for number, part in enumerate(Parallel(n_jobs=n_jobs, return_as="generator")(wanted())):
        job = given[number]
        found[job.name, job.fold] = part
        if part.error:
            failed.add(job.name)
        progress.ended(job.name, job.fold, _facts(part, samples.cells.take(job.test)), part.error)
    return found


def _facts(part: Part, cells: Cells) -> dict[str, Any]:
    facts: dict[str, Any] = {"seconds": part.seconds}
    if not part.error:
        wrong = np.asarray(part.codes) != cells.y
        facts["average_accuracy"] = 1 - float(wrong.mean())
        facts["worst"] = 1 - float(np.nanmax(shrunken_errors(wrong, cells)))
    return facts


def _guess(
    jobs: list[Job], samples: Samples, n_jobs: int | None, seed: int, verbose: Any
) -> dict[str, float]:
    """Time of one fit of each method, from fits of few samples; nothing where all is soon done."""
    if not jobs or len(jobs[0].train) < _MANY:
        return {}
    tell(f"timing each method on {_FEW:,} and {_MORE:,} samples", {}, verbose)
    rng = np.random.default_rng(seed)
    trials = [
        replace(job, train=_part(samples, job.train, n, rng), file=None)
        for job in jobs
        for n in (_FEW, _MORE)
    ]
    labels = replace(samples, given=None, features=None)
    tasks = (delayed(trial.do)(samples.for_method(trial.estimator), labels) for trial in trials)
    parts = list(Parallel(n_jobs=n_jobs)(tasks))
    guesses = {}
    for job, few, more in zip(jobs, parts[::2], parts[1::2], strict=True):
        if not (few.error or more.error):
            slope = max(more.seconds - few.seconds, 0) / (_MORE - _FEW)
            guesses[job.name] = more.seconds + slope * (len(job.train) - _MORE)
    return guesses


def _part(samples: Samples, rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    codes = samples.cells.codes[rows]
    sizes = allocate_per_cell(np.bincount(codes, minlength=samples.cells.n_cells), n)
    return rows[draw_per_cell(codes, sizes, rng)]
