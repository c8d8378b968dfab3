"""What `gbmix audit` costs beside pandas: ``python -m benchmarks.audit_speed``.

A million rows of Parquet, drawn from Adult, with the class and two attributes as text. The audit
and pandas take turns in one process, which has loaded its libraries. The start-up is the processor
time of processes of their own, which audit a hundred rows: it does not depend on what else runs.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout, suppress
from pathlib import Path

import numpy as np
import pandas as pd

from gbmix_sklearn import load_adult
from gbmix_sklearn.cli import app

from ._records import RESULTS, machine, write
from ._timing import in_rounds, record

ROWS = 1_000_000
FEW = 100
COLUMNS = ["income", "prediction", "sex", "race"]


def make_table(path: Path, n_rows: int) -> None:
    """Write predictions of which 85 % are correct, beside all columns of Adult."""
    rng = np.random.default_rng(0)
    frame = load_adult().frame
    frame = frame.iloc[rng.integers(len(frame), size=n_rows)].reset_index(drop=True)
    text = frame.select_dtypes("category").columns
    frame[text] = frame[text].astype(object)
    wrong = frame["income"].map({">50K": "<=50K", "<=50K": ">50K"})
    frame["prediction"] = frame["income"].where(rng.random(n_rows) < 0.85, wrong)
    frame.to_parquet(path)


def with_pandas(path: Path) -> pd.Series:
    """Read the columns and take the accuracy of each group: the least that an audit does."""
    frame = pd.read_parquet(path, columns=COLUMNS)
    correct = frame["income"] == frame["prediction"]
    return correct.groupby([frame[name] for name in ("income", "sex", "race")]).mean()


def audit(path: Path) -> list[str]:
    options = ["--target=income", "--prediction=prediction", "--groups=sex,race"]
    return ["audit", str(path), *options]


def gbmix(*arguments: str) -> None:
    with redirect_stdout(io.StringIO()), suppress(SystemExit):
        app(arguments)


def of_process(*arguments: str) -> float:
    """Processor seconds of a Python process."""
    before = os.times()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = os.times()
    return sum(
        getattr(after, name) - getattr(before, name)
        for name in ("children_user", "children_system")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        many, few = Path(folder, "many.parquet"), Path(folder, "few.parquet")
        make_table(many, ROWS)
        make_table(few, FEW)
        seconds = in_rounds(
            rounds, pandas=lambda: with_pandas(many), audit=lambda: gbmix(*audit(many))
        )
        command = ("-m", "gbmix_sklearn.cli")
        start, libraries, of_help = (
            [of_process(*arguments) for _ in range(rounds)]
            for arguments in (
                (*command, *audit(few)),
                ("-c", "import pandas, sklearn.base"),
                (*command, "--help"),
            )
        )
    records = [
        record(
            f"`gbmix audit`, {ROWS:,} rows of Parquet, to pandas reading and grouping them",
            seconds["audit"] / seconds["pandas"],
            at_most=3,
        ),
        record(f"start-up: `gbmix audit` of {FEW} rows, processor seconds", start),
        record("importing pandas and scikit-learn alone, processor seconds", libraries),
        record("`gbmix --help`, processor seconds", of_help, at_most=0.5),
        record("pandas reading and grouping, seconds", seconds["pandas"]),
    ]
    for line in records:
        print("{what}: {value}".format(**line))
    write(RESULTS / "audit_speed.json", {"machine": machine(), "records": records})


if __name__ == "__main__":
    main()
