"""What the samples of each cell did in the fit is told by every report of a fitted model."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import (
    ERMClassifier,
    GroupAudit,
    GroupThresholdClassifier,
    LastLayerRefit,
    MinimaxClassifier,
    load_model,
    model_card,
)

N = 600
RNG = np.random.default_rng(0)
Y = np.arange(N) % 2
PLACE = np.where(np.arange(N) % 4 < 2, "land", "sea").astype(object)
PLACE[:3] = "<b>air</b>"  # too few to be balanced
X = RNG.normal(size=(N, 4)) + Y[:, None]

pytestmark = pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")


@pytest.fixture(scope="module")
def model():
    model = make_pipeline(StandardScaler(), ERMClassifier(max_epochs=1, random_state=0))
    return model.fit(X, Y, ermclassifier__groups=pd.Series(PLACE, name="place"))


@pytest.fixture(scope="module")
def audit(model):
    return GroupAudit.from_estimator(model, X, Y, groups=pd.Series(PLACE, name="place"))


def test_the_text_has_the_totals_and_the_small_cells(model, audit):
    table = model[-1].cell_table_
    n_train, n_valid = table[["train", "validation"]].sum()
    assert f"the model was trained on {n_train} samples, judged by {n_valid} samples" in str(audit)
    assert "0, place=<b>air</b> (too small to be balanced: trains with 0, place=" in str(audit)


def test_json_has_every_cell(model, audit):
    cells = json.loads(audit.to_json())["model"]["cells"]
    table = model[-1].cell_table_
    assert [cell["train"] for cell in cells] == table["train"].tolist()
    assert [cell["note"] for cell in cells] == table["note"].tolist()
    assert cells[0]["attributes"] == {"place": "<b>air</b>"}


def test_the_page_has_every_cell_and_escapes_it(audit):
    page = audit.to_html()
    section = page.partition('id="trained"')[2].partition("</section>")[0]
    assert section.count("<tr>") == 1 + len(audit.model.cell_table)
    assert "too small to be balanced" in section
    assert "&lt;b&gt;air&lt;/b&gt;" in section
    assert "<b>" not in section


def test_the_card_has_every_cell(model, audit):
    card = str(model_card(model, audit))
    lines = card.partition("| group | training | validation |")[2].partition("##")[0].splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == len(audit.model.cell_table)
    assert "| too small to be balanced: trains with 0, place=land" in rows[0]


def test_an_audit_of_predictions_tells_it_of_the_model_that_made_them(model, audit):
    told = GroupAudit.from_predictions(
        Y, model.predict(X), groups=pd.Series(PLACE, name="place"), estimator=model
    )
    assert str(told).partition("In its fit")[2] == str(audit).partition("In its fit")[2] != ""


def test_a_loaded_model_tells_the_same(model, tmp_path):
    model[-1].save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.cell_table_, model[-1].cell_table_, check_index_type=False)
    audit = GroupAudit.from_estimator(loaded, X, Y, groups=pd.Series(PLACE, name="place"))
    assert "too small to be balanced" in str(audit)


@pytest.mark.parametrize(
    ("meta", "columns"),
    [
        (MinimaxClassifier(LogisticRegression(), n_rounds=1), ["train", "validation"]),
        (GroupThresholdClassifier(LogisticRegression()), ["train", "validation"]),
        (GroupThresholdClassifier(LogisticRegression().fit(X, Y), cv="prefit"), ["validation"]),
        (
            LastLayerRefit(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)),
            ["validation", "refit"],
        ),
    ],
)
def test_meta_estimators_tell_it_too(meta, columns):
    meta.fit(X, Y, groups=PLACE)
    assert list(meta.cell_table_.columns[meta.cell_table_.any()][:-1]) == columns
    few = meta.cell_table_["note"] == "judged mostly by its class"
    assert few.sum() == 2
    audit = GroupAudit.from_estimator(meta, X, Y, groups=PLACE)
    assert "judged by 600 samples" in str(audit)


def test_other_models_tell_nothing():
    model = LogisticRegression().fit(X, Y)
    audit = GroupAudit.from_estimator(model, X, Y, groups=PLACE)
    assert "In its fit" not in str(audit)
    assert "cells" not in json.loads(audit.to_json())["model"]
    assert 'id="trained"' not in audit.to_html()
