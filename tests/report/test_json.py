"""Audits as JSON."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from gbmix_sklearn import GroupAudit
from gbmix_sklearn.report._json import as_json
from gbmix_sklearn.report._output import write_text

from .examples import STRANGE, animals, strange_audit

TRUTH, PREDICTED, GROUPS = animals()


def read(text):
    def fail(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=fail)


def test_it_has_all_that_was_measured():
    proba = np.where(PREDICTED == "dog", 0.8, 0.3)
    audit = GroupAudit.from_predictions(TRUTH, PREDICTED, groups=GROUPS, y_proba=proba)
    content = read(audit.to_json())
    assert content["n_samples"] == 2000
    assert content["confidence"] == 0.95
    assert content["summary"] == audit.summary
    assert content["small_cells"] == []
    assert content["worst"] == {
        "label": "cat, place=outdoor",
        "next": audit.labels[audit.to_frame().index.get_loc(audit.next_cell)],
        "lead": audit.lead,
        "pvalue_adjusted": audit.lead_pvalue,
        "significant": True,
        "rank_confidence": audit.rank_confidence,
    }
    frame = audit.to_frame()
    for cell, (index, row), label in zip(
        content["cells"], frame.iterrows(), audit.labels, strict=True
    ):
        assert cell.pop("class") == index[0]
        assert cell.pop("attributes") == {"place": index[1]}
        assert cell.pop("label") == label
        assert list(cell) == list(frame)
        for name, value in cell.items():
            assert value == row[name] or (value is None and math.isnan(row[name]))
    groups = [group["attributes"]["place"] for group in content["calibration_by_group"]]
    assert groups == ["attic", "indoor", "outdoor"]
    assert "model" not in content


def test_a_comparison_has_both_worst_groups_and_all_cells(tmp_path):
    first, second = (
        GroupAudit.from_predictions(TRUTH, predicted, groups=GROUPS)
        for predicted in (PREDICTED, TRUTH)
    )
    comparison = first.compare(second)
    text = comparison.to_json(tmp_path / "comparison.json")
    assert (tmp_path / "comparison.json").read_text("utf-8") == text
    content = read(text)
    cells = content.pop("cells")
    assert content == {
        "confidence": 0.95,
        "worst_group_accuracy": comparison.worst_group_accuracy,
        "other_worst_group_accuracy": 1.0,
        "difference": comparison.worst_group_difference,
        "low": comparison.low,
        "high": comparison.high,
        "different": True,
    }
    frame = comparison.to_frame()
    assert [cell["label"] for cell in cells] == comparison.labels
    assert [(cell["class"], cell["attributes"]["place"]) for cell in cells] == list(frame.index)
    for column in frame:
        assert [cell[column] for cell in cells] == frame[column].tolist()


def test_the_model_is_there_with_its_parameters():
    X, y = np.arange(200.0)[:, None], [0, 1] * 100
    model = LogisticRegression(C=0.5).fit(X, y)
    audit = GroupAudit.from_estimator(model, X, y, groups=np.arange(200) % 4 // 2)
    assert read(audit.to_json())["model"] == {
        "name": "LogisticRegression",
        "parameters": audit.model.parameters,
    }
    assert audit.model.parameters["C"] == "0.5"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array([3, 5]), [3, 5]),
        (np.array([False, True]), [False, True]),
        (np.array([0.5, 1.5]), [0.5, 1.5]),
        (
            pd.to_datetime(["2024-01-31", "2025-01-31"]),
            ["2024-01-31 00:00:00", "2025-01-31 00:00:00"],
        ),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([("a", 1), ("b", 2), None], dtype=object)[:2], ["a", "b"]),
    ],
    ids=["int", "bool", "float", "date", "text", "tuple"],
)
def test_labels_of_any_kind(labels, expected):
    codes = np.arange(200) % 2
    values = pd.Series(labels)[codes].reset_index(drop=True)
    y = np.arange(200) // 2 % 2
    audit = GroupAudit.from_predictions(y, y, groups=pd.DataFrame({7: values}))
    found = [cell["attributes"]["7"] for cell in read(audit.to_json())["cells"]]
    assert [value[0] if isinstance(value, list) else value for value in found] == 2 * expected


def test_strange_names_come_back_as_they_were():
    content = read(strange_audit().to_json())
    found = {cell["attributes"]["<b>group</b>"] for cell in content["cells"]}
    assert found == set(STRANGE)


def test_a_file_is_written_whole_and_in_utf8(tmp_path):
    path = tmp_path / "new folder" / "audit.json"
    text = strange_audit().to_json(path)
    assert path.read_bytes() == text.encode("utf-8")
    assert [file.name for file in path.parent.iterdir()] == ["audit.json"]


def test_halves_of_characters_are_escapes_in_the_file(tmp_path):
    write_text(tmp_path / "name.json", as_json(["\ud800"]))
    assert read((tmp_path / "name.json").read_text("utf-8")) == ["\ud800"]


def test_a_path_may_be_text(tmp_path):
    audit = GroupAudit.from_predictions(TRUTH, PREDICTED, groups=GROUPS)
    audit.to_json(str(tmp_path / "audit.json"))
    assert read(Path(tmp_path / "audit.json").read_text("utf-8"))["n_samples"] == 2000
