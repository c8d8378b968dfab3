"""The schema of a model's columns, with the names of files in messages."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn import TableEncoder
from gbmix_sklearn.cli._features import encode, learn
from gbmix_sklearn.tables import Schema

from .conftest import people

USED = ["age", "height", "work"]


def test_columns_are_encoded_as_by_the_encoder_of_the_package():
    frame = people()[USED]
    encoder = TableEncoder().fit(frame)
    encoded = encode(learn(frame, "t.csv", {}), frame, "t.csv")
    assert list(encoded.columns) == list(encoder.get_feature_names_out())
    np.testing.assert_array_equal(encoded, encoder.transform(frame))
    assert (encoded.dtypes == np.float32).all()


def test_it_survives_json():
    schema = learn(people()[USED], "t.csv", {})
    again = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    other = people(seed=1)[USED]
    pd.testing.assert_frame_equal(encode(again, other, "u"), encode(schema, other, "u"))


def test_what_is_left_out_and_what_is_new_are_warnings_with_the_name_of_the_file():
    frame = people()[USED]
    with pytest.warns(UserWarning, match=r"t\.csv: left out: 'id' numbers the rows"):
        learn(frame.assign(id=range(400)), "t.csv", {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schema = learn(frame, "t.csv", {})
    new = people(4)[USED].assign(work=["office", "sea", None, "sea"])
    with pytest.warns(UserWarning, match=r"u\.csv: column 'work' has 2 .* such as 'sea'"):
        encoded = encode(schema, new, "u.csv")
    assert encoded.filter(like="work").sum(axis=1).tolist() == [1, 0, 1, 0]
    with pytest.warns(UserWarning, match=r"u\.csv: column 'age' has 1 .* such as a missing one"):
        encode(schema, people(4)[USED].assign(age=[40, None, 50, 60]), "u.csv")


def test_errors_name_file_column_and_row():
    schema = learn(people()[USED], "t.csv", {})
    new = people(4)[USED].assign(age=pd.Series([40, 50, "x", 60], dtype=object))
    with pytest.raises(ValueError, match=r"u\.csv: column 'age' must have .*'x' in row 2 .*from 0"):
        encode(schema, new, "u.csv")
    with pytest.raises(ValueError, match=r"u\.csv: column 'age' holds dates"):
        learn(pd.DataFrame({"age": ["2020-01-01", "2020-01-02"]}), "u.csv", {})
