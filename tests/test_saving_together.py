"""Saves that are killed, that come two at once, or beside somebody who loads."""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn import GBMixError, _files, _saved_files, load_model
from gbmix_sklearn._files import TEMPORARY
from gbmix_sklearn.refit import Recipe

from .estimators.problems import method, problem

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked")


@pytest.fixture(scope="module")
def two():
    X, y, s = problem()
    return [method("ERM", random_state=seed).fit(X, y, s) for seed in (0, 1)], X


def killed(save, event, text):
    """Run in a process that is killed at a system call on a file of such a name."""

    def kill(name, arguments):
        if name == event and arguments and text in str(arguments[0]):
            os._exit(9)

    child = os.fork()
    if not child:
        sys.addaudithook(kill)
        try:
            save()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@forks
@pytest.mark.parametrize(
    ("event", "text"),
    [
        ("open", ".weights-"),
        ("os.rename", ".weights-"),
        ("open", ".model.json"),
        ("os.rename", ".model.json"),
        ("os.remove", "weights-"),
    ],
)
def test_a_killed_save_leaves_the_old_model_and_room_for_the_next(two, event, text, tmp_path):
    (old, new), X = two
    assert event == "os.remove" or killed(lambda: old.save(tmp_path / "new"), event, text) == 9
    new.save(tmp_path / "new")
    assert (load_model(tmp_path / "new").predict_proba(X) == new.predict_proba(X)).all()

    old.save(tmp_path / "over")
    assert killed(lambda: new.save(tmp_path / "over"), event, text) == 9
    found = load_model(tmp_path / "over").predict_proba(X)
    expected = new if event == "os.remove" else old
    assert (found == expected.predict_proba(X)).all()
    for path in (tmp_path / "over").iterdir():
        os.utime(path, (time.time() - 100_000,) * 2)
    new.save(tmp_path / "over")
    assert sorted(path.suffix for path in (tmp_path / "over").iterdir()) == [
        ".json",
        ".safetensors",
    ]


def test_what_others_put_beside_a_model_stays(two, tmp_path):
    (old, new), X = two
    old.save(tmp_path)
    (tmp_path / "README.md").write_text("a card")
    (tmp_path / "weights-of-mine.safetensors").write_text("mine")
    os.utime(tmp_path / "weights-of-mine.safetensors", (0, 0))
    new.save(tmp_path)
    assert (tmp_path / "README.md").read_text() == "a card"
    assert (tmp_path / "weights-of-mine.safetensors").exists()
    assert (load_model(tmp_path).predict_proba(X) == new.predict_proba(X)).all()


@pytest.mark.parametrize("locks", [True, False])
def test_savers_at_once_leave_one_of_their_models(two, tmp_path, monkeypatch, locks):
    if not locks:
        monkeypatch.setattr(_files, "fcntl", None)
    models, X = two
    expected = [model.predict_proba(X).tobytes() for model in models]
    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            folder = tmp_path / str(number)
            folder.mkdir()
            list(pool.map(lambda model, to=folder: model.save(to), models))
            assert load_model(folder).predict_proba(X).tobytes() in expected
            assert not locks or len(list(folder.iterdir())) == 2


def test_a_loader_beside_a_saver_finds_a_model(two, tmp_path, monkeypatch):
    (old, new), X = two
    old.save(tmp_path)
    real, saves = _saved_files.read_weights, []

    def read_weights(folder, content):
        if len(saves) < 3:  # each time in between
            saves.append((new, old)[len(saves) % 2])
            saves[-1].save(tmp_path)
        return real(folder, content)

    monkeypatch.setattr("gbmix_sklearn.persistence.read_weights", read_weights)
    assert (load_model(tmp_path).predict_proba(X) == new.predict_proba(X)).all()
    assert len(saves) == 3


