"""What would train alike has one name, and what would not has another."""

import datetime
import functools
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import torch
from torch import nn

from gbmix_sklearn import ERMClassifier
from gbmix_sklearn.training import fingerprint

from ..conftest import REPOSITORY
from ..estimators.problems import problem

SCALE = 2


class Module(nn.Module):
    def __init__(self, scale=1.0, mean=0.0):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(5, 4)
        self.scale = scale
        self.register_buffer("mean", torch.full((5,), mean), persistent=False)

    def forward(self, x):
        return torch.relu(self.layer(x - self.mean)) * self.scale


def frozen():
    module = Module()
    module.layer.requires_grad_(False)
    return module


def hooked(factor):
    module = Module()
    module.layer.register_forward_hook(lambda _, __, output: output * factor)
    return module


def evaluating():
    return Module().eval()


def in_another_mode(x):
    return x


class Shifted(Module):
    def forward(self, x):
        return super().forward(x + 1)


def scaled(factor):
    def scale(x):
        return helper(x) * factor

    return scale


def helper(x):
    return x * SCALE


def made(source, name="made"):
    """A function as if its file had this content."""
    space = {"__name__": "__main__"}
    exec(textwrap.dedent(source), space)
    return space[name]


DIFFERENT_MODULES = {
    "as it is": Module,
    "weights": lambda: nn.Linear(5, 4),
    "frozen": frozen,
    "attribute": lambda: Module(scale=2.0),
    "buffer that is not saved": lambda: Module(mean=1.0),
    "hook": lambda: hooked(2),
    "another hook": lambda: hooked(3),
    "forward": Shifted,
}


def test_modules_are_told_apart_by_all_that_trains():
    names = [fingerprint(make()) for make in DIFFERENT_MODULES.values()]
    assert len(set(names)) == len(names)
    assert names == [fingerprint(make()) for make in DIFFERENT_MODULES.values()]
    assert fingerprint(evaluating()) == names[0]  # a training sets the mode itself


FUNCTIONS = {
    "plain": "def made(x): return x",
    "body": "def made(x): return x + 1",
    "default": "def made(x, by=1): return x + by",
    "another default": "def made(x, by=2): return x + by",
    "default by name": "def made(x, *, by=2): return x + by",
    "constant": "K = 1\ndef made(x): return x + K",
    "another constant": "K = 2\ndef made(x): return x + K",
    "helper": "def h(x): return x + 1\ndef made(x): return h(x)",
    "another helper": "def h(x): return x + 2\ndef made(x): return h(x)",
    "nested": "def made(x):\n def h(y): return y + 1\n return h(x)",
    "another nested": "def made(x):\n def h(y): return y + 2\n return h(x)",
    "lambda": "made = lambda x: x + 1",
    "object": "class C: pass\nc = C()\nc.by = 1\ndef made(x): return x + c.by",
    "another object": "class C: pass\nc = C()\nc.by = 2\ndef made(x): return x + c.by",
    "base": "class B:\n def f(self): return 1\nclass made(B): pass",
    "another base": "class B:\n def f(self): return 2\nclass made(B): pass",
    "class attribute": "class made:\n by = 1",
    "another class attribute": "class made:\n by = 2",
    "static": "class made:\n @staticmethod\n def f(): return 1",
    "another static": "class made:\n @staticmethod\n def f(): return 2",
    "property": "class made:\n @property\n def f(self): return 1",
    "another property": "class made:\n @property\n def f(self): return 2",
    "recursive": "def made(x): return made(x - 1) if x else 0",
}


def test_functions_and_classes_are_told_apart_by_their_code():
    names = [fingerprint(made(source)) for source in FUNCTIONS.values()]
    # a body that is the same in other words is the same
    assert len(set(names)) >= len(names) - 1
    assert names == [fingerprint(made("\n\n" + source)) for source in FUNCTIONS.values()]


def test_closures_partials_and_methods():
    different = [
        scaled(2),
        scaled(3),
        functools.partial(helper, x=1),
        functools.partial(helper, x=2),
        np.random.default_rng(0).normal,
        np.random.default_rng(1).normal,
        np.exp,
        torch.relu,
        functools.lru_cache(helper),
        functools.lru_cache(in_another_mode),
    ]
    names = [fingerprint(value) for value in different]
    assert len(set(names)) == len(names)
    assert fingerprint(scaled(2)) == names[0]


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_scripted_modules():
    first, again, other = (torch.jit.script(Module(scale)) for scale in (1.0, 1.0, 3.0))
    assert fingerprint(first) == fingerprint(again)
    assert fingerprint(first) != fingerprint(other)


def test_tensors_of_every_kind():
    values = [
        torch.ones(2),
        torch.ones(2, dtype=torch.bfloat16),
        torch.ones(2, requires_grad=True),
        torch.ones(2).to_sparse(),
        torch.tensor(1.0),
        torch.ones(1, 2),
        torch.zeros(0),
        nn.LazyLinear(3).weight,
    ]
    assert len({fingerprint(value) for value in values}) == len(values)


def several():
    when = datetime.date(2024, 1, 1)
    things = {"a", "b", (1, 2)}, re.compile("a"), when, pathlib.Path("a"), frozenset("xyz")
    return fingerprint(Module(), scaled(2), Shifted, hooked(2), *things)


def test_names_are_the_same_in_every_process():
    result = subprocess.run(
        [sys.executable, "-c", "from tests.training import test_identity as t; print(t.several())"],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONHASHSEED": "1"},
    )
    assert result.stdout.strip() == several()


def test_what_nobody_can_compare_is_said_with_its_place():
    class Hidden:
        def __init__(self):
            self.stream = (number for number in range(3))

    with pytest.raises(TypeError, match=r"same callback\.stream, .*generator"):
        fingerprint({"callback": Hidden()})


def test_locks_and_files_say_nothing():
    class Writes:
        def __init__(self, by):
            self.lock, self.by = threading.Lock(), by

    assert fingerprint(Writes(1)) == fingerprint(Writes(1)) != fingerprint(Writes(2))


@pytest.mark.parametrize("kind", ["frozen", "attribute", "buffer that is not saved", "forward"])
def test_a_run_of_another_module_is_not_loaded(kind, tmp_path):
    X, y, _ = problem()
    options = {"max_epochs": 1, "random_state": 0}
    ERMClassifier(Module(), checkpoint_dir=tmp_path, **options).fit(X, y)
    kept = ERMClassifier(DIFFERENT_MODULES[kind](), checkpoint_dir=tmp_path, **options).fit(X, y)
    fresh = ERMClassifier(DIFFERENT_MODULES[kind](), **options).fit(X, y)
    assert np.array_equal(kept.decision_function(X), fresh.decision_function(X))
    assert len(list(tmp_path.iterdir())) == 2
