"""Columns of tables for trees, and without sensitive ones."""

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn import compare
from gbmix_sklearn.comparison._encoding import CategoryColumns, WithoutColumns

from .problems import table


def frame():
    return pd.DataFrame(
        {
            "n": [1.5, 2.0, 3.0, np.nan],
            "flag": [True, False, True, False],
            "text": ["b", "a", None, "b"],
            "kind": pd.Categorical([2, 1, 1, 2]),
            "whole": pd.array([1, None, 3, 3], dtype="Int64"),
        }
    )


def test_trees_get_categories_as_such():
    encoded = CategoryColumns().fit_transform(frame())
    assert list(encoded) == list(frame())
    assert list(encoded["text"].cat.categories) == ["a", "b"]
    assert list(encoded["kind"].cat.categories) == ["1", "2"]
    assert encoded["whole"].dtype == np.float64
    assert encoded["n"].isna().tolist() == [False, False, False, True]


def test_what_is_new_is_none_of_the_known_categories():
    trees = CategoryColumns().fit(frame()).transform(frame().assign(text="z"))
    assert trees["text"].isna().all()


def test_only_frequent_ones_of_many_categories_are_told_apart():
    texts = [f"c{n}" for n in range(300)] * 2 + ["often"] * 9
    encoded = CategoryColumns().fit_transform(pd.DataFrame({"text": texts}))["text"]
    assert encoded.cat.categories.tolist() == ["often", "(rare)"]
    assert (encoded == "(rare)").sum() == 600


def test_columns_that_are_not_there_may_be_left_out():
    left = WithoutColumns(["n", "sex"]).fit_transform(frame())
    assert list(left) == ["flag", "text", "kind", "whole"]


def test_what_cannot_be_used_is_an_error_before_anything_is_fitted():
    X, y = table()
    X["day"] = pd.date_range("2020-01-01", periods=len(X))
    with pytest.raises(ValueError, match=r"column 'day' holds datetime64.*exclude it"):
        compare(X, y, group_columns="place", methods=["logistic"])


@pytest.mark.parametrize("library", ["pyarrow", "polars"])
def test_tables_of_other_libraries_are_compared_on_as_those_of_pandas(library):
    module = pytest.importorskip(library)
    X, y = table()
    other = module.Table.from_pandas(X) if library == "pyarrow" else module.from_pandas(X)
    options = {"group_columns": "place", "methods": ["logistic"], "cv": 2, "verbose": 0}
    expected = compare(X, y, **options).to_frame()["worst_group_accuracy"]
    found = compare(other, y, **options).to_frame()["worst_group_accuracy"]
    assert found.tolist() == expected.tolist()
