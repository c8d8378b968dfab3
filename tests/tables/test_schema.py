"""What columns hold is found once, and later tables are read by it."""

import json

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn.tables import Schema


def learn(values, **named):
    frame = pd.DataFrame({"x": values, "y": np.tile([0.5, 1.5], len(values))[: len(values)]})
    return Schema.learn(frame, **named)


def column(values, **named):
    return {column.name: column for column in learn(values, **named).columns}["x"]


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "2", " 3", "1e1", "-.5"], [1, 2, 3, 10, -0.5]),
        (["1,234", "999", "1,234,567"], [1234, 999, 1234567]),
        (["1,234.5", "-7"], [1234.5, -7]),
        (["1.234,5", "7"], [1234.5, 7]),
        (["1.234.567", "1.234"], [1234567, 1234]),
        (["0,950", "7,345"], [0.95, 7.345]),
        (["1 234", "12\u00a0345,5", "1\u202f234"], [1234, 12345.5, 1234]),
        (["1'234", "5"], [1234, 5]),
        (["$1,234", "-$5", "$ 7", "8"], [1234, -5, 7, 8]),
        (["45 %", "4.5%"], [45, 4.5]),
        (["5 €", "1.000 €", "EUR 7"], None),
        (["EUR 5", "7 EUR"], [5, 7]),
        (["(1,234)", "5"], [-1234, 5]),
        (["−5", "1,5"], [-5, 1.5]),
    ],
)
def test_numbers_are_read_as_people_write_them(texts, values):
    if values is None:
        with pytest.raises(ValueError, match="look like numbers, written in several ways"):
            learn(texts)
        return
    found = column(texts)
    np.testing.assert_allclose(found.read(pd.Series(texts)), values)


def test_a_format_is_kept_and_others_are_refused_by_name():
    found = column(["12,5 %", "7 %"])
    np.testing.assert_allclose(found.read(pd.Series(["1.250,5 %", None])), [1250.5, np.nan])
    with pytest.raises(ValueError, match=r"written as those in training, and has '0.07' in row 1"):
        found.read(pd.Series(["7 %", "0.07"]))


def test_a_note_says_what_was_read_as_numbers():
    assert "'x' looks like numbers with separators" in learn(["1,234", "2,345"]).notes[0]
    assert learn(["1", "2"]).notes == []


@pytest.mark.parametrize(
    "texts",
    [
        ["01", "02", "10"],
        ["0A", "01", "02"],
        ["K", "PK", "1", "2"],
        ["true", "false", "unknown"],
        ["10-20", "20-30"],
        ["0", "1+"],
        ["1e", "1f"],
    ],
)
def test_codes_and_ranges_are_categories_with_their_spelling(texts):
    assert set(column(texts).values) == set(texts)


@pytest.mark.parametrize("dtype", ["bool", "boolean", "str"])
def test_true_and_false_are_the_same_in_any_spelling(dtype):
    flags = pd.Series([True, False, True]).astype(dtype)
    found = column(flags)
    later = pd.Series(["true", "FALSE", "maybe", True, None], dtype=object)
    assert found.read(later).tolist() == [1, 0, -1, 1, -1]


def test_whole_numbers_are_the_same_categories_as_floats_and_texts():
    found = column(pd.Series([1, 2, 2, 1]).astype("category"))
    for later in ([2, 1, None], [2.0, 1.0, np.nan], ["2", " 1", ""]):
        assert found.read(pd.Series(later)).tolist() == [1, 0, -1]


def test_a_few_texts_among_numbers_are_an_error_that_names_both_cures():
    with pytest.raises(
        ValueError, match=r"column 'x' holds numbers, but '\?' in row 4; .*category"
    ):
        learn(["1", "2", "3", "4", "?"])
    assert column(["1", "2", "3", "4", "?"], category=["x"]).values == ("1", "2", "3", "4", "?")
    with pytest.raises(ValueError, match=r"column 'x' must have finite numbers, and has '\?'"):
        learn(["1", "2", "3", "4", "?"], number=["x"])


def test_mixed_types_are_read_as_their_texts():
    mixed = pd.Series([1, "a", 2.5, "b", None, "a"], dtype=object)
    assert set(column(mixed).values) == {"1", "2.5", "a", "b"}


