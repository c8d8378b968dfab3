"""Checkpoints that the disk, or somebody, has changed; and disks that take none."""

import errno
import hashlib
import io
import json
import os
import random
import shutil
import zipfile

import numpy as np
import pytest
import torch

from gbmix_sklearn import ERMClassifier, GBMixError
from gbmix_sklearn.training import _checkpoints

from ..estimators.problems import problem


def fit(folder, **options):
    X, y, _ = problem()
    options = {"hidden_units": (4,), "max_epochs": 2, "random_state": 0, **options}
    return ERMClassifier(checkpoint_dir=folder, **options).fit(X, y)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder of a run that is over."""
    folder = tmp_path_factory.mktemp("runs")
    fit(folder)
    return folder


@pytest.fixture
def checkpoint(written, tmp_path):
    """The file in a copy of that folder."""
    shutil.copytree(written, tmp_path / "runs")
    (path,) = (tmp_path / "runs").rglob("training.pt")
    return path


def change(path, edit):
    """Change the content, with a checksum that fits."""
    state = torch.load(path, weights_only=True)
    edit(state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    seal(path, buffer.getvalue())


def seal(path, content):
    path.write_bytes(content + _checkpoints._SEAL + hashlib.sha256(content).digest())


def test_no_flipped_bit_goes_unnoticed(checkpoint):
    good, rng = checkpoint.read_bytes(), random.Random(0)
    for _ in range(15):
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        checkpoint.write_bytes(bad)
        with pytest.raises(GBMixError, match=r"training\.pt cannot be read.*altered.*move it away"):
            fit(checkpoint.parents[1])


@pytest.mark.parametrize("size", [0, 10, 47, 48, 1000])
def test_a_file_that_was_cut_off_is_noticed(checkpoint, size):
    checkpoint.write_bytes(checkpoint.read_bytes()[:size])
    with pytest.raises(GBMixError, match="cut off"):
        fit(checkpoint.parents[1])


EDITS = {
    "no module": lambda state: state.pop("module"),
    "no history": lambda state: state.pop("history"),
    "empty history": lambda state: state.update(history="[]"),
    "history of nothing": lambda state: state.update(history="[{}, {}]"),
    "no json": lambda state: state.update(history="["),
    "nested": lambda state: state.update(history="[" * 100_000),
    "another sampler": lambda state: state.update(sampler='{"bit_generator": "MT19937"}'),
    "random state": lambda state: state.update(torch_rng=torch.ones(3)),
    "other shapes": lambda state: state.update(best_state={"head.weight": torch.ones(1)}),
    "no best state": lambda state: state.update(best_state=None),
    "best epoch": lambda state: state.update(best_epoch=9),
    "method of the criterion": lambda state: state["criterion"].update(forward=torch.ones(1)),
    "optimizer": lambda state: state.update(optimizer={"state": {}, "param_groups": []}),
    "score": lambda state: state.update(best_score=[1.0]),
    "best weights": lambda state: state["best_state"]["head.weight"].mul_(float("nan")),
}


@pytest.mark.parametrize("name", EDITS)
def test_what_is_no_state_is_refused(checkpoint, name):
    change(checkpoint, EDITS[name])
    with pytest.raises(GBMixError, match="move it away"):
        fit(checkpoint.parents[1])


def test_a_run_that_would_go_on_from_nan_is_refused(tmp_path):
    fit(tmp_path, max_epochs=3, patience=None)
    (path,) = tmp_path.rglob("training.pt")

    def edit(state):
        state["history"] = json.dumps(json.loads(state["history"])[:2])
        state["module"]["head.weight"].mul_(float("nan"))
        state["best_epoch"] = 1

    change(path, edit)
    with pytest.raises(GBMixError, match="module has NaN"):
        fit(tmp_path, max_epochs=3, patience=None)


def test_a_packed_file_is_not_unpacked(checkpoint):
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(checkpoint) as old,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.infolist():
            content = old.read(member)
            is_pickle = member.filename.endswith("data.pkl")
            new.writestr(member.filename, content + bytes(1 << 20) * is_pickle)
    seal(checkpoint, packed.getvalue())
    with pytest.raises(GBMixError, match="it is packed"):
        fit(checkpoint.parents[1])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_refused_at_once(checkpoint):
    checkpoint.unlink()
    os.mkfifo(checkpoint)
    with pytest.raises(GBMixError, match="no plain file"):
        fit(checkpoint.parents[1])


def test_a_folder_that_cannot_be_written_is_noticed_before_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("gbmix_sklearn.training.GroupNet.fit_loop", lambda *_: 1 / 0)
    with pytest.raises(OSError, match="file"):
        fit(tmp_path / "file" / "runs")


def test_a_disk_without_room_is_noticed_before_training(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr("gbmix_sklearn.training._checkpoints.shutil.disk_usage", lambda _: usage)
    monkeypatch.setattr("gbmix_sklearn.training.GroupNet.fit_loop", lambda *_: 1 / 0)
    with pytest.raises(OSError, match=r"checkpoint_dir: a checkpoint takes about .* MiB free"):
        fit(tmp_path)


def test_a_disk_that_becomes_full_is_a_warning_and_the_fit_goes_on(tmp_path, monkeypatch):
    expected = fit(tmp_path / "other")
    real = _checkpoints._Sealing.write

    def full(self, data):
        self._file = type("Full", (), {"write": no_room})()
        return real(self, data)

    def no_room(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_checkpoints._Sealing, "write", full)
    with pytest.warns(UserWarning, match=r"goes on.*no space left.*training\.pt"):
        model = fit(tmp_path / "runs")
    assert np.array_equal(model.head_.coef_, expected.head_.coef_)
    assert not [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]


def test_a_run_that_is_over_is_loaded_without_writing(checkpoint, monkeypatch):
    monkeypatch.setattr(_checkpoints, "replace_file", lambda *_: pytest.fail("written"))
    fit(checkpoint.parents[1])
