"""Fine-tuning begins with a fitted last layer, and with it the pretrained embedding may stay."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from ..balance import start_shares
from ..groups import Cells
from ..refit import scaling_of
from ..refit._logistic import LogisticFits
from ..training import Network

__all__ = ["Start", "State", "fit_head", "state_of"]

State = dict[str, torch.Tensor]


class Start(NamedTuple):
    """A pretrained network before its training.

    Attributes
    ----------
    state : dict of str to Tensor
        Its weights.
    z : ndarray of shape (n_train, n_features)
        Embeddings of the training samples.
    """

    state: State
    z: np.ndarray


#: inverse strength of the penalty times the number of features
_C_PER_FEATURE = 1e3


def state_of(network: torch.nn.Module) -> State:
    """Copy the weights of a network."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def fit_head(network: Network, z: np.ndarray, cells: Cells, *, balanced: bool) -> None:
    """Fit the last layer on embeddings of the training samples, before anything else is trained.

    Behind a random one the first steps would tear at pretrained weights to make up for it.

    Parameters
    ----------
    network : Network
        What the layer belongs to.
    z : ndarray of shape (n_samples, n_features)
        The embeddings.
    cells : Cells
        Their cells. Where a class has no sample the layer stays as it is.
    balanced : bool
        Whether cells have equal shares in the loss, or samples.

    References
    ----------
    Kumar, Raghunathan, Jones, Ma and Liang, "Fine-Tuning can Distort Pretrained Features and
    Underperform Out-of-Distribution", ICLR 2022, https://arxiv.org/abs/2202.10054
    """
    n_classes = len(cells.classes)
    if len(np.unique(cells.y)) < n_classes:
        return
    mean, scale = scaling_of(z)
    cells = cells.without_small()
    weights = np.ones(len(z))
    if balanced:
        weights = (start_shares(cells) / np.maximum(cells.counts, 1))[cells.codes]
    fits = LogisticFits((z - mean) / scale, cells.y, n_classes)
    fitted = fits.fit(weights[:, None], _C_PER_FEATURE / z.shape[1])
    coef = fitted.coef[0] / scale
    intercept = fitted.intercept[0] - coef @ mean
    if n_classes == 2:  # one row stands for both classes: give each half of it
        coef, intercept = np.vstack([-coef, coef]) / 2, np.hstack([-intercept, intercept]) / 2
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(coef))
        network.head.bias.copy_(torch.from_numpy(intercept))
