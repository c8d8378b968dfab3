"""What callbacks are to a run: part of its identity, and of its state.

A callback of the user's may stop the training, change rates or gradients: a run with it is another
run than one without. What it has counted so far goes on with a run that goes on.
"""

from __future__ import annotations

import inspect
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from skorch import callbacks as of_skorch
from skorch.callbacks import Callback

from ._identity import describe, describe_what_is_known

__all__ = ["identity_of_callbacks", "restore_counted", "what_is_counted"]

_HOOKS = (
    *("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end"),
    *("on_batch_begin", "on_batch_end", "on_grad_computed"),
)
#: those that show or store what happens, subclasses with more to show included
_LOGGERS = (
    *(of_skorch.EpochTimer, of_skorch.PrintLog, of_skorch.ProgressBar, of_skorch.TensorBoard),
    *(of_skorch.NeptuneLogger, of_skorch.WandbLogger, of_skorch.SacredLogger),
    *(of_skorch.MlflowLogger, of_skorch.TrainEndCheckpoint),
)
#: those that put numbers into the history, which others may act on
_SCORINGS = (of_skorch.EpochScoring, of_skorch.BatchScoring, of_skorch.PassthroughScoring)


@contextmanager
def identity_of_callbacks(callbacks: Iterable[Any]) -> Iterator[Any]:
    """Describe the callbacks of a fit that may change a training, before it begins.

    A fit leaves its own counts in them. Where nobody else has changed them since, the next fit with
    the same objects is the same run.

    Parameters
    ----------
    callbacks : iterable
        skorch's, with or without names, and scikit-learn's.

    Yields
    ------
    object
        The description; None where all only watch.
    """
    given = [callback[1] if isinstance(callback, tuple) else callback for callback in callbacks]
    acting = [callback for callback in given if not _only_shows(callback)]
    if all(_kind(callback) in _SCORINGS for callback in acting):
        yield None
        return
    before = []
    for callback in acting:
        now = _described(callback)
        first, left = _left_by_fits.get(id(callback), (now, now))
        before.append(first if left == now else now)
    try:
        yield before
    finally:
        for callback, first in zip(acting, before, strict=True):
            _remember(callback, first)


#: by the id of a callback: how it was before a fit, and how the fit has left it
_left_by_fits: dict[int, tuple[Any, Any]] = {}


def _remember(callback: Any, first: Any) -> None:
    left = _described(callback)
    with suppress(TypeError):  # what no weak reference can be made to is new to the next fit
        if id(callback) not in _left_by_fits:
            weakref.finalize(callback, _left_by_fits.pop, id(callback), None)
        _left_by_fits[id(callback)] = first, left


#: where scikit-learn's own are, which show and score
_WATCHING_OF_SKLEARN = ("sklearn.callback._progressbar", "sklearn.callback._scoring_monitor")


def _kind(callback: Any) -> type:
    return callback if isinstance(callback, type) else type(callback)


def _only_shows(callback: Any) -> bool:
    kind = _kind(callback)
    if issubclass(kind, of_skorch.Checkpoint):
        return not getattr(callback, "load_best", False)
    if issubclass(kind, Callback):
        silent = all(getattr(kind, hook) is getattr(Callback, hook) for hook in _HOOKS)
        return silent or issubclass(kind, _LOGGERS)
    return any(base.__module__.startswith(_WATCHING_OF_SKLEARN) for base in kind.__mro__)


def _described(callback: Any) -> Any:
    if isinstance(callback, type):
        return describe(callback)
    # an underscore ends the names of what a training sets, as everywhere in skorch
    settings = {name: value for name, value in _attributes(callback) if not name.endswith("_")}
    return describe(type(callback)), describe_what_is_known(settings)


def _attributes(callback: Any) -> Iterable[tuple[str, Any]]:
    return getattr(callback, "__dict__", {}).items()


def what_is_counted(callback: Any) -> dict[str, Any]:
    """Take from a callback what it may have counted: numbers, text, arrays, containers of these.

    Objects with a `state_dict`, such as PyTorch's schedules, give that.
    """
    settings = _parameters_of(callback)
    acts = not (_only_shows(callback) or _kind(callback) in _SCORINGS)
    counted = {}
    for name, value in _attributes(callback):
        if name in settings and (not acts or isinstance(value, np.ndarray | torch.Tensor)):
            continue  # as it was given
        packed = _packed(value)
        if packed is not None:
            counted[name] = packed
    return counted


def _parameters_of(callback: Any) -> set[str]:
    return set(inspect.signature(type(callback).__init__).parameters)


def restore_counted(callback: Any, counted: Mapping[str, Any]) -> None:
    """Give a callback back what it had counted.

    Parameters
    ----------
    callback : object
        Of the same kind as the one that counted, and as it is when a training begins.
    counted : mapping of str
        From :func:`what_is_counted`.
    """
    for name, (kind, content) in counted.items():
        value: Any = _unpacked((kind, content))
        now: Any = getattr(callback, name, None)
        if kind == "state":
            if hasattr(now, "load_state_dict"):
                now.load_state_dict(value)
        elif kind in ("list", "dict", "set") and isinstance(now, list | deque | dict | set):
            now.clear()  # the same object, of whatever subclass
            now.extend(value) if isinstance(now, list | deque) else now.update(value)
        else:
            setattr(callback, name, value)


#: tuples with names are none of these: they cannot be rebuilt from their values alone
_CONTAINERS: dict[str, Any] = {"tuple": tuple, "list": (list, deque), "set": set}


def _packed(value: Any) -> tuple[str, Any] | None:
    """Pack a value into what a file of weights may have; None where it is something else."""
    if value is None or type(value) in (bool, int, float, str):
        return "plain", value
    if isinstance(value, np.generic) and not isinstance(value, np.object_):
        data = torch.frombuffer(bytearray(value.tobytes()), dtype=torch.uint8)
        return "number", (value.dtype.str, data)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return "array", torch.from_numpy(value.copy())
    if type(value) in (torch.Tensor, torch.nn.Parameter):
        return "plain", value.detach().clone()
    for kind, types in _CONTAINERS.items():
        if isinstance(value, types) and not hasattr(value, "_fields"):
            parts = [_packed(each) for each in value]
            return None if any(part is None for part in parts) else (kind, parts)
    if isinstance(value, dict):
        pairs = [(_packed(key), _packed(each)) for key, each in value.items()]
        return None if any(part is None for pair in pairs for part in pair) else ("dict", pairs)
    if not isinstance(value, type) and hasattr(value, "load_state_dict"):
        state = _packed(value.state_dict())
        return None if state is None else ("state", state)
    return None


def _unpacked(packed: Any) -> Any:
    kind, value = packed
    if kind == "plain":
        return value
    if kind == "number":
        dtype, data = value
        return np.frombuffer(data.cpu().numpy().tobytes(), dtype=dtype)[0]
    if kind == "array":
        return value.cpu().numpy().copy()
    if kind == "state":
        return _unpacked(value)
    if kind == "dict":
        return {_unpacked(key): _unpacked(each) for key, each in value}
    parts = [_unpacked(each) for each in value]
    return {"list": list, "tuple": tuple, "set": set}[kind](parts)
