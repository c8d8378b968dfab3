"""gbmix audit: predictions in a file, group by group."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn import GroupAudit
from gbmix_sklearn.cli._audit import MOST_VALUES

from .conftest import predictions

AUDIT = ["audit", "predictions.csv", "--target", "y", "--prediction", "p", "--groups", "place"]


@pytest.fixture(scope="module")
def expected():
    frame = predictions()
    return GroupAudit.from_predictions(frame["y"], frame["p"], groups=frame[["place"]])


def rows_of(text):
    """Fields of the lines of the table that is printed, the header first."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    return [line for line in lines if len(line) >= 5]


def test_the_table_has_every_cell_the_worst_first_and_marked(gbmix, file, expected):
    text = gbmix(*AUDIT).out
    header, worst, *others = rows_of(text)
    assert header == ["y", "place", "accuracy", "95 % interval", "rows"]
    assert worst == ["cat", "outdoor", "50.0%", "39.8% to 60.2%", "100", "worst"]
    assert {tuple(row[:2]) for row in others} == {
        ("cat", "indoor"),
        ("dog", "indoor"),
        ("dog", "outdoor"),
    }
    assert not any("worst" in row for row in others)
    assert " ".join(str(expected).split()) in " ".join(text.split())


def test_json_is_that_of_the_audit_and_nothing_else(gbmix, file, expected):
    output = gbmix(*AUDIT, "--json")
    assert output.out == expected.to_json() + "\n"
    assert output.err == ""


@pytest.mark.parametrize("name", ["t.tsv", "t.csv.gz", "t.tsv.gz", "t.parquet"])
def test_other_formats_give_the_same(gbmix, folder, expected, name):
    frame = predictions()
    if name.endswith("parquet"):
        frame.to_parquet(name)
    else:
        frame.to_csv(name, index=False, sep="\t" if ".tsv" in name else ",")
    options = ["--target", "y", "-p", "p", "-g", "place", "--json"]
    assert gbmix("audit", name, *options).out == expected.to_json() + "\n"


def test_reports_are_written_as_their_names_say(gbmix, file, folder, expected):
    output = gbmix(*AUDIT, "-o", "r.html", "-o", "new/r.json", "-o", "r.csv", "-o", "r.parquet")
    assert (folder / "r.html").read_text().startswith("<!DOCTYPE html>")
    assert json.loads((folder / "new" / "r.json").read_text()) == json.loads(expected.to_json())
    for frame in (pd.read_csv("r.csv"), pd.read_parquet("r.parquet")):
        np.testing.assert_allclose(frame["accuracy"], expected.to_frame()["accuracy"])
        assert frame["place"].tolist() == ["indoor", "outdoor"] * 2
    assert "wrote r.html" in output.err


def test_several_groups_may_be_named_at_once_or_apart(gbmix, file):
    frame = predictions().assign(sex=["f", "m", "m", "f"] * 100)
    frame.to_csv("predictions.csv", index=False)
    together = gbmix(*AUDIT[:-1], "place,sex", "--json").out
    apart = gbmix(*AUDIT, "--groups", "sex", "--json").out
    assert together == apart
    assert len(json.loads(together)["cells"]) == 4
    assert set(json.loads(together)["cells"][0]["attributes"]) == {"place", "sex"}


@pytest.mark.parametrize(
    ("columns", "given"),
    [
        (["proba_cat", "proba_dog"], "proba_*"),
        (["proba_dog", "proba_cat"], "proba_*"),
        (["x", "of_dog"], "of_dog"),
        (["proba_cat", "x"], "proba_cat"),
    ],
    ids=["named", "named, in another order", "of the second class", "of the first class"],
)
def test_probabilities_are_those_of_their_class(gbmix, file, columns, given):
    frame = predictions()
    cat = np.where(frame["p"] == "cat", 0.9, 0.2)
    chances = {"proba_cat": cat, "x": cat}
    for name in columns:
        frame[name] = chances.get(name, 1 - cat)
    frame.to_csv("predictions.csv", index=False)
    found = json.loads(gbmix(*AUDIT, "--proba", given, "--json").out)
    by_group = {c["attributes"]["place"]: c for c in found["calibration_by_group"]}
    assert by_group["indoor"]["confidence"] == pytest.approx(0.85)


