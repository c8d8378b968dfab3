"""Adult and COMPAS by several attributes, against scikit-learn and fairlearn.

Run ``python -m benchmarks tabular --data-root DIR``; docs/tabular.md has the protocol. What is in
the results is not run again, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import balanced_accuracy_score
from threadpoolctl import threadpool_limits

from gbmix_sklearn import NonFiniteLossError, group_report
from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.metrics import demographic_parity_difference, equalized_odds_difference

from . import _records
from ._tabular_causes import VARIATIONS, Variation, thinned
from ._tabular_data import (
    ATTRIBUTES,
    DATASETS,
    LEAST_TEST_SAMPLES,
    TEST_SHARE,
    AbsentError,
    Part,
    Table,
    divide,
    load,
    merge_rare_races,
)
from ._tabular_methods import CONTESTANTS, REFERENCE, Contestant, Predict
from .paper.choice import choose
from .paper.config import describe

__all__ = ["compete", "main", "prepare", "vary"]

#: raise it where the same names come to mean something else: old results are not gone on with
PROTOCOL = 2
#: what is kept of a variation
CAUSES_SCORES = ("worst_group_accuracy", "mean_group_accuracy", "average_accuracy")


def accuracies(predict: Predict, part: Part, train: Part) -> tuple[np.ndarray, dict[str, float]]:
    """Labels that a predictor gives a part, and their accuracies, which choose settings."""
    predicted = predict(part.X, part.groups)
    shares = make_cells(train.y, train.groups).table
    report = group_report(part.y, predicted, groups=part.groups, cell_weights=shares)
    return predicted, dict(report.attrs)


def judge(predict: Predict, part: Part, train: Part) -> dict[str, float]:
    """All scores of a predictor on a part; `train` has the shares of the adjusted average."""
    predicted, scores = accuracies(predict, part, train)
    scores["balanced_accuracy"] = balanced_accuracy_score(part.y, predicted)
    for parity in (demographic_parity_difference, equalized_odds_difference):
        scores[parity.__name__] = parity(part.y, predicted, groups=part.groups)
    return {name: round(float(score), 4) for name, score in scores.items()}


def prepare(
    table: Table, attributes: str, seeds: int, least_test_samples: int = LEAST_TEST_SAMPLES
) -> tuple[dict[str, Any], list[dict[str, Part]]]:
    """What the groups are, and the parts of every seed."""
    groups = table.attributes[list(ATTRIBUTES[attributes])]
    groups, merged = merge_rare_races(groups, table.y, least_test_samples / TEST_SHARE)
    divisions = [divide(table, groups, seed) for seed in range(seeds)]
    test = divisions[0]["test"]
    cells = make_cells(test.y, test.groups)
    smallest = int(np.argmin(cells.counts))
    about = {
        "attributes": attributes,
        "samples": {name: len(part.y) for name, part in divisions[0].items()},
        "features": test.X.shape[1],
        "cells": cells.n_cells,
        "merged_races": merged,
        "smallest_cell": cells.labels[smallest],
        "smallest_cell_test_samples": int(cells.counts[smallest]),
    }
    return about, divisions


def _timed(contestant: Contestant, parts: dict[str, Part], setting: Any, seed: int) -> tuple:
    """A predictor and the seconds of processor time that its fit took; None if it diverged."""
    start = time.process_time()
    try:
        predict = contestant.fit(parts["train"], setting, seed)
    except NonFiniteLossError:  # an outcome of this setting, which rules it out
        predict = None
    return predict, time.process_time() - start


def _on_validation(predict: Predict, parts: dict[str, Part]) -> dict[str, float]:
    return accuracies(predict, parts["valid"], parts["train"])[1]


def _reference_seconds(parts: dict[str, Part], seed: int) -> float:
    """Seconds of plain logistic regression; a fit of milliseconds is repeated."""
    seconds: list[float] = []
    while sum(seconds) < 0.1:
        seconds.append(_timed(REFERENCE, parts, {}, seed)[1])
    return float(np.median(seconds))


def compete(contestant: Contestant, divisions: list[dict[str, Part]]) -> tuple[dict, list[dict]]:
    """Try all settings with all seeds, choose one on validation data, and test it.

    Returns
    -------
    sweep : dict
        Worst-group accuracy on validation data by setting, mean of the seeds.
    records : list of dict
        Scores on test data of the chosen setting, and fit times, for each seed.
    """
    fitted: dict[tuple[str, int], tuple] = {}
    outcomes: list[tuple[dict, dict[str, float] | None]] = []
    reference = []
    for seed, parts in enumerate(divisions):
        reference.append(_reference_seconds(parts, seed))
        for setting in contestant.settings:
            predict, seconds = _timed(contestant, parts, setting, seed)
            fitted[describe(setting), seed] = predict, seconds
            scores = None if predict is None else _on_validation(predict, parts)
            outcomes.append((setting, scores))
    chosen = choose(outcomes)
    if chosen is None:
        raise RuntimeError(f"{contestant.name}: every setting diverged")
    sweep = {}
    for setting in contestant.settings:
        scored = [scores for tried, scores in outcomes if tried == setting]
        worst = [np.nan if scores is None else scores["worst_group_accuracy"] for scores in scored]
        mean = float(np.mean(worst))
        sweep[describe(setting)] = None if np.isnan(mean) else round(mean, 4)
    records = []
    for seed, parts in enumerate(divisions):
        predict, seconds = fitted[describe(chosen), seed]
        records.append(
            {
                "setting": describe(chosen),
                "seed": seed,
                **judge(predict, parts["test"], parts["train"]),
                "fit_seconds": float(f"{seconds:.3g}"),
                "fit_ratio": float(f"{seconds / reference[seed]:.3g}"),
            }
        )
    return sweep, records


def vary(variation: Variation, divisions: list[dict[str, Part]]) -> list[dict[str, Any]]:
    """Scores of a variation on validation data, for each seed; test data are not read."""
    records = []
    for seed, parts in enumerate(divisions):
        train = thinned(parts["train"], variation.share, seed)
        predict = CONTESTANTS[variation.method].fit(train, variation.setting, seed)
        scores = _on_validation(predict, parts)
        records.append({"seed": seed} | {name: round(scores[name], 4) for name in CAUSES_SCORES})
    return records


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks tabular",
        description="Adult and COMPAS by several attributes, against scikit-learn and fairlearn. "
        "What is in the results is not run again: the same command goes on where it was stopped.",
    )
    parser.add_argument("--data-root", type=Path, required=True, metavar="DIR",
                        help="folder with COMPAS; Adult comes with the package")  # fmt: skip
    parser.add_argument("--datasets", nargs="+", default=DATASETS, choices=DATASETS)
    parser.add_argument("--attributes", nargs="+", default=list(ATTRIBUTES), choices=ATTRIBUTES)
    parser.add_argument("--methods", nargs="+", default=list(CONTESTANTS), metavar="METHOD",
                        help="names in the tables; default: all")  # fmt: skip
    parser.add_argument("--causes", action="store_true",
                        help="vary one thing at a time on validation data instead")  # fmt: skip
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, metavar="FILE",
                        default=_records.RESULTS / "tabular.json")  # fmt: skip
    parser.add_argument("--anew", action="store_true", help="forget earlier results")
    return parser


def main(argv: list[str]) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    unknown = set(arguments.methods) - set(CONTESTANTS)
    if unknown:
        parser.error(
            f"no methods {', '.join(sorted(unknown))}; there are: {'; '.join(CONTESTANTS)}"
        )
    if arguments.seeds < 1:
        parser.error("--seeds is at least 1")
    torch.set_num_threads(1)
    results = _earlier(arguments.out, arguments.seeds, arguments.anew)
    absent = []
    with threadpool_limits(1):  # fit times compare methods, not how many cores they take
        for dataset in arguments.datasets:
            try:
                table = load(dataset, arguments.data_root)
            except AbsentError as error:
                absent.append(dataset)
                _say(f"absent: {dataset}: {error}")
                continue
            for attributes in arguments.attributes:
                work = _vary_all if arguments.causes else _run
                work(results, table, dataset, attributes, arguments)
    if absent:
        _say(f"absent: {', '.join(absent)}; the same command runs them when they are there")
    _say(f"results: {arguments.out}")
    return 0


def _earlier(path: Path, seeds: int, anew: bool) -> dict[str, Any]:
    """Results that are there; those of another study are not gone on with."""
    study: dict[str, Any] = {"protocol": PROTOCOL, "seeds": seeds}
    if anew or not path.exists():
        return {**study, "data": [], "sweeps": [], "records": [], "causes": []}
    results = _records.read(str(path.resolve()))
    for name, value in study.items():
        if results.get(name) != value:
            raise SystemExit(
                f"{path} is of {name} {results.get(name)}, not {value}: "
                "give --anew, or another --out"
            )
    return results


def _run(
    results: dict[str, Any],
    table: Table,
    dataset: str,
    attributes: str,
    arguments: argparse.Namespace,
) -> None:
    """Let all methods that have no results compete, writing after each."""
    place = {"dataset": dataset, "attributes": attributes}
    done = {s["method"] for s in results["sweeps"] if place.items() <= s.items()}
    to_do = [name for name in arguments.methods if name not in done]
    if not to_do:
        return
    about, divisions = prepare(table, attributes, arguments.seeds)
    results["data"] = [d for d in results["data"] if not place.items() <= d.items()]
    results["data"].append({**place, **about})
    for number, name in enumerate(to_do, start=1):
        start = time.perf_counter()
        sweep, records = compete(CONTESTANTS[name], divisions)
        key = {**place, "method": name}
        results["sweeps"].append({**key, "validation": sweep})
        results["records"] += [{**key, **record} for record in records]
        _write(results, arguments.out)
        score = max(value for value in sweep.values() if value is not None)
        seconds = time.perf_counter() - start
        _say(
            f"{dataset}, {attributes}, {number} of {len(to_do)}: {name}: worst group "
            f"{score:.3f} on validation data, {seconds:.0f} s"
        )


def _vary_all(
    results: dict[str, Any],
    table: Table,
    dataset: str,
    attributes: str,
    arguments: argparse.Namespace,
) -> None:
    """Score all variations that have no results, writing after each."""
    place = {"dataset": dataset, "attributes": attributes}
    earlier = results.setdefault("causes", [])
    done = {(c["method"], c["what"]) for c in earlier if place.items() <= c.items()}
    to_do = [v for v in VARIATIONS if v.method in arguments.methods]
    to_do = [v for v in to_do if (v.method, v.what) not in done]
    if not to_do:
        return
    _, divisions = prepare(table, attributes, arguments.seeds)
    for variation in to_do:
        key = {**place, "method": variation.method, "what": variation.what}
        key["setting"] = describe(variation.setting)
        earlier += [{**key, **record} for record in vary(variation, divisions)]
        _write(results, arguments.out)
        _say(f"{dataset}, {attributes}: {variation.method} {variation.what}".rstrip())


def _write(results: dict[str, Any], path: Path) -> None:
    machine = _records.machine()
    machine["versions"]["fairlearn"] = version("fairlearn")
    _records.write(path, {**results, "machine": machine})


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