def test_what_killed_saves_left_goes_with_the_next_one(two, tmp_path):
    (old, new), _ = two
    old.save(tmp_path)
    (tmp_path / f"weights-{'0' * 16}-{'1' * 8}.safetensors").write_bytes(b"named by nobody")
    (tmp_path / f".weights-{'0' * 16}.half{TEMPORARY}").write_bytes(b"half")
    new.save(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_without_locks_weights_are_left_alone_while_they_may_be_anothers(
    two, tmp_path, monkeypatch
):
    monkeypatch.setattr(_files, "fcntl", None)
    (old, new), _ = two
    old.save(tmp_path)
    others = tmp_path / f"weights-{'0' * 16}-{'1' * 8}.safetensors"
    others.write_bytes(b"about to be named")
    new.save(tmp_path)
    assert others.exists()
    os.utime(others, (time.time() - 100_000,) * 2)
    new.save(tmp_path)
    assert not others.exists()


def test_an_older_model_whose_text_is_damaged_is_replaced(two, tmp_path):
    (old, new), X = two
    old.save(tmp_path)
    (tmp_path / "model.json").write_text("[")
    with pytest.raises(GBMixError):
        load_model(tmp_path)
    new.save(tmp_path)
    assert (load_model(tmp_path).predict_proba(X) == new.predict_proba(X)).all()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_is_named_and_leaves_no_folder(two, tmp_path, monkeypatch):
    def full(file, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_saved_files.json, "dumps", lambda *_, **__: "{}")
    monkeypatch.setattr("gbmix_sklearn._files.os.fsync", lambda _: full(None, None))
    with pytest.raises(OSError, match=r"no space left on the disk.*weights-"):
        two[0][0].save(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_parameters_changed_after_the_fit_are_refused(tmp_path):
    X, y, s = problem()
    model = method("GBMix", hidden_units=(6,)).fit(X, y, s)
    for changed in ({"hidden_units": (5,)}, {"hidden_units": (6, 6)}, {"hidden_units": ()}):
        model.set_params(**changed)
        with pytest.raises(ValueError, match=r"not those of the fit any more.*fit again"):
            model.save(tmp_path / "model")
    model.set_params(hidden_units=(6,), max_epochs="many")
    with pytest.raises(ValueError, match="max_epochs"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    model.set_params(max_epochs=4, alpha=2.0).save(tmp_path / "model")
    assert load_model(tmp_path / "model").alpha == 2.0


def test_weights_that_are_no_numbers_are_not_saved(two, tmp_path):
    X, y, s = problem()
    model = method("ERM").fit(X, y, s)
    model.head_.coef_[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"head\.coef_.*NaN"):
        model.save(tmp_path / "model")


KINDS = {
    "bins": pd.cut(pd.Series(np.arange(200) % 4), [-1, 1, 4]),
    "days": pd.Series(pd.to_datetime(["2020-01-01", "2021-06-05"])[np.arange(200) % 2]),
    "months": pd.Series(pd.period_range("2020-01", periods=2, freq="M")[np.arange(200) % 2]),
    "pairs": pd.Series([("f", 1), ("m", 2)] * 100),
    "categories": pd.Series(["f", "m"] * 100, dtype="category"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_groups_of_every_kind_come_back_as_what_they_were(kind, tmp_path):
    X, y, _ = problem()
    groups = KINDS[kind]
    model = method("GBMix", refit=Recipe(n_draws=np.int64(2))).fit(X, y, groups)
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    assert list(loaded.group_table_.index) == list(model.group_table_.index)
    report = loaded.group_report(X, y, groups)
    pd.testing.assert_frame_equal(report, model.group_report(X, y, groups))
    assert "adjusted_average_accuracy" in report.attrs


def test_groups_that_have_no_form_are_refused_by_name(tmp_path):
    X, y, s = problem()
    model = method("GBMix").fit(X, y, np.array([1j, 2j], dtype=object)[s])
    with pytest.raises(TypeError, match=r"1j of type complex cannot be saved"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_halves_have_names_of_their_own(two, tmp_path):
    """Such names mark what may be swept; they are in no finished model."""
    two[0][0].save(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(TEMPORARY)]
    assert json.loads((tmp_path / "model.json").read_text())["format"] == 3
