"""Results as JSON: what was run, on what, with which versions."""

from __future__ import annotations

import json
import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gbmix_sklearn import __version__

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
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(temporary, path)


def read(name: str) -> dict[str, Any]:
    """Read committed results."""
    return json.loads((RESULTS / name).read_text())
