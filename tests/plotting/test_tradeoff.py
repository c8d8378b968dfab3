"""The picture of many models."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import TradeoffDisplay, make_group_scorer
from gbmix_sklearn.plotting._tradeoff import pareto_front

from .examples import STRANGE, models
from .looks import assert_readable


def front_by_sweep(a, b):
    """Go from the best of `a` down: on the front is what raises the best `b` seen so far."""
    front, best = set(), -np.inf
    for value in sorted(set(a), reverse=True):
        among = [i for i in range(len(a)) if a[i] == value]
        top = max(b[i] for i in among)
        if top > best:
            front |= {i for i in among if b[i] == top}
            best = top
    return [i in front for i in range(len(a))]


@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_the_front_is_that_of_another_algorithm(n):
    rng = np.random.default_rng(n)
    for _ in range(100):
        a, b = rng.integers(6, size=(2, n)) / 6  # many ties
        assert pareto_front(a, b).tolist() == front_by_sweep(a, b)


def test_the_front_by_hand():
    a = np.array([1, 2, 3, 3, 2, 3, 0])
    b = np.array([3, 2, 1, 1, 1, 0, 3])
    assert pareto_front(a, b).tolist() == [True, True, True, True, False, False, False]


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_points_are_the_scores_and_those_on_the_front_are_filled():
    table = models(9)
    display = TradeoffDisplay(table).plot()
    assert display.front_.tolist() == front_by_sweep(
        table["average_accuracy"].tolist(), table["worst_group_accuracy"].tolist()
    )
    assert 1 < display.front_.sum() < 9
    for row, on_front, point in zip(
        table.itertuples(), display.front_, display.points_, strict=True
    ):
        assert point.get_xdata() == [row.worst_group_accuracy]
        assert point.get_ydata() == [row.average_accuracy]
        assert (point.get_markerfacecolor() != "white") == on_front
    assert legend(display) == [*table["name"], "Pareto front (filled)"]


def test_the_line_passes_through_the_front_and_above_the_rest():
    table = models(40)
    display = TradeoffDisplay(table).plot()
    corners = display.line_.get_xydata()
    front = table[display.front_].sort_values("worst_group_accuracy")
    assert corners[1:-1] == pytest.approx(
        front[["worst_group_accuracy", "average_accuracy"]].to_numpy()
    )
    assert corners[0] == pytest.approx([display.ax_.get_xlim()[0], front["average_accuracy"].max()])
    assert corners[-1] == pytest.approx(
        [front["worst_group_accuracy"].max(), display.ax_.get_ylim()[0]]
    )
    assert display.line_.get_drawstyle() == "steps-pre"


def test_few_models_have_looks_of_their_own():
    display = TradeoffDisplay(models(10)).plot()
    looks = {(point.get_marker(), point.get_color()) for point in display.points_}
    assert len(looks) == 10
    assert len({point.get_marker() for point in display.points_}) == 10


def test_of_many_models_the_front_has_names():
    table = models(200)
    display = TradeoffDisplay(table).plot()
    assert len(display.points_) == 10
    front = table[display.front_].sort_values("worst_group_accuracy", ascending=False)
    names = legend(display)[:10]
    assert set(names) <= set(front["name"])
    assert (names[0], names[-1]) == (front["name"].iloc[0], front["name"].iloc[-1])
    assert legend(display)[10:] == ["190 other models", "Pareto front"]
    dots = next(line for line in display.ax_.lines if line.get_label() == "190 other models")
    assert len(dots.get_xdata()) == 190
    more = TradeoffDisplay(table).plot(max_labels=3)
    assert len(more.points_) == 3


def test_highlighted_models_are_stars_with_a_name():
    table = models(60)
    display = TradeoffDisplay(table).plot(highlight="model 3")
    star = display.points_[-1]
    assert (star.get_label(), star.get_marker()) == ("model 3", "*")
    assert [point.get_marker() for point in display.points_].count("*") == 1
    with pytest.raises(ValueError, match="highlight names mine, which is no model"):
        TradeoffDisplay(table).plot(highlight=["model 3", "mine"])


@pytest.mark.parametrize(
    "table",
    [
        models(1),
        models(2),
        models(10),
        models(50),
        models(8).assign(name=STRANGE),
        models(10).assign(name=[f"alpha=0.25, weight_decay=0.001, k={i} " * 3 for i in range(10)]),
        models(5).assign(average_accuracy=0.5, worst_group_accuracy=0.5),
    ],
    ids=["1", "2", "10", "50", "strange", "long", "all the same"],
)
def test_labels_are_readable(table):
    display = TradeoffDisplay(table, name="Models on some data").plot()
    assert_readable(display.figure_)
    assert len(legend(display)) == len(display.points_) + (2 if len(table) > 10 else 1)
    assert display.ax_.bbox.width / display.figure_.dpi > 2.5


def test_runs_of_one_name_are_their_mean_and_deviation():
    runs = [
        {"name": "A", "average_accuracy": 0.8, "worst_group_accuracy": 0.5},
        {"name": "B", "average_accuracy": 0.7, "worst_group_accuracy": 0.6},
        {"name": "A", "average_accuracy": 0.9, "worst_group_accuracy": 0.3},
    ]
    display = TradeoffDisplay.from_results(runs)
    assert display.models["name"].tolist() == ["A", "B"]
    assert display.models["average_accuracy"].tolist() == pytest.approx([0.85, 0.7])
    assert display.models["worst_group_accuracy_std"].iloc[0] == pytest.approx(0.1)
    assert np.isnan(display.models["worst_group_accuracy_std"].iloc[1])
    bars = [path.vertices for c in display.ax_.collections for path in c.get_paths()]
    ends = [sorted(np.round(v, 12).tolist()) for v in bars if len(v) and np.isfinite(v).all()]
    assert [[0.3, 0.85], [0.5, 0.85]] in ends  # of the worst group
    assert [[0.4, 0.8], [0.4, 0.9]] in ends  # of the average
    with pytest.raises(ValueError, match="'A' is in results several times"):
        TradeoffDisplay.from_results(pd.DataFrame(runs).assign(average_accuracy_std=0.1))


@pytest.mark.parametrize(
    ("results", "error", "message"),
    [
        ([], ValueError, "results is empty"),
        ("table.csv", TypeError, "DataFrame or a list of dicts .* got str"),
        ([{"name": "A"}], ValueError, "no column 'average_accuracy', 'worst_.*columns are 'name'"),
        (models(3).assign(average_accuracy=[0.1, np.nan, 1]), ValueError, "nan for 'model 1'"),
        (models(3).assign(worst_group_accuracy=["1", "2", "?"]), ValueError, "'\\?' for 'model 2'"),
    ],
)
def test_results_that_cannot_be_drawn_are_refused(results, error, message):
    with pytest.raises(error, match=message):
        TradeoffDisplay.from_results(results)


@pytest.fixture(scope="module")
def search():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"])
    X["old"] = rng.integers(2, size=200)
    y = (X["a"] + X["old"] + rng.normal(size=200) > 0.5).astype(int)
    scoring = {
        "average": "accuracy",
        "worst": make_group_scorer("worst_group_accuracy", group_columns="old"),
    }
    pipe = make_pipeline(StandardScaler(), LogisticRegression())
    grid = {"logisticregression__C": [1e-3, 0.1234567], "logisticregression__tol": [1e-4]}
    grid["standardscaler__with_mean"] = [True, False]
    return GridSearchCV(pipe, grid, scoring=scoring, refit="worst", cv=3).fit(X, y)


@pytest.mark.parametrize("kind", [dict, pd.DataFrame])
def test_a_search_is_drawn_with_its_deviations(search, kind):
    found = search.cv_results_
    display = TradeoffDisplay.from_cv_results(kind(found), average="average", worst="worst")
    table = display.models
    assert table["name"].tolist() == [
        "C=0.001, with_mean=True",
        "C=0.001, with_mean=False",
        "C=0.1235, with_mean=True",
        "C=0.1235, with_mean=False",
    ]
    for score, scorer in (("average_accuracy", "average"), ("worst_group_accuracy", "worst")):
        assert table[score].tolist() == found[f"mean_test_{scorer}"].tolist()
        assert table[f"{score}_std"].tolist() == found[f"std_test_{scorer}"].tolist()
    assert_readable(display.figure_)


def test_names_of_parameters_are_whole_where_their_ends_are_the_same():
    params = [{"a__C": 1, "b__C": LogisticRegression()}, {"a__C": 2, "b__C": None}]
    scores = {f"{kind}_test_{s}": [0.5, 0.6] for kind in ("mean", "std") for s in ("x", "y")}
    display = TradeoffDisplay.from_cv_results(scores | {"params": params}, average="x", worst="y")
    assert display.models["name"].tolist() == [
        "a__C=1, b__C=LogisticRegression",
        "a__C=2, b__C=None",
    ]
    alone = {key: values[:1] for key, values in (scores | {"params": params}).items()}
    display = TradeoffDisplay.from_cv_results(alone, average="x", worst="y")
    assert display.models["name"].tolist() == ["a__C=1, b__C=LogisticRegression"]


def test_missing_scorers_are_named_with_those_that_are_there(search):
    with pytest.raises(ValueError, match=r"worst='wrost' is no scorer.*has 'average', 'worst'"):
        TradeoffDisplay.from_cv_results(search.cv_results_, average="average", worst="wrost")
    single = {"mean_test_score": [1.0], "std_test_score": [0.0], "params": [{}]}
    with pytest.raises(ValueError, match=r"average='accuracy' is no scorer .*; it has 'score'"):
        TradeoffDisplay.from_cv_results(single, average="accuracy", worst="worst")
    with pytest.raises(TypeError, match=r"cv_results_ of a search.*got GridSearchCV"):
        TradeoffDisplay.from_cv_results(search, average="average", worst="worst")


def test_candidates_without_a_score_are_left_out_with_a_warning(search):
    found = dict(search.cv_results_)
    found["mean_test_worst"] = found["mean_test_worst"].copy()
    found["mean_test_worst"][1] = np.nan
    with pytest.warns(UserWarning, match="1 of 4 candidates have no score"):
        display = TradeoffDisplay.from_cv_results(found, average="average", worst="worst")
    assert len(display.models) == 3
    found["mean_test_worst"][:] = np.nan
    with pytest.raises(ValueError, match="no candidate has both scores"):
        TradeoffDisplay.from_cv_results(found, average="average", worst="worst")


def test_names_axes_and_looks_can_be_chosen():
    figure, ax = plt.subplots()
    display = TradeoffDisplay(models(5), name="old")
    looks = {"point_kwargs": {"ms": 4}, "line_kwargs": {"c": "red"}}
    assert display.plot(ax, name="new", legend=False, **looks) is display
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert ax.get_title() == "new"
    assert ax.get_legend() is None
    assert {point.get_markersize() for point in display.points_} == {4}
    assert mpl.colors.same_color(display.line_.get_color(), "red")
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes"):
        display.plot(figure)
    with pytest.raises(ValueError, match="max_labels must be positive, got 0"):
        display.plot(max_labels=0)
