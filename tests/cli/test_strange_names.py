"""Names that would run as terminal commands, as formulas, or as paths of an archive."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from .conftest import people, predictions

ESCAPE = "\x1b]0;owned\x07"


def shown(output):
    return output.out + output.err


@pytest.mark.parametrize("name", [ESCAPE, "\x9b31m", "\u202egpj"], ids=ascii)
def test_no_name_reaches_the_terminal_as_it_is(gbmix, folder, name):
    frame = predictions().replace({"place": {"indoor": name}}).rename(columns={"p": f"p{name}"})
    frame.to_csv("strange.csv", index=False)
    audit = ["audit", "strange.csv", "-t", "y", "-p", f"p{name}", "-g", "place"]
    texts = [shown(gbmix(*audit)), shown(gbmix(*audit, "--json"))]
    texts += [shown(gbmix("audit", f"{name}.csv", *audit[2:], code=2))]
    texts += [shown(gbmix(*audit[:-1], f"g{name}", code=2))]
    people().replace({"sex": {"f": name}}).to_csv("people.csv", index=False)
    fit = ["fit", "people.csv", "-t", "y", "-g", "sex", "-o", "m", "-m", "ERM"]
    texts += [shown(gbmix(*fit, "--set", "max_epochs=1"))]
    texts += [shown(gbmix("predict", f"m{name}", "people.csv", "-o", "p.csv", code=2))]
    for text in texts:
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & {*text}
    assert sum(f"\\u{ord(name[0]):04x}" in text for text in texts) >= 5


FORMULAS = ["=cmd|'/c calc'!A1", "@SUM(1)", "+1+1", "-1+1", "\t=1", "\uff1d1"]


@pytest.mark.parametrize("formula", FORMULAS, ids=ascii)
def test_an_audit_writes_formulas_as_text(gbmix, folder, formula):
    predictions().replace({"place": {"indoor": formula}}).to_csv("f.csv", index=False)
    gbmix("audit", "f.csv", "-t", "y", "-p", "p", "-g", "place", "-o", "cells.csv", "-o", "c.json")
    cells = pd.read_csv("cells.csv")
    assert set(cells["place"]) == {f"'{formula}", "outdoor"}
    assert (cells["accuracy"] == cells["accuracy"].astype(float)).all()
    found = json.loads((folder / "c.json").read_text())
    assert {cell["attributes"]["place"] for cell in found["cells"]} == {formula, "outdoor"}


@pytest.mark.parametrize("name", ["-3", "+0.5", "-1e5", "- none", "f"])
def test_numbers_and_words_are_no_formulas(gbmix, folder, name):
    rows = predictions().replace({"place": {"indoor": name}})
    rows.to_csv("n.csv", index=False)
    gbmix("audit", "n.csv", "-t", "y", "-p", "p", "-g", "place", "-o", "cells.csv")
    quoted = f"'{name}" if name == "- none" else name  # a spreadsheet would try to run this
    assert quoted in pd.read_csv("cells.csv", dtype=str)["place"].tolist()


def test_data_keep_their_formulas_and_a_warning_says_so(gbmix, train, folder):
    gbmix("fit", train, "-t", "y", "-g", "sex", "-o", "m", "-m", "ERM", "--set", "max_epochs=1")
    people().assign(note="=1+1").to_csv("notes.csv", index=False)
    output = gbmix("predict", "m", "notes.csv", "-o", "p.csv")
    assert "column 'note' of p.csv has text that a spreadsheet would run" in output.err
    assert set(pd.read_csv("p.csv")["note"]) == {"=1+1"}
    assert "spreadsheet" not in gbmix("predict", "m", train, "-o", "q.csv").err


def test_members_of_an_archive_are_no_paths(gbmix, folder):
    (folder / "images").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "images" / "a.png")
    table = {"file": ["images/a.png"], "../../up": [1], "/root": [2], ".bashrc": [3]}
    pd.DataFrame(table).to_csv("t.csv", index=False)
    options = ["--backbone", "tf_efficientnet_lite0", "--images", "file", "--image-size", "32"]
    gbmix("embed", "t.csv", *options, "-o", "e.npz")
    with np.load("e.npz") as saved:
        assert sorted(saved.files) == ["__.._up", "_bashrc", "_root", "embeddings", "file"]


@pytest.mark.parametrize("value", ["9" * 400, "-" + "9" * 400, "1e400"])
def test_numbers_beyond_64_bits_are_named(gbmix, train, folder, value):
    fit = ["fit", train, "-t", "y", "-g", "sex", "-m", "ERM", "--set", "max_epochs=1", "-q"]
    gbmix(*fit, "-o", "m")
    people().astype({"age": object}).replace({"age": {people()["age"][3]: value}}).to_csv(
        "large.csv", index=False
    )
    error = gbmix("predict", "m", "large.csv", "-o", "p.csv", code=2).err
    assert "column 'age' must have finite numbers" in error
    gbmix("fit", "large.csv", *fit[2:], "-o", "n", code=2)


def edited(change):
    def edit(path):
        saved = json.loads(path.read_text())
        change(saved)
        path.write_text(json.dumps(saved))

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        edited(lambda saved: saved.update(target=3)),
        edited(lambda saved: saved.update(features=[])),
        edited(lambda saved: saved.pop("sha256")),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text("[]"),
        lambda path: path.write_bytes(b"\xff"),
    ],
)
def test_a_description_that_was_changed_is_wrong_input(gbmix, train, folder, edit):
    gbmix("fit", train, "-t", "y", "-g", "sex", "-o", "m", "-m", "ERM", "--set", "max_epochs=1")
    edit(folder / "m" / "data.json")
    error = gbmix("predict", "m", train, "-o", "p.csv", code=2).err
    assert "data.json cannot be used" in error
    shutil.rmtree(folder / "m")
