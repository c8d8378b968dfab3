"""One table, one schema: what fit has found is what every later file is read by."""

import json

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn.cli._models import Model

from .conftest import people

FIT = ["fit", "train.csv", "-t", "y", "-g", "sex", "-o", "model", "-q", "--overwrite"]
FIT += ["-m", "ERM", "--set", "max_epochs=2", "--set", "lr=0.05"]


def base(n=200):
    return people(n)[["age", "sex", "y"]]


def fit(gbmix, frame, *options, code=0, name="train.csv"):
    frame.to_csv(name, index=False)
    return gbmix(*FIT, *options, code=code)


def predicted(gbmix, frame, name="new.csv"):
    if name.endswith("parquet"):
        frame.to_parquet(name)
    else:
        frame.to_csv(name, index=False)
    output = gbmix("predict", "model", name, "-o", "p.csv", "--proba")
    found = pd.read_csv("p.csv", dtype=str)
    return found.filter(like="proba_").astype(float).to_numpy(), output.err


def schema(folder):
    return {column.name: column for column in Model.load(folder / "model", "cpu").features.columns}


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (["0A", "0B", "01", "02"], ["01", "02"]),
        (["K", "PK", "1", "2", ""], ["1", "2", ""]),
        (["true", "false", "unknown"], ["true", "false"]),
        (["1.0", "2", "3+", "4+", "5+"], ["2"]),
    ],
)
def test_the_same_rows_get_the_same_predictions_in_any_file(gbmix, folder, values, kept):
    frame = base().assign(col=np.resize(values, 200))
    fit(gbmix, frame)
    whole, _ = predicted(gbmix, frame)
    part = frame["col"].isin(kept).to_numpy()
    alone, _ = predicted(gbmix, frame[part])
    np.testing.assert_array_equal(alone, whole[part])


def test_files_of_other_types_are_read_by_the_same_schema(gbmix, folder):
    frame = base().assign(flag=np.resize([True, False], 200), code=np.resize([1, 2, 2], 200))
    fit(gbmix, frame, "--category", "code")
    whole, _ = predicted(gbmix, frame)
    for other, name in [
        (frame, "new.parquet"),
        (frame.astype({"code": float, "age": str}), "new.parquet"),
        (frame.assign(flag=frame["flag"].map({True: "TRUE", False: "FALSE"})), "new.csv"),
    ]:
        np.testing.assert_array_equal(predicted(gbmix, other, name)[0], whole)


def test_new_and_missing_values_are_told_and_do_not_stop_anything(gbmix, folder):
    fit(gbmix, base().assign(work=np.resize(["sea", "office"], 200)))
    new = base(4).assign(work=["sea", "moon", "", "moon"], age=["40", "", "50", "60"])
    _, err = predicted(gbmix, new)
    assert "column 'work' has 3 value(s) that the training data did not have, such as 'moon'" in err
    assert "column 'age' has 1 value(s)" in err


def test_a_class_that_a_file_lacks_and_one_that_is_never_predicted(gbmix, folder):
    frame = base().assign(y=np.resize(["0", "1", "1", "0", "unknown"], 200))
    fit(gbmix, frame)
    known = frame[frame["y"] != "unknown"]
    known.to_csv("valid.csv", index=False)
    gbmix(*FIT, "--valid", "valid.csv")
    predicted(gbmix, known)
    gbmix("audit", "p.csv", "-t", "y", "-p", "prediction", "-g", "sex", "--proba", "proba_*")


@pytest.mark.parametrize(("no", "yes"), [("FALSE", "TRUE"), ("007", "7A"), ("1E5", "0.10")])
def test_labels_and_groups_keep_their_spelling(gbmix, folder, no, yes):
    frame = base().replace({"y": {"no": no, "yes": yes}, "sex": {"f": "01", "m": "06"}})
    found = json.loads(fit(gbmix, frame, "--json").out)["validation"]
    assert {cell["class"] for cell in found["cells"]} == {no, yes}
    assert {cell["attributes"]["sex"] for cell in found["cells"]} == {"01", "06"}
    predicted(gbmix, frame)
    assert set(pd.read_csv("p.csv", dtype=str)) >= {f"proba_{no}", f"proba_{yes}"}
    gbmix("audit", "p.csv", "-t", "y", "-p", "prediction", "-g", "sex", "--proba", "proba_*")


