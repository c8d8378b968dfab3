"""Data sets of the studies: matrices, labels, sensitive attributes."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from gbmix_sklearn import TimmEmbedder, load_adult, load_compas

ROOT = Path(os.environ.get("GBMIX_DATA", Path(__file__).parents[2] / "shared" / "data"))


def tabular_features() -> Any:
    """Numbers standardised, categories one-hot."""
    return make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
    )


def adult() -> tuple[pd.DataFrame, np.ndarray, np.ndarray, Any]:
    """The official training part, by sex; the sensitive column is no feature."""
    bunch = load_adult(groups="sex")
    train = bunch.split == 0
    data = bunch.data[train].drop(columns="sex")
    return (
        data,
        np.asarray(bunch.target[train]),
        np.asarray(bunch.groups[train]),
        tabular_features(),
    )


def compas() -> tuple[pd.DataFrame, np.ndarray, np.ndarray, Any]:
    """ProPublica's data by race, its rare values merged."""
    with tarfile.open(ROOT / "tabular.tar.gz") as archive:
        folder = Path(os.environ.get("GBMIX_CACHE", "demo_output"))
        folder.mkdir(parents=True, exist_ok=True)
        member = next(m for m in archive if "compas" in m.name and m.name.endswith(".csv"))
        path = folder / Path(member.name).name
        path.write_bytes(archive.extractfile(member).read())
    bunch = load_compas(path, groups="race", merge_rare_races=True)
    data = bunch.data.drop(columns="race", errors="ignore")
    return data, np.asarray(bunch.target), np.asarray(bunch.groups), tabular_features()


def utkface() -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
    """Frozen EfficientNet-Lite0 embeddings of the faces at 96 pixels: age band by race."""
    cache = Path(os.environ.get("GBMIX_CACHE", "demo_output")) / "utkface_lite0_96.npz"
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(ROOT / "utkface.tar") as archive:
            archive.extractall(cache.parent, filter="data")
        paths = sorted((cache.parent / "UTKFace").glob("*.jpg"))
        paths = [path for path in paths if path.name.count("_") == 3]  # some lack the race
        fields = np.array([path.name.split("_")[:3] for path in paths], dtype=int)
        X = TimmEmbedder("tf_efficientnet_lite0", image_size=96, verbose=1).transform(paths)
        np.savez(cache, X=X, age=fields[:, 0], race=fields[:, 2])
    saved = np.load(cache)
    age = np.array(["-19", "20-59", "60-"])[np.digitize(saved["age"], [20, 60])]
    race = np.array(["White", "Black", "Others"])[np.minimum(saved["race"], 2)]
    return saved["X"], age, race, StandardScaler()


def celeba() -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
    """Frozen EfficientNet-Lite0 embeddings of the centre squares at 96 pixels: hair by gender."""
    cache = Path(os.environ.get("GBMIX_CACHE", "demo_output")) / "celeba_lite0_96.npz"
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(ROOT / "celeba.tar.gz") as archive:
            archive.extractall(cache.parent, filter="data")
        folder = cache.parent / "celeba"
        table = pd.read_csv(folder / "list_attr_celeba.txt", sep=r"\s+", skiprows=1)
        paths = [folder / "img_align_celeba" / name for name in table.index]
        X = TimmEmbedder("tf_efficientnet_lite0", image_size=96, verbose=1).transform(paths)
        np.savez(cache, X=X, blond=table["Blond_Hair"] == 1, male=table["Male"] == 1)
    saved = np.load(cache)
    hair = np.where(saved["blond"], "blond", "not blond")
    return saved["X"], hair, np.where(saved["male"], "male", "female"), StandardScaler()


DATASETS = {"UTKFace": utkface, "CelebA": celeba, "Adult": adult, "COMPAS": compas}
