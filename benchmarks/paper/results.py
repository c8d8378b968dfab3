"""The results file: chosen cells with their test scores, sweeps with their validation scores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import _records
from .choice import SIGNS
from .runner import Outcome

__all__ = ["COLUMNS", "empty", "merge", "read", "select", "shown", "spread"]

#: names of the metrics in records, by their names in the paper's tables
COLUMNS = {
    "worst": "worst_group_accuracy",
    "gap": "robust_gap",
    "average": "average_accuracy",
    "adjusted": "adjusted_average_accuracy",
}
assert set(SIGNS) < set(COLUMNS)


def empty() -> dict[str, Any]:
    return {"machine": _records.machine(), "machines": {}, "records": [], "sweeps": []}


def read(path: Path) -> dict[str, Any]:
    """Earlier results, or none."""
    return json.loads(path.read_text()) if path.exists() else empty()


def merge(results: dict[str, Any], outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Results with those of finished contests in place of earlier ones of the same.

    Unless those have more seeds on the same data: fewer take nothing away.
    """
    machines = dict(results["machines"])
    earlier: dict[tuple, list[dict[str, Any]]] = {}
    for record in results["records"]:
        earlier.setdefault((*_name(record), record["data"]), []).append(record)
    records, sweeps = [], []
    for outcome in outcomes:
        tested = [r for r in outcome.records if r["setting"] == outcome.chosen and "test" in r]
        seeds = outcome.contest.seeds
        if {r["seed"] for r in tested} != seeds:
            continue
        if len(earlier.get((*outcome.contest.name, tested[0]["data"]), ())) > len(seeds):
            continue
        records += [_record(r, machines) for r in tested]
        sweeps.append(_sweep(outcome))
    replaced = {_name(sweep) for sweep in sweeps}
    kept = {
        name: [entry for entry in results[name] if _name(entry) not in replaced]
        for name in ("records", "sweeps")
    }
    records, sweeps = kept["records"] + records, kept["sweeps"] + sweeps
    used = {record["machine"] for record in records}
    return {
        "machine": _records.machine(),
        "machines": {name: machines[name] for name in sorted(used)},
        "records": sorted(records, key=lambda r: (*_name(r), r["seed"])),
        "sweeps": sorted(sweeps, key=_name),
    }


def _name(entry: dict[str, Any]) -> tuple[str, ...]:
    return tuple(entry[name] for name in ("preset", "backbone", "dataset", "method"))


def _record(cell: dict[str, Any], machines: dict[str, Any]) -> dict[str, Any]:
    """One flat record of a chosen cell; machines are described once for all."""
    described = json.dumps(cell["machine"], sort_keys=True)
    machine = hashlib.sha256(described.encode()).hexdigest()[:8]
    machines[machine] = cell["machine"]
    names = ("dataset", "method", "preset", "backbone", "seed", "setting", "parameters", "data")
    return {
        **{name: cell[name] for name in names},
        **cell["test"],
        "validation": cell["validation"],
        **{name: cell[name] for name in ("best_epoch", "epochs", "seconds", "warnings")},
        "machine": machine,
    }


def _sweep(outcome: Outcome) -> dict[str, Any]:
    """Validation scores of all settings on the seeds that were run; None where a fit diverged."""
    scores: dict[str, list[float | None]] = {}
    for record in outcome.records:
        score = record.get("validation", {}).get("worst_group_accuracy")
        scores.setdefault(json.dumps(record["setting"]), []).append(score)
    contest = outcome.contest
    return {
        "dataset": contest.dataset,
        "method": contest.method,
        "preset": contest.preset,
        "backbone": contest.backbone,
        "chosen": outcome.chosen,
        "settings": [
            {"setting": json.loads(setting), "validation_worst_group_accuracy": values}
            for setting, values in scores.items()
        ],
    }


def shown(config: dict[str, Any]) -> list[str]:
    """The rows of a table in order: the paper's, and what was run beside them if it was."""
    return list(dict.fromkeys([*config["methods"], *config.get("also", ())]))


def select(results: dict[str, Any], config: dict[str, Any], preset: dict[str, Any]) -> pd.DataFrame:
    """Records of one table under one preset, in per cent, in the paper's terms."""
    columns = ["dataset", "method", "seed", "setting", *COLUMNS]
    backbone = preset.get("backbone", config["backbone"])
    methods = shown(config)
    rows = [
        {
            **{name: record[name] for name in ("dataset", "method", "seed", "setting")},
            **{short: 100 * record[name] for short, name in COLUMNS.items()},
        }
        for record in results["records"]
        if record["preset"] == preset["name"]
        and record["backbone"] == backbone
        and record["dataset"] in config["datasets"]
        and record["method"] in methods
    ]
    return pd.DataFrame(rows, columns=columns)


def spread(values: Any) -> str:
    """Mean and standard deviation over seeds, as in the paper; one seed has no spread."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return f"{values[0]:.1f}" if len(values) else "–"
    return f"{values.mean():.1f} ± {values.std():.1f}"