@pytest.mark.parametrize(
    "dates",
    [
        pd.date_range("2020-01-01", periods=30),
        pd.date_range("2020-01-01", periods=30).strftime("%Y-%m-%d"),
        pd.date_range("2020-01-01", periods=30).strftime("%d.%m.%Y"),
        pd.date_range("2020-01-01", periods=30).strftime("%m/%d/%Y"),
        pd.date_range("2020-01-01", periods=30).date,
        pd.period_range("2020-01", periods=30, freq="M"),
        pd.timedelta_range("1D", periods=30),
    ],
)
def test_dates_are_an_error_with_the_cures(dates):
    with pytest.raises(ValueError, match=r"column 'x' holds .*exclude.*\[tables\]"):
        learn(dates)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None] * 40, "is empty"),
        ([np.nan] * 40, "is empty"),
        ([""] * 40, "is empty"),
        (range(1, 41), "numbers the rows"),
        (RNG.permutation(200)[:150], "numbers the rows"),
        (RNG.permutation(30).astype(str), "numbers the rows"),
        ([f"case {n}" for n in range(40)], "hardly has a value twice"),
        ([f"note {n} of a long day" for n in range(40)], "is free text .*text"),
    ],
)
def test_columns_with_nothing_to_learn_from_are_left_out_with_the_reason(values, reason):
    schema = learn(values)
    assert schema.names == ["y"]
    assert schema.notes[0].startswith("left out: 'x'")
    (left_out,) = schema.left_out.values()
    pd.Series([left_out]).str.match(reason).all()
    assert pd.Series([left_out]).str.contains(reason).all()


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_columns_without_a_name_are_left_out(name):
    schema = Schema.learn(pd.DataFrame({name: [3, 1, 2], "y": [0.5, 1.5, 0.5]}))
    assert schema.names == ["y"]
    assert "has no name, as an index" in schema.left_out[name]


@pytest.mark.parametrize("name", ["id", "person_id", "Person ID", "userId"])
def test_sparse_ids_are_known_by_their_name(name):
    ids = RNG.permutation(10**6)[:60]
    assert Schema.learn(pd.DataFrame({name: ids, "y": [0.5, 1.5] * 30})).names == ["y"]
    assert Schema.learn(pd.DataFrame({"paid": ids})).names == ["paid"]
    assert Schema.learn(pd.DataFrame({name: ids}), number=[name]).names == [name]


def test_all_columns_that_cannot_be_used_are_named_at_once():
    days = pd.date_range("2020-01-01", periods=5)
    frame = pd.DataFrame({"day": days, "n": ["1", "2", "3", "4", "?"], "inf": [np.inf] * 5})
    with pytest.raises(
        ValueError, match=r"'day' holds .*'n' holds numbers.*'inf' must have finite"
    ):
        Schema.learn(frame)
    with pytest.raises(ValueError, match="no column to learn from: 'a' is empty"):
        Schema.learn(pd.DataFrame({"a": [None, None]}))


def test_it_survives_json():
    n = 40
    frame = pd.DataFrame(
        {
            "a": np.where(np.arange(n) % 5, np.arange(n) / 7, np.nan),
            "p": [f"{k},5 %" for k in range(n)],
            "k": (["u", "v", "w", None] * n)[:n],
            "flag": [True, False] * (n // 2),
            "note": ["some words of text"] * n,
        }
    )
    schema = Schema.learn(frame, text=["note"])
    again = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    assert again.columns == schema.columns
    np.testing.assert_array_equal(again.encode(frame)[0], schema.encode(frame)[0])


@pytest.mark.parametrize(
    "saved",
    [
        {"kind": "date", "name": "x"},
        {"kind": "text"},
        {"kind": "text", "name": "x", "size": 3},
        {"name": "x"},
    ],
)
def test_damaged_json_is_an_error(saved):
    with pytest.raises((KeyError, TypeError, ValueError)):
        Schema.from_json([saved])


def test_knots_must_increase():
    saved = column([0.5, 1.5, 2.5]).to_json() | {"knots": [1, 0]}
    with pytest.raises(ValueError, match="knots of column 'x' do not increase"):
        Schema.from_json([saved])


def test_new_values_are_counted_with_an_example():
    frame = pd.DataFrame({"a": [0.5, 1.5, 2.5, 0.5], "k": ["u", "v", "u", "v"]})
    schema = Schema.learn(frame)
    later = pd.DataFrame({"a": [0.5, None, 1.5, 7], "k": ["u", "sea", None, "sea"]})
    new = schema.encode(later)[1]
    assert new["a"] == (1, "a missing one", "the median")
    assert new["k"] == (3, "'sea'", "none of the known ones")
    assert schema.encode(frame)[1] == {}


def test_typed_columns_are_floats_and_categories():
    frame = pd.DataFrame({"a": ["1,5", "2", None], "k": ["u", "v", None]})
    typed = Schema.learn(frame).typed(pd.concat([frame, frame.assign(k="new")]))
    assert typed["a"].tolist()[:2] == [1.5, 2]
    assert typed["k"].cat.categories.tolist() == ["u", "v"]
    assert typed["k"].isna().tolist() == [False, False, True, True, True, True]


def test_numbers_in_a_column_of_objects_are_numbers():
    from decimal import Decimal

    for values in ([1, 2.5, None, 4], [Decimal("1"), Decimal("2.5"), None, Decimal(4)]):
        found = column(pd.Series(values, dtype=object))
        np.testing.assert_array_equal(
            found.read(pd.Series(values, dtype=object)), [1, 2.5, np.nan, 4]
        )
    with pytest.raises(
        ValueError, match="column 'x' must have finite numbers, and has inf in row 1"
    ):
        learn(pd.Series([1, np.inf, None, 4], dtype=object))
