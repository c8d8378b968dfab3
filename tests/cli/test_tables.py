"""Tables are read strictly: what is malformed is an error that says where."""

import gzip
import io
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn.cli import _tables
from gbmix_sklearn.cli._tables import Table, check_complete, write_table

FRAME = pd.DataFrame(
    {"y": ["a", "b", "a"], "n": [1, 2, 3], "x": [0.5, np.nan, 1.5], "name": ["Smith, J.", "é", "z"]}
)
NAMES = ["t.csv", "t.tsv", "t.csv.gz", "t.tsv.gz", "t.parquet", "T.CSV"]


def csv(text, name="t.csv", encoding="utf-8"):
    with open(name, "wb") as file:
        file.write(text.encode(encoding))
    return Table(name)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_written_is_read(folder, name):
    write_table(name, FRAME)
    table = Table(name)
    assert table.columns == ["y", "n", "x", "name"]
    expected = FRAME
    if "parquet" not in name:  # text, for a schema to make more of it
        expected = FRAME.assign(n=["1", "2", "3"], x=["0.5", None, "1.5"])
    pd.testing.assert_frame_equal(table.read(), expected, check_dtype="parquet" in name)
    assert list(table.read(["x", "y"]).columns) == ["x", "y"]
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_name_must_say_what_the_file_is(folder):
    for name in ("t.xlsx", "t", "t.gz"):
        with pytest.raises(ValueError, match=r"must end in \.csv"):
            Table(name)


def test_a_missing_file_names_the_nearest(folder):
    csv("y\n1\n", "train.csv")
    with pytest.raises(FileNotFoundError, match=r"no file tran\.csv; did you mean 'train\.csv'"):
        Table("tran.csv")
    with pytest.raises(FileNotFoundError, match="there is no folder data either"):
        Table("data/train.csv")
    (folder / "folder.csv").mkdir()
    with pytest.raises(IsADirectoryError):
        Table("folder.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("a,b,c\n1,2,3\n1,2,3,4\n", "Expected 3 fields in line 3, saw 4"),
        ("a,b,c\n1,2,3,4\n1,2,3\n", "first line below the header has more fields"),
        ("a,b,c\n0,1,2,3\n1,1,2,3\n", "first line below the header has more fields"),
        ("a,b\n1,2,\n3,4,\n", "first line below the header has more fields"),
        ("a,b,c\n1,2,3\n1,2\n1,2,3\n", "line 3 has 2 fields, and the header has 3"),
        ('a,b,c\n1,2,3\n1,"2,3\n', "EOF inside string"),
        ("a,b,a\n1,2,3\n", "several columns 'a'"),
    ],
    ids=[
        "empty",
        "blank",
        "long",
        "long first",
        "row names",
        "open end",
        "short",
        "quote",
        "double name",
    ],
)
def test_malformed_files_are_errors_that_say_where(folder, text, message):
    with pytest.raises(ValueError, match=message) as error:
        csv(text).read()
    assert "t.csv" in str(error.value)


def test_lines_that_are_too_long_are_noticed_whatever_columns_are_wanted(folder):
    """Told to leave columns out, pandas itself takes them."""
    table = csv("a,b,c\n1,2,3\n1,2,3,4\n")
    assert len(pd.read_csv("t.csv", usecols=["a"])) == 2
    with pytest.raises(ValueError, match="saw 4"):
        table.read(["a"])


def test_blank_lines_and_line_breaks_in_fields_are_taken(folder):
    frame = csv('a,b\n\n1,"x\ny"\n\n2,\n').read()
    assert frame["a"].tolist() == ["1", "2"]
    assert frame["b"].tolist()[0] == "x\ny"


def test_other_encodings_are_errors(folder):
    with pytest.raises(ValueError, match="not UTF-8 text, it has a byte 0xe9"):
        csv("a,b\né,1\n", encoding="latin-1").read()


def test_a_byte_order_mark_is_no_part_of_a_name(folder):
    table = csv("a,b\n1,2\n", encoding="utf-8-sig")
    assert table.columns == list(table.read().columns) == ["a", "b"]


def test_columns_without_a_name_keep_none(folder):
    table = csv(",a\n0,1\n")
    assert table.columns == list(table.read().columns) == ["", "a"]


