"""Tables in the state of an estimator: plain where that is all there is to them."""

import pickle

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn import MinimaxClassifier
from gbmix_sklearn._state import _from_plain, _to_plain

CELLS = pd.MultiIndex.from_product([[0, 1], ["f", "m"]], names=["target", "sex"])
PLAIN = [
    pd.DataFrame({"count": [1, 2, 3, 4], "share": 0.25, "note": list("abcd")}, index=CELLS),
    pd.DataFrame({"worst": [0.1, np.nan], "best": [True, False]}),
    pd.DataFrame({"worst": [0.1]}, index=pd.RangeIndex(1, name="round")),
    pd.Series([0.5, 0.5], index=pd.Index(["a", "b"], name="cell"), name="weight"),
]
OTHERS = [
    pd.Series([1.0], index=pd.IntervalIndex.from_tuples([(0, 1)])),
    pd.DataFrame({"at": pd.to_datetime(["2020-01-01"])}),
    pd.DataFrame({"kind": pd.Categorical(["a", "b"])}),
    pd.Series([1, None], dtype="Int64"),
]


@pytest.mark.parametrize("table", PLAIN + OTHERS)
def test_every_table_comes_back(table):
    check = pd.testing.assert_frame_equal
    if isinstance(table, pd.Series):
        check = pd.testing.assert_series_equal
    check(_from_plain(_to_plain(table)), table)


@pytest.mark.parametrize("table", PLAIN)
def test_numbers_and_texts_are_plain(table):
    assert isinstance(_to_plain(table), dict)


@pytest.mark.parametrize("table", OTHERS)
def test_other_values_stay_a_table(table):
    assert _to_plain(table) is table


def test_pickles_of_before_are_read():
    model = MinimaxClassifier(None)
    model.history_ = PLAIN[1]
    old = MinimaxClassifier(None)
    old.__setstate__(vars(model).copy())
    pd.testing.assert_frame_equal(old.history_, model.history_)
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(again.history_, model.history_)
