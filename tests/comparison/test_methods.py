"""Methods by their names, for tables and matrices."""

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from gbmix_sklearn import GBMixClassifier, GroupThresholdClassifier
from gbmix_sklearn.comparison._cell_weighted import CellWeightedClassifier
from gbmix_sklearn.comparison._methods import (
    METHOD_NAMES,
    default_methods,
    find_method,
    make_methods,
)
from gbmix_sklearn.estimators import METHODS


def test_names_are_found_in_any_spelling():
    assert find_method("gbmix") == find_method("GBMixClassifier") == "GBMix"
    assert find_method("Logistic-Learned") == find_method("logistic_learned") == "logistic, learned"
    assert find_method("class scaled erm") == "class-scaled ERM"


def test_every_method_of_the_registry_has_its_name():
    assert set(METHODS) <= set(METHOD_NAMES)
    assert all(find_method(name) == name for name in METHOD_NAMES)


def test_an_unknown_name_is_told_the_nearest_and_all():
    with pytest.raises(ValueError, match=r"no method 'logitic'; did you mean 'logistic'\?.*GBMix"):
        find_method("logitic")


def test_an_estimator_in_a_list_is_told_to_need_a_name():
    with pytest.raises(TypeError, match="need names: methods="):
        make_methods([LogisticRegression()], "matrix", 4, 0)


@pytest.mark.parametrize(
    ("methods", "error", "message"),
    [
        ([], ValueError, "methods is empty"),
        (["ERM", "erm"], ValueError, "a name twice"),
        (3, TypeError, "must be names or a dict"),
        ({"mine": LinearRegression()}, TypeError, r"methods\['mine'\] must be a classifier"),
        ({"mine": LogisticRegression}, TypeError, "must be a classifier"),
        ({"mine": "ERN"}, ValueError, "did you mean 'ERM'"),
    ],
)
def test_what_cannot_be_compared_is_told(methods, error, message):
    with pytest.raises(error, match=message):
        make_methods(methods, "matrix", 4, 0)


def test_one_name_is_a_list_of_one():
    assert list(make_methods("erm", "matrix", 4, 0)) == ["ERM"]


def test_the_default_leaves_trees_out_where_they_are_slow():
    assert default_methods(20) == [
        "logistic",
        "boosting",
        "logistic, learned",
        "boosting, learned",
        "ERM",
        "GBMix",
    ]
    assert default_methods(None) == default_methods(1280)
    assert default_methods(None) == ["logistic", "logistic, learned", "ERM", "GBMix"]


def test_methods_have_the_seed():
    made = make_methods(["GBMix", "boosting"], "matrix", 4, 7)
    assert made["GBMix"].random_state == 7
    assert made["boosting"].estimator.random_state == 7


def test_tables_are_encoded_in_a_pipeline():
    made = make_methods(METHOD_NAMES, "table", 4, 0)
    assert all(isinstance(estimator, Pipeline) for estimator in made.values())
    assert isinstance(made["GBMix"][-1], GBMixClassifier)
    assert isinstance(made["class-scaled ERM"][-1], GroupThresholdClassifier)
    assert isinstance(made["boosting, learned"][-1], CellWeightedClassifier)
    assert made["boosting, learned"][-1].learn
    assert not made["boosting"][-1].learn


def test_pipelines_of_the_user_stay_as_they_are_and_others_get_numbers():
    own = make_pipeline(LogisticRegression())
    made = make_methods({"pipe": own, "forest": RandomForestClassifier()}, "table", 4, 0)
    assert [name for name, _ in made["pipe"].steps] == ["logisticregression"]
    assert [name for name, _ in made["forest"].steps] == ["encode", "classify"]
    assert made["pipe"] is not own
