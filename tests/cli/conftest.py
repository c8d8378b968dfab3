"""The command in this process, and small files for it."""

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn.cli import app


@pytest.fixture
def gbmix(capsys):
    """Run the command; its output, after a check of the exit code."""

    def run(*arguments, code=0):
        with pytest.raises(SystemExit) as end:
            app([str(argument) for argument in arguments], prog_name="gbmix")
        output = capsys.readouterr()
        assert end.value.code == code, output.err
        return output

    return run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that the command runs in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GBMIX_DEBUG", raising=False)
    return tmp_path


def predictions(n=400):
    """Cells of the same size, of which cat x outdoor is predicted worst, in half of its rows."""
    y, s = np.divmod(np.arange(n) % 4, 2)
    wrong = (y == 0) & (s == 1) & (np.arange(n) % 8 < 4)
    kinds = np.array(["cat", "dog"])
    place = np.array(["indoor", "outdoor"])[s]
    return pd.DataFrame({"y": kinds[y], "p": kinds[y ^ wrong], "place": place, "id": range(n)})


@pytest.fixture
def file(folder):
    """A CSV file of predictions."""
    predictions().to_csv("predictions.csv", index=False)
    return "predictions.csv"


def people(n=400, seed=0):
    """A table to learn from: numbers, text and missing values."""
    rng = np.random.default_rng(seed)
    y, s = np.divmod(rng.permutation(n) % 4, 2)
    frame = pd.DataFrame(
        {
            "age": 40 + 10 * y + rng.integers(-9, 10, size=n),
            "height": rng.normal(170 + 10 * s, 5).round(1),
            "work": np.where(y ^ (rng.random(n) < 0.1), "office", "field"),
            "sex": np.array(["f", "m"])[s],
            "y": np.array(["no", "yes"])[y],
        }
    )
    frame.loc[::10, "height"] = np.nan
    frame.loc[::7, "work"] = None
    return frame


@pytest.fixture
def train(folder):
    """A CSV file of people."""
    people().to_csv("train.csv", index=False)
    return "train.csv"
