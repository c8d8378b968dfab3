"""How good embeddings are for the worst cell: the error that a refitted last layer would have."""

from __future__ import annotations

import numpy as np

from ..groups import Cells
from ._held_out import HeldOutSearch, deal_out, of_classes
from ._scaling import scaling_of

__all__ = ["repaired_error"]

#: rounds of the learned balance: a comparison of epochs needs no more
_N_ROUNDS = 4


def repaired_error(z: np.ndarray, cells: Cells) -> float:
    """Held-out error of the worst cell after a refit with a learned balance, of one penalty.

    A last layer as it was trained says little about the embeddings below it where it is to be
    refitted: of a network that goes on training, it loses its worst group while the embeddings
    gain. So epochs are compared by what the refit makes of them, as in ProME's ranking of
    checkpoints.

    Parameters
    ----------
    z : ndarray of shape (n_samples, n_features)
        Embeddings of samples that were not trained on.
    cells : Cells
        Their cells.

    Returns
    -------
    float
        Shrunken, see :func:`gbmix_sklearn.balance.shrunken_errors`; 0 where there is nothing to
        refit on, that is one class or one sample of each. The folds are the same for the same
        cells.

    Examples
    --------
    >>> from gbmix_sklearn.groups import make_cells
    >>> rng = np.random.default_rng(0)
    >>> y, s = rng.integers(2, size=(2, 400))
    >>> cells, noise = make_cells(y, s), rng.normal(size=(400, 3))
    >>> repaired_error(noise + 4 * y[:, None], cells) < 0.1 < repaired_error(noise, cells)
    True
    """
    present = np.unique(cells.y)
    if z.shape[0] < 2 * len(present) or len(present) < 2:
        return 0.0
    mean, scale = scaling_of(z)
    search = HeldOutSearch(
        ((z - mean) / scale).astype(np.float32, copy=False),
        of_classes(cells.without_small(), present),
        deal_out(cells.codes, np.random.default_rng(0)),
        n_rounds=_N_ROUNDS,
        eta=2.0,
    )
    return float(search.with_one_penalty().worst)
