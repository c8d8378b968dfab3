"""Tables of the tabular study: which attributes, which groups, which parts, which features."""

from __future__ import annotations

import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gbmix_sklearn import load_adult, load_compas, subgroup_train_test_split
from gbmix_sklearn.groups import make_cells

from ._data import tabular_features

__all__ = [
    "ATTRIBUTES",
    "DATASETS",
    "LEAST_TEST_SAMPLES",
    "AbsentError",
    "Part",
    "Table",
    "compas",
    "divide",
    "load",
    "merge_rare_races",
]

DATASETS = ("Adult", "COMPAS")
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "sex": ("sex",),
    "race": ("race",),
    "race × sex": ("race", "sex"),
}
COMPAS_FILE = "compas-scores-two-years.csv"
ARCHIVE = "tabular.tar.gz"
TEST_SHARE = 0.2
#: of a larger training part so many samples are drawn, to keep the study short
MOST_TRAINING_SAMPLES = 15_000
#: races are merged until every cell has as many samples as this in the test part
LEAST_TEST_SAMPLES = 20
OTHERS = "others"


class AbsentError(Exception):
    """A data set is not there; the message says what to put where."""


@dataclass(frozen=True)
class Table:
    """Features without the sensitive columns, 0/1 labels, and all sensitive attributes."""

    X: pd.DataFrame
    y: np.ndarray
    attributes: pd.DataFrame

    def take(self, rows: np.ndarray) -> Table:
        """The same for some of the rows."""
        frames = (f.iloc[rows].reset_index(drop=True) for f in (self.X, self.attributes))
        X, attributes = frames
        return Table(X, self.y[rows], attributes)


class Part(NamedTuple):
    """Features as a matrix, labels and groups of a part."""

    X: np.ndarray
    y: np.ndarray
    groups: pd.DataFrame


def load(dataset: str, root: Path) -> Table:
    """Load a data set: Adult from the package, COMPAS from below `root`.

    Sex and race are features of neither, whichever of them is studied. Adult's ``fnlwgt``, a weight
    of the census, is no feature either.
    """
    if dataset == "Adult":
        bunch = load_adult(groups=["race", "sex"])
        X = bunch.data.drop(columns=["race", "sex", "fnlwgt"])
        y = np.asarray(bunch.target == ">50K")
    else:
        bunch = compas(root, groups=["race", "sex"])
        X = bunch.data.drop(columns=["race", "sex"])
        y = np.asarray(bunch.target)
    return Table(X, y.astype(np.int64), bunch.groups.reset_index(drop=True))


def compas(root: Path, **options: Any) -> Any:
    """Load COMPAS from below a folder, as a file or in the archive that has it.

    Raises
    ------
    AbsentError
        If it is not there.
    """
    for folder in (root, root / "tabular"):
        if (folder / COMPAS_FILE).exists():
            return load_compas(folder / COMPAS_FILE, **options)
    if not (root / ARCHIVE).exists():
        raise AbsentError(
            f"neither {COMPAS_FILE} (see load_compas) nor {ARCHIVE} that has it is in {root}"
        )
    with tarfile.open(root / ARCHIVE) as archive, tempfile.TemporaryDirectory() as place:
        member = next((m for m in archive if Path(m.name).name == COMPAS_FILE), None)
        if member is None:
            raise AbsentError(f"{root / ARCHIVE} has no {COMPAS_FILE}")
        member.name = COMPAS_FILE
        archive.extract(member, place, filter="data")
        return load_compas(Path(place) / COMPAS_FILE, **options)


def merge_rare_races(
    groups: pd.DataFrame, y: np.ndarray, least: float
) -> tuple[pd.DataFrame, list[str]]:
    """Merge races, fewest people first, until every cell has at least so many samples.

    Parameters
    ----------
    groups : DataFrame of shape (n_samples, n_attributes)
        Sensitive attributes; only the column ``race``, if there is one, changes.
    y : ndarray of shape (n_samples,)
        Labels.
    least : float
        Samples that every combination of class and attributes must have.

    Returns
    -------
    groups : DataFrame of shape (n_samples, n_attributes)
        With the merged races called ``"others"``.
    merged : list of str
        The races that were merged.

    Raises
    ------
    ValueError
        If cells are too small even so.
    """
    races = list(groups["race"].value_counts(ascending=True).index) if "race" in groups else []
    for n_merged in range(max(len(races), 1)):
        merged = races[:n_merged]
        named = groups.copy()
        if merged:
            named["race"] = named["race"].where(~named["race"].isin(merged), OTHERS)
        counts = make_cells(y, named).counts
        if counts.min() >= least:
            return named, merged
    raise ValueError(
        f"a cell has {counts.min()} samples, fewer than the {least:g} needed, and no races are "
        "left to merge"
    )


def divide(table: Table, groups: pd.DataFrame, seed: int) -> dict[str, Part]:
    """Three fifths of each cell to train, a fifth to choose, a fifth to test.

    Of more than `MOST_TRAINING_SAMPLES` so many train, with each cell's share. Numbers are
    standardised and categories one-hot, as the training part has them.
    """
    rest = subgroup_train_test_split(
        table.X, table.y, groups, test_size=2 * TEST_SHARE, random_state=seed
    )
    halves = subgroup_train_test_split(*rest[1::2], test_size=0.5, random_state=seed)
    train = rest[0::2]
    if len(train[1]) > MOST_TRAINING_SAMPLES:
        train = subgroup_train_test_split(
            *train, test_size=MOST_TRAINING_SAMPLES, random_state=seed
        )[1::2]
    parts = {"train": train, "valid": halves[0::2], "test": halves[1::2]}
    features = tabular_features().fit(parts["train"][0])
    return {
        name: Part(np.asarray(features.transform(X)), y, part_groups.reset_index(drop=True))
        for name, (X, y, part_groups) in parts.items()
    }
