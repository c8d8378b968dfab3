"""The trainings of a fit: one, or several stages that start from the same weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..groups import Cells
from ..training import (
    Checkpoint,
    EvaluationSource,
    GroupNet,
    Inputs,
    Network,
    Sampler,
    TrainingSource,
    embed_in_batches,
)

__all__ = ["Training"]


class Training:
    """What a method trains, and on what.

    Parameters
    ----------
    network : Network
        What is trained, on its device.
    inputs : Inputs
        All samples.
    rows : ndarray of shape (n_train,)
        The rows of `inputs` that are trained on.
    cells : Cells
        The cells of these rows.
    valid : EvaluationSource or None
        The validation part.
    rng : numpy.random.Generator
        Drives the samplers.
    make_net : callable
        Called as ``make_net(network, criterion, **options)``, it gives an initialized net.
    run_folder : Path or None
        Where the state of each stage is kept, if anywhere.
    callbacks : sequence, default=()
        scikit-learn's callbacks of the fit.
    """

    def __init__(
        self,
        network: Network,
        inputs: Inputs,
        rows: np.ndarray,
        cells: Cells,
        valid: EvaluationSource | None,
        rng: np.random.Generator,
        make_net: Callable[..., GroupNet],
        run_folder: Path | None,
        callbacks: Sequence[Any] = (),
    ):
        self.network = network
        self.inputs = inputs
        self.rows = rows
        self.cells = cells
        self.valid = valid
        self.rng = rng
        self._make_net = make_net
        self._run_folder = run_folder
        self._callbacks = callbacks
        self._initial: dict[str, torch.Tensor] | None = None

    def run(
        self,
        criterion: nn.Module,
        sampler: Sampler,
        *,
        stage: str = "training",
        max_epochs: int | None = None,
        weights: np.ndarray | None = None,
        callbacks: list[tuple[str, Any]] | None = None,
    ) -> GroupNet:
        """Train the network.

        Parameters
        ----------
        criterion : Module
            The loss.
        sampler : Sampler
            Draws positions among the training samples.
        stage : str, default="training"
            Name of this training. Stages before "training", the last one, are no candidates for
            the model: they run all their epochs, without looking at the validation part.
        max_epochs : int, default=None
            Epochs; None takes the classifier's `max_epochs`.
        weights : ndarray of shape (n_train,), default=None
            Weights of the samples, which the criterion then gets as well.
        callbacks : list of (str, skorch callback), default=None
            What to call beside the classifier's own callbacks.

        Returns
        -------
        GroupNet
            The net that has trained the network.
        """
        first = stage != "training"
        if first and self._initial is None:
            state = self.network.state_dict()
            self._initial = {name: value.detach().clone() for name, value in state.items()}
        valid = None if first else self.valid
        checkpoint = None
        if self._run_folder is not None:
            checkpoint = Checkpoint(self._run_folder, self.rng, stage, self._callbacks)
        net = self._make_net(
            self.network,
            criterion,
            stage=stage,
            max_epochs=max_epochs,
            train_labels=self.cells.labels,
            valid_labels=None if valid is None else valid.labels,
            callbacks=callbacks or [],
            checkpoint=checkpoint,
        )
        if checkpoint is not None:
            checkpoint.restore(net)
        source = TrainingSource(
            self.inputs, self.rows, self.cells.y, self.cells.s, sampler, self.rng, weights
        )
        net.partial_fit(source, valid)
        return net

    def predict(self) -> np.ndarray:
        """Predict the class codes of the training part, in eval mode."""
        logits = embed_in_batches(self.network, self.inputs, self.rows)
        return logits.argmax(1)

    def start_anew(self) -> None:
        """Put the initial weights back, for the next stage."""
        assert self._initial is not None, "a stage has run before"
        self.network.load_state_dict(self._initial)
