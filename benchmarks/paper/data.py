"""The data sets of the paper: found below a folder, loaded once, handed to every process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import (
    TimmEmbedder,
    load_celeba,
    load_fairface,
    load_utkface,
    load_waterbirds,
)
from gbmix_sklearn._files import replace_file
from gbmix_sklearn.datasets import _celeba, _fairface, _utkface, _waterbirds
from gbmix_sklearn.groups import make_cells

from .config import base

__all__ = ["AbsentError", "Source", "embed", "find", "labels", "load", "part", "prepare"]

PARTS = ("train", "valid", "test")


class AbsentError(Exception):
    """A data set is not there; the message says what to download."""


@dataclass(frozen=True)
class _Dataset:
    load: Callable[..., Any]
    get: str
    names: tuple[str, ...]
    suffixes: tuple[str, ...] = ("", ".tar", ".tar.gz", ".tgz", ".zip")


_DATASETS = {
    "Waterbirds": _Dataset(
        load_waterbirds,
        _waterbirds.GET,
        (*_waterbirds.FOLDERS, "waterbird_complete95_forest2water2", "waterbirds_v1.0"),
    ),
    "CelebA": _Dataset(load_celeba, _celeba.GET, (*_celeba.FOLDERS, _celeba.IMAGES)),
    "UTKFace": _Dataset(load_utkface, _utkface.GET, (*_utkface.FOLDERS, "UTKFace", "utkface")),
    "FairFace": _Dataset(load_fairface, _fairface.GET, _fairface.FOLDERS),
}


@dataclass(frozen=True)
class Source:
    """A loaded data set as a file that every process opens, and where it is cached."""

    name: str
    identity: str
    file: Path
    cache: Path


def find(dataset: str, root: Path) -> list[Path]:
    """Folders and archives below a folder that have a usual name of the data set."""
    kind = _DATASETS[base(dataset)]
    places = [root / f"{name}{suffix}" for suffix in kind.suffixes for name in kind.names]
    return [place for place in dict.fromkeys(places) if place.exists()]


def load(dataset: str, root: Path, cache: Path, **options: Any) -> Any:
    """Load the labels of a data set and the paths of its images, from wherever below `root`.

    Parameters
    ----------
    dataset : str
        Its name; what follows a space is left aside.
    root : Path
        Folder with data sets under their usual names.
    cache : Path
        Folder below which archives are unpacked.
    **options
        Further parameters of the loader.

    Raises
    ------
    AbsentError
        If the data set is not below `root`, or not whole.
    """
    kind = _DATASETS[base(dataset)]
    problem = f"nothing of its usual names is in {root}. {kind.get}"
    for place in find(dataset, root):
        try:
            return kind.load(place, cache_dir=cache / "unpacked", **options)
        except FileNotFoundError as error:  # labels without images, for instance: look further
            problem = str(error)
        except ValueError as error:
            if "out of reach" not in str(error):
                raise
            problem = f"{place.name} is too small a part of the data: {error}"
    raise AbsentError(problem)


def prepare(dataset: str, root: Path, cache: Path, max_per_cell: int | None = None) -> Source:
    """Load the labels of a data set (no image is decoded) and keep them as a file.

    Raises
    ------
    AbsentError
        If the data set is not below `root`, or not whole.
    """
    ratio = dataset.removeprefix(base(dataset)).strip()
    options = {"undersample": ratio} if ratio else {}
    bunch = load(dataset, root, cache, **options)
    y, groups, split = (np.asarray(bunch[name]) for name in ("target", "groups", "split"))
    rows = np.arange(len(y)) if max_per_cell is None else _thinned(y, groups, split, max_per_cell)
    images, y, groups, split = (
        array[rows] for array in (np.asarray(bunch.images, dtype=str), y, groups, split)
    )
    identity = _identity(images, y, groups, split)
    file = cache / "labels" / f"{dataset.replace(' ', '-').replace(':', '-')}-{identity}.npz"
    if not file.exists():
        content = {"images": images, "y": y, "groups": groups, "split": split}
        replace_file(file, lambda stream: np.savez(stream, **content))
    return Source(dataset, identity, file, cache)


def _thinned(y: np.ndarray, groups: np.ndarray, split: np.ndarray, most: int) -> np.ndarray:
    """Rows of at most so many samples of each cell in each part, ascending."""
    rng = np.random.default_rng(0)
    codes = make_cells(y, np.column_stack([groups, split])).codes
    kept = [rng.permutation(np.flatnonzero(codes == code))[:most] for code in np.unique(codes)]
    return np.sort(np.concatenate(kept))


def _identity(images: np.ndarray, *labels: np.ndarray) -> str:
    """What tells data apart: names and sizes of the files, and all labels; wherever they lie."""
    top = os.path.commonpath(images.tolist())
    digest = hashlib.sha256()
    for path in images:
        digest.update(f"{os.path.relpath(path, top)} {os.path.getsize(path)}\n".encode())
    for array in labels:
        digest.update(np.ascontiguousarray(array, dtype=np.int64).tobytes())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=4)
def _labels(file: Path) -> dict[str, np.ndarray]:
    with np.load(file) as saved:
        return {name: saved[name] for name in saved.files}


def labels(source: Source, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Classes and sensitive attribute of a part."""
    saved = _labels(source.file)
    rows = saved["split"] == PARTS.index(name)
    return saved["y"][rows], saved["groups"][rows]


def part(source: Source, name: str, backbone: str, embedding: dict[str, Any] | None) -> tuple:
    """X, y and groups of a part: paths, or standardised embeddings of a frozen backbone."""
    y, groups = labels(source, name)
    if embedding is None:
        return _paths(source, name), y, groups
    X = _standardised(source, name, backbone, tuple(sorted(embedding.items())))
    return X, y, groups


def _paths(source: Source, name: str) -> list[str]:
    saved = _labels(source.file)
    return saved["images"][saved["split"] == PARTS.index(name)].tolist()


@lru_cache(maxsize=6)
def _standardised(source: Source, name: str, backbone: str, embedding: tuple) -> np.ndarray:
    if name == "train":
        return _scaler(source, backbone, embedding)[1]
    return _scaler(source, backbone, embedding)[0].transform(
        _embedded(source, name, backbone, embedding)
    )


@lru_cache(maxsize=2)
def _scaler(source: Source, backbone: str, embedding: tuple) -> tuple[StandardScaler, np.ndarray]:
    """The scale of the training part, and that part on it."""
    scaler = StandardScaler(copy=False)
    return scaler, scaler.fit_transform(_embedded(source, "train", backbone, embedding))


def _embedded(source: Source, name: str, backbone: str, embedding: tuple) -> np.ndarray:
    return embed(source, name, backbone, dict(embedding))


def embed(
    source: Source, name: str, backbone: str, embedding: dict[str, Any], verbose: int = 0
) -> np.ndarray:
    """Embeddings of a part, as they come; computed once, and looked up in the cache later."""
    cache = source.cache / "embeddings"
    embedder = TimmEmbedder(backbone, cache_dir=cache, verbose=verbose, **embedding)
    return embedder.transform(_paths(source, name))
