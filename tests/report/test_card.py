"""Model cards, read back with the Hub's own library and with a parser of Markdown."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from huggingface_hub import ModelCard
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import ERMClassifier, GroupAudit, model_card

from .examples import STRANGE, animals, strange_audit

TRUTH, PREDICTED, GROUPS = animals()
X = pd.DataFrame({"guess": PREDICTED == "cat", "noise": np.arange(len(TRUTH)) % 7})
MODEL = LogisticRegression(C=0.125).fit(X, TRUTH)
AUDIT = GroupAudit.from_estimator(MODEL, X, TRUTH, groups=GROUPS)


def table(text, header):
    """Rows of the table with this header."""
    lines = text.split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith(header))
    n_columns = lines[start].count("|") - 1
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return rows
        cells = line.replace("\\|", "").strip("|").split("|")
        assert len(cells) == n_columns
        rows.append([cell.strip() for cell in cells])
    return rows


def test_the_metadata_are_those_that_the_hub_reads(tmp_path):
    card = model_card(
        MODEL,
        AUDIT,
        model_name="animals-linear",
        dataset_name="Animals",
        license="bsd-3-clause",
        language=["en", "de"],
        tags=["cats"],
        path=tmp_path / "model" / "README.md",
    )
    loaded = ModelCard.load(tmp_path / "model" / "README.md")
    assert str(loaded) == str(card)
    data = loaded.data
    assert data.to_dict() == card.data.to_dict()
    assert data.model_name == "animals-linear"
    assert data.license == "bsd-3-clause"
    assert data.language == ["en", "de"]
    assert data.library_name == "sklearn"
    assert data.pipeline_tag == "tabular-classification"
    assert data.tags == ["cats", "fairness", "group-robustness"]
    results = {result.metric_type: result for result in data.eval_results}
    summary = {**AUDIT.summary}
    assert results.pop("accuracy").metric_value == pytest.approx(
        summary.pop("average_accuracy"), abs=1e-6
    )
    assert {name: result.metric_value for name, result in results.items()} == pytest.approx(
        summary, abs=1e-6
    )
    assert {result.dataset_name for result in data.eval_results} == {"Animals"}
    assert {result.task_type for result in data.eval_results} == {"tabular-classification"}


def test_what_nobody_said_is_left_out():
    card = model_card(MODEL, AUDIT)
    assert "license" not in card.data.to_dict()
    assert "language" not in card.data.to_dict()
    assert "None" not in card.data.to_yaml()
    assert card.data.model_name == "LogisticRegression"


def test_the_text_has_what_was_measured():
    text = str(model_card(MODEL, AUDIT, dataset_name="Animals", description="For **vets**."))
    assert "# LogisticRegression\n\nFor **vets**.\n\nThe worst group is cat, place=outdoor" in text
    assert "Measured on 2,000 samples of Animals." in text
    rows = table(text, "| group | accuracy | 95 % interval | samples | confidence | Brier score |")
    expected = [
        [
            label,
            f"{100 * row['accuracy']:.1f} %",
            f"{100 * row['low']:.1f} to {100 * row['high']:.1f}",
            str(row["count"]),
            f"{100 * row['confidence']:.1f} %",
            f"{row['brier_score']:.3f}",
        ]
        for label, row in zip(AUDIT.labels, AUDIT.to_frame().to_dict("records"), strict=True)
    ]
    assert rows == expected
    assert ["C", "0.125"] in table(text, "| parameter | value |")
    assert "The model does not say which groups it was trained on." in text
    assert "- Groups were told apart by place and class" in text
    assert "joblib.load" in text


def test_the_cells_of_the_training_set_are_named():
    model = LogisticRegression().fit(X, TRUTH)
    index = AUDIT.to_frame().index
    model.group_table_ = pd.DataFrame(
        {"count": np.arange(6) * 1000, "share": np.arange(6) / 15}, index
    )
    audit = GroupAudit.from_estimator(model, X, TRUTH, groups=GROUPS)
    text = str(model_card(model, audit))
    rows = table(text, "| group | samples | share |")
    assert rows[0] == ["cat, place=attic", "0", "0.0 %"]
    assert rows[5] == ["dog, place=outdoor", "5,000", "33.3 %"]
    assert "| Adjusted average | each group counts as in training |" in text


def test_a_model_of_this_package_is_loaded_by_it():
    Z = np.random.default_rng(0).normal(size=(200, 2))
    y = (Z[:, 0] > 0).astype(int)
    model = ERMClassifier(max_epochs=1, random_state=0).fit(Z, y, groups=np.arange(200) % 2)
    s = np.arange(200) % 2
    audit = GroupAudit.from_estimator(model, Z, y, groups=s)
    card = model_card(model, audit)
    assert card.data.library_name == "gbmix_sklearn"
    assert "from gbmix_sklearn import load_model" in str(card)
    assert len(table(str(card), "| group | training | validation | note |")) == 4
    pipeline = make_pipeline(StandardScaler(), model)
    assert "joblib.load" in str(model_card(pipeline, GroupAudit.from_predictions(y, y, groups=s)))


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


def test_names_are_text_in_markdown():
    markdown = pytest.importorskip("markdown_it")
    audit = strange_audit()
    name = "".join(STRANGE)
    card = model_card(LogisticRegression(), audit, model_name=name, dataset_name=name, tags=STRANGE)
    read = ModelCard(str(card))
    assert read.data.to_dict() == card.data.to_dict()
    body = read.text
    page = Elements(markdown.MarkdownIt("commonmark").enable("table").render(body))
    assert page.tags <= {
        "h1",
        "h2",
        "p",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ul",
        "li",
        "pre",
        "code",
    }
    for strange in STRANGE:
        shown = strange.replace("\u202e", r"\u202e").replace("\x00", r"\u0000")
        assert f"<b>group</b>={shown}" in page.text
    assert len(table(body, "| group | accuracy |")) == 2 * len(STRANGE)


def test_the_audit_of_another_model_is_an_error():
    other = make_pipeline(StandardScaler(), MODEL)
    with pytest.raises(ValueError, match="audit is that of a LogisticRegression, the estimator is"):
        model_card(other, AUDIT)
    with pytest.raises(ValueError, match=r"with C=0.125, the estimator has C=1.0; audit the"):
        model_card(LogisticRegression(), AUDIT)


def test_what_is_no_audit_is_an_error():
    with pytest.raises(TypeError, match="audit must be a GroupAudit, got dict"):
        model_card(MODEL, {})


def test_an_audit_of_predictions_may_be_of_any_model():
    audit = GroupAudit.from_predictions(TRUTH, PREDICTED, groups=GROUPS)
    text = str(model_card(MODEL, audit))
    assert "| group | accuracy | 95 % interval | samples |\n|---|---:|---:|---:|\n| cat" in text
    assert "Brier" not in text


@pytest.mark.parametrize(
    ("backbone", "task"), [("resnet50", "image-classification"), (None, "tabular-classification")]
)
def test_the_task_is_that_of_the_backbone(backbone, task):
    class Images(LogisticRegression):
        def __init__(self, backbone=None):
            super().__init__()
            self.backbone = backbone

    audit = GroupAudit.from_predictions(TRUTH, PREDICTED, groups=GROUPS)
    assert model_card(Images(backbone), audit).data.pipeline_tag == task
    assert model_card(Images(backbone), audit, task_type="other").data.pipeline_tag == "other"
