"""What a comparison shows: text, page, picture, JSON."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from gbmix_sklearn import GroupAudit
from gbmix_sklearn.comparison._inputs import Samples
from gbmix_sklearn.comparison._result import MethodComparison
from gbmix_sklearn.comparison._storage import Part
from gbmix_sklearn.groups import make_cells

from ..report.examples import STRANGE
from ..report.test_page import Page
from .problems import Constant, Failing, places, quick, table

X, Y, PLACE = places()


def comparison(counts, rights):
    """A comparison of models that get so many samples of each of four cells right."""
    y = np.repeat([0, 0, 1, 1], counts)
    s = np.repeat(["a", "b", "a", "b"], counts)
    n, classes = len(y), np.array([0, 1])
    samples = Samples(
        np.zeros((n, 1)),
        np.zeros((n, 1)),
        None,
        y,
        classes,
        make_cells(y, s),
        s,
        None,
        None,
        False,
        None,
    )
    parts = {}
    for name, right in rights.items():
        hit = np.concatenate([np.arange(n) < r for n, r in zip(counts, right, strict=True)])
        parts[name] = [Part(np.where(hit, y, 1 - y).tolist(), 1.0)]
    splits = [(np.arange(0), np.arange(n))]
    methods = dict.fromkeys(rights, LogisticRegression())
    return MethodComparison(samples, splits, methods, parts, {name: {} for name in rights})


@pytest.fixture(scope="module")
def found():
    methods = {"plain": LogisticRegression(), "constant": Constant(), "bad": Failing()}
    return quick(X, Y, PLACE, methods=methods)


@pytest.fixture(scope="module")
def strange():
    """Classes, attributes, values and methods with names that would break a page."""
    rng = np.random.default_rng(0)
    y = rng.choice(np.array(STRANGE[:2], dtype=object), 400)
    groups = pd.DataFrame({"<b>group</b>": rng.choice(np.array(STRANGE, dtype=object), 400)})
    methods = {name: Constant(STRANGE[0]) for name in STRANGE[:3]}
    methods[f"bad {STRANGE[1]}"] = Failing()
    methods["slow"] = LogisticRegression(max_iter=1, C=1e6)
    return quick(rng.normal(size=(400, 3)), y, groups, methods=methods)


def test_the_best_has_the_best_worst_group():
    found = comparison([200] * 4, {"a": [180, 180, 180, 150], "b": [160] * 4})
    assert found.best_ == "b"
    assert found.alternatives_ == ["b", "a"]
    assert "The method to use here is b" in str(found)


def test_within_a_point_and_a_standard_error_the_average_chooses():
    found = comparison([1000] * 4, {"a": [800] * 4, "b": [795, 900, 900, 900]})
    assert found.to_frame().index[0] == "a"
    assert found.best_ == "b"
    text = str(found)
    assert "The worst group of a is 0.4 points better, within a standard error" in text
    assert "its average is 7.4 points lower" in text
    assert "best worst group" in text


def test_a_point_decides_where_there_is_no_noise():
    rights = {"a": [90_000] * 4, "b": [89_500, 95_000, 95_000, 95_000]}
    assert comparison([100_000] * 4, rights).best_ == "a"


def test_few_samples_do_not_hand_the_choice_to_the_average():
    found = comparison([30] * 4, {"a": [24] * 4, "b": [20, 30, 30, 30]})
    assert found.alternatives_ == ["a", "b"]
    assert found.best_ == "a"


def test_what_cannot_be_told_from_the_best_is_said_in_words():
    rights = {"a": [180] * 4, "b": [178] * 4, "c": [100] * 4}
    text = str(comparison([200] * 4, rights))
    assert "these cannot be told from the best: b." in text
    assert "These are worse beyond chance: c." in text
    assert "Each of the others has a worse" in str(
        comparison([200] * 4, {"a": [180] * 4, "c": [9] * 4})
    )


def test_small_cells_are_named():
    found = comparison([200, 200, 200, 4], {"a": [180, 180, 180, 0]})
    assert found.small_cells_ == ["1, group=b"]
    assert "Fewer than 10 samples, which do not decide: 1, group=b." in str(found)
    assert found.cells_["a"].tolist() == [0.9, 0.9, 0.9, 0.0]


def test_the_text_is_a_table(found):
    header, _, first, second, third, *_ = str(found).splitlines()
    assert " ".join(header.split()) == (
        "worst group interval shrunken gap average mean group a fold"
    )
    lines = [(line.split()[0], line.split("s  ")[-1]) for line in (first, second, third)]
    assert lines == [("plain", "use this"), ("constant", "worse"), ("bad", "failed")]
    assert repr(found) == "<MethodComparison of 3 methods on 3 folds of 240 samples>"


def test_the_frame_has_a_row_for_each_method(found):
    frame = found.to_frame()
    assert frame.index.tolist() == ["plain", "constant", "bad"]
    assert frame.index.name == "method"
    assert frame["distinguishable"].tolist() == [False, True, pd.NA]
    assert frame["seconds"].notna().all()
    frame.loc["plain", "seconds"] = -1  # a copy
    assert found.to_frame().loc["plain", "seconds"] >= 0


def test_an_audit_is_of_the_predictions(found):
    audit = found.audit()
    assert isinstance(audit, GroupAudit)
    row = found.to_frame().loc["plain"]
    assert audit.worst_group_accuracy == row["worst_group_accuracy"]
    assert found.audit("constant").worst_group_accuracy == 0
    with pytest.raises(ValueError, match="'none' is none of them"):
        found.audit("none")


def test_the_picture_has_a_star_for_the_method_to_use(found):
    display = found.plot()
    assert [point.get_marker() for point in display.points_] == ["*", "s"]
    assert display.models["name"].tolist() == ["plain", "constant"]


def test_json_has_all_that_was_found(found, tmp_path):
    text = found.to_json(tmp_path / "found.json")
    assert (tmp_path / "found.json").read_text() == text
    content = json.loads(text)
    assert content["best"] == "plain"
    assert [row["method"] for row in content["methods"]] == ["plain", "constant", "bad"]
    assert content["methods"][2]["worst_group_accuracy"] is None
    assert content["cells"][0]["label"] == "cat, group=indoor"
    assert content["cells"][0]["accuracy"]["constant"] == 1


def test_the_page_is_whole_and_needs_nothing(found, tmp_path):
    text = found.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text("utf-8") == text
    page = Page(text)
    assert "plain" in page.text
    assert "use this" in page.text
    assert len(page.all("img")) == 1
    assert not page.all("link")
    assert all(image["src"].startswith("data:image/svg") for image in page.all("img"))
    columns = [attributes for attributes in page.all("th") if "aria-sort" in attributes]
    assert len(columns) == 11 - 1 + 2 + 2  # methods; group, samples and a column for each


def test_no_element_of_a_page_comes_from_a_name(strange, found):
    known = {(tag, *sorted(attributes)) for tag, attributes in Page(found.to_html()).elements}
    page = Page(strange.to_html())
    extra = {(tag, *sorted(attributes)) for tag, attributes in page.elements} - known
    assert extra <= {
        ("table", "aria-label", "class"),
        ("td", "class"),
        ("code",),
        ("th", "class", "scope"),
    }
    assert len(page.all("script")) == 1
    assert len(page.all("img")) == 1


def test_no_element_of_a_notebook_comes_from_a_name(strange):
    page = Page(strange._repr_html_())
    assert {tag for tag, _ in page.elements} == {"table", "thead", "tbody", "tr", "th", "td", "p"}
    assert all(not attributes for _, attributes in page.elements)
    assert STRANGE[0] in page.text


def test_a_comparison_can_be_pickled(found):
    frame = pickle.loads(pickle.dumps(found)).to_frame()
    pd.testing.assert_frame_equal(frame, found.to_frame())


def test_sensitive_columns_are_named_in_the_cells():
    frame, y = table()
    found = quick(frame, y, group_columns="place", methods=["logistic"], cv=2)
    assert found.cells_.index.names == ["target", "place"]
    assert found.audit().labels[0] == "cat, place=indoor"
