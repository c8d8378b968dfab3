"""Columns as numbers, against scikit-learn's own encoders."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from gbmix_sklearn.cli._features import MOST_VALUES, Features

from .conftest import people

USED = ["age", "height", "work"]


@pytest.fixture(scope="module")
def learnt():
    return Features.learn(people()[USED], "t.csv")


def test_numbers_and_text_are_encoded_as_by_scikit_learn(learnt):
    frame = people()[USED]
    numbers = make_pipeline(StandardScaler(), SimpleImputer(add_indicator=True))
    numbers = numbers.fit_transform(frame[["age", "height"]].to_numpy())
    text = frame[["work"]].astype(object).fillna("~")  # sorted last
    text = OneHotEncoder(sparse_output=False).fit_transform(text)
    encoded = learnt.encode(frame, "t.csv")
    assert list(encoded.columns) == [
        "age",
        "height",
        "height is missing",
        "work=field",
        "work=office",
        "work=",
    ]
    assert (encoded.dtypes == np.float32).all()
    np.testing.assert_allclose(encoded, np.hstack([numbers, text]), atol=1e-6)


def test_other_rows_are_encoded_by_what_was_learnt(learnt):
    other = people(seed=1)[USED]
    both = learnt.encode(pd.concat([people()[USED], other]), "t.csv")
    np.testing.assert_array_equal(learnt.encode(other, "u.csv"), both[-len(other) :])


def test_it_survives_json(learnt):
    restored = Features.from_json(json.loads(json.dumps(learnt.to_json())))
    assert restored.columns == learnt.columns
    assert restored.names == USED


def test_an_unknown_category_is_none_of_the_known_ones_and_a_warning(learnt):
    frame = people(4)[USED].assign(work=["office", "sea", None, "sea"])
    with pytest.warns(UserWarning, match=r"u\.csv: column 'work' has 2 .* such as 'sea'"):
        encoded = learnt.encode(frame, "u.csv")
    assert encoded.filter(like="work").sum(axis=1).tolist() == [1, 0, 1, 0]


def test_a_missing_number_that_training_had_none_of_is_an_error(learnt):
    frame = people(4)[USED].assign(age=[40, None, 50, 60])
    with pytest.raises(ValueError, match=r"u\.csv: column 'age' has a missing value in row 1 "):
        learnt.encode(frame, "u.csv")


@pytest.mark.parametrize("value", ["x", np.inf])
def test_what_is_no_number_in_a_column_of_numbers_is_an_error(learnt, value):
    frame = people(4)[USED].assign(age=pd.Series([40, 50, value, 60], dtype=object))
    with pytest.raises(ValueError, match=r"u\.csv: column 'age' must have finite numbers.* row 2 "):
        learnt.encode(frame, "u.csv")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["1", "2", "3", "4", "?"], r"holds numbers, but '\?' in row 4 "),
        ([np.nan] * 5, "is empty"),
        (pd.date_range("2020-01-01", periods=5), "holds datetime64"),
    ],
)
def test_columns_that_cannot_be_used_are_errors(column, message):
    frame = pd.DataFrame({"x": column})
    with pytest.raises(ValueError, match=f"t.csv: column 'x' {message}"):
        Features.learn(frame, "t.csv")


def test_names_are_no_categories():
    frame = pd.DataFrame({"name": [f"person {n}" for n in range(MOST_VALUES + 1)]})
    with pytest.raises(ValueError, match=r"column 'name' has 1,001 different texts"):
        Features.learn(frame, "t.csv")
    assert len(Features.learn(frame[:-1], "t.csv").columns[0].values) == MOST_VALUES


def test_constant_columns_and_booleans_are_numbers():
    frame = pd.DataFrame({"one": [1, 1, 1, 1], "flag": [True, False, True, False]})
    encoded = Features.learn(frame, "t.csv").encode(frame, "t.csv")
    assert encoded["one"].tolist() == [0] * 4
    assert encoded["flag"].tolist() == [1, -1, 1, -1]
