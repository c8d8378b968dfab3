"""Results as JSON: what was run, on what, with which versions."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gbmix_sklearn import __version__
from gbmix_sklearn._files import replace_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("numpy", "pandas", "scikit-learn", "skorch", "timm", "torch")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def machine() -> dict[str, Any]:
    """Describe the machine and the versions that a run used."""
    import torch

    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        # ours may be a folder on the path, of which no installer keeps a record
        "versions": {name: version(name) for name in _PACKAGES} | {"gbmix-sklearn": __version__},
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """Write results in one step, so that an interrupted run leaves the old ones."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text in one step, under a name meanwhile that no other process has."""
    replace_file(path, lambda file: file.write(text.encode()))


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Wait until no other process is in such a block of the same file; a dead one is in none.

    Where the system has no such locks, nobody is waited for.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read(name: str) -> dict[str, Any]:
    """Read committed results."""
    return json.loads((RESULTS / name).read_text())
