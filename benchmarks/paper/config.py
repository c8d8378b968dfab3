"""Tables, methods and presets from their files, and the cells that they come to."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from gbmix_sklearn.estimators import METHODS

__all__ = ["Cell", "Contest", "contests", "describe", "preset", "table", "tables", "value"]

CONFIGS = Path(__file__).parent / "configs"
#: part of every key: raise it where the same configuration comes to mean something else
PROTOCOL = 1


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return tomllib.load(file)


def tables() -> list[str]:
    """Names of all tables and figures."""
    return sorted(path.stem for pattern in ("table*", "figure*") for path in CONFIGS.glob(pattern))


def table(name: str) -> dict[str, Any]:
    """The configuration of a table or figure, such as ``table4``."""
    return {"name": name, "notes": [], "kind": "table", **_read(CONFIGS / f"{name}.toml")}


def preset(name: str) -> dict[str, Any]:
    """The configuration of a preset: one of ours by its name, or a file."""
    path = Path(name)
    if path.suffix != ".toml":
        path = CONFIGS / "presets" / f"{name}.toml"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in (CONFIGS / "presets").glob("*.toml")))
        raise SystemExit(f"no preset {name!r}: choose one of {known}, or give a .toml file")
    return {"name": path.stem, **_read(path)}


def methods() -> dict[str, Any]:
    """The rows of the tables; every other method of the registry with its defaults."""
    return {name: {"classifier": name} for name in METHODS} | _read(CONFIGS / "methods.toml")


def value(published: str) -> tuple[float, float | None]:
    """Mean and standard deviation of a number as it is printed; NaN where there is none."""
    mean, _, std = published.partition("±")
    return float("nan") if mean == "-" else float(mean), float(std) if std else None


def describe(setting: dict[str, Any]) -> str:
    """A setting as it is shown."""
    shown = {k: f"{v:g}" if isinstance(v, float) else str(v) for k, v in setting.items()}
    return ", ".join(f"{name}={text}" for name, text in shown.items())


def base(dataset: str) -> str:
    """The data set that a variant such as ``CelebA 1:2`` is made from."""
    return dataset.split()[0]


@dataclass(frozen=True)
class Cell:
    """One fit: everything that decides its outcome, data aside."""

    dataset: str
    method: str
    classifier: str
    preset: str
    backbone: str
    #: how images are embedded before; None where the classifier itself takes images
    embedding: dict[str, Any] | None
    parameters: dict[str, Any]
    setting: dict[str, Any]
    seed: int
    checkpoints: bool = field(default=False, compare=False)

    def key(self, identity: str) -> str:
        """Name of the cell on data of this identity."""
        content = {**asdict(self), "data": identity, "protocol": PROTOCOL}
        del content["checkpoints"]  # how it runs, not what comes out
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def __str__(self) -> str:
        setting = describe(self.setting) or "one setting"
        return f"{self.dataset}, {self.method}, {setting}, seed {self.seed}"


@dataclass(frozen=True)
class Contest:
    """All fits of a method on a data set: settings x seeds, of which one setting is chosen."""

    dataset: str
    method: str
    preset: str
    backbone: str
    #: the sweep, which chooses
    cells: tuple[Cell, ...]
    #: where a pilot with fewer seeds chooses: the others, of which only the chosen setting is run
    after_pilot: tuple[Cell, ...] = ()

    def with_setting(self, setting: dict[str, Any]) -> list[Cell]:
        """The cells of one setting with all seeds."""
        return [cell for cell in (*self.cells, *self.after_pilot) if cell.setting == setting]

    @property
    def seeds(self) -> set[int]:
        return {cell.seed for cell in (*self.cells, *self.after_pilot)}

    def __len__(self) -> int:
        """Number of fits."""
        return len(self.cells) + len({cell.seed for cell in self.after_pilot})

    @property
    def name(self) -> tuple[str, str, str, str]:
        return self.preset, self.backbone, self.dataset, self.method


def contests(
    table_configs: Iterable[dict[str, Any]],
    preset_config: dict[str, Any],
    seeds: int,
    *,
    datasets: list[str] | None = None,
) -> Iterator[Contest]:
    """What tables need, each contest once however many of them share it."""
    seen = set()
    for config in table_configs:
        for dataset in config["datasets"]:
            if datasets and dataset not in datasets and base(dataset) not in datasets:
                continue
            for method in config["methods"]:
                contest = _contest(dataset, method, config["backbone"], preset_config, seeds)
                if contest is not None and contest.name not in seen:
                    seen.add(contest.name)
                    yield contest


def makes_no_sense(method: str, preset_config: dict[str, Any]) -> bool:
    """Whether a method needs images where the preset has embeddings."""
    classifier = METHODS[methods()[method]["classifier"]]
    return "embedding" in preset_config and classifier._images_only


def _contest(
    dataset: str, method: str, backbone: str, preset_config: dict[str, Any], seeds: int
) -> Contest | None:
    if makes_no_sense(method, preset_config):
        return None
    row = methods()[method]
    own = preset_config.get("methods", {}).get(method, {})
    layers = (
        preset_config,
        row,
        row.get("for", {}).get(base(dataset), {}),
        own,
        own.get("for", {}).get(base(dataset), {}),
    )
    if base(dataset) not in preset_config["epochs"]:
        raise SystemExit(f"the preset {preset_config['name']} says no epochs for {base(dataset)}")
    parameters: dict[str, Any] = {"max_epochs": preset_config["epochs"][base(dataset)]}
    sweep: dict[str, list[Any]] = {}
    for layer in layers:  # what is more special comes later, and wins
        for name, fixed in layer.get("parameters", {}).items():
            parameters[name] = None if fixed == "None" else fixed
            sweep.pop(name, None)
        for name, values in layer.get("sweep", {}).items():
            sweep[name] = values
            parameters.pop(name, None)
    backbone = preset_config.get("backbone", backbone)
    embedding = preset_config.get("embedding")
    if embedding is None:
        parameters["backbone"] = backbone
    cells = [
        Cell(
            dataset,
            method,
            row["classifier"],
            preset_config["name"],
            backbone,
            embedding,
            parameters,
            dict(zip(sweep, setting, strict=True)),
            seed,
            preset_config.get("checkpoints", False),
        )
        for setting in product(*sweep.values())
        for seed in range(seeds)
    ]
    n_pilots = preset_config.get("pilot_seeds", seeds)
    pilot = tuple(cell for cell in cells if cell.seed < n_pilots)
    others = tuple(cell for cell in cells if cell.seed >= n_pilots)
    return Contest(dataset, method, preset_config["name"], backbone, pilot, others)
