"""Encoding of classes and sensitive attributes, against plain Python."""

import json
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbmix_sklearn import ERMClassifier, GBMixError, GroupsError, group_report
from gbmix_sklearn._saved_values import table_from_json, table_to_json
from gbmix_sklearn.groups import (
    check_group_columns,
    encode_attribute,
    encode_target,
    encode_together,
    make_cells,
    take_groups,
    too_small,
    training_cells,
)

KINDS = {
    "str": st.sampled_from(["a", "b", "zebra", "", "10", "9"]),
    "bool": st.booleans(),
    "int": st.sampled_from([-7, -1, 0, 3, 1000, 10**12]),
    "float": st.sampled_from([-0.5, 0.0, 2.5, 1e300, float("inf")]),
    "mixed": st.sampled_from(["a", "b", 3, -2, 2.5, ("t", 1)]),
}


@st.composite
def columns(draw, min_size=1, kinds=tuple(KINDS)):
    return draw(st.lists(KINDS[draw(st.sampled_from(kinds))], min_size=min_size, max_size=30))


def as_object(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def containers(values):
    """The ways in which the same values can be given."""
    yield as_object(values)
    yield pd.Series(as_object(values))
    yield pd.Series(as_object(values), name="g").to_frame()
    yield pd.Categorical(as_object(values)) if same_type(values) else as_object(values)
    if same_type(values):
        yield list(values)
        yield np.array(values)
        yield np.array(values)[:, None]
        yield pd.Index(values)
        with warnings.catch_warnings():  # pandas 2 tries every type
            warnings.simplefilter("ignore", RuntimeWarning)
            nullable = pd.Series(values).convert_dtypes()
        yield nullable
        yield pd.Series(values, dtype="category").cat.add_categories(["never seen"])


def same_type(values):
    return len({type(value) for value in values}) == 1 and not isinstance(values[0], tuple)


@settings(deadline=None, max_examples=100)
@given(columns())
def test_codes_stand_for_the_values_in_every_container(values):
    for groups in containers(values):
        attribute = encode_attribute(groups, len(values))
        assert attribute.codes.dtype == np.int64
        decoded = [attribute.values.iloc[code, 0] for code in attribute.codes]
        assert decoded == list(values)
        assert len(attribute) == len(set(values))


@given(columns(kinds=("str", "bool", "int", "float")))
def test_values_are_sorted(values):
    assert list(encode_attribute(np.array(values)).values.iloc[:, 0]) == sorted(set(values))


def test_values_of_several_types_have_an_order_that_does_not_depend_on_the_samples():
    values = ["b", 2, "a", 1, ("t", 1)]
    orders = [
        list(encode_attribute(as_object(order)).values.iloc[:, 0])
        for order in (values, values[::-1])
    ]
    assert orders[0] == orders[1]


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 10**6))
def test_several_attributes_are_their_combinations(n, n_attributes, seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            f"a{i}": rng.choice(np.array(["x", "y", "z"]) if i % 2 else np.array([-3, 0, 9]), n)
            for i in range(n_attributes)
        }
    )
    attribute = encode_attribute(frame)
    rows = [tuple(row) for row in frame.itertuples(index=False)]
    expected = sorted(set(rows))
    assert [tuple(row) for row in attribute.values.itertuples(index=False)] == expected
    assert attribute.codes.tolist() == [expected.index(row) for row in rows]
    assert attribute.names == list(frame.columns)
    assert encode_attribute(frame.to_numpy()).codes.tolist() == attribute.codes.tolist()


def test_many_attributes_of_many_values_do_not_overflow():
    n = 3000
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({i: rng.permutation(n) for i in range(8)})
    attribute = encode_attribute(frame)
    assert len(attribute) == n
    assert (attribute.values.to_numpy()[attribute.codes] == frame.to_numpy()).all()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(KINDS["str"], KINDS["int"]), min_size=1, max_size=40), st.data())
