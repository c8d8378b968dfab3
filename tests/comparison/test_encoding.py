"""Columns of tables for linear models and for trees."""

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn.comparison._encoding import (
    CategoryColumns,
    NumberColumns,
    WithoutColumns,
    check_table,
)


def frame():
    return pd.DataFrame(
        {
            "n": [1.0, 2.0, 3.0, np.nan],
            "flag": [True, False, True, False],
            "text": ["b", "a", None, "b"],
            "kind": pd.Categorical([2, 1, 1, 2]),
            "whole": pd.array([1, None, 3, 3], dtype="Int64"),
        }
    )


def test_numbers_are_standardised_and_categories_one_hot():
    X = NumberColumns().fit_transform(frame())
    assert X.dtype == np.float32
    np.testing.assert_allclose(X[:, 0], [-1.2247449, 0, 1.2247449, 0], rtol=1e-6)
    np.testing.assert_array_equal(X[:, 1], [1, -1, 1, -1])
    np.testing.assert_array_equal(X[:, 3], [0, 0, 0, 1])  # n is missing
    np.testing.assert_array_equal(X[:, 4], [0, 1, 0, 0])  # whole is missing
    np.testing.assert_array_equal(X[:, 5:7], [[0, 1], [1, 0], [0, 0], [0, 1]])
    np.testing.assert_array_equal(X[:, 7:], [[0, 1], [1, 0], [1, 0], [0, 1]])


def test_what_is_new_is_none_of_the_known_categories():
    encoder = NumberColumns().fit(frame())
    new = frame().assign(text="z")
    assert encoder.transform(new)[:, 5:7].sum() == 0
    trees = CategoryColumns().fit(frame()).transform(new)
    assert trees["text"].isna().all()


def test_new_data_are_encoded_by_the_training_rows():
    encoder = NumberColumns().fit(frame().iloc[:2])
    X = encoder.transform(frame().iloc[2:])
    np.testing.assert_allclose(X[:, 0], [3, 0])  # mean 1.5, deviation 0.5


def test_trees_get_categories_as_such():
    encoded = CategoryColumns().fit_transform(frame())
    assert list(encoded) == list(frame())
    assert list(encoded["text"].cat.categories) == ["a", "b"]
    assert list(encoded["kind"].cat.categories) == ["1", "2"]
    assert encoded["whole"].dtype == np.float64
    assert encoded["n"].isna().tolist() == [False, False, False, True]


def test_only_the_most_frequent_of_many_categories_are_told_apart():
    texts = [f"c{n}" for n in range(300)] * 2 + ["often"] * 9
    many = pd.DataFrame({"text": texts})
    assert NumberColumns().fit_transform(many).shape[1] == 100
    assert len(CategoryColumns().fit_transform(many)["text"].cat.categories) == 254
    assert "often" in NumberColumns().fit(many).categories_["text"]


def test_an_empty_column_of_numbers_says_nothing_and_breaks_nothing():
    X = NumberColumns().fit_transform(pd.DataFrame({"n": [np.nan, np.nan], "m": [1.0, 1.0]}))
    assert np.isfinite(X).all()


def test_columns_that_are_not_there_may_be_left_out():
    left = WithoutColumns(["n", "sex"]).fit_transform(frame())
    assert list(left) == ["flag", "text", "kind", "whole"]


def test_dates_are_refused_with_the_cure():
    dates = pd.DataFrame({"day": pd.to_datetime(["2020-01-01", "2020-01-02"])})
    with pytest.raises(ValueError, match=r"column 'day' holds datetime64.*leave it out"):
        check_table(dates)
