"""``gbmix audit``: how good predictions in a file are for each group."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._files import replace_file
from .._visible import visible_json
from ._columns import check_columns, match_columns, split_names
from ._console import tell, tell_error
from ._formulas import defused
from ._options import AsJson, Groups, Target
from ._show import show_audit, show_comparison, worst_row
from ._tables import Table, check_complete, check_table_name, is_parquet, write_table

if TYPE_CHECKING:
    import pandas as pd

    from ..report import AuditComparison, GroupAudit

__all__ = ["audit", "check_groups"]

_TABLES = (".csv", ".tsv", ".parquet")
#: a column with more values is a number or a name, and no group
MOST_VALUES = 1000


def audit(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Predictions: .csv, .tsv (also with .gz) or .parquet; - is CSV on stdin.",
        ),
    ],
    target: Target,
    prediction: Annotated[
        str, typer.Option("--prediction", "-p", help="Column of the predicted class.")
    ],
    groups: Groups,
    proba: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMNS",
            help="Columns of probabilities, whose names end in the classes: a pattern such as "
            "'proba_*', names with commas between, or of two classes one. Adds calibration.",
        ),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Predictions of another model for the same rows, to compare with.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="The model of gbmix fit that made them: reports say what it was trained on.",
        ),
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write a report as .html, .json, or the cells as .csv, .tsv, .parquet; may be "
            "repeated.",
        ),
    ] = None,
    as_json: AsJson = False,
    fail_under: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Exit with code 1 if the accuracy of the worst group is lower."
        ),
    ] = None,
    confidence: Annotated[float, typer.Option(help="Confidence of the intervals.")] = 0.95,
) -> None:
    """Audit predictions by group: the accuracy of every class in every group, and how sure it is.

    gbmix audit predictions.csv --target y --prediction p --groups sex,race -o report.html
    """
    outputs = [_check_output(name, file) for name in output or []]
    table = Table(file)
    check_columns([target, prediction, *([compare] if compare else [])], table.columns, table.where)
    attributes = split_names(groups, table.columns)
    check_columns(attributes, table.columns, table.where)
    chances = match_columns(proba, table.columns, table.where) if proba else []
    labels = [target, prediction, *attributes, *([compare] if compare else [])]
    frame = table.read([*labels, *chances], labels=labels, numbers=chances)
    check_complete(frame, labels, table.where, "Drop such rows, or give them a name of their own")
    check_groups(frame, attributes, table.where)

    from ..report import GroupAudit
    from ._models import Model

    options: dict[str, Any] = {"groups": frame[attributes], "confidence": confidence}
    found = GroupAudit.from_predictions(
        frame[target],
        frame[prediction],
        **options,
        **_probabilities(frame, chances, [target, prediction]),
        estimator=None if model is None else Model.load(Path(model), "cpu").classifier,
    )
    comparison = None
    if compare:
        other = GroupAudit.from_predictions(frame[target], frame[compare], **options)
        comparison = found.compare(other)

    for name in outputs:
        _write(name, found, comparison)
    if as_json:
        typer.echo(_as_json(found, comparison))
    else:
        show_audit(found, target)
        if comparison is not None:
            show_comparison(comparison, prediction, str(compare))
    for name in outputs:
        tell(f"wrote {name}")
    if fail_under is not None:
        _check_worst(found, fail_under)


def _check_worst(found: GroupAudit, fail_under: float) -> None:
    frame = found.to_frame()
    worst = worst_row(frame)
    accuracy = frame["accuracy"].iloc[worst]
    if accuracy < fail_under:
        tell_error(
            f"the accuracy of the worst group is {accuracy:.4f}, below {fail_under:g}: "
            f"{found.labels[worst]}"
        )
        raise typer.Exit(1)


def check_groups(frame: pd.DataFrame, groups: list[str], where: str) -> None:
    """Refuse columns that cannot be groups.

    Raises
    ------
    ValueError
        If none is named, or one has too many values.
    """
    if not groups:
        raise ValueError("--groups names no column")
    for name in groups:
        n_values = frame[name].nunique()
        if n_values > MOST_VALUES:
            raise ValueError(
                f"{where}: column {name!r} has {n_values:,} different values, too many for groups; "
                "bin them first, such as ages into decades"
            )


def _probabilities(frame: pd.DataFrame, columns: list[str], labels: list[str]) -> dict[str, Any]:
    """Probabilities and the class of each column, which the ends of their names tell.

    Raises
    ------
    ValueError
        If they do not: whose probability a column has is never guessed.
    """
    if not columns:
        return {}
    classes = list(dict.fromkeys(v for name in labels for v in frame[name].cat.categories))
    of = [label for label in classes if columns[0].endswith(label)]
    if len(columns) == 1 and len(classes) == 2 and of:
        label = max(of, key=len)  # 'female' ends in 'male'
        proba = frame[columns[0]]
        other = classes[1 - classes.index(label)]
        return {"y_proba": frame[columns].assign(other=1 - proba), "classes": [label, other]}
    for label in classes:  # the text in front is that of any column whose end is a class
        for column in columns:
            prefix = column.removesuffix(label)
            rest = [name.removeprefix(prefix) for name in columns if name.startswith(prefix)]
            if column.endswith(label) and len(rest) == len(columns) and {*classes} <= {*rest}:
                return {"y_proba": frame[columns], "classes": rest}
    raise ValueError(
        f"the columns of probabilities, {', '.join(map(repr, columns))}, have no names that end in "
        f"the classes, {', '.join(map(repr, classes))}: rename them, 'proba_{classes[0]}' and so on"
    )


def _check_output(name: str, source: str) -> str:
    suffix = Path(name.lower()).suffix
    if suffix in _TABLES:
        check_table_name(name)  # says what Parquet needs
    elif suffix not in (".html", ".json"):
        raise ValueError(
            f"the name of the report {name} must end in .html, .json, .csv or .parquet"
        )
    if Path(name).resolve() == Path(source).resolve():
        raise ValueError(f"the report would replace {source}, which it is about: name another file")
    return name


def _write(name: str, found: GroupAudit, comparison: AuditComparison | None) -> None:
    suffix = Path(name.lower()).suffix
    if suffix == ".html":
        found.to_html(name)
    elif suffix == ".json":
        replace_file(Path(name), lambda file: file.write(_as_json(found, comparison).encode()))
    else:
        cells = found.to_frame().reset_index()
        write_table(name, cells if is_parquet(name) else defused(cells))


def _as_json(found: GroupAudit, comparison: AuditComparison | None) -> str:
    if comparison is None:
        return found.to_json()
    content = json.loads(found.to_json())
    content["comparison"] = json.loads(comparison.to_json())
    return visible_json(json.dumps(content, indent=2, ensure_ascii=False))