def test_an_index_and_ids_are_left_out_with_a_word(gbmix, folder):
    frame = base().assign(row=np.random.default_rng(0).permutation(900)[:200])
    frame.to_csv("train.csv")  # with the index
    err = gbmix(*FIT).err
    assert "train.csv: left out: '' has no name, as an index" in err
    assert "'row' numbers the rows" in err
    assert list(schema(folder)) == ["age"]
    gbmix(*FIT, "--exclude", "", "--number", "row")
    assert list(schema(folder)) == ["age", "row"]


def test_commas_at_the_end_of_every_line_are_columns_without_a_name(gbmix, folder):
    for commas in (",", ",,"):
        lines = base().to_csv(index=False).splitlines()
        (folder / "train.csv").write_text("".join(f"{line}{commas}\n" for line in lines))
        assert "no name" in gbmix(*FIT).err or "without a name" in gbmix(*FIT).err
        assert list(schema(folder)) == ["age"]


@pytest.mark.parametrize("dressed", ["{:,}", "${:,}", "{}%", "{:,} €"])
def test_numbers_with_signs_and_separators_are_numbers_and_told(gbmix, folder, dressed):
    pay = np.random.default_rng(0).integers(900, 9000, size=200)
    plain = base().assign(pay=pay)
    frame = base().assign(pay=[dressed.format(value) for value in pay])
    assert "'pay' looks like numbers with separators" in fit(gbmix, frame).err
    found, _ = predicted(gbmix, frame)
    fit(gbmix, plain)
    np.testing.assert_array_equal(found, predicted(gbmix, plain)[0])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"y": np.random.default_rng(0).normal(size=200)}, "the target 'y' is continuous"),
        ({"y": [f"name {n}" for n in range(200)]}, "the target 'y' hardly has a value twice"),
        ({"grade": [*"123456789K"] * 20}, "'grade' holds numbers, but 'K' in row 9"),
        ({"day": ["2020-01-01", "2021-02-03"] * 100}, "'day' holds dates such as '2020-01-01'"),
    ],
)
def test_columns_that_cannot_be_used_are_named_with_the_cure(gbmix, folder, columns, message):
    options = ["--set", "validation_fraction=none"]
    assert message in fit(gbmix, base().assign(**columns), *options, code=2).err


def test_all_that_is_left_out_is_named_at_once(gbmix, folder):
    frame = base().assign(name=[f"n{n}" for n in range(200)], empty="", id=range(200))
    err = fit(gbmix, frame).err
    assert err.count("left out") == 1
    assert all(f"'{name}'" in err for name in ("name", "empty", "id"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--category", "aeg"], "no column 'aeg'; did you mean 'age'?"),
        (["--number", "sex"], "--number names 'sex', which is not predicted from"),
        (["--number", "age", "--text", "age"], "'age' cannot be --number and --text"),
    ],
)
def test_named_columns_must_be_there(gbmix, folder, options, message):
    assert message in fit(gbmix, base(), *options, code=2).err


def test_words_of_text_can_be_predicted_from(gbmix, folder):
    frame = base()
    frame["note"] = np.where(frame["y"] == "yes", "well paid", "badly paid")
    fit(gbmix, frame, "--text", "note", "--exclude", "age")
    found, _ = predicted(gbmix, frame)
    assert ((found[:, 1] > found[:, 0]) == (frame["y"] == "yes")).mean() > 0.95


def test_a_sensitive_column_that_is_named_a_feature_is_read_as_any_other(gbmix, folder):
    frame = base().assign(sex=np.resize(["20", "30"], 200))
    fit(gbmix, frame, "--features", "sex,age")
    assert type(schema(folder)["sex"]).__name__ == "NumberColumn"


def test_models_of_an_earlier_format_say_so(gbmix, folder):
    fit(gbmix, base())
    file = folder / "model" / "data.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 1}))
    err = gbmix("predict", "model", "train.csv", "-o", "p.csv", code=2).err
    assert "format 1, and this version reads 2: fit the model again" in err


def test_compare_reads_tables_by_the_same_rules(gbmix, folder):
    frame = base().assign(pay=[f"${n % 50:,}" for n in range(200)], id=range(200))
    frame.to_csv("train.csv", index=False)
    compare = ["compare", "train.csv", "-t", "y", "-g", "sex", "-m", "logistic", "--folds", 2]
    err = gbmix(*compare, "-q", "--number", "pay").err
    assert "left out: 'id'" in err
    assert "'pay' looks like numbers" in err