def test_cells_count_every_combination(pairs, data):
    y, s = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    cells = make_cells(y, s)
    classes, values = sorted(set(y)), sorted(set(s))
    counts = Counter(pairs)
    every = [(c, v) for c in classes for v in values]
    assert list(cells.index) == every
    assert cells.counts.tolist() == [counts[cell] for cell in every]
    assert cells.present.tolist() == [i for i, cell in enumerate(every) if counts[cell]]
    assert cells.table["share"].tolist() == [counts[cell] / len(y) for cell in every]
    assert cells.labels == [f"{c}, group={v}" for c, v in every]
    for number, cell in enumerate(every):
        assert cells.members(number).tolist() == [i for i, p in enumerate(pairs) if p == cell]

    rows = np.array(data.draw(st.lists(st.integers(0, len(y) - 1), max_size=20)), dtype=int)
    part = cells.take(rows)
    assert part.labels == cells.labels
    assert part.codes.tolist() == cells.codes[rows].tolist()
    assert part.counts.sum() == len(rows)


def test_without_groups_cells_are_classes():
    cells = make_cells(["b", "a", "b"])
    assert cells.counts.tolist() == [1, 2]
    assert cells.labels == ["a, group=all", "b, group=all"]
    assert not cells.group_determines_class


@pytest.mark.parametrize(
    ("y", "s", "determines"),
    [
        ([0, 0, 1, 1], [0, 1, 2, 3], True),  # the cell numbers themselves
        ([0, 0, 1, 1], [0, 0, 1, 1], True),
        ([0, 0, 1, 1], [0, 1, 0, 2], False),
        ([0, 0, 1, 1], [5, 5, 5, 5], False),
        ([0, 0, 0], [1, 2, 3], True),
    ],
)
def test_groups_that_determine_the_class_are_noticed(y, s, determines):
    assert make_cells(y, s).group_determines_class is determines


def test_names_of_attributes_come_from_where_they_were_given():
    values = [1, 2]
    assert encode_attribute(values).names == ["group"]
    assert encode_attribute(pd.Series(values, name="sex")).names == ["sex"]
    assert encode_attribute([[1, 2], [3, 4]]).names == ["group_0", "group_1"]
    assert make_cells([0, 1], pd.DataFrame({"sex": ["f", "m"], "age": [3, 4]})).labels[0] == (
        "0, sex=f, age=3"
    )


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA, pd.NaT])
def test_missing_values_are_named_by_column_and_row(missing):
    frame = pd.DataFrame({"sex": ["f"] * 5, "age": [1, 2, missing, 4, missing]})
    with pytest.raises(GroupsError, match=r"2 missing value.* column 'age'.*row 2.*drop these"):
        encode_attribute(frame)
    with pytest.raises(GroupsError, match="row 1"):
        encode_attribute(["f", missing, 3])


@pytest.mark.parametrize(
    ("groups", "match"),
    [
        ([1, 2], r"2 entries for 3 samples"),
        ([[1, 2], [3], [4]], "different lengths"),
        (np.zeros((3, 2, 2)), r"shape \(3, 2, 2\)"),
        (np.array(3), "shape"),
        (pd.DataFrame(index=range(3)), "one or more columns"),
        (pd.DataFrame([[1, 2]] * 3, columns=["a", "a"]), "names of their own"),
    ],
)
def test_groups_of_another_shape_are_refused(groups, match):
    with pytest.raises(GroupsError, match=match):
        encode_attribute(groups, 3)
    with pytest.raises(ValueError, match=match):  # as scikit-learn's users catch it
        encode_attribute(groups, 3)


@pytest.mark.parametrize("groups", ["sex", b"sex", {"sex": [1, 2]}, 3, iter([1, 2])])
def test_groups_that_are_no_array_are_refused(groups):
    with pytest.raises(TypeError, match=f"got {type(groups).__name__}"):
        encode_attribute(groups, 2)


@pytest.mark.parametrize(
    ("y", "match"),
    [([["a", "b"], ["c", "d"]], "1-D"), (["a", None, "b"], r"1 missing label.*row 1")],
)
def test_labels_speak_of_y(y, match):
    with pytest.raises(ValueError, match=match) as error:
        encode_target(y)
    assert str(error.value).startswith("y ")


