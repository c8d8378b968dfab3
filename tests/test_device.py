"""Which GPU a process computes on. The GPUs are stand-ins: their number is all that counts."""

import multiprocessing
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from joblib.externals.loky import ProcessPoolExecutor

from gbmix_sklearn import _device
from gbmix_sklearn._device import resolve_device


def with_gpus(monkeypatch, n, process="MainProcess"):
    """Pretend that there are GPUs; the list that comes back fills with those made current."""
    made_current = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n)
    monkeypatch.setattr(torch.cuda, "set_device", made_current.append)
    monkeypatch.setattr(_device, "current_process", lambda: SimpleNamespace(name=process))
    return made_current


@pytest.mark.parametrize(
    ("worker", "n_gpus", "expected"),
    [
        ("LokyProcess-1", 4, 0),
        ("LokyProcess-4", 4, 3),
        ("LokyProcess-5", 4, 0),  # more workers than GPUs, or workers that were started anew
        ("LokyInitMainProcess-2", 4, 1),
        ("LokyProcess-2:3", 4, 2),
    ],
)
def test_workers_take_the_gpus_in_turn(monkeypatch, worker, n_gpus, expected):
    made_current = with_gpus(monkeypatch, n_gpus, worker)
    assert resolve_device("auto") == torch.device("cuda", expected)
    assert made_current == [torch.device("cuda", expected)]


@pytest.mark.parametrize(
    ("process", "n_gpus"),
    [("MainProcess", 4), ("LokyProcess-2", 1), ("SpawnProcess-2", 4), ("MyLokyProcess-2x", 4)],
)
def test_all_others_keep_the_current_gpu(monkeypatch, process, n_gpus):
    made_current = with_gpus(monkeypatch, n_gpus, process)
    assert resolve_device("auto") == torch.device("cuda")
    assert made_current == []


def test_a_device_that_is_named_is_taken_in_workers_too(monkeypatch):
    made_current = with_gpus(monkeypatch, 4, "LokyProcess-2")
    assert resolve_device("cpu") == torch.device("cpu")
    assert made_current == []


def in_a_worker(folder):
    """The GPU of this worker, asked when both have come: none can do the work of both."""
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 120
    while len(list(folder.iterdir())) < 2:
        assert time.monotonic() < deadline, "the other worker never came"
        time.sleep(0.02)
    with pytest.MonkeyPatch.context() as monkeypatch:
        with_gpus(monkeypatch, 2, multiprocessing.current_process().name)
        return resolve_device("auto").index


def test_two_real_workers_of_joblib_take_two_gpus(tmp_path):
    with ProcessPoolExecutor(max_workers=2) as workers:
        gpus = list(workers.map(in_a_worker, [tmp_path] * 2))
    assert sorted(gpus) == [0, 1]


def test_nothing_is_asked_of_cuda_before_fit():
    """A process that has, cannot fork workers that use it."""
    code = """
import torch
def fail(*_): raise AssertionError("asked")
for name in ("is_available", "device_count", "current_device", "get_device_capability", "init"):
    setattr(torch.cuda, name, fail)
import pickle
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from gbmix_sklearn import GBMixClassifier, TimmEmbedder
search = GridSearchCV(GBMixClassifier("resnet50"), {"device": ["auto"]})
pickle.loads(pickle.dumps(clone(search)))
pickle.loads(pickle.dumps(clone(TimmEmbedder("resnet50"))))
repr(search)
try:
    GBMixClassifier().fit([[0.0], [1.0]] * 20, [0, 1] * 20)
except AssertionError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "asked\n"  # by fit alone
