"""What a fitted estimator says of itself: its name, its parameters, the cells it was trained on."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ..metrics._fitted import weights_for
from ..metrics._report import cell_names

__all__ = ["ModelFacts", "describe"]

#: longer texts of parameters are cut
_LONGEST = 300
#: what samples do in a fit
_DONE = {"train": "training", "validation": "validation", "refit": "refit"}
#: where an object lies in memory, which differs from run to run
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True)
class ModelFacts:
    """What reports tell of a model.

    Attributes
    ----------
    name : str
        Names of its class, or of the steps of a pipeline.
    library : str
        Package that defines the classifier; empty where that is a script or notebook.
    has_save : bool
        Whether it is saved by a method of its own.
    parameters : dict of str
        Its parameters as text.
    training_cells : DataFrame or None
        Counts and shares of the cells of the training set, where the model knows them.
    cell_table : DataFrame or None
        What the samples of each cell did in the fit, see :func:`gbmix_sklearn.groups.plan_cells`.
    """

    name: str
    library: str
    has_save: bool
    parameters: dict[str, str] = field(default_factory=dict)
    training_cells: pd.DataFrame | None = None
    cell_table: pd.DataFrame | None = None

    @property
    def cell_counts(self) -> dict[str, str]:
        """Columns of the table of cells that have samples, and what readers call them."""
        if self.cell_table is None:
            return {}
        return {key: name for key, name in _DONE.items() if self.cell_table[key].any()}

    @property
    def cell_rows(self) -> list[dict[Hashable, Any]]:
        """Rows of the table of cells with a name each, for templates."""
        if self.cell_table is None:
            return []
        rows = self.cell_table.to_dict("records")
        names = cell_names(self.cell_table.index)
        return [{"name": name, **row} for name, row in zip(names, rows, strict=True)]

    def weights_of(self, cells: pd.MultiIndex) -> pd.DataFrame | None:
        """Counts of the training cells, if they are cells of this kind and all of these."""
        return None if self.training_cells is None else weights_for(cells, self.training_cells)


def describe(estimator: Any) -> ModelFacts:
    """Collect the facts of a classifier, of that inside of a search, or at a pipeline's end."""
    fitted = getattr(estimator, "best_estimator_", estimator)
    steps = [step for _, step in getattr(fitted, "steps", [("", fitted)])]
    steps = [step for step in steps if step is not None and step != "passthrough"]
    parameters = fitted.get_params(deep=True) if hasattr(fitted, "get_params") else {}
    library = type(steps[-1]).__module__.partition(".")[0]
    return ModelFacts(
        name=" → ".join(type(step).__name__ for step in steps),
        library="" if library == "__main__" else library,
        has_save=library == "gbmix_sklearn" and hasattr(fitted, "save"),
        parameters={
            name: _text(value)
            for name, value in sorted(parameters.items())
            if not _lists_estimators(value)  # the steps of a pipeline are there one by one
        },
        training_cells=_table(steps[-1], "group_table_"),
        cell_table=_table(steps[-1], "cell_table_"),
    )


def _lists_estimators(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(
        isinstance(entry, tuple) and any(hasattr(part, "get_params") for part in entry)
        for entry in value
    )


def _text(value: Any) -> str:
    if hasattr(value, "get_params"):
        return type(value).__name__
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a parameter of any kind must not stop a report
        text = f"<{type(value).__name__}>"
    text = _ADDRESS.sub("", text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _table(classifier: Any, name: str) -> pd.DataFrame | None:
    table = getattr(classifier, name, None)
    return table if isinstance(table, pd.DataFrame) else None
