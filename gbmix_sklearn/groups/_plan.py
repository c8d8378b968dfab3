"""What the samples of each cell do in a fit, and what they are too few for."""

from __future__ import annotations

import pandas as pd

from ._cells import FEW_SAMPLES, Cells

__all__ = ["plan_cells"]


def plan_cells(
    train: Cells | None,
    judged: Cells | None,
    refitted: Cells | None = None,
    *,
    small_are_merged: bool = True,
) -> pd.DataFrame:
    """Say for each cell how many samples do what, and what they are too few for.

    Parameters
    ----------
    train : Cells or None
        Those that are trained on.
    judged, refitted : Cells or None
        Those that judge what was trained, and those that the last layer is refitted on.
    small_are_merged : bool, default=True
        Whether a cell that is too small to be balanced trains with the largest of its class.

    Returns
    -------
    DataFrame
        A row for each cell that has samples, with the columns ``train``, ``validation``, ``refit``
        and ``note``.

    Examples
    --------
    >>> from gbmix_sklearn.groups import make_cells
    >>> cells = make_cells([0] * 60 + [1] * 50, ["f"] * 40 + ["m"] * 65 + ["f"] * 5)
    >>> plan_cells(cells, cells.take(range(50, 110)))[["train", "validation", "note"]]
                  train  validation                         note
    target group
    0      f         40           0
           m         20          10
    1      f          5           5  judged mostly by its class
           m         45          45
    """
    notes = {}
    if train is not None and small_are_merged:
        merged = train.without_small()
        for cell in train.small:
            into = int(merged.codes[train.codes == cell][0])
            if into != cell:
                notes[train.index[cell]] = (
                    f"too small to be balanced: trains with {train.labels[into]}"
                )
    parts = {"train": train, "validation": judged, "refit": refitted}
    counts = {k: pd.Series(c.counts, c.index) for k, c in parts.items() if c is not None}
    first, *others = counts.values()
    index: pd.Index = first.index
    for column in others:  # validation data may have attribute values of their own
        index = index.append(column.index[~column.index.isin(index)])
    empty = pd.Series(0, index)
    table = pd.DataFrame(
        {k: counts[k].reindex(index, fill_value=0) if k in counts else empty for k in parts}
    )
    few = (table["validation"] > 0) & (table["validation"] < FEW_SAMPLES)
    table["note"] = [
        "; ".join(
            note
            for note in (notes.get(cell), "judged mostly by its class" if is_few else None)
            if note is not None
        )
        for cell, is_few in few.items()
    ]
    return table[table[["train", "validation", "refit"]].any(axis=1)]
