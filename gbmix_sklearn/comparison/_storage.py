"""Results of single fits in files, so that a comparison that is killed goes on."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .._files import read_plain, replace_file
from ..training import fingerprint

__all__ = ["Part", "PartFile", "key_of"]

#: parameters that change how a fit runs but not what it gives
_RUN_ONLY = (
    "cache_dir",
    "callbacks",
    "checkpoint_dir",
    "memory",
    "n_jobs",
    "num_workers",
    "verbose",
)


@dataclass(frozen=True)
class Part:
    """What one fit gave.

    Attributes
    ----------
    codes : list of int
        Predicted classes of the samples held out, by their numbers; empty if it failed.
    seconds : float
        Time of fit and prediction.
    warnings : list of str
        What it warned of.
    error : str
        Why it failed, if it did.
    """

    codes: list[int]
    seconds: float
    warnings: list[str] = field(default_factory=list)
    error: str = ""


@dataclass(frozen=True)
class PartFile:
    """The file of one result."""

    path: Path

    @classmethod
    def of(cls, folder: Any, name: str, fold: int, key: str) -> PartFile:
        """Name the file of a method and a fold; the key tells other parameters and data apart."""
        readable = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40] or "method"
        return cls(Path(folder) / f"{readable}-{fold + 1}-{key[:24]}.json")

    def load(self, n_samples: int) -> Part | None:
        """Load a result; None where there is none, or not all of it as it was written."""
        try:
            saved = json.loads(read_plain(self.path))
            part = Part(**saved["part"])
            if saved["sha256"] != _digest(part):
                return None
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return part if len(part.codes) == n_samples else None

    def save(self, part: Part) -> None:
        """Save a result; one that failed is tried again the next time."""
        if not part.error:
            content = json.dumps({"sha256": _digest(part), "part": asdict(part)}).encode()
            replace_file(self.path, lambda file: file.write(content))


def _digest(part: Part) -> str:
    return hashlib.sha256(json.dumps(asdict(part)).encode()).hexdigest()


def key_of(
    estimator: Any, seeds: dict[str, int], data: str, train: np.ndarray, test: np.ndarray
) -> str:
    """Name a result by the parameters, the data and the versions that it depends on.

    Raises
    ------
    ValueError
        If a parameter cannot be told from others, as generators.
    """
    parameters = {
        name: _described(value)
        for name, value in estimator.get_params(deep=True).items()
        if name.rpartition("__")[2] not in _RUN_ONLY
    }
    try:
        return fingerprint(_class_of(estimator), parameters, seeds, data, train, test)
    except Exception as error:  # whatever pickle raises
        raise ValueError(
            f"folder= needs parameters that can be stored, and one of {estimator!r} cannot "
            f"({error}): leave folder out"
        ) from error


def _described(value: Any) -> Any:
    """Parameters; of estimators, whose parameters have entries of their own, the class."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        return _class_of(value)
    if isinstance(value, list | tuple):
        return [_described(entry) for entry in value]
    return value


def _class_of(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
