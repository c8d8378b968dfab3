"""The picture of the rounds that learned a balance."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import BalanceDisplay, GroupThresholdClassifier, MinimaxClassifier

from ..estimators.problems import problem
from .looks import assert_readable


def rounds(n=8):
    worst = [0.4 - 0.02 * i for i in range(n)]
    frame = pd.DataFrame(
        {"worst": worst, "average": 0.2, "best": [i < max(n - 2, 1) for i in range(n)]}
    )
    frame.index.name = "round"
    return frame


def lines(display):
    return {line.get_label(): line for line in display.ax_.lines}


def test_the_lines_are_accuracies_and_the_round_kept_is_marked():
    display = BalanceDisplay(rounds(), name="rounds").plot()
    drawn = lines(display)
    assert drawn["worst group"].get_ydata() == pytest.approx([0.6 + 0.02 * i for i in range(8)])
    assert drawn["average"].get_ydata() == pytest.approx([0.8] * 8)
    assert drawn["worst group"].get_xdata().tolist() == list(range(8))
    assert list(drawn["round kept, 5"].get_xdata()) == [5, 5]
    assert display.ax_.get_title() == "rounds"


@pytest.mark.parametrize("n", [1, 2, 8, 30])
def test_labels_are_readable(n):
    assert_readable(BalanceDisplay(rounds(n), name="A classifier").plot().figure_)


def test_it_draws_on_given_axes():
    figure, ax = plt.subplots()
    display = BalanceDisplay(rounds()).plot(ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes"):
        BalanceDisplay(rounds()).plot("here")


def test_the_balance_is_found_in_what_is_around_it():
    X, y, s = problem()
    inner = MinimaxClassifier(make_pipeline(StandardScaler(), LogisticRegression()), random_state=0)
    fitted = inner.fit(X, y, s)
    around = GroupThresholdClassifier(inner, cv=2, random_state=0).fit(X, y, s)
    for model in (fitted, make_pipeline(StandardScaler(), fitted), around):
        display = BalanceDisplay.from_estimator(model)
        assert display.ax_.get_title() == "LogisticRegression"


def test_what_has_no_rounds_is_refused():
    X, y, _ = problem()
    with pytest.raises(NotFittedError, match="MinimaxClassifier is not fitted yet"):
        BalanceDisplay.from_estimator(MinimaxClassifier(LogisticRegression()))
    with pytest.raises(TypeError, match="LogisticRegression has learned no balance"):
        BalanceDisplay.from_estimator(LogisticRegression().fit(X, y))
    with pytest.raises(ValueError, match=r"no column 'worst'.*TrainingDisplay"):
        BalanceDisplay(pd.DataFrame({"epoch": [1]})).plot()
    with pytest.raises(ValueError, match="no rounds"):
        BalanceDisplay(rounds()[:0]).plot()
    with pytest.raises(TypeError, match="DataFrame"):
        BalanceDisplay([1]).plot()
