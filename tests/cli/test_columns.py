"""Names of columns as people type them."""

import pytest

from gbmix_sklearn.cli._columns import check_columns, match_columns, nearest, split_names

KNOWN = ["age", "sex", "race", "net, gross", "embedding_0", "embedding_1"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("Sex", "sex"), ("sxe", "sex"), (" race", "race"), ("embeding_0", "embedding_0")],
)
def test_the_nearest_name_is_meant(typed, meant):
    assert nearest(typed, KNOWN) == f"; did you mean {meant!r}?"


def test_nothing_is_meant_where_nothing_is_near():
    assert nearest("occupation", KNOWN) == ""


def test_an_unknown_column_is_an_error_that_names_all():
    with pytest.raises(
        ValueError, match=r"t\.csv has no column 'sax'; did you mean 'sex'\?"
    ) as error:
        check_columns(["age", "sax"], KNOWN, "t.csv")
    assert all(repr(name) in str(error.value) for name in KNOWN)


def test_long_lists_are_cut():
    with pytest.raises(ValueError, match=r"'c19' and 80 more$"):
        check_columns(["x"], [f"c{number}" for number in range(100)], "t.csv")


@pytest.mark.parametrize(("header", "hint"), [("a;b", "semicolons"), ("a\tb", "tabs")])
def test_other_separators_are_noticed(header, hint):
    with pytest.raises(ValueError, match=hint):
        check_columns(["a"], [header], "t.csv")


def test_names_are_split_at_commas_unless_they_have_some():
    assert split_names(["sex, race", "net, gross", "sex,"], KNOWN) == ["sex", "race", "net, gross"]
    assert split_names(None, KNOWN) == []


def test_patterns_match_in_the_order_of_the_table():
    assert match_columns(["embedding_*", "age"], KNOWN, "t.csv") == [
        "age",
        "embedding_0",
        "embedding_1",
    ]
    with pytest.raises(ValueError, match=r"no column 'x_\*'"):
        match_columns(["x_*"], KNOWN, "t.csv")


def test_a_name_with_brackets_is_no_pattern():
    assert match_columns(["age[0]"], ["age[0]", "age0"], "t.csv") == ["age[0]"]
