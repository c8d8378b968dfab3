"""Runs that are killed go on where they stopped.

A run has a folder named by the fingerprint of its parameters, data and versions. After each epoch
its whole state replaces the last one atomically, so that a reader finds an old or a new state and
never a torn one, and fits in parallel cannot harm each other. A file ends in a checksum of all that
is before it: a single bit that the disk has lost would otherwise go on as other weights.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer
from skorch.history import History

from .._files import disk_named, read_plain, replace_file, temporary_beside
from .._tensors import load_plain
from ..exceptions import GBMixError
from ._callback_state import restore_counted, what_is_counted

__all__ = ["Checkpoint"]

#: before the checksum at the end of a file
_SEAL = b"gbmixC01"
_OWN = __name__.partition(".")[0] + "."
_PARTS = {
    *("module", "criterion", "optimizer", "scaler", "best_epoch", "best_state", "best_score"),
    *("history", "sampler", "torch_rng", "trained", "callbacks"),
}


class Checkpoint(Callback):
    """Save the state of a training after every epoch, and restore it.

    Parameters
    ----------
    folder : Path
        The folder of this run.
    rng : numpy.random.Generator
        The sampler's generator, which belongs to the state.
    stage : str, default="training"
        Which of the trainings of the run it is.
    beside : sequence, default=()
        Callbacks that are not the net's, whose counts belong to the state as well.
    """

    def __init__(
        self,
        folder: Path,
        rng: np.random.Generator,
        stage: str = "training",
        beside: Sequence[Any] = (),
    ):
        self.path = folder / f"{stage}.pt"
        self.rng = rng
        self.beside = beside
        self._written: Any = None
        self._restored: dict[str, Any] | None = None

    def restore(self, net: NeuralNet) -> bool:
        """Bring an initialized net to where the run stopped; say whether there was a run.

        Raises
        ------
        GBMixError
            If the file is there but cannot be used.
        OSError
            If none is there and none can be written, which is better known before the training.
        """
        try:
            sealed = read_plain(self.path)
        except (FileNotFoundError, NotADirectoryError):
            self._check_disk(net)
            return False
        except OSError as error:
            raise self._unusable(error) from error
        try:
            if not self._apply(net, load_plain(BytesIO(_opened(sealed)), net.device)):
                return False
        except Exception as error:  # whatever torch raises of something else than it expects
            raise self._unusable(error) from error
        self._written = _progress_of(net)
        return True

    def _unusable(self, error: Exception) -> GBMixError:
        return GBMixError(
            f"the checkpoint {self.path} cannot be read ({type(error).__name__}: {error}); move it "
            "away to start anew"
        )

    def _check_disk(self, net: NeuralNet) -> None:
        """Notice before the training that there is no room for a checkpoint."""
        folder = self.path.parent
        with disk_named(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            probe = temporary_beside(self.path)
            probe.touch()
            probe.unlink()
        needed, free = _size_of(net), shutil.disk_usage(folder).free
        if needed > free:
            raise OSError(
                errno.ENOSPC,
                f"checkpoint_dir: a checkpoint takes about {needed / 2**20:,.1f} MiB, and the disk "
                f"has {free / 2**20:,.1f} MiB free",
                str(folder),
            )

    def _apply(self, net: NeuralNet, state: dict[str, Any]) -> bool:
        """Bring the net to a state; not to one that is past where it is to stop."""
        if not isinstance(state, dict) or not set(state) >= _PARTS:
            raise ValueError("it lacks a part of the state")
        history = History(json.loads(state["history"]))
        best_epoch = state["best_epoch"]
        if not all(isinstance(epoch, dict) and "epoch" in epoch for epoch in history):
            raise ValueError("its history is none")
        if type(best_epoch) is not int or not 0 < best_epoch <= len(history):
            raise ValueError(f"its best epoch is {best_epoch!r} of {len(history)}")
        stop = _end_by_patience(history, net.patience)
        if any(epoch["best"] for epoch in history[stop:]):
            return False
        del history[stop:]
        for name in ("best_state", "module"):  # the last that is loaded goes on
            net.raw_module.load_state_dict(state[name])
            # a training that has diverged ended there, and its best epoch is kept
            over = name == "module" and history[-1].get("stop", False)
            for parameter in net.raw_module.parameters():
                if not over and not bool(parameter.isfinite().all()):
                    raise ValueError(f"{name} has NaN or infinite weights")
        for name, value in state["criterion"].items():  # its buffers grow with the first batch
            if name not in net.criterion_._buffers:
                raise ValueError(f"the criterion has no buffer {name}")
            setattr(net.criterion_, name, value)
        net.optimizer_.load_state_dict(state["optimizer"])
        net.scaler_.load_state_dict(state["scaler"])
        net.best_epoch_, net.best_state_ = best_epoch, state["best_state"]
        worst, mean = state["best_score"]
        net.best_score_ = float(worst), float(mean)
        net.history = history
        self.rng.bit_generator.state = json.loads(state["sampler"])
        torch.set_rng_state(state["torch_rng"].cpu())
        if "cuda_rng" in state and torch.device(net.device).type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"].cpu(), net.device)
        for name, parameter in net.raw_module.named_parameters():  # callbacks freeze, and release
            parameter.requires_grad_(state["trained"][name])
        self._restored = state
        return True

    def on_train_begin(self, net: NeuralNet, **_: Any) -> None:
        """Give the other callbacks back what they had counted, after they have begun anew."""
        state, self._restored = self._restored, None
        if state is None:
            return
        callbacks = self._counting(net)
        for key, counted in state["callbacks"]:
            if key in callbacks:
                restore_counted(callbacks[key], counted)
        # rates that schedules have set when they began
        for group, saved in zip(
            net.optimizer_.param_groups, state["optimizer"]["param_groups"], strict=True
        ):
            group.update({name: value for name, value in saved.items() if name != "params"})

    def _counting(self, net: NeuralNet) -> dict[str, Any]:
        """Callbacks that are not our own, by names that the next fit gives them as well."""
        named = [*net.callbacks_, *((f"beside {i}", each) for i, each in enumerate(self.beside))]
        return {
            f"{name} {type(callback).__qualname__}": callback
            for name, callback in named
            if not type(callback).__module__.startswith(_OWN)
            and not isinstance(callback, EpochTimer)
        }

    def on_train_end(self, net: NeuralNet, **_: Any) -> None:
        """Save that the training is over, which a callback may have decided after an epoch."""
        if not net.failed_ and _progress_of(net) != self._written:
            self.on_epoch_end(net)

    def on_epoch_end(self, net: NeuralNet, **_: Any) -> None:
        """Save the state; where that fails, warn and go on."""
        state = {
            "module": net.raw_module.state_dict(),
            "criterion": net.criterion_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "scaler": net.scaler_.state_dict(),
            "best_epoch": net.best_epoch_,
            "best_state": net.best_state_,
            "best_score": [float(score) for score in net.best_score_],
            "history": json.dumps(list(net.history), default=_as_json),
            "trained": {n: p.requires_grad for n, p in net.raw_module.named_parameters()},
            "callbacks": [
                (key, what_is_counted(callback)) for key, callback in self._counting(net).items()
            ],
            "sampler": json.dumps(self.rng.bit_generator.state),
            "torch_rng": torch.get_rng_state(),
        }
        if torch.device(net.device).type == "cuda":
            state["cuda_rng"] = torch.cuda.get_rng_state(net.device)
        try:
            replace_file(self.path, lambda file: _write(file, state))
        except OSError as error:
            warnings.warn(
                f"the training goes on, but epoch {len(net.history)} is in no checkpoint: {error}",
                stacklevel=2,
            )
            return
        self._written = _progress_of(net)


def _progress_of(net: NeuralNet) -> tuple[Any, ...]:
    stopped = net.history[-1].get("stop") if net.history else None
    return len(net.history), stopped, id(net.best_state_)


def _end_by_patience(history: History, patience: int | None) -> int:
    """Number of epochs after which a training would end with this patience, if it has come so far.

    A run may have had more of it.
    """
    best = 0
    for number, epoch in enumerate(history, 1):
        best = number if epoch["best"] else best
        if patience is not None and number - best >= patience:
            return number
    return len(history)


def _as_json(value: Any) -> Any:
    """What callbacks have recorded that JSON does not know."""
    if isinstance(value, np.generic | np.ndarray | torch.Tensor):
        return value.tolist()
    return repr(value)


def _size_of(net: NeuralNet) -> int:
    """Bytes of a checkpoint, about: the weights, the best ones, and what the optimizer keeps."""
    weights = sum(v.nbytes for v in net.raw_module.state_dict().values())
    trained = sum(p.nbytes for p in net.raw_module.parameters() if p.requires_grad)
    group = net.optimizer_.param_groups[0]
    moments = 2 if "betas" in group else int(group.get("momentum", 0) > 0)
    return 2 * weights + moments * trained


class _Sealing:
    """A file that torch writes to; it knows the checksum, and why writing failed."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self.digest = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            self._file.write(data)
        except OSError as error:
            self.error = error
            raise
        self.digest.update(data)
        return len(data)

    def flush(self) -> None:
        self._file.flush()


def _write(file: IO[bytes], state: dict[str, Any]) -> None:
    sealing: Any = _Sealing(file)  # all that torch asks of a file
    try:
        torch.save(state, sealing)
    except RuntimeError:
        if sealing.error is not None:  # which torch tells as an inconsistency of its own
            raise sealing.error from None
        raise
    file.write(_SEAL + sealing.digest.digest())


def _opened(sealed: bytes) -> bytes:
    """Return what is before the checksum, if that fits."""
    length = len(sealed) - len(_SEAL) - hashlib.sha256().digest_size
    content, seal = sealed[: max(length, 0)], sealed[max(length, 0) :]
    if seal != _SEAL + hashlib.sha256(content).digest():
        raise ValueError("it was cut off or altered after it was written")
    return content
