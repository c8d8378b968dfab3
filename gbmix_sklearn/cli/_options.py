"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

__all__ = [
    "AsJson",
    "CacheDir",
    "Category",
    "Device",
    "Exclude",
    "Features",
    "Groups",
    "ImageColumn",
    "KeepTogether",
    "Number",
    "OnError",
    "PLAIN_METHODS",
    "Quiet",
    "Root",
    "Target",
    "Text",
    "complete_method",
    "method_names",
]

#: methods of scikit-learn for tables, as they are typed
PLAIN_METHODS = (
    "logistic",
    "boosting",
    "logistic-learned",
    "boosting-learned",
    "class-scaled-ERM",
)

Target = Annotated[str, typer.Option("--target", "-t", help="Column of the true class.")]
Groups = Annotated[
    list[str],
    typer.Option(
        "--groups",
        "-g",
        metavar="COLUMNS",
        help="Columns of sensitive attributes, with commas between; their combinations count.",
    ),
]
KeepTogether = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="What rows belong to, such as the person in an image: never on two sides of a split, "
        "and not predicted from.",
    ),
]
Features = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMNS",
        help="Columns to predict from, with commas between, or patterns such as 'embedding_*'; "
        "else all but target and groups.",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMNS", help="Columns that are not predicted from."),
]
Number = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMNS", help="Columns that are numbers, whatever they look like."),
]
Category = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMNS", help="Columns that are categories, whatever they look like."),
]
Text = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMNS", help="Columns of free text, whose words are predicted from."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON to stdout, and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
ImageColumn = Annotated[
    str | None,
    typer.Option("--images", metavar="COLUMN", help="Column with the paths of images."),
]
Root = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER", help="Where relative paths start from; else the folder of the table."
    ),
]
Device = Annotated[str, typer.Option(help="Where to compute: auto, cpu, cuda, cuda:1, mps.")]
CacheDir = Annotated[
    str | None,
    typer.Option(metavar="FOLDER", help="Keep what images become here, to do it once."),
]
OnError = Annotated[
    Literal["raise", "skip"],
    typer.Option(help="What to do about images that cannot be read; skip leaves them out."),
]


def method_names() -> list[str]:
    """Names of all methods, without loading any of them."""
    from .. import _PUBLIC

    return [
        name.removesuffix("Classifier")
        for name, module in _PUBLIC.items()
        if module == "estimators" and name.endswith("Classifier")
    ]


def complete_method(incomplete: str) -> list[str]:
    """Names of methods that begin so, for the shell."""
    names = [*method_names(), *PLAIN_METHODS]
    return [name for name in names if name.lower().startswith(incomplete.lower())]
