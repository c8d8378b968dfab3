"""Setting samples of the training data aside, cell by cell."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from ..exceptions import SmallCellWarning
from ..groups import Cells
from ..model_selection._units import Units, check_units, divide_units, units_in_each_cell

__all__ = ["check_what_is_left", "keep", "set_aside"]


def set_aside(
    cells: Cells,
    fractions: Mapping[str, float],
    rng: np.random.Generator,
    units: Units | None = None,
) -> dict[str, np.ndarray]:
    """Divide samples at random into parts, each with its fraction of every cell.

    Parameters
    ----------
    cells : Cells
        The cells of all samples.
    fractions : mapping of str to float
        Name and fraction of each part; the rest is the part "train".
    rng : numpy.random.Generator
        Divides the samples.
    units : Units, default=None
        Samples that stay in one part.

    Returns
    -------
    dict of str to ndarray
        Ascending positions of the samples of each part. A cell gives at least one sample to each
        part, or, where it has too few for that, stays in training, with a warning. Of a cell with
        too few units, training gets the first.

    Raises
    ------
    ValueError
        If there are fewer units than parts, or none of the cells has samples of two units.
    """
    if units is not None and fractions:
        return _set_units_aside(cells, fractions, rng, units)
    shuffled = rng.permutation(len(cells.y))
    order = shuffled[np.argsort(cells.codes[shuffled], kind="stable")]
    start = np.cumsum(cells.counts) - cells.counts
    place = np.empty(len(order), dtype=np.int64)  # of each sample among those of its cell
    place[order] = np.arange(len(order)) - np.repeat(start, cells.counts)

    too_small = (cells.counts > 0) & (cells.counts <= len(fractions))
    if fractions and too_small.any():
        names = "; ".join(
            f"{cells.labels[cell]} ({cells.counts[cell]})" for cell in np.flatnonzero(too_small)
        )
        warnings.warn(
            f"these cells have too few samples to give one to each of {', '.join(fractions)} and "
            f"stay in training as a whole: {names}",
            SmallCellWarning,
            stacklevel=4,
        )
    parts: dict[str, np.ndarray] = {}
    taken = np.zeros_like(cells.counts)
    for name, fraction in fractions.items():
        share = np.maximum(np.round(fraction * cells.counts), 1).astype(np.int64)
        # never the last sample of a cell, nor those that later parts need
        later = len(fractions) - len(parts)
        share = np.where(too_small, 0, np.minimum(share, cells.counts - taken - later))
        inside = (place >= taken[cells.codes]) & (place < (taken + share)[cells.codes])
        parts[name] = np.flatnonzero(inside)
        taken = taken + share
    parts["train"] = np.flatnonzero(place >= taken[cells.codes])
    return parts


def _set_units_aside(
    cells: Cells, fractions: Mapping[str, float], rng: np.random.Generator, units: Units
) -> dict[str, np.ndarray]:
    names = ["train", *fractions]
    shares = [1 - sum(fractions.values()), *fractions.values()]
    check_units(units, cells, shares, purpose=f"training, {', '.join(fractions)}", stacklevel=5)
    part = divide_units(cells.codes, units.codes, shares, rng, keeps=0)
    parts = {name: np.flatnonzero(part == number) for number, name in enumerate(names)}
    without = np.any([cells.take(rows).counts == 0 for rows in parts.values()], axis=0)
    without &= cells.counts > 0
    if without.any():
        n_units = units_in_each_cell(cells, units)
        few = "; ".join(
            f"{cells.labels[cell]} ({n_units[cell]})" for cell in np.flatnonzero(without)
        )
        warnings.warn(
            f"these cells are in too few units of keep_together to be in training and in each of "
            f"{', '.join(fractions)}: {few}",
            SmallCellWarning,
            stacklevel=5,
        )
    return parts


def keep(
    rows: np.ndarray | None, cells: Cells, parts: dict[str, np.ndarray]
) -> tuple[Cells, dict[str, np.ndarray]]:
    """Restrict cells and parts to the samples that could be read.

    Parameters
    ----------
    rows : ndarray of int or None
        Ascending positions of these samples; None keeps all.
    cells : Cells
        The cells of all samples.
    parts : dict of str to ndarray
        Positions of the samples of each part.

    Returns
    -------
    Cells, dict of str to ndarray
        The same, with positions counted among the samples that are left.
    """
    if rows is None:
        return cells, parts
    left = {name: np.flatnonzero(np.isin(rows, part)) for name, part in parts.items()}
    return cells.take(rows), left


def check_what_is_left(before: Cells, after: Cells, *, of: str, stacklevel: int) -> None:
    """Notice cells all of whose images could not be read.

    Parameters
    ----------
    before, after : Cells
        The cells of the samples, and of those that could be read.
    of : str
        The argument of fit that has the images.
    stacklevel : int
        Where the warning points, seen from the caller.

    Raises
    ------
    ValueError
        If a class of the training data is gone, which the model would then never predict.

    Warns
    -----
    SmallCellWarning
        If a cell is.
    """
    n_classes = len(before.classes)
    gone = np.setdiff1d(before.y, after.y)
    if of == "X" and len(gone):
        names = ", ".join(str(before.classes[code]) for code in gone)
        raise ValueError(
            f"none of the images to train on of {len(gone)} of the {n_classes} classes can be read "
            f"({names}): a model without them would never predict them. Replace the files, or "
            "leave these classes out of X and y"
        )
    missing = before.absent_from(after)
    if missing:
        warnings.warn(
            f"none of the images of these cells of {of} can be read: {'; '.join(missing)}",
            SmallCellWarning,
            stacklevel=stacklevel + 1,
        )
