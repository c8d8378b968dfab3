"""Learning rates and weight decay that fit the data."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._sparse import mean_squared_length
from ._inputs import ArrayInputs
from ._sparse_inputs import SparseInputs

__all__ = ["Steps", "largest_eigenvalue", "steps_for_features", "steps_for_network"]

#: rows and products that the largest eigenvalue is estimated with
_ROWS, _ITERATIONS = 2048, 20
#: weight decay of a linear layer for each standardised feature and each mean loss
_DECAY_PER_FEATURE = 2e-4


class Steps(NamedTuple):
    """How an optimizer moves.

    Attributes
    ----------
    lr : float
        Learning rate.
    weight_decay : float
        Weight decay.
    """

    lr: float
    weight_decay: float


def largest_eigenvalue(inputs: ArrayInputs | SparseInputs, rows: np.ndarray) -> float:
    """Estimate the largest eigenvalue of the second moment of features, by power iteration.

    Parameters
    ----------
    inputs : ArrayInputs or SparseInputs
        A matrix.
    rows : ndarray of int
        The rows that count, of which some thousand are taken at even distances.

    Returns
    -------
    float
        From below, by a per cent or so. For standardised features between 1 and their number.
    """
    if len(rows) > _ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, _ROWS).astype(np.int64)]
    if isinstance(inputs, SparseInputs):
        return _largest_of_sparse(inputs.x[rows])
    x = torch.cat(list(inputs.chunks(rows)))
    # the vector of all samples that agree best is close already: start from the longest row
    vector: Tensor = x[x.square().sum(1).argmax()]
    length = vector.norm()
    for _ in range(_ITERATIONS):
        vector = (x @ (vector / length.clamp(min=torch.finfo(x.dtype).tiny))) @ x
        length = vector.norm()
    return float(length) / len(rows)


def _largest_of_sparse(x: Any) -> float:
    """The same of rows that together are too large as a dense matrix."""
    lengths = x.power(2) @ np.ones(x.shape[1], dtype=x.dtype)
    vector = x[[int(lengths.argmax())]].toarray()[0].astype(np.float64)
    length = float(np.linalg.norm(vector))
    for _ in range(_ITERATIONS):
        vector = x.T @ (x @ (vector / max(length, np.finfo(np.float64).tiny)))
        length = float(np.linalg.norm(vector))
    return length / x.shape[0]


def steps_for_features(
    optimizer: str,
    momentum: float,
    loss_scale: float,
    eigenvalue: float,
    inputs: ArrayInputs | SparseInputs,
) -> Steps:
    """Steps for layers behind standardised features.

    Parameters
    ----------
    optimizer : {"sgd", "adam", "adamw"}
        What takes them.
    momentum : float
        That of SGD.
    loss_scale : float
        How many mean losses the loss is the sum of.
    eigenvalue : float
        From :func:`largest_eigenvalue`.
    inputs : ArrayInputs or SparseInputs
        The features.

    Returns
    -------
    Steps

    Notes
    -----
    With SGD a step along the direction in which the features vary most goes a quarter of the way to
    the minimum of the quadratic bound of the logistic loss, all momentum counted in; noise of
    batches makes longer ones miss it. The step of Adam is about the same in every weight: its
    length bounds the change of a logit by a few hundredths.
    """
    n_features = _n_features(inputs)
    eigenvalue = max(eigenvalue, 1e-3)
    decay = _DECAY_PER_FEATURE * n_features
    if optimizer == "sgd":
        return Steps((1 - momentum) / (loss_scale * eigenvalue), loss_scale * decay)
    lr = min(1e-2, 0.03 / math.sqrt(max(1, n_features) * eigenvalue))
    # AdamW's decay is a share of the weights for each lr; Adam's gradients have no scale
    return Steps(lr, loss_scale * decay if optimizer == "adam" else 1e-2)


def _n_features(inputs: ArrayInputs | SparseInputs) -> float:
    """How many features count: constant columns do not, nor those that are mostly 0 as a whole.

    Of standardised features the mean squared length of the rows is their number.
    """
    if isinstance(inputs, SparseInputs):
        return mean_squared_length(inputs.x)
    some = inputs.x[:: max(1, len(inputs) // _ROWS)].float()
    return int(torch.count_nonzero(some.std(0)))


def steps_for_network(
    optimizer: str, loss_scale: float, weight_decay: float, *, is_pretrained: bool
) -> Steps:
    """Steps for a network that is trained on what it makes of raw inputs.

    Parameters
    ----------
    optimizer : {"sgd", "adam", "adamw"}
        What takes them.
    loss_scale : float
        How many mean losses the loss is the sum of.
    weight_decay : float
        What the method has by default.
    is_pretrained : bool
        Whether it has weights that are worth keeping near.

    Returns
    -------
    Steps
    """
    if optimizer == "sgd":
        return Steps((0.003 if is_pretrained else 0.01) / loss_scale, weight_decay)
    return Steps(1e-4 if is_pretrained else 1e-3, weight_decay)
