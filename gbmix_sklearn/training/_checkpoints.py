"""Runs that are killed go on where they stopped.

A run has a folder named by the fingerprint of its parameters, data and versions. After each epoch
its whole state replaces the last one atomically, so that a reader finds an old or a new state and
never a torn one, and fits in parallel cannot harm each other.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.history import History

from .. import __version__
from .._files import replace_file
from ..exceptions import GBMixError

__all__ = ["Checkpoint", "fingerprint"]


def fingerprint(*parts: Any) -> str:
    """Name a run: a hash of parameters and data, and of the versions that run it."""
    described = [_describe(part) for part in parts]
    versions = (__version__, torch.__version__, sklearn.__version__, np.__version__)
    return hashlib.sha256(repr((versions, described)).encode()).hexdigest()[:32]


def _describe(part: Any) -> Any:
    if isinstance(part, torch.nn.Module):
        state = {name: value.cpu().numpy() for name, value in part.state_dict().items()}
        return repr(part), joblib.hash(state)
    if isinstance(part, dict):
        return [(key, _describe(value)) for key, value in sorted(part.items())]
    return joblib.hash(part)


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
    """

    def __init__(self, folder: Path, rng: np.random.Generator, stage: str = "training"):
        self.path = folder / f"{stage}.pt"
        self.rng = rng

    def restore(self, net: NeuralNet) -> bool:
        """Bring an initialized net to where the run stopped; say whether there was a run.

        Raises
        ------
        GBMixError
            If the file is there but cannot be read.
        """
        if not self.path.exists():
            return False
        try:
            state = torch.load(self.path, map_location=net.device, weights_only=True)
        except Exception as error:
            raise GBMixError(
                f"the checkpoint {self.path} cannot be read ({type(error).__name__}); move it away "
                "to start anew"
            ) from error
        net.raw_module.load_state_dict(state["module"])
        for name, value in state["criterion"].items():  # its buffers grow with the first batch
            setattr(net.criterion_, name, value)
        net.optimizer_.load_state_dict(state["optimizer"])
        net.scaler_.load_state_dict(state["scaler"])
        net.best_epoch_, net.best_state_ = state["best_epoch"], state["best_state"]
        net.best_score_ = tuple(state["best_score"])
        net.history = History(json.loads(state["history"]))
        self.rng.bit_generator.state = json.loads(state["sampler"])
        torch.set_rng_state(state["torch_rng"].cpu())
        if "cuda_rng" in state:
            torch.cuda.set_rng_state(state["cuda_rng"].cpu(), net.device)
        return True

    def on_train_end(self, net: NeuralNet, **_: Any) -> None:
        """Save that the training is over, which a callback may have decided after an epoch."""
        self.on_epoch_end(net)

    def on_epoch_end(self, net: NeuralNet, **_: Any) -> None:
        """Save the state."""
        state = {
            "module": net.raw_module.state_dict(),
            "criterion": net.criterion_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "scaler": net.scaler_.state_dict(),
            "best_epoch": net.best_epoch_,
            "best_state": net.best_state_,
            "best_score": [float(score) for score in net.best_score_],
            "history": json.dumps(list(net.history)),
            "sampler": json.dumps(self.rng.bit_generator.state),
            "torch_rng": torch.get_rng_state(),
        }
        if torch.device(net.device).type == "cuda":
            state["cuda_rng"] = torch.cuda.get_rng_state(net.device)
        replace_file(self.path, lambda file: torch.save(state, file))
