"""The picture of the cells of one model."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import GroupAccuracyDisplay, GroupsError, MissingGroupsError, group_report

from .examples import STRANGE, cells
from .looks import assert_readable, overlaps


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", "b"])
    X["old"] = rng.integers(2, size=300)
    y = np.where(X["a"] + X["old"] + rng.normal(size=300) > 0.5, "yes", "no")
    return X, y, LogisticRegression().fit(X, y)


def drawn(display):
    """Accuracy, low and high end of each row of the picture, from the top down."""
    rows = []
    for container in display.errorbars_:
        line, _, (bars,) = container
        for x, y, segment in zip(*line.get_data(), bars.get_segments(), strict=True):
            rows.append((y, x, *segment[:, 0]))
    return np.array(sorted(rows))[:, 1:]


def test_points_intervals_and_counts_are_those_of_the_predictions(problem):
    X, y, model = problem
    display = GroupAccuracyDisplay.from_estimator(model, X, y, groups=X["old"])
    report = group_report(y, model.predict(X), groups=X["old"])
    assert display.cells.index.equals(report.index)
    for row, (accuracy, low, high), text in zip(
        report.itertuples(), drawn(display), display.text_, strict=True
    ):
        interval = binomtest(round(row.accuracy * row.count), row.count).proportion_ci()
        assert accuracy == pytest.approx(row.accuracy)
        assert (low, high) == pytest.approx((interval.low, interval.high))
        assert text.get_text().startswith(f"{row.accuracy:.3f}  n={row.count}")
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert names == ["no, old=0", "no, old=1", "yes, old=0", "yes, old=1"]


def test_the_confidence_is_the_one_asked_for(problem):
    X, y, model = problem
    wide = GroupAccuracyDisplay.from_estimator(model, X, y, groups=X["old"], confidence=0.99)
    narrow = GroupAccuracyDisplay.from_estimator(model, X, y, groups=X["old"], confidence=0.5)
    assert (wide.cells["low"] < narrow.cells["low"]).all()
    assert (wide.cells["high"] > narrow.cells["high"]).all()
    assert wide.ax_.get_xlabel() == "accuracy, with 99% interval"
    assert narrow.ax_.get_xlabel() == "accuracy, with 50% interval"


def test_the_average_is_that_of_all_samples(problem):
    X, y, model = problem
    display = GroupAccuracyDisplay.from_estimator(model, X, y, groups=X["old"])
    assert f"average, {model.score(X, y):.3f}" in legend(display)


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_the_worst_cell_is_marked_by_word_shape_and_weight():
    table = cells("ab", "xyz")
    display = GroupAccuracyDisplay(table).plot()
    worst = int(np.argmin(table["accuracy"]))
    marked = [text.get_text().endswith("worst") for text in display.text_]
    assert marked == [place == worst for place in range(len(table))]
    bold = [label.get_fontweight() == "bold" for label in display.ax_.get_yticklabels()]
    assert bold == marked
    diamond, dot = (container[0] for container in display.errorbars_)
    assert diamond.get_marker() != dot.get_marker()
    assert diamond.get_xdata() == pytest.approx([table["accuracy"].min()])
    assert len(dot.get_xdata()) == len(table) - 1
    assert legend(display)[:2] == ["cell", "worst cell"]


def test_of_equal_worst_cells_all_are_marked():
    table = cells("ab", "xyz").assign(accuracy=0.5, low=0.4, high=0.6)
    display = GroupAccuracyDisplay(table).plot()
    assert all(text.get_text().endswith("worst") for text in display.text_)
    assert legend(display)[0] == "worst cell"


@pytest.mark.parametrize("by", ["accuracy", "count"])
def test_rows_may_be_sorted(by):
    table = cells("abc", "xyz")
    display = GroupAccuracyDisplay(table).plot(sort_by=by)
    ordered = table.sort_values(by, kind="stable")
    assert drawn(display)[:, 0] == pytest.approx(ordered["accuracy"].to_numpy())
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert names == [f"{target}, group={group}" for target, group in ordered.index]
    # texts are in the order of the cells, at the height of theirs
    for row, text in zip(table.itertuples(), display.text_, strict=True):
        assert text.get_text().startswith(f"{row.accuracy:.3f}  n={row.count}")
        place = names.index(", group=".join(row.Index))
        assert text.get_position()[1] == display.ax_.get_yticks()[place]


@pytest.mark.parametrize(
    ("classes", "values"),
    [
        (["cat", "dog"], ["all"]),
        (["<=50K", ">50K", "unknown"], ["female", "male", "other"]),
        (range(5), [f"occupation number {i}" for i in range(10)]),
        (range(5), [f"a long name of a group of people, the one number {i}" for i in range(10)]),
        (["a", "b"], STRANGE),
        (["a class with a name of " + "very " * 40 + "many words"], ["x", "y"]),
    ],
    ids=["2", "9", "50", "50 long", "strange", "longest"],
)
def test_labels_are_readable(classes, values):
    display = GroupAccuracyDisplay(cells(classes, values), name="A model").plot()
    assert_readable(display.figure_)
    size = display.ax_.get_yticklabels()[0].get_fontsize()
    assert size == mpl.rcParams["font.size"]  # figures grow, letters do not shrink
    assert display.ax_.bbox.width / display.figure_.dpi > 2.5
    assert display.figure_.get_figwidth() < 11  # long names go on in the next line


def test_large_letters_need_larger_figures():
    table = cells(range(4), range(5))
    usual = GroupAccuracyDisplay(table).plot()
    with plt.rc_context({"font.size": 16}):
        large = GroupAccuracyDisplay(table).plot()
        assert_readable(large.figure_)
    assert (large.figure_.get_size_inches() > usual.figure_.get_size_inches()).all()


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_on_small_axes_of_others_letters_shrink_instead_of_overlapping(layout):
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 6), layout=layout)
    display = GroupAccuracyDisplay(cells(range(5), range(10)))
    assert display.plot(left) is display
    assert display.ax_ is left
    assert display.figure_ is figure
    assert not right.has_data()
    right.remove()
    assert not overlaps(figure)


def test_hundreds_of_cells_can_be_drawn():
    display = GroupAccuracyDisplay(cells(range(10), range(85))).plot()
    assert display.figure_.get_size_inches()[1] * 300 < 2**16  # what Agg can draw


def test_names_are_no_formulas():
    display = GroupAccuracyDisplay(cells(["$a"], ["b$", "c"]), name="$5 to $6").plot()
    label = display.ax_.get_yticklabels()[0]
    assert label.get_text() == "$a, group=b$"
    assert not label.get_parse_math()
    assert not display.ax_.title.get_parse_math()


def test_plain_names_of_cells_will_do():
    table = cells(["a"], ["x", "y"]).set_axis(["first", "second"])
    names = GroupAccuracyDisplay(table).plot().ax_.get_yticklabels()
    assert [name.get_text() for name in names] == ["first", "second"]


def test_any_classifier_will_do(problem):
    X, y, _ = problem
    pipe = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    search = GridSearchCV(LogisticRegression(), {"C": [1]}).fit(X, y)
    for model in (pipe, search):
        display = GroupAccuracyDisplay.from_estimator(model, X, y, group_columns="old")
        assert display.ax_.get_title() == type(model).__name__
        assert display.cells.index.names == ["target", "old"]


def test_groups_are_columns_or_values_but_not_both(problem):
    X, y, model = problem
    both = GroupAccuracyDisplay.from_estimator(model, X, y, group_columns=["old"])
    values = GroupAccuracyDisplay.from_estimator(model, X, y, groups=X[["old"]])
    pd.testing.assert_frame_equal(both.cells, values.cells)
    with pytest.raises(GroupsError, match="give one of the two"):
        GroupAccuracyDisplay.from_estimator(model, X, y, groups=X["old"], group_columns="old")
    with pytest.raises(MissingGroupsError, match="group_columns="):
        GroupAccuracyDisplay.from_estimator(model, X, y)
    with pytest.raises(MissingGroupsError, match="groups is required"):
        GroupAccuracyDisplay.from_predictions(y, y, groups=None)


def test_names_and_looks_can_be_chosen():
    display = GroupAccuracyDisplay(cells("ab", "xy"), name="old")
    assert display.plot().ax_.get_title() == "old"
    looks = {"errorbar_kwargs": {"c": "black", "lw": 3}, "worst_kwargs": {"marker": "s"}}
    display.plot(name="new", text_kwargs={"color": "red"}, **looks)
    assert display.ax_.get_title() == "new"
    worst, other = (container[0] for container in display.errorbars_)
    assert (other.get_color(), other.get_linewidth(), other.get_marker()) == ("black", 3, "o")
    assert worst.get_marker() == "s"
    assert {text.get_color() for text in display.text_} == {"red"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([1], "cells must be a DataFrame, got list"),
        (cells("ab", "xy").drop(columns=["low", "high"]), "no column low, high; it has accuracy"),
        (cells("ab", "xy").iloc[:0], "no rows"),
        (100 * cells("ab", "xy"), "a, group=x has .*; .*|0 <= low <= accuracy <= high <= 1"),
        (cells("ab", "xy").assign(low=0.99), "a, group=x has 0.99"),
        (cells("ab", "xy").assign(accuracy=np.nan), "has .*nan"),
    ],
)
def test_tables_that_cannot_be_drawn_are_refused(table, message):
    with pytest.raises(ValueError, match=message):
        GroupAccuracyDisplay(table).plot()


def test_mistakes_are_explained(problem):
    X, y, model = problem
    with pytest.raises(ValueError, match="must be a fitted classifier, got Ridge"):
        GroupAccuracyDisplay.from_estimator(Ridge(), X, y, groups=X["old"])
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1, got 95"):
        GroupAccuracyDisplay.from_estimator(model, X, y, groups=X["old"], confidence=95)
    display = GroupAccuracyDisplay(cells("ab", "xy"))
    with pytest.raises(ValueError, match="sort_by must be 'accuracy', 'count' or None, got 'n'"):
        display.plot(sort_by="n")
    with pytest.raises(TypeError, match=r"ax=axes\[0\]"):
        display.plot(plt.subplots(1, 2)[1])
