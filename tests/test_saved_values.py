"""Labels, attribute values and parameters come back as what they were, or are refused."""

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV

from gbmix_sklearn._saved_values import (
    array_from_json,
    array_to_json,
    linear_model_from_json,
    linear_model_to_json,
    parameter_from_json,
    parameter_to_json,
    value_from_json,
    value_to_json,
)
from gbmix_sklearn.refit import LearnedRecipe, Recipe


def through_json(written):
    return json.loads(json.dumps(written, allow_nan=False))


VALUES = [
    "nö",
    "\ud800",
    True,
    -3,
    10**30,
    0.1,
    b"\xff",
    dt.date(2020, 2, 29),
    dt.datetime(2020, 2, 29, 12, 1, 2, 3),
    Decimal("0.10"),
    pd.Timestamp("2020-02-29 10:00:00.000000001"),
    pd.Timestamp("2020-10-25 02:30+01:00").tz_convert("Europe/Berlin"),
    pd.Timestamp("2020-02-29T10:00+02:00"),
    pd.Timedelta("-1 days 2h"),
    pd.Period("2020-03", "M"),
    pd.Period("2020-01-09", "W-SUN"),
    pd.Interval(20, 60, "left"),
    pd.Interval(pd.Timestamp("2020"), pd.Timestamp("2021")),
    ("f", ("old", 3)),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_equal_and_of_their_type(value):
    back = value_from_json(through_json(value_to_json(value)))
    assert back == value
    assert type(back) is type(value)
    assert hash(back) == hash(value)


def test_scalars_of_numpy_are_values():
    scalars = [np.int8(3), np.float32(0.5), np.bool_(True), np.str_("a")]
    assert [value_to_json(scalar) for scalar in scalars] == [3, 0.5, True, "a"]
    assert value_from_json(value_to_json(np.datetime64("2020-01-01"))) == pd.Timestamp("2020")


@pytest.mark.parametrize(
    "value", [1j, object(), {1}, None, pd.NaT, ["f"]], ids=lambda v: type(v).__name__
)
def test_other_values_are_refused_rather_than_made_text(value):
    with pytest.raises(TypeError, match="cannot be saved"):
        value_to_json(value)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes"]),
        np.array(["no", "yes"], dtype="<U40"),
        np.array([b"no", b"yes"]),
        np.array([1, 2], dtype=np.uint8),
        np.array([0.25, 0.5], dtype=np.float16),
        np.array([False, True]),
        np.array(["2020-01-01", "2020-01-02"], dtype="M8[ns]"),
        np.array(["a", 1, pd.Interval(0, 1)], dtype=object),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_labels_come_back_with_their_type(labels):
    back = array_from_json(through_json(array_to_json(labels)))
    assert back.dtype == labels.dtype
    assert back.tolist() == labels.tolist()


@pytest.mark.parametrize(
    "saved",
    [
        {"dtype": "S2000000000", "values": ["no", "yes"]},
        {"dtype": "V900000000", "values": [1, 2]},
        {"dtype": "u1", "values": [1, 300]},
        {"dtype": "<i8", "values": [1, 2**70]},
        {"dtype": "<i8", "values": ["1", "2"]},
        {"dtype": "<U3", "values": [1, 2]},
        {"dtype": ["i8"], "values": [1, 2]},
        {"dtype": "<i8", "values": 3},
        {"dtype": "M8[ns]", "values": [2**70]},
    ],
    ids=str,
)
def test_labels_that_are_not_what_they_say_are_refused(saved):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        array_from_json(saved)


def test_a_width_beyond_all_labels_takes_no_memory():
    found = array_from_json({"dtype": "<U500000000", "values": ["no", "yes"]})
    assert found.nbytes < 100
    assert found.tolist() == ["no", "yes"]


PARAMETERS = [
    None,
    "cosine",
    0.5,
    (6, 4),
    {0: 1, "b": 2.5},
    Recipe(n_draws=3, C=(0.5, 0.1)),
    LearnedRecipe(eta=1.0, max_average_loss=0.02),
]


@pytest.mark.parametrize("value", PARAMETERS, ids=repr)
def test_parameters_come_back(value):
    assert parameter_from_json(through_json(parameter_to_json("it", value))) == value


def test_numbers_of_numpy_within_parameters_are_numbers():
    recipe = Recipe(n_draws=np.int64(3), C=tuple(np.array([0.5, 0.1], dtype=np.float32)))
    back = parameter_from_json(through_json(parameter_to_json("refit", recipe)))
    assert back.n_draws == 3
    np.testing.assert_allclose(back.C, (0.5, 0.1))
    units = through_json(parameter_to_json("hidden_units", np.array([6, 4])))
    assert parameter_from_json(units) == (6, 4)


def test_linear_models_come_back_with_their_parameters():
    for model in (LogisticRegression(C=3, class_weight={0: 1, 1: 2}), RidgeClassifierCV([0.1, 2])):
        back = linear_model_from_json(through_json(linear_model_to_json(model)))
        assert type(back) is type(model)
        expected = model.get_params() | ({"alphas": (0.1, 2)} if hasattr(model, "alphas") else {})
        assert back.get_params() == expected


@pytest.mark.parametrize(
    "saved",
    [
        {"linear_model": "ridge_regression", "parameters": {"X": [1.0], "y": [1.0], "alpha": 1}},
        {"linear_model": "lars_path", "parameters": {}},
        {"linear_model": "_base", "parameters": {}},
        {"linear_model": ["Lasso"], "parameters": {}},
        {"linear_model": "LogisticRegression", "parameters": {"coef_": 1}},
        {"linear_model": "LogisticRegression", "parameters": {"C": "much"}},
        {"linear_model": "LogisticRegression", "parameters": [1]},
        {"recipe": {"n_draws": "x"}},
        {"recipe": {"n_draws": 1.5}},
        {"recipe": {"penalty": {"linear_model": "Perceptron", "parameters": {}}}},
        {"recipe": {"unknown": 1}},
        {"learned_recipe": {"eta": float("nan")}},
        {"mapping": 3},
        {"open": "file"},
        {},
    ],
    ids=str,
)
def test_parameters_of_no_known_kind_are_refused(saved):
    with pytest.raises((ValueError, TypeError, AttributeError)):
        parameter_from_json(saved)
