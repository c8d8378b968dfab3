"""Models that the command replaces: there is always one, and it is that of its description."""

import json
import os
import sys

import pytest

from gbmix_sklearn import ERMClassifier, GBMixError, load_model
from gbmix_sklearn.cli._features import encode
from gbmix_sklearn.cli._models import Model, check_model_folder, write_pipeline
from gbmix_sklearn.tables import Schema

from .conftest import people


def model(target):
    frame = people()
    features = Schema.learn(frame[["age", "height"]])
    X = encode(features, frame, "people")
    fitted = ERMClassifier(max_epochs=1, random_state=0).fit(X, frame["y"], frame["sex"])
    return Model(fitted, target, ["sex"], features)


@pytest.fixture(scope="module")
def fitted():
    return model("y"), model("other")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked")
@pytest.mark.parametrize("text", [".weights-", ".model.json", ".data.json"])
def test_a_killed_save_leaves_a_whole_model(fitted, tmp_path, text):
    old, new = fitted
    old.save(tmp_path / "m")
    (tmp_path / "m" / "README.md").write_text("a card")
    child = os.fork()
    if not child:

        def kill(event, arguments):
            if event == "os.rename" and text in str(arguments[0]):
                os._exit(9)

        sys.addaudithook(kill)
        new.save(tmp_path / "m")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert Model.load(tmp_path / "m", "cpu").target == ("other" if text == ".data.json" else "y")
    new.save(tmp_path / "m")
    assert Model.load(tmp_path / "m", "cpu").target == "other"
    assert (tmp_path / "m" / "README.md").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_classifier_that_python_saved_over_it_has_no_columns(fitted, tmp_path):
    fitted[0].save(tmp_path)
    fitted[0].classifier.save(tmp_path)
    with pytest.raises(ValueError, match="saved by Python code"):
        Model.load(tmp_path, "cpu")


def test_a_pipeline_and_a_model_replace_each_other(fitted, tmp_path):
    fitted[0].save(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    write_pipeline(tmp_path, lambda file: file.write(b"pickled"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.joblib", "notes.txt"]
    check_model_folder(tmp_path, overwrite=True)
    with pytest.raises(FileExistsError, match="--overwrite"):
        check_model_folder(tmp_path, overwrite=False)
    (tmp_path / "notes.txt").unlink()
    fitted[0].save(tmp_path)
    assert load_model(tmp_path).best_epoch_ == 1
    assert not (tmp_path / "model.joblib").exists()


def test_a_folder_with_what_a_killed_save_left_is_free(tmp_path):
    (tmp_path / f"weights-{'0' * 16}-{'1' * 8}.safetensors").write_bytes(b"")
    check_model_folder(tmp_path, overwrite=False)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is no model"):
        check_model_folder(tmp_path, overwrite=True)


NUMBER = {
    "kind": "number",
    "name": "age",
    "center": 0.0,
    "scale": 1.0,
    "knots": [0.0, 1.0],
    "has_missing": False,
    "format": {"thousands": "", "decimal": ".", "unit": ""},
}
CATEGORY = {
    "kind": "category",
    "name": "job",
    "values": ["a", "b"],
    "has_rare": False,
    "has_missing": False,
    "is_flag": False,
}
WRONG = [
    None,
    [],
    "age",
    [3],
    [{}],
    [NUMBER | {"kind": "picture"}],
    [NUMBER | {"name": 3}],
    [NUMBER | {"center": "0"}],
    [NUMBER | {"scale": 0}],
    [NUMBER | {"scale": float("nan")}],
    [NUMBER | {"has_missing": 1}],
    [NUMBER | {"center": 10**400}],
    [NUMBER | {"knots": [1.0, 0.0]}],
    [NUMBER | {"knots": [0.0]}],
    [NUMBER | {"format": "comma"}],
    [NUMBER | {"format": {"thousands": "," * 1000}}],
    [NUMBER | {"surprise": 1}],
    [CATEGORY | {"values": ["x", "x"]}],
    [CATEGORY | {"values": "xy"}],
    [CATEGORY | {"values": [1]}],
    [CATEGORY | {"values": []}],
]


def test_columns_as_they_are_saved_are_read():
    saved = [NUMBER, CATEGORY, {"kind": "text", "name": "note"}]
    assert json.loads(json.dumps(Schema.from_json(saved).to_json())) == saved


@pytest.mark.parametrize("features", WRONG, ids=str)
def test_columns_that_cannot_be_are_refused(fitted, tmp_path, features, monkeypatch):
    one = fitted[0]
    description = one._description() | {"features": features}
    monkeypatch.setattr(Model, "_description", lambda _: description)
    one.save(tmp_path)
    with pytest.raises(GBMixError, match=r"data\.json cannot be used"):
        Model.load(tmp_path, "cpu")
