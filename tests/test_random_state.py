"""Fits and predictions in threads: as alone, and without a trace in global random states."""

import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import numpy as np
import pytest
import torch
from torch import nn

from gbmix_sklearn import ERMClassifier, GBMixClassifier, load_model
from gbmix_sklearn._random_state import borrowed_random_state

from .estimators.problems import problem


@pytest.fixture(autouse=True)
def busy_threads():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def states():
    return random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist()  # noqa: NPY002


def noisy():
    return nn.Sequential(nn.Linear(5, 32), nn.BatchNorm1d(32), nn.Dropout(0.5), nn.ReLU())


def test_fits_in_threads_are_those_of_their_seeds_and_leave_no_trace():
    X, y, s = problem()

    def fit(seed):
        options = {"hidden_units": (8,), "max_epochs": 2, "refit": None, "random_state": seed}
        return GBMixClassifier(**options).fit(X, y, s).head_.coef_

    alone, before = [fit(seed) for seed in range(4)], states()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fit, range(4)))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))
    assert states() == before


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("where", ["fitted", "loaded"])
def test_predictions_in_threads_agree(trainable, where, tmp_path):
    X, y, _ = problem()
    width = X.shape[1]
    module = nn.Sequential(nn.Linear(width, 5), *noisy())
    model = ERMClassifier(
        module, trainable=trainable, max_epochs=1, validation_fraction=None, random_state=0
    ).fit(X, y)
    if where == "loaded":
        model.save(tmp_path)
        model = load_model(tmp_path, backbone=module)
    expected = model.decision_function(X)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: model.decision_function(X), range(60)))
    assert all(np.array_equal(one, expected) for one in found)


def test_another_thread_waits_until_the_state_is_given_back():
    inside, go = Event(), Event()

    def borrow():
        with borrowed_random_state(7):
            inside.set()
            go.wait(10)

    other = Thread(target=borrow)
    other.start()
    inside.wait(10)
    drawn = []

    def draw():
        with borrowed_random_state(1):
            drawn.append(torch.rand(1).item())

    waiting = Thread(target=draw)
    waiting.start()
    waiting.join(0.05)
    assert drawn == []
    go.set()
    other.join(10)
    waiting.join(10)
    with borrowed_random_state(1):
        assert drawn == [torch.rand(1).item()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_process_forked_meanwhile_does_not_wait_for_ever():
    inside, go = Event(), Event()

    def borrow():
        with borrowed_random_state(7):
            inside.set()
            go.wait(10)

    other = Thread(target=borrow)
    other.start()
    inside.wait(10)
    child = os.fork()
    if child == 0:
        with borrowed_random_state(1):
            os._exit(0)
    go.set()
    other.join(10)
    assert os.waitpid(child, 0)[1] == 0