def test_two_models_are_compared_on_the_same_rows(gbmix, file):
    frame = predictions()
    frame["q"] = frame["y"]
    frame.to_csv("predictions.csv", index=False)
    text = gbmix(*AUDIT, "--compare", "q").out
    pairs = text.split("\n\n", 1)[1]
    assert ["cat, place=outdoor", "50.0%", "100.0%", "-50.0", "< 0.001", "different"] in rows_of(
        pairs
    )
    assert "Worst group: 50.0% for p, 100.0% for q, a difference of -50.0 points" in text
    found = json.loads(gbmix(*AUDIT, "--compare", "q", "--json").out)["comparison"]
    assert found["difference"] == -0.5
    assert found["different"]
    assert [cell["only_other"] for cell in found["cells"]] == [0, 50, 0, 0]


@pytest.mark.parametrize(("limit", "code"), [(0.5, 0), (0.51, 1)])
def test_a_worst_group_below_the_limit_is_exit_code_1(gbmix, file, folder, limit, code):
    output = gbmix(*AUDIT, "--fail-under", limit, "-o", "r.json", code=code)
    assert ("0.5000, below 0.51: cat, place=outdoor" in output.err) == bool(code)
    assert (folder / "r.json").exists()


def test_small_cells_are_a_warning_on_stderr(gbmix, file):
    frame = predictions().iloc[:12]
    frame.to_csv("predictions.csv", index=False)
    output = gbmix(*AUDIT, "--json")
    assert output.err.startswith("Warning: These cells are too small")
    assert output.err.count("Warning") == 1
    assert json.loads(output.out)["n_samples"] == 12


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--target": "Y"}, "no column 'Y'; did you mean 'y'?"),
        ({"--prediction": "pp"}, "no column 'pp'; did you mean 'p'?"),
        ({"--groups": "place,plcae"}, "no column 'plcae'; did you mean 'place'?"),
        ({"--groups": ","}, "--groups names no column"),
        ({"--prediction": "id"}, "no predicted label"),
        ({"--compare": "q"}, "no column 'q'"),
        ({"--proba": "proba_*"}, "no column 'proba_*'"),
        ({"--proba": "id"}, "no names that end in the classes, 'cat', 'dog'"),
        ({"--proba": "y"}, "column 'y' must have numbers alone"),
        ({"--output": "r.pdf"}, "must end in .html"),
        ({"--output": "predictions.csv"}, "the report would replace predictions.csv"),
        ({"--confidence": "95"}, "confidence must lie between 0 and 1"),
    ],
)
def test_what_cannot_be_audited_is_exit_code_2(gbmix, file, changed, message):
    options = dict(zip(AUDIT[2::2], AUDIT[3::2], strict=True)) | changed
    arguments = [part for option in options.items() for part in option]
    output = gbmix(*AUDIT[:2], *arguments, code=2)
    assert output.err.startswith("Error: ")
    assert message in output.err
    assert output.out == ""


def test_continuous_columns_are_no_groups(gbmix, file):
    predictions(MOST_VALUES + 4).to_csv("predictions.csv", index=False)
    assert "column 'id' has 1,004 different values" in gbmix(*AUDIT, "-g", "id", code=2).err


def test_missing_labels_name_column_and_row(gbmix, file):
    frame = predictions()
    frame.loc[7, "place"] = None
    frame.to_csv("predictions.csv", index=False)
    error = gbmix(*AUDIT, code=2).err
    assert "predictions.csv: column 'place' has 1 missing value(s), the first in row 7" in error


def test_labels_are_shown_as_they_are(gbmix, file):
    frame = predictions()
    frame["place"] = frame["place"].map({"indoor": "[red]in\x1b[2J", "outdoor": ":smile:"})
    frame.to_csv("predictions.csv", index=False)
    text = gbmix(*AUDIT).out
    assert "[red]in\\u001b[2J" in text
    assert ":smile:" in text


def test_of_very_many_cells_the_worst_are_shown(gbmix, file):
    frame = predictions(1200).assign(place=np.arange(1200) // 20)
    frame.to_csv("predictions.csv", index=False)
    text = gbmix(*AUDIT).out
    assert len(rows_of(text)) == 51
    assert "and 70 better groups; a report (-o) has all" in text


@pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
def test_the_model_of_the_predictions_tells_what_it_was_fitted_on(gbmix, train):
    gbmix("fit", train, "-t", "y", "-g", "sex", "-o", "model", "--set", "max_epochs=1", "-q")
    gbmix("predict", "model", train, "-o", "p.csv")
    options = ["-t", "y", "-p", "prediction", "-g", "sex", "--model", "model", "--json"]
    cells = json.loads(gbmix("audit", "p.csv", *options).out)["model"]["cells"]
    assert sum(cell["train"] for cell in cells) == 320
    assert sum(cell["validation"] for cell in cells) == 80
