"""Parts of a data set: what studies fit on, choose by and test on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gbmix_sklearn.groups import Cells, make_cells

__all__ = ["Division", "Part", "cell_balanced_weights"]


class Part(NamedTuple):
    """Features, labels and groups of a part: a standardised matrix, paths of images, or a table.

    `units` says which samples are of one person; None where every sample is alone.
    """

    X: Any
    y: np.ndarray
    groups: np.ndarray
    units: np.ndarray | None = None

    def followed_by(self, other: Part) -> Part:
        """The samples of both, with the features on the scale they have."""
        arrays = (np.concatenate(pair) for pair in zip(self[:3], other[:3], strict=True))
        units = None
        if self.units is not None and other.units is not None:
            units = np.concatenate([self.units, other.units])
        return Part(*arrays, units)


class Division(NamedTuple):
    """The parts of a problem with one seed.

    `cells` and `units` are of all samples, in the order of the data set, which no seed changes;
    `in_test` says which of them are in the test part.
    """

    train: Part
    valid: Part
    test: Part
    cells: Cells
    units: np.ndarray | None
    in_test: np.ndarray


def cell_balanced_weights(part: Part) -> np.ndarray:
    """Weights that give every cell the same sum, with a mean of 1."""
    cells = make_cells(part.y, part.groups)
    return (len(part.y) / len(cells.present) / cells.counts)[cells.codes]