def test_columns_of_a_frame_are_taken_as_groups():
    X = pd.DataFrame({"sex": ["f", "m"], "x": [1, 2], 7: [3, 4]})
    assert take_groups(X, None, "sex").columns.tolist() == ["sex"]
    assert take_groups(X, None, ["sex", 7]).columns.tolist() == ["sex", 7]
    assert take_groups(X, [0, 1], None) == [0, 1]
    with pytest.raises(GroupsError, match="give one of the two"):
        take_groups(X, [0, 1], "sex")
    with pytest.raises(GroupsError, match=r"names 'race'.*columns are 'sex', 'x', 7"):
        take_groups(X, None, ["race", "sex"])
    with pytest.raises(TypeError, match=r"as a pandas DataFrame, got ndarray"):
        take_groups(X.to_numpy(), None, "sex")
    with pytest.raises(GroupsError, match="no column"):
        check_group_columns([])


def test_two_sets_of_samples_have_the_same_codes():
    one = pd.DataFrame({"sex": ["f", "m"], "age": [60, 30]})
    other = pd.DataFrame({"age": [30, 90, 60], "sex": ["m", "m", "f"]})
    first, second = encode_together(one, other)
    assert first.values.equals(second.values)
    assert first.values.columns.tolist() == ["sex", "age"]
    assert second.codes.tolist() == [first.codes[1], 2, first.codes[0]]
    with pytest.raises(GroupsError, match="groups_val has 1 missing"):
        encode_together([1, 2], [None])
    with pytest.raises(GroupsError, match=r"groups_val has 2 entries for 3"):
        encode_together([1, 2], [1, 2], 3)
    with pytest.raises(GroupsError, match=r"groups_val has 2 column\(s\) and groups has 1"):
        encode_together([1, 2], [[1, 2]])


def test_further_samples_have_the_cells_that_there_are():
    cells = make_cells([0, 0, 1, 1], [5, 6, 5, 6])
    both = cells.followed_by(cells.take(np.array([3, 0])))
    assert both.codes.tolist() == [0, 1, 2, 3, 3, 0]
    assert both.counts.tolist() == [2, 1, 1, 2]
    assert both.labels == cells.labels


@pytest.mark.parametrize(
    ("y", "groups", "match"),
    [
        (None, [0, 1], "Name requires y"),
        ([], [], "0 samples"),
        ([0, 0], [0, 1], "one class"),
        ([0.0, np.inf], [0, 1], "y contains infinity"),
        ([0, 1], [0, 1], "one class only"),
        ([0, 1, 2], [0, 1, 2], "inconsistent"),
    ],
)
def test_what_a_meta_estimator_cannot_be_fitted_with_is_refused(y, groups, match):
    with pytest.raises(ValueError, match=match):
        training_cells(np.zeros((0 if y == [] else 2, 1)), y, groups, name="Name")


def test_errors_have_the_packages_base():
    assert issubclass(GroupsError, GBMixError)


class TestSmallCells:
    def test_a_few_samples_beside_thousands_are_too_small_and_equals_are_not(self):
        assert too_small(np.array([2000, 1500, 3, 9, 12, 0])).tolist() == [
            False,
            False,
            True,
            True,
            False,
            False,
        ]
        assert not too_small(np.array([9, 8, 3, 3])).any()
        assert not too_small(np.zeros(4, dtype=int)).any()

    def test_their_samples_count_as_members_of_the_largest_cell_of_their_class(self):
        y = np.repeat([0, 0, 0, 1, 1], [300, 200, 3, 150, 2])
        s = np.repeat(["a", "b", "rare", "b", "rare"], [300, 200, 3, 150, 2])
        cells = make_cells(y, s)
        assert [cells.labels[cell] for cell in cells.small] == ["0, group=rare", "1, group=rare"]
        merged = cells.without_small()
        assert merged.counts.tolist() == [303, 200, 0, 0, 152, 0]
        assert merged.labels == cells.labels
        assert np.array_equal(merged.y, cells.y)
        assert merged.without_small() is merged

    def test_the_only_cell_of_a_class_stays(self):
        cells = make_cells([0] * 500 + [1] * 4, [0] * 250 + [1] * 250 + [0] * 4)
        assert cells.without_small().counts.tolist() == cells.counts.tolist()


def test_samples_that_follow_may_have_values_of_their_own():
    first = make_cells([0, 1, 0], ["a", "b", "b"])
    other = make_cells([1, 0, 1], ["c", "a", "b"])
    joined = first.followed_by(other)
    assert joined.y.tolist() == [0, 1, 0, 1, 0, 1]
    values = joined.attribute.values.iloc[joined.s, 0].tolist()
    assert values == ["a", "b", "b", "c", "a", "b"]
    two = make_cells([0, 1], [["a", 1], ["b", 2]]).followed_by(
        make_cells([1, 0], [["b", 1], ["a", 1]])
    )
    assert two.attribute.values.iloc[two.s].to_numpy().tolist() == [
        ["a", 1],
        ["b", 2],
        ["b", 1],
        ["a", 1],
    ]


