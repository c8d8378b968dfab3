"""Steps that fit the data: standardised inputs, learning rate, weight decay."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pandas as pd

from ..exceptions import LargeStepsWarning
from ..refit import linear_head, set_weights
from ..training import (
    ArrayInputs,
    GroupNet,
    Inputs,
    InputScaling,
    Network,
    SparseInputs,
    Steps,
    largest_eigenvalue,
    steps_for_features,
    steps_for_network,
)
from ._parameters import Parameters

__all__ = ["StepSizes", "warn_of_large_steps"]

#: epochs without a better one than the first before that is worth a word
_EPOCHS = 8
#: how much larger than in the first epoch a training loss is that swings, not only varies
_SWING = 1.25


class StepSizes(Parameters):
    """What ``lr="auto"`` and ``weight_decay="auto"`` mean.

    Where the first layer that is trained takes a matrix, that is standardised before the training,
    and the layer is given in the units of X afterwards: nothing depends on these.
    """

    net_: GroupNet
    head_: Any
    classes_: np.ndarray
    _input_scaling: InputScaling | None
    _is_refitted: bool

    @property
    def _starts_with_features(self) -> bool:
        """Whether the first layer that is trained takes features, and no module raw inputs."""
        return self.backbone is None or self._runs_once

    def _standardise(self, inputs: Inputs, rows: np.ndarray) -> Inputs:
        """Standardise by the training part, where there are features."""
        self._input_scaling = None
        if self._starts_with_features and isinstance(inputs, ArrayInputs | SparseInputs):
            self._input_scaling = InputScaling.of(inputs, rows)
        return self._scaled(inputs)

    def _scaled(self, inputs: Inputs) -> Inputs:
        if self._input_scaling is None:
            return inputs
        assert isinstance(inputs, ArrayInputs | SparseInputs)
        return self._input_scaling.apply(inputs)

    def _find_steps(self, inputs: Inputs, rows: np.ndarray) -> Steps:
        """Resolve "auto"."""
        if self._input_scaling is None:
            steps = steps_for_network(
                self.optimizer,
                self._loss_scale,
                self._network_weight_decay,
                is_pretrained=self._is_pretrained,
            )
        else:
            assert isinstance(inputs, ArrayInputs | SparseInputs)
            eigenvalue = largest_eigenvalue(inputs, rows)
            steps = steps_for_features(
                self.optimizer, self.momentum, self._loss_scale, eigenvalue, inputs
            )
            if len(self.hidden_units):  # whose decay has nothing to do with features
                steps = steps._replace(weight_decay=self._network_weight_decay)
        return Steps(
            steps.lr if isinstance(self.lr, str) else float(self.lr),
            steps.weight_decay if isinstance(self.weight_decay, str) else float(self.weight_decay),
        )

    def _folded(self, network: Network) -> Network:
        """Let a network that has standardised inputs take them as they come."""
        if self._input_scaling is not None:
            self._input_scaling.fold_into(network.first_linear)
        return network

    def _in_given_units(self) -> None:
        """Give the network and the last layer in the units of X."""
        scaling = self._input_scaling
        if scaling is None:
            return
        network = self._folded(self.net_.raw_module)
        self.net_.input_scaling_ = None
        self.net_.best_state_ = copy.deepcopy(network.state_dict())
        if network.embedding is not None:
            return  # the last layer takes embeddings
        if self._is_refitted:
            coef = self.head_.coef_ / scaling.scale
            intercept = self.head_.intercept_ - coef @ scaling.mean
            set_weights(self.head_, coef, intercept, self.classes_)
        else:
            self.head_ = linear_head(*network.head_weights, self.classes_)


def warn_of_large_steps(history: pd.DataFrame) -> None:
    """Warn where the first judgement stays the best while the training loss swings.

    Warns
    -----
    LargeStepsWarning
        If no epoch was better than the first, and a later one had a larger training loss.
    """
    if "valid_loss" not in history or len(history) < _EPOCHS or history["best"].iloc[1:].any():
        return
    loss = history["train_loss"]
    if (loss.iloc[1:] > _SWING * loss.iloc[0]).any():
        warnings.warn(
            "no epoch was better for the worst group than the first one, and the training loss "
            'rose after it: the steps are too large for these data. Lower lr, or take lr="auto"',
            LargeStepsWarning,
            stacklevel=3,
        )
