"""Runs of the tables that are killed, or share a folder with others."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from benchmarks import _records
from benchmarks.paper import cells, config
from benchmarks.paper.cells import Store
from benchmarks.paper.data import prepare

from ..datasets import layouts

posix = pytest.mark.skipif(os.name != "posix", reason="locks and processes are POSIX's")


@pytest.fixture
def cell(tmp_path):
    """A cell, its data, and where it is stored."""
    layouts.utkface(tmp_path / "data" / "UTKFace", n=120)
    contest = next(config.contests([config.table("table4")], config.preset("smoke"), 1))
    source = prepare("UTKFace", tmp_path / "data", tmp_path / "out" / "cache")
    return contest.cells[0], source, Store(tmp_path / "out")


def test_writers_of_one_file_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "results.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: _records.write(path, {"n": [n] * 1000}), range(100)))
    assert len(set(json.loads(path.read_text())["n"])) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


@posix
def test_one_waits_for_the_other_and_not_for_the_dead(tmp_path):
    inside, go, order = Event(), Event(), []

    def first():
        with _records.alone(tmp_path / "locks" / "a"):
            inside.set()
            go.wait(10)
            order.append(1)

    def second():
        with _records.alone(tmp_path / "locks" / "a"):
            order.append(2)

    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(first)
        inside.wait(10)
        waiting = pool.submit(second)
        time.sleep(0.05)
        assert order == []
        go.set()
        held.result(10)
        waiting.result(10)
    assert order == [1, 2]
    code = "from benchmarks import _records; from pathlib import Path; import os\n"
    code += f"with _records.alone(Path({str(tmp_path / 'locks' / 'a')!r})): os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    second()
    assert order == [1, 2, 2]


@posix
def test_two_runs_fit_a_cell_once(cell, monkeypatch):
    one, source, store = cell
    fits = []

    def fitted(cell, source, *_):
        fits.append(cell)
        time.sleep(0.1)
        return {"key": cell.key(source.identity)}

    monkeypatch.setattr(cells, "_fit", fitted)
    with ThreadPoolExecutor(4) as pool:
        records = list(pool.map(lambda _: cells.fit(one, source, store, 1), range(4)))
    assert len(fits) == 1
    assert records == [{"key": one.key(source.identity)}] * 4


@pytest.mark.parametrize("left", ["nothing", "no model", "half a model"])
def test_a_model_that_is_not_whole_is_fitted_again(cell, left):
    one, source, store = cell
    key = one.key(source.identity)
    cells.fit(one, source, store, 1)
    folder = store.model(key)
    if left == "nothing":
        store.clear(key)
        assert not folder.exists()
    elif left == "no model":
        (folder / "model.json").unlink()
    else:
        (folder / "model.json").write_text("{")
    scored = cells.score(one, source, store, 1)
    assert "test" in scored
    assert store.read(key) == scored


def test_a_record_that_cannot_be_read_is_none(cell):
    _, _, store = cell
    store.file("a").parent.mkdir(parents=True)
    store.file("a").write_text('{"half')
    assert store.read("a") is None
    assert store.read("b") is None


@posix
def test_a_process_ends_with_the_one_that_started_it(tmp_path):
    child = (
        "import os, sys, time; from benchmarks._lifeline import end_with; "
        "end_with(os.getppid()); print(os.getpid(), flush=True); time.sleep(60)"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    number = int(process.stdout.readline())
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while _lives(number):
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.1)
    process.stdout.close()


def _lives(number):
    try:
        os.kill(number, 0)
        state = Path(f"/proc/{number}/stat")
        return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