@pytest.mark.parametrize("name", ["t.csv.gz", "t.parquet"])
def test_damaged_files_are_errors(folder, name):
    write_table(name, FRAME)
    content = (folder / name).read_bytes()
    for damaged in (content[: len(content) // 2], b"no such format"):
        (folder / name).write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{name} cannot be read"):
            Table(name).read()


def test_names_such_as_na_are_no_missing_labels(folder):
    frame = csv("country,x\nNA,1\n,NA\nNone,null\n").read(labels=["country"])
    assert frame["country"].isna().tolist() == [False, True, False]


def test_labels_keep_their_spelling_and_come_in_order(folder):
    text = "g,x\n10,1\n01,1\n9,1\n1E5,1\nTRUE,1\n 1,1\n1.0,1\n"
    frame = csv(text).read(labels=["g"])
    assert frame["g"].tolist() == ["10", "01", "9", "1E5", "TRUE", " 1", "1.0"]
    assert frame["g"].cat.categories.tolist() == [" 1", "01", "1.0", "9", "10", "1E5", "TRUE"]
    assert csv("g\n10\n01\n9\n").read(labels=["g"])["g"].tolist() == ["10", "01", "9"]


def test_labels_of_any_type_in_parquet_are_text(folder):
    frame = pd.DataFrame({"a": [1, 2, 1], "b": [1.0, 0.5, None], "c": [True, False, True]})
    write_table("t.parquet", frame)
    found = Table("t.parquet").read(labels=["a", "b", "c"])
    assert found["a"].tolist() == ["1", "2", "1"]
    assert found["b"].tolist()[:2] == ["1", "0.5"]
    assert found["b"].isna().tolist() == [False, False, True]
    assert found["c"].tolist() == ["True", "False", "True"]


def test_numbers_that_are_asked_for_are_numbers(folder):
    assert csv("p\n0.5\n1\n").read(numbers=["p"])["p"].tolist() == [0.5, 1]
    with pytest.raises(ValueError, match=r"t\.csv: column 'p' must have numbers alone"):
        csv("p\n0.5\nhigh\n").read(numbers=["p"])


def test_types_do_not_change_within_a_long_file(folder):
    frame = csv("x,y\n" + "1.10,1\n" * 300_000 + "a,1\n").read()
    assert set(frame["x"]) == {"1.10", "a"}


def test_fields_are_kept_as_text_to_be_written_again(folder):
    text = "zip,x,n\n01234,1.10,NA\n98765,2,\n"
    write_table("copy.csv", csv(text).read_text())
    assert (folder / "copy.csv").read_text() == text


def test_labels_of_parquet_files_are_categories_in_sorted_order(folder):
    write_table("t.parquet", FRAME.assign(y=["b", "a", None]))
    frame = Table("t.parquet").read(["y", "n"], labels=["y", "n"])
    assert frame["y"].cat.categories.tolist() == ["a", "b"]
    assert frame["y"].isna().tolist() == [False, False, True]
    assert frame["n"].tolist() == ["1", "2", "3"]


def test_the_order_of_saved_categories_is_kept(folder):
    ages = pd.Categorical(["old", "young"], categories=["young", "old"], ordered=True)
    pd.DataFrame({"age": ages}).to_parquet("t.parquet")
    assert Table("t.parquet").read(labels=["age"])["age"].cat.categories.tolist() == [
        "young",
        "old",
    ]


def test_the_index_of_a_saved_frame_is_a_column(folder):
    FRAME.set_index("y").to_parquet("t.parquet")
    assert Table("t.parquet").read(["y", "n"])["y"].tolist() == ["a", "b", "a"]


def test_parquet_without_pyarrow_names_the_extra(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"gbmix-sklearn\[parquet\]"):
        Table("t.parquet")


def test_standard_input_is_csv(folder, monkeypatch):
    stdin = SimpleNamespace(buffer=io.BytesIO(b"a,b\n1,2\n"))
    monkeypatch.setattr(_tables.typer, "get_binary_stream", lambda _: stdin.buffer)
    table = Table("-")
    assert table.read(["b"])["b"].tolist() == ["2"]
    assert table.where == "standard input"


def test_missing_labels_are_named(folder):
    table = csv("y,s\na,f\nb,\n,m\n")
    with pytest.raises(ValueError, match=r"t\.csv: column 's' has 1 missing .* first in row 1 "):
        check_complete(table.read(labels=["y", "s"]), ["s"], "t.csv", "Drop it")
    with pytest.raises(ValueError, match="no rows"):
        check_complete(csv("y,s\n").read(), ["s"], "t.csv", "")


def test_gzip_is_what_others_read(folder):
    write_table("t.csv.gz", FRAME)
    content = gzip.decompress((folder / "t.csv.gz").read_bytes())
    assert content.startswith(b"y,n,x,name\n")


def test_an_interrupted_write_leaves_the_old_file(folder, monkeypatch):
    write_table("t.parquet", FRAME)
    old = (folder / "t.parquet").read_bytes()

    def broken(self, file, **_):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pd.DataFrame, "to_parquet", broken)
    with pytest.raises(KeyboardInterrupt):
        write_table("t.parquet", FRAME)
    assert (folder / "t.parquet").read_bytes() == old
    assert len(list(folder.iterdir())) == 1