@pytest.mark.parametrize(
    "values",
    [
        pd.cut([20, 45], [0, 30, 60]),
        pd.cut([0.5, 0.7], [0, 0.6, 1]),
        pd.to_datetime(["2020-01-01 00:00", "2021-06-01 12:30"]),
        pd.to_datetime(["2020-01-01", "2021-06-01"]).date,
        pd.PeriodIndex(["2020Q1", "2021Q3"], freq="Q"),
        pd.to_timedelta(["1 days", "02:00:00"]),
        np.array([("a", 1), ("b", 2), ()], dtype=object)[:2],
        [True, False],
        [1, "one"],
    ],
)
def test_attribute_values_of_every_type_survive_json(values):
    cells = make_cells([0, 1], pd.Series(values, name="value"))
    table = cells.table
    text = json.dumps(table_to_json(table))
    loaded = table_from_json(json.loads(text))
    assert loaded.index.tolist() == table.index.tolist()
    assert loaded.index.names == table.index.names
    pd.testing.assert_frame_equal(
        loaded.reset_index(drop=True), table.reset_index(drop=True), check_exact=True
    )


def test_values_without_a_representation_are_refused():
    table = make_cells([0, 1], pd.Series([object(), object()])).table
    with pytest.raises(TypeError, match="cannot be saved"):
        table_to_json(table)


@pytest.mark.parametrize(
    "groups",
    [
        np.array([np.nan, "m", "f"]),  # which NumPy makes text
        [np.nan, "m", "f"],
        pd.Series(["nan", "m", "f"]),
        pd.Series(["nan", "m", "f"], dtype="category"),
        pd.Series([None, "m", "f"], dtype="category"),
    ],
)
def test_missing_values_that_became_text_are_missing(groups):
    with pytest.raises(GroupsError, match=r"1 missing value.*row 0"):
        encode_attribute(groups)
    with pytest.raises(ValueError, match=r"y has 1 missing label.*row 0"):
        make_cells(groups)


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        (pd.Index(["f", "m"], name="sex"), ["sex"]),
        (pd.Index(["f", "m"]), ["group"]),
        (
            pd.MultiIndex.from_arrays([["f", "m"], ["A", "B"]], names=["sex", "race"]),
            ["sex", "race"],
        ),
        (pd.MultiIndex.from_arrays([["f", "m"], ["A", "B"]]), ["group_0", "group_1"]),
    ],
)
def test_names_of_an_index_are_those_of_the_attributes(groups, names):
    assert encode_attribute(groups).names == names


@pytest.mark.parametrize("library", ["pyarrow", "polars"])
def test_tables_of_other_libraries_keep_their_names(library):
    module = pytest.importorskip(library)
    frame = pd.DataFrame({"sex": ["f", "m", "f"], "race": ["A", "B", "B"]})
    make = module.Table.from_pandas if library == "pyarrow" else module.from_pandas
    assert encode_attribute(make(frame)).names == ["sex", "race"]
    taken = take_groups(make(frame.assign(x=1)), None, ["race"])
    pd.testing.assert_frame_equal(taken, frame[["race"]], check_dtype=False)
    if library == "polars":
        assert encode_attribute(module.Series("sex", ["f", "m"])).names == ["sex"]


def _takes_half_characters():
    try:
        pd.Series(np.array(["\udce9"], dtype=object))
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.skipif(_takes_half_characters(), reason="this pandas takes them")
def test_values_with_half_a_character_are_named():
    broken, y = np.array(["caf\udce9", "b"] * 4, dtype=object), [0, 0, 1, 1] * 2
    with pytest.raises(ValueError, match=r"groups has a value 'caf\\\\udce9' with half a char"):
        make_cells(y, broken)
    with pytest.raises(ValueError, match=r"y_true has a value .* with half a character"):
        group_report(broken, y, groups=y)
    with pytest.raises(ValueError, match=r"y has a value .* with half a character"):
        ERMClassifier().fit(np.zeros((8, 2)), broken, y)
