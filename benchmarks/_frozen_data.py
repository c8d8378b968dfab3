"""Problems of the study of frozen features: what is told, by which groups, on which parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import TimmEmbedder, load_adult
from gbmix_sklearn.groups import Cells, make_cells

from ._data import tabular_features
from ._parts import Division, Part
from ._tabular_data import compas
from .paper import data

__all__ = [
    "BACKBONE",
    "CACHE",
    "PROBLEMS",
    "Problem",
    "divide",
    "embedded",
    "named_cells",
]

CACHE = Path("paper_output") / "cache"
BACKBONE = "tf_efficientnet_lite0"
#: columns that are no features: the sensitive ones, and a weight of the census
NO_FEATURES = ("race", "sex", "fnlwgt")
PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Problem:
    """A data set, what is told of its samples, and by which groups it is judged."""

    name: str
    dataset: str
    #: parameters of the loader
    options: Mapping[str, Any] = field(default_factory=dict)
    #: pixels of the short side at which images are embedded; None for tables
    image_size: int | None = None
    #: whether the seed divides the data, as far as they have no official parts
    is_divided: bool = True


PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("Waterbirds", "Waterbirds", {}, 128, is_divided=False),
        Problem("CelebA, blond hair by gender", "CelebA", {"split": "person"}, 96),
        Problem(
            "CelebA, wavy hair by gender",
            "CelebA",
            {"split": "person", "target": "Wavy_Hair"},
            96,
        ),
        Problem("UTKFace, age by race", "UTKFace", {}, 96),
        Problem("UTKFace, gender by race", "UTKFace", {"target": "gender"}, 96),
        Problem(
            "FairFace, gender by race",
            "FairFace",
            {"target": "gender", "groups": "race", "races": None},
            96,
        ),
        Problem("Adult, income by sex", "Adult", {"groups": "sex", "validation_fraction": 0.2}),
        Problem("COMPAS, charge by race", "COMPAS", {"groups": "race", "merge_rare_races": True}),
    )
}


def divide(problem: Problem, root: Path, seed: int) -> Division:
    """Load the parts of a problem.

    Images are embedded by a frozen backbone, once: embeddings are looked up in a cache later. The
    scale of the features is that of the training part.

    Raises
    ------
    AbsentError
        If the data set is not below `root`.
    """
    bunch = _load(problem, root, seed)
    y, groups, split = (np.asarray(bunch[name]) for name in ("target", "groups", "split"))
    units = bunch.get("person")
    rows = [np.flatnonzero(split == number) for number in range(len(PARTS))]
    parts = (
        Part(X, y[of_part], groups[of_part], None if units is None else units[of_part])
        for X, of_part in zip(_features(problem, bunch, rows), rows, strict=True)
    )
    return Division(*parts, named_cells(bunch), units, split == PARTS.index("test"))


def named_cells(bunch: Any) -> Cells:
    """The cells of all samples, by the names of classes and groups where the data have some."""
    columns = []
    for field_name, names in (("target", "target_names"), ("groups", "group_names")):
        values = np.asarray(bunch[field_name])
        if values.dtype.kind in "iu" and bunch.get(names) is not None:
            values = np.asarray(bunch[names], dtype=str)[values]
        columns.append(values)
    return make_cells(*columns)


def _load(problem: Problem, root: Path, seed: int) -> Any:
    options = dict(problem.options)
    if problem.is_divided:
        options["random_state"] = seed
    if problem.dataset == "Adult":
        return load_adult(**options)
    if problem.dataset == "COMPAS":
        return compas(root, **options)
    return data.load(problem.dataset, root, CACHE, **options)


def _features(problem: Problem, bunch: Any, rows: list[np.ndarray]) -> list[np.ndarray]:
    """Features of each part as a matrix."""
    if problem.image_size is None:
        table = bunch.data.drop(columns=list(NO_FEATURES), errors="ignore")
        tables = [table.iloc[of_part] for of_part in rows]
        encode = tabular_features().fit(tables[0])
        return [np.asarray(encode.transform(of_part), dtype=np.float32) for of_part in tables]
    X = embedded(tuple(bunch.images), problem.image_size)
    scaler = StandardScaler().fit(X[rows[0]])
    return [scaler.transform(X[of_part]) for of_part in rows]


@lru_cache(maxsize=4)
def embedded(paths: tuple[str, ...], image_size: int) -> np.ndarray:
    """Embeddings of images, computed once and looked up later."""
    embedder = TimmEmbedder(
        BACKBONE, image_size=image_size, cache_dir=CACHE / "embeddings", verbose=1
    )
    return embedder.transform(list(paths))
