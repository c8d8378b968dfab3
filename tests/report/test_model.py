"""What reports tell of a model."""

import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn.report._model import describe


class Custom(BaseEstimator):
    def __init__(self, value=None):
        self.value = value


class Unprintable:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        ("a\nb", r"'a\nb'"),
        (LogisticRegression(C=3), "LogisticRegression"),
        ("x" * 400, "'" + "x" * 299 + "..."),
        (Unprintable(), "<Unprintable>"),
        (pd.DataFrame({"a": [1, 2]}), "a 0 1 1 2"),
    ],
)
def test_parameters_are_text_on_one_line(value, text):
    assert describe(Custom(value)).parameters["value"] == text


def test_addresses_in_memory_are_left_out():
    text = describe(Custom(object())).parameters["value"]
    assert text == "<object object>"


def test_a_pipeline_is_named_by_its_steps_and_has_their_parameters():
    model = make_pipeline(StandardScaler(), "passthrough", None, LogisticRegression(C=0.5))
    facts = describe(model)
    assert facts.name == "StandardScaler → LogisticRegression"
    assert facts.library == "sklearn"
    assert facts.parameters["logisticregression__C"] == "0.5"
    assert "steps" not in facts.parameters
    assert not facts.has_save


def test_of_a_search_the_best_is_described():
    search = GridSearchCV(LogisticRegression(), {"C": [0.5]}, cv=2).fit([[0], [1]] * 4, [0, 1] * 4)
    assert describe(search).name == "LogisticRegression"
    assert describe(search).parameters["C"] == "0.5"


def test_a_model_without_parameters():
    class Plain:
        pass

    facts = describe(Plain())
    assert (facts.name, facts.parameters, facts.training_cells) == ("Plain", {}, None)


def test_only_cells_that_the_training_set_had_give_weights():
    index = pd.MultiIndex.from_product([[0, 1], ["f", "m"]], names=["target", "sex"])
    model = Custom()
    model.group_table_ = pd.DataFrame({"count": [5, 0, 3, 0]}, index=index)
    facts = describe(model)
    pd.testing.assert_frame_equal(facts.weights_of(index), model.group_table_)
    assert facts.weights_of(index[[1, 3]]) is None  # no sample of either
    assert facts.weights_of(index.set_levels(["f", "x"], level=1)) is None
    assert describe(Custom()).weights_of(index) is None
