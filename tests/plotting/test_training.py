"""The picture of a training."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import TrainingDisplay

from .examples import STRANGE, history
from .looks import assert_readable, overlaps

FOUR = ("no, old=0", "no, old=1", "yes, old=0", "yes, old=1")


def lines(panel):
    return {line.get_label(): line for line in panel.lines}


def legend(panel):
    return [text.get_text() for text in panel.get_legend().get_texts()]


def test_panels_show_the_history():
    table = history(12, FOUR)
    display = TrainingDisplay(table).plot()
    assert display.panels_ == ("loss", "accuracy", "target")
    loss, accuracy, target = display.ax_
    assert lines(loss)["training"].get_ydata().tolist() == table["train_loss"].tolist()
    assert lines(loss)["validation"].get_ydata().tolist() == table["valid_loss"].tolist()
    for label, column in [
        ("worst group", "worst_group_accuracy"),
        ("average", "average_accuracy"),
        *((cell, f"accuracy[{cell}]") for cell in FOUR),
    ]:
        assert lines(accuracy)[label].get_ydata().tolist() == table[column].tolist()
        assert lines(accuracy)[label].get_xdata().tolist() == table["epoch"].tolist()
    (mesh,) = target.collections
    shares = table[[f"target_share[{cell}]" for cell in FOUR]].to_numpy().T
    assert np.asarray(mesh.get_array()).reshape(shares.shape) == pytest.approx(shares)
    names = [label.get_text() for label in target.get_yticklabels()]
    assert names == list(FOUR)
    heights = dict(zip(names, target.get_yticks(), strict=True))
    dots = lines(target)["most frequent target"].get_ydata()
    assert dots.tolist() == [heights[cell] for cell in table["target"]]


def test_the_epoch_kept_is_marked_everywhere_and_named_once():
    display = TrainingDisplay(history(12, FOUR)).plot()
    for panel in display.ax_:
        assert lines(panel)["epoch kept, 10"].get_xdata() == [10, 10]
    named = ["epoch kept, 10" in legend(panel) for panel in display.ax_]
    assert named == [True, False, False]
    alone = TrainingDisplay(history(12, FOUR)).plot(panels="target")
    assert legend(alone.ax_[0]) == ["most frequent target", "epoch kept, 10"]


def test_what_a_method_does_not_have_is_not_drawn():
    plain = history(5, FOUR, target=False)
    assert TrainingDisplay(plain).plot().panels_ == ("loss", "accuracy")
    blind = history(5, FOUR, target=False, validation=False)
    display = TrainingDisplay(blind).plot()
    assert display.panels_ == ("loss",)
    assert legend(display.ax_[0]) == ["training", "epoch kept, 3"]


def test_of_many_cells_the_range_is_drawn():
    cells = [f"cell {i}" for i in range(50)]
    table = history(10, cells)
    panel = TrainingDisplay(table).plot().ax_[1]
    assert legend(panel) == ["worst group", "average", "all 50 cells", "middle half of the cells"]
    accuracies = table[[f"accuracy[{cell}]" for cell in cells]].to_numpy()
    whole, half = (c.get_paths()[0].vertices[:, 1] for c in panel.collections)
    assert (whole.min(), whole.max()) == pytest.approx((accuracies.min(), accuracies.max()))
    assert half.max() == pytest.approx(np.quantile(accuracies, 0.75, axis=1).max())
    named = TrainingDisplay(table).plot(max_labels=50).ax_[1]
    assert len(legend(named)) == 52


def test_cells_that_nothing_judges_leave_the_range_of_the_others():
    cells = [f"cell {i}" for i in range(50)]
    table = history(10, cells)
    expected = TrainingDisplay(table.drop(columns="accuracy[cell 7]")).plot(panels="accuracy")
    table["accuracy[cell 7]"] = np.nan
    (panel,) = TrainingDisplay(table).plot(panels="accuracy").ax_
    assert "49 of 50 cells" in legend(panel)
    for ours, theirs in zip(panel.collections, expected.ax_[0].collections, strict=True):
        assert np.isfinite(ours.get_paths()[0].vertices).all()
        np.testing.assert_array_equal(ours.get_paths()[0].vertices, theirs.get_paths()[0].vertices)


@pytest.mark.parametrize(
    ("n_epochs", "cells"),
    [
        (1, FOUR[:2]),
        (3, FOUR),
        (30, [f"{c}, sex={s}" for c in "abc" for s in ("female", "male", "other")]),
        (200, [f"{i % 5}, occupation=number {i // 5}" for i in range(50)]),
        (10, [f"{i % 5}, a long name of a group of people, the one number {i}" for i in range(50)]),
        (10, STRANGE),
    ],
    ids=["1 epoch", "4", "9", "50", "50 long", "strange"],
)
def test_labels_are_readable(n_epochs, cells):
    display = TrainingDisplay(history(n_epochs, cells), name="A training").plot()
    assert_readable(display.figure_)
    assert display.ax_[-1].bbox.width / display.figure_.dpi > 2.2
    colours = [text.get_text() for text in display.ax_[1].get_legend().get_texts()]
    assert len(colours) == 4 if len(cells) > 10 else len(cells) + 2


def test_epochs_are_whole_numbers():
    panel = TrainingDisplay(history(2, FOUR)).plot().ax_[-1]
    panel.figure.canvas.draw()
    low, high = panel.get_xlim()
    ticks = [tick for tick in panel.get_xticks() if low <= tick <= high]
    assert ticks == [1, 2]


def test_one_axes_is_divided():
    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 7), layout="constrained")
    display = TrainingDisplay(history(10, FOUR)).plot(left)
    TrainingDisplay(history(10, FOUR), name="targets").plot(right, panels="target")
    assert display.figure_ is figure
    assert not left.axison
    assert len(display.ax_) == 3
    whole = left.get_subplotspec().get_position(figure)
    for panel in display.ax_:
        place = panel.get_subplotspec().get_position(figure)
        assert whole.x0 <= place.x0
        assert place.x1 <= whole.x1
    assert not overlaps(figure)


def test_each_panel_may_have_axes_given():
    figure, axes = plt.subplots(3, 1)
    display = TrainingDisplay(history(10, FOUR)).plot(axes)
    assert display.ax_.tolist() == axes.tolist()
    assert display.figure_ is figure
    with pytest.raises(ValueError, match=r"2 axes for 3 panels \(loss, accuracy, target\)"):
        display.plot(axes[:2])
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes, got int"):
        display.plot([1, 2, 3])
    free = figure.add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match="not part of a grid"):
        display.plot(free)


@pytest.mark.parametrize(
    ("table", "panels", "message"),
    [
        (history(5, FOUR), "losses", "panels must be among loss, accuracy, target, got 'losses'"),
        (history(5, FOUR), [], "names nothing"),
        (history(5, FOUR).iloc[:0], None, "no epochs"),
        (history(5, FOUR).drop(columns="epoch"), None, "no column 'epoch'"),
        (history(5, FOUR, target=False), "target", "chooses no target"),
        (history(5, FOUR, validation=False), ["accuracy"], "without a validation part"),
    ],
)
def test_what_cannot_be_drawn_is_refused(table, panels, message):
    with pytest.raises(ValueError, match=message):
        TrainingDisplay(table).plot(panels=panels)


# ---------------------------------------------------------------- classifiers


@pytest.fixture(scope="module")
def fitted():
    from gbmix_sklearn import GBMixClassifier

    rng = np.random.default_rng(0)
    y, s = rng.integers(2, size=(2, 200))
    X = rng.normal(size=(200, 3)) + y[:, None]
    return GBMixClassifier(max_epochs=2, random_state=0).fit(X, y, groups=s), X, y, s


def test_a_classifier_is_drawn_with_its_best_epoch(fitted):
    model, *_ = fitted
    display = TrainingDisplay.from_estimator(model)
    assert display.history is model.history_
    assert display.ax_[0].get_title() == "GBMixClassifier"
    assert f"epoch kept, {model.best_epoch_}" in lines(display.ax_[0])
    named = TrainingDisplay.from_estimator(model, name="mine", panels="loss")
    assert named.ax_[0].get_title() == "mine"


def test_the_classifier_within_is_found(fitted):
    from gbmix_sklearn import ERMClassifier, LastLayerRefit

    model, X, y, s = fitted
    pipe = make_pipeline(StandardScaler(), ERMClassifier(max_epochs=1, random_state=0)).fit(X, y)
    search = GridSearchCV(pipe, {"ermclassifier__lr": [0.01]}, cv=2).fit(X, y)
    refit = LastLayerRefit(model).fit(X, y, groups=s)
    for estimator, trained in (
        (pipe, pipe[-1]),
        (search, search.best_estimator_[-1]),
        (refit, model),
    ):
        assert TrainingDisplay.from_estimator(estimator).history is trained.history_


def test_what_has_no_history_is_explained(fitted):
    from gbmix_sklearn import ERMClassifier

    _, X, y, _ = fitted
    with pytest.raises(NotFittedError, match="this ERMClassifier is not fitted yet"):
        TrainingDisplay.from_estimator(ERMClassifier())
    with pytest.raises(NotFittedError, match="this ERMClassifier is not fitted yet"):
        TrainingDisplay.from_estimator(GridSearchCV(ERMClassifier(), {"lr": [0.1]}))
    with pytest.raises(TypeError, match="LogisticRegression keeps no history"):
        TrainingDisplay.from_estimator(LogisticRegression().fit(X, y))
    search = GridSearchCV(ERMClassifier(max_epochs=1), {"lr": [0.1]}, cv=2, refit=False)
    with pytest.raises(TypeError, match="refit=True"):
        TrainingDisplay.from_estimator(search.fit(X, y))
    with pytest.raises(TypeError, match="history must be a DataFrame, got list"):
        TrainingDisplay([1]).plot()
