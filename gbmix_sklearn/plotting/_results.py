"""Tables of results, one row for each run, as means and deviations over the runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

__all__ = ["results_frame", "summarize", "with_numbers"]


def results_frame(results: Any, columns: Sequence[Any]) -> pd.DataFrame:
    """Turn results into a table that has the columns and rows.

    Raises
    ------
    TypeError
        If `results` is neither a DataFrame nor a list of dicts.
    ValueError
        If a column is not there, or there are no rows.
    """
    if isinstance(results, pd.DataFrame):
        frame = results
    elif isinstance(results, list | tuple) and all(isinstance(row, dict) for row in results):
        frame = pd.DataFrame(list(results))
    else:
        raise TypeError(
            "results must be a DataFrame or a list of dicts with an entry for each model, "
            f"got {type(results).__name__}"
        )
    if not len(frame):
        raise ValueError("results is empty; there is nothing to draw")
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ValueError(
            f"results has no column {', '.join(map(repr, missing))}; "
            f"its columns are {', '.join(map(repr, frame.columns))}"
        )
    return frame


def with_numbers(frame: pd.DataFrame, columns: Sequence[Any], name: str) -> pd.DataFrame:
    """Turn scores into numbers; an error says whose are none."""
    numbers = {column: pd.to_numeric(frame[column], errors="coerce") for column in columns}
    for column, values in numbers.items():
        wrong = values.isna() | values.abs().eq(float("inf"))
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise ValueError(
                f"{column!r} is {frame[column].tolist()[row]!r} for {frame[name].iloc[row]!r} "
                f"(row {row}), which cannot be drawn; leave such rows out or correct them"
            )
    return frame.assign(**{str(column): values for column, values in numbers.items()})


def summarize(frame: pd.DataFrame, by: Sequence[Any], scores: Sequence[Any]) -> pd.DataFrame:
    """Mean and deviation (``<score>_std``, dividing by n) of rows alike in `by`, in their order.

    The deviation of a single row is NaN: it says nothing about the deviation of runs.
    """
    runs = frame.groupby(list(by), sort=False)[list(scores)]
    summary = runs.mean()
    spread = runs.std(ddof=0).where(runs.count() > 1).add_suffix("_std")
    return summary.join(spread).reset_index()
