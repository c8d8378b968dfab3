"""What is told of a training: a line for each epoch, and a record with its numbers in the log."""

import json
import logging
import subprocess
import sys

import pytest
from skorch.callbacks import Callback

from gbmix_sklearn import JTTClassifier
from gbmix_sklearn.training import _progress

from ..conftest import REPOSITORY
from ..estimators.problems import FAST, method, problem

X, Y, S = problem()
TOLD = (
    *("stage", "epoch", "max_epochs", "train_loss", "valid_loss", "worst_group"),
    *("worst_group_accuracy", "robust_gap", "average_accuracy", "target", "best"),
    *("seconds", "seconds_left"),
)


class Keeping(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def records():
    """The records of the logger, as a handler of a program gets them."""
    logger, handler = logging.getLogger("gbmix_sklearn"), Keeping()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield handler.records
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a test moves it."""
    now = [0.0]
    monkeypatch.setattr(_progress.time, "perf_counter", lambda: now[0])
    return now


class Takes(Callback):
    """Lets an epoch take some seconds."""

    def __init__(self, clock, seconds):
        self.clock = clock
        self.seconds = seconds

    def on_epoch_begin(self, net, **_):
        self.clock[0] += self.seconds


def epochs(text):
    """The lines of the epochs, which the table of the cells comes before."""
    lines = text.splitlines()
    if any(line.startswith("epoch") for line in lines[1:]):
        assert "validation" in text.partition("epoch")[0] or lines[0].startswith("epoch")
    return [line for line in lines if line.startswith("epoch")]


def test_a_record_has_the_numbers_of_the_history(records):
    model = method("GBMix").fit(X, Y, S)
    assert len(records) == 3
    for record, (_, row) in zip(records, model.history_.iterrows(), strict=True):
        assert (record.name, record.levelname) == ("gbmix_sklearn", "INFO")
        assert (record.stage, record.epoch, record.max_epochs) == ("training", row["epoch"], 3)
        for name in ("train_loss", "valid_loss", "worst_group_accuracy", "robust_gap"):
            assert getattr(record, name) == row[name]
        assert record.average_accuracy == row["average_accuracy"]
        assert record.target == row["target"]
        assert record.best == row["best"]
        assert row[f"accuracy[{record.worst_group}]"] == row["worst_group_accuracy"]
        # plain numbers, for handlers that write JSON
        assert json.loads(json.dumps({name: getattr(record, name) for name in TOLD}))


def test_the_line_has_the_same_numbers(records, capsys):
    method("GBMix", verbose=1).fit(X, Y, S)
    lines = epochs(capsys.readouterr().out)
    for record, line in zip(records, lines, strict=True):
        assert record.getMessage() == line
        assert line == (
            f"epoch {record.epoch}/3 {'*' if record.best else ' '}  eta    0 s"
            f"  loss {record.train_loss:.4f}  average {record.average_accuracy:.3f}"
            f"  gap {record.robust_gap:.3f}"
            f"  worst {record.worst_group_accuracy:.3f} ({record.worst_group})"
            f"  target ({record.target})"
        )


def test_lines_are_aligned(records, clock):
    times = iter([0.2, 9000, 3] * 4)

    class Irregular(Callback):
        def on_epoch_begin(self, net, **_):
            clock[0] += next(times)

    method("GBMix", max_epochs=12, patience=None, callbacks=[Irregular()]).fit(X, Y, S)
    lines = [record.getMessage() for record in records]
    assert (lines[0][:13], lines[-1][:13]) == ("epoch  1/12 *", "epoch 12/12  ")
    for word in ("loss", "average", "gap", "worst"):
        positions = [line.index(word) for line in lines]
        # only times of hours and minutes are longer
        assert len(set(positions[:1] + positions[-2:])) == 1


@pytest.fixture
def root():
    """The logger of the program, as it was before."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield root
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.mark.parametrize("stream", ["out", "err"])
def test_no_line_is_on_the_screen_twice(stream, root, capsys):
    root.addHandler(logging.StreamHandler(getattr(sys, f"std{stream}")))
    root.setLevel(logging.INFO)
    method("GBMix", verbose=1).fit(X, Y, S)
    captured = capsys.readouterr()
    assert len(epochs(getattr(captured, stream))) == 3
    assert len(epochs(captured.out + captured.err)) == 3


@pytest.mark.parametrize("silent", ["logger", "handler", "propagation"])
def test_what_the_log_does_not_write_is_printed(silent, root, capsys, monkeypatch):
    handler = logging.StreamHandler()
    root.addHandler(handler)
    root.setLevel(logging.WARNING if silent == "logger" else logging.INFO)
    if silent == "handler":
        handler.setLevel(logging.WARNING)
    if silent == "propagation":
        monkeypatch.setattr(logging.getLogger("gbmix_sklearn"), "propagate", False)
    method("GBMix", verbose=1).fit(X, Y, S)
    captured = capsys.readouterr()
    assert len(epochs(captured.out)) == 3
    assert captured.err == ""


def test_a_log_elsewhere_does_not_silence_what_is_printed(records, tmp_path, capsys):
    handler = logging.FileHandler(tmp_path / "log")
    logging.getLogger("gbmix_sklearn").addHandler(handler)
    method("GBMix", verbose=1).fit(X, Y, S)
    logging.getLogger("gbmix_sklearn").removeHandler(handler)
    handler.close()
    assert (tmp_path / "log").read_text().splitlines() == epochs(capsys.readouterr().out)
    assert len(records) == 3


def test_what_a_method_does_not_have_is_none(records):
    method("ERM", validation_fraction=None).fit(X, Y)
    for record in records:
        assert record.valid_loss is record.worst_group is record.worst_group_accuracy is None
        assert record.robust_gap is record.average_accuracy is record.target is None
        line = f"epoch {record.epoch}/3    eta    0 s  loss {record.train_loss:.4f}"
        assert record.getMessage() == line


def test_stages_are_told_apart(records):
    JTTClassifier(**FAST | {"lr": 1e-3}, first_stage_epochs=2).fit(X, Y, S)
    stages = [(record.stage, record.epoch, record.max_epochs) for record in records]
    assert stages == [("first", 1, 2), ("first", 2, 2)] + [("training", i, 3) for i in (1, 2, 3)]


def test_the_time_left_counts_epochs_that_were_run_now(records, clock, tmp_path, monkeypatch):
    options = {"checkpoint_dir": tmp_path, "max_epochs": 5, "patience": None}
    takes = Takes(clock, 60)

    class Stop(Callback):
        def on_epoch_end(self, net, **_):
            if len(net.history) == 2:
                raise RuntimeError

    callbacks = [takes, Stop()]
    with pytest.raises(RuntimeError):
        method("GBMix", **options, callbacks=callbacks).fit(X, Y, S)
    assert [record.seconds_left for record in records] == [240, 180]
    assert "eta  4 min  " in records[0].getMessage()
    # a slower machine; a callback with other seconds would be another run
    monkeypatch.setattr(_progress.time, "perf_counter", lambda: 120.0 * clock[0])
    method("GBMix", **options, callbacks=callbacks).fit(X, Y, S)
    assert [record.epoch for record in records] == [1, 2, 3, 4, 5]
    assert [record.seconds for record in records][2:] == [7200] * 3
    assert [record.seconds_left for record in records][2:] == [14400, 7200, 0]
    assert "eta 4 h 0 min  " in records[2].getMessage()


def test_it_is_silent_until_asked_and_then_tells_each_epoch_at_once():
    """In a notebook, a pipe or a log file, which buffer what is not flushed."""
    code = """
import logging, os
from skorch.callbacks import Callback
from tests.estimators.problems import method, problem

class Leave(Callback):
    def on_epoch_begin(self, net, **_):
        if len(net.history) == 3:
            os._exit(0)  # without flushing anything

method("GBMix").fit(*problem())
logger = logging.getLogger("gbmix_sklearn")
assert any(isinstance(handler, logging.NullHandler) for handler in logger.handlers)
logger.warning("the null handler takes even this")
method("GBMix", verbose=1, callbacks=[Leave()]).fit(*problem())
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert [line[:9] for line in epochs(result.stdout)] == ["epoch 1/3", "epoch 2/3"]
    assert result.stderr == ""


def test_a_first_step_that_takes_long_says_nothing_about_the_rest(monkeypatch, capsys):
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(_progress.time, "perf_counter", lambda: next(clock))
    assert len(list(_progress.with_steps_shown([(1,), (2,)], epoch=1, n_steps=2))) == 2
    assert capsys.readouterr().err == "epoch 1: step 1/2, 40 s left\n"
