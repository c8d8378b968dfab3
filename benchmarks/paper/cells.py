"""A cell: one fit, judged by validation data; and its score on test data, if it is chosen."""

from __future__ import annotations

import json
import os
import shutil
import time
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gbmix_sklearn import GBMixError, NonFiniteLossError, group_report, load_model
from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.groups import make_cells

from .. import _records
from .config import Cell
from .data import Source, labels, part

__all__ = ["Store", "fit", "score"]


@dataclass(frozen=True)
class Store:
    """Where finished cells lie, one file each, and what they need meanwhile."""

    folder: Path

    def file(self, key: str) -> Path:
        return self.folder / "cells" / f"{key}.json"

    def model(self, key: str) -> Path:
        return self.folder / "models" / key

    def checkpoints(self, key: str) -> Path:
        return self.folder / "checkpoints" / key

    def read(self, key: str) -> dict[str, Any] | None:
        """The record of a finished cell; one that cannot be read counts as none."""
        try:
            return json.loads(self.file(key).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def write(self, key: str, record: dict[str, Any]) -> None:
        """Write a record in one step: it is whole, or not there."""
        _records.write(self.file(key), record)

    def alone(self, key: str) -> AbstractContextManager[None]:
        """Have a cell to oneself, since several runs may share the folder."""
        return _records.alone(self.folder / "locks" / key)

    def clear(self, key: str) -> None:
        """Remove the model of a cell."""
        with self.alone(key):
            shutil.rmtree(self.model(key), ignore_errors=True)


def fit(cell: Cell, source: Source, store: Store, threads: int) -> dict[str, Any]:
    """Fit a cell on the training part and judge it by the validation part, unless that is done."""
    key = cell.key(source.identity)
    with store.alone(key):
        record = store.read(key)
        if record is None:
            record = _fit(cell, source, store, threads)
            store.write(key, record)
            shutil.rmtree(store.checkpoints(key), ignore_errors=True)
    return record


def _fit(cell: Cell, source: Source, store: Store, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    key = cell.key(source.identity)
    options: dict[str, Any] = {"random_state": cell.seed, **cell.parameters, **cell.setting}
    if cell.embedding is None:
        options["cache_dir"] = source.cache / "pixels"
    if cell.checkpoints:  # a cell that is stopped goes on within its epochs
        options["checkpoint_dir"] = store.checkpoints(key)
    record = {
        "key": key,
        "dataset": cell.dataset,
        "method": cell.method,
        "preset": cell.preset,
        "backbone": cell.backbone,
        "seed": cell.seed,
        "setting": cell.setting,
        "parameters": cell.parameters,
        "data": source.identity,
        "machine": _records.machine(),
    }
    data = [part(source, name, cell.backbone, cell.embedding) for name in ("train", "valid")]
    (X, y, groups), (X_val, y_val, groups_val) = data
    model = METHODS[cell.classifier](**options)
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(X, y, groups, X_val=X_val, y_val=y_val, groups_val=groups_val)
        except NonFiniteLossError as error:  # an outcome of this setting, not an accident
            return {**record, "diverged": str(error)}
    report = group_report(y_val, model.predict(X_val), groups=groups_val)
    store.model(key).parent.mkdir(parents=True, exist_ok=True)
    model.save(store.model(key))
    return {
        **record,
        "validation": dict(report.attrs),
        "best_epoch": int(model.best_epoch_),
        "epochs": len(model.history_),
        "seconds": round(time.perf_counter() - start, 3),
        "warnings": sorted({f"{w.category.__name__}: {w.message}" for w in caught}),
    }


def score(cell: Cell, source: Source, store: Store, threads: int) -> dict[str, Any]:
    """Score the model of a chosen cell on the test part, unless that is done."""
    key = cell.key(source.identity)
    with store.alone(key):
        return _scored(key, cell, source, store, threads)


def _scored(key: str, cell: Cell, source: Source, store: Store, threads: int) -> dict[str, Any]:
    record = store.read(key)
    assert record is not None
    if "test" in record:
        return record
    torch.set_num_threads(threads)
    try:
        model = load_model(store.model(key))
    except (FileNotFoundError, GBMixError):
        # cleared away when another setting was chosen, or not whole: whoever saved it was killed
        shutil.rmtree(store.model(key), ignore_errors=True)
        again = _fit(cell, source, store, threads)
        assert "diverged" not in again
        model = load_model(store.model(key))
    X, y, groups = part(source, "test", cell.backbone, cell.embedding)
    shares = make_cells(*labels(source, "train")).table
    report = group_report(y, model.predict(X), groups=groups, cell_weights=shares)
    record["test"] = dict(report.attrs)
    store.write(key, record)
    return record


def n_threads(jobs: int) -> int:
    """Threads for each of so many processes."""
    cores = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    return max(1, cores // jobs)
