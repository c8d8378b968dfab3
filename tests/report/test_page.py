"""The page of an audit as a text; tests/report/test_browser.py looks at it in a browser."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from gbmix_sklearn import GroupAudit

from .examples import STRANGE, animals, strange_audit

TRUTH, PREDICTED, GROUPS = animals()
#: elements that have no end
VOID = {"meta", "img", "source", "br", "link", "input"}


class Page(HTMLParser):
    """Elements, attributes and text of a page; fails on elements that are not closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self._open = [], "", []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def strange():
    return Page(strange_audit().to_html())


def test_no_element_and_no_attribute_comes_from_a_name(strange):
    plain = GroupAudit.from_predictions(
        TRUTH, PREDICTED, groups=GROUPS, y_proba=np.full(len(TRUTH), 0.5)
    )
    expected = Page(plain.to_html())
    known = {(tag, *sorted(attributes)) for tag, attributes in expected.elements}
    assert {(tag, *sorted(attributes)) for tag, attributes in strange.elements} == known
    assert len(strange.all("script")) == 1
    assert len(strange.all("img")) == 3


def test_every_name_is_there_as_text(strange):
    visible = [name.replace("\u202e", r"\u202e").replace("\x00", r"\u0000") for name in STRANGE]
    for name in visible:
        assert f"<b>group</b>={name}" in strange.text
    assert "\u202e" not in strange.text
    assert "49" not in re.findall(r"group</b>=(\d+)", strange.text)


def test_nothing_is_loaded_and_nothing_else_runs(strange):
    policies = [
        meta["content"]
        for meta in strange.all("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policies[0]
    for _, attributes in strange.elements:
        for name in ("src", "srcset"):
            assert attributes.get(name, "data:").startswith("data:")
        assert "href" not in attributes


def test_the_page_has_all_numbers_of_the_table():
    audit = GroupAudit.from_predictions(TRUTH, PREDICTED, groups=GROUPS)
    text = audit.to_html()
    cells = [float(value) for value in re.findall(r'<td data-value="([^"]+)"', text)]
    frame = audit.to_frame().sort_values("accuracy", kind="stable")
    columns = ["accuracy", "low", "count", "share", "lead", "pvalue_adjusted"]
    expected = frame[columns].to_numpy(float).ravel()
    assert cells == expected[~np.isnan(expected)].tolist()
    assert '<h2 id="calibration">' not in text


def test_a_page_is_the_same_each_time_and_is_written(tmp_path):
    audit = GroupAudit.from_predictions(TRUTH, PREDICTED, groups=GROUPS)
    path = tmp_path / "deep" / "audit.html"
    text = audit.to_html(path)
    assert path.read_text("utf-8") == text == audit.to_html(str(path))
    assert [file.name for file in path.parent.iterdir()] == ["audit.html"]


def test_the_model_is_named_with_its_parameters():
    X, y = np.arange(400.0)[:, None], np.arange(400) % 2
    model = LogisticRegression(C=0.125).fit(X, y)
    page = Page(GroupAudit.from_estimator(model, X, y, groups=np.arange(400) // 200).to_html())
    assert "Group audit of LogisticRegression" in page.text
    assert "0.125" in page.text
    assert "max_iter" in page.text


def test_many_groups_are_all_in_the_table_and_the_worst_in_the_figures():
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=20_000)
    groups = rng.integers(50, size=20_000)
    audit = GroupAudit.from_predictions(truth, truth, groups=groups, y_proba=truth)
    page = Page(audit.to_html())
    assert "The 40 worst of 100 groups; the table has all." in page.text
    assert "The 12 worst of 50 are drawn" in page.text
    # a row for each in the table of accuracies and in that of probabilities, 50 for all classes
    assert sum(row.get("scope") == "row" for row in page.all("th")) == 100 + 100 + 50


def test_figures_leave_no_trace_in_pyplot():
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    before, size = plt.get_fignums(), mpl.rcParams["font.size"]
    GroupAudit.from_predictions(TRUTH, PREDICTED, groups=GROUPS).to_html()
    assert plt.get_fignums() == before
    assert mpl.rcParams["font.size"] == size


def test_alternatives_say_what_the_pictures_show(strange):
    audit = GroupAudit.from_predictions(TRUTH, PREDICTED, groups=GROUPS)
    alternative = Page(audit.to_html()).all("img")[0]["alt"]
    frame = audit.to_frame()
    assert f"from {frame['accuracy'].min():.1%}".replace("%", " %") in alternative
    assert "for cat, place=outdoor" in alternative
    assert all("<b>group</b>=" in image["alt"] for image in strange.all("img"))
