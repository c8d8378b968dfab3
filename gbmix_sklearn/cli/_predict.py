"""``gbmix predict``: predictions of a model that ``gbmix fit`` has saved."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._columns import check_columns
from ._console import tell
from ._formulas import warn_of_formulas
from ._images import image_paths, list_images
from ._options import Device, ImageColumn, Root
from ._tables import STDIO, Table, check_table_name, check_writable, write_table

if TYPE_CHECKING:
    import pandas as pd

    from ._models import Model

__all__ = ["predict"]


def predict(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The folder that gbmix fit has written.")
    ],
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A table like that in training, - for CSV on stdin, or a folder of images.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the rows with their predictions to .csv, .tsv or .parquet; - is stdout.",
        ),
    ],
    proba: Annotated[
        bool, typer.Option("--proba", help="Add the probability of each class, proba_CLASS.")
    ] = False,
    column: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the new column.")
    ] = "prediction",
    drop_features: Annotated[
        bool,
        typer.Option("--drop-features", help="Leave out the columns that were predicted from."),
    ] = False,
    images: ImageColumn = None,
    root: Root = None,
    device: Device = "auto",
) -> None:
    """Predict, and add the predictions to the rows, ready for gbmix audit.

    gbmix predict model test.csv -o predictions.csv
    """
    from ._models import Model

    check_table_name(output)
    check_writable(output)
    fitted = Model.load(Path(model), device)
    chances = []
    if proba:
        if not hasattr(fitted.classifier, "predict_proba"):
            raise ValueError("this model has no probabilities; leave --proba out")
        chances = [f"proba_{label}" for label in fitted.classifier.classes_]
    rows, X, used = _read(fitted, data, images, root)
    if drop_features:
        rows = rows.drop(columns=used)
    _check_free(rows, column, chances, data)
    rows = rows.assign(**{column: fitted.classifier.predict(X)})
    if proba:
        values = fitted.classifier.predict_proba(X)
        rows = rows.assign(**dict(zip(chances, values.T, strict=True)))
    warn_of_formulas(output, rows)
    write_table(output, rows)
    if output != STDIO:
        tell(f"wrote {len(rows):,} rows to {output}")


def _check_free(rows: pd.DataFrame, column: str, chances: list[str], data: str) -> None:
    """Check that new columns have names of their own, before anything is predicted."""
    if column in rows.columns:
        raise ValueError(f"{data} has a column {column!r} already; --column names another")
    for name in chances:
        if name in rows.columns:
            raise ValueError(f"{data} has a column {name!r} already, which --proba adds; rename it")
        if name == column:
            raise ValueError(f"--proba adds a column {name!r}; --column must name another")


def _read(
    model: Model, data: str, images: str | None, root: str | None
) -> tuple[pd.DataFrame, Any, list[str]]:
    """Rows to write again, what to predict from, and the columns it was made of."""
    if model.images is not None and os.path.isdir(data):
        rows, paths = list_images(data)
        return rows, paths, []
    table = Table(data)
    if model.images is not None:
        used = [images or model.images]
    else:
        assert model.features is not None
        if images or root:
            raise ValueError("the model predicts from numbers: --images and --root are for others")
        used = model.features.names
    check_columns(used, table.columns, table.where)
    frame = table.read(used)
    if not len(frame):
        raise ValueError(f"{table.where} has no rows")
    # fields of a CSV file go out as they came in
    rows = table.read() if table.is_parquet else table.read_text()
    if model.features is None:
        return rows, image_paths(frame, used[0], table, root), used
    return rows, model.numbers(frame, table.where), used
