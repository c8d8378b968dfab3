"""``gbmix compare``: which method for a table of features or of images."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._console import tell
from ._options import (
    AsJson,
    Category,
    Exclude,
    Features,
    Groups,
    ImageColumn,
    KeepTogether,
    Number,
    Quiet,
    Root,
    Target,
    Text,
)
from ._samples import Columns, Samples, find_columns, find_named, read_samples
from ._show import show_methods
from ._tables import Table

if TYPE_CHECKING:
    from ..comparison import MethodComparison
    from ..tables import Schema

__all__ = ["compare"]


def compare(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A table; - is CSV on stdin.")],
    target: Target,
    groups: Groups,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            "-m",
            metavar="NAMES",
            help="Methods with commas between, such as logistic,logistic-learned,GBMix; a name "
            "that is none lists all. Else a sensible few.",
        ),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Number of folds.")] = 5,
    features: Features = None,
    exclude: Exclude = None,
    number: Number = None,
    category: Category = None,
    text: Text = None,
    keep_together: KeepTogether = None,
    images: ImageColumn = None,
    root: Root = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="With --images, a model of timm's; else tf_efficientnet_lite0."
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Pixels of the square that images become.")
    ] = None,
    html: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a report as a page, .html.")
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(
            "--fit-best",
            "--save",
            metavar="FOLDER",
            help="Fit the best method on all rows and save it in this folder, for gbmix predict.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model that is there already.")
    ] = False,
    folder: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Keep what each fit finds here: the same command goes on where it was stopped.",
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", help="Fits at the same time; -1 is all cores.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn.")] = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compare methods on the same folds, by their worst group.

    Each row is predicted by a model that has not seen it. The columns of groups are not predicted
    from, unless --features names them.

    gbmix compare train.csv --target y --groups sex,race --html report.html
    """
    from ._features import learn
    from ._models import check_model_folder

    _check_outputs(
        html, jobs, images, {"root": root, "backbone": backbone, "image-size": image_size}
    )
    if save is not None:
        check_model_folder(Path(save), overwrite)
    table = Table(data)
    columns = find_columns(table, target, groups, features, exclude, images, keep_together)
    named = find_named(table, columns, number=number, category=category, text=text)
    samples = read_samples(table, columns, root)
    schema = None if images else learn(samples.X, samples.where, named)
    X = samples.X if schema is None else schema.typed(samples.X)

    from .. import comparison

    with redirect_stdout(sys.stderr):  # a fit a line; stdout is for the result
        found = comparison.compare(
            X,
            samples.y,
            samples.groups,
            methods=None if methods is None else _split_methods(methods),
            cv=folds,
            keep_together=samples.units,
            embedder=_embedder(backbone, image_size) if images else None,
            folder=folder,
            n_jobs=jobs,
            random_state=seed,
            verbose=0 if quiet else 1,
        )
    if as_json:
        typer.echo(found.to_json())
    else:
        show_methods(found)
    if html is not None:
        found.to_html(html)
        tell(f"wrote {html}")
    if not len(found.predictions_.columns):
        raise ValueError("every method failed, see above")
    if save is not None:
        _save(found, samples, schema, columns, Path(save), seed)


def _check_outputs(
    html: str | None, jobs: int | None, images: str | None, of_images: dict[str, Any]
) -> None:
    """Refuse what would only be found out at the end."""
    if html is not None and not html.lower().endswith(".html"):
        raise ValueError(f"the name of the report {html} must end in .html")
    if jobs == 0:
        raise ValueError("--jobs 0 is none at all; 1 is one at a time, -1 all cores")
    given = [name for name, value in of_images.items() if value is not None]
    if given and not images:
        raise ValueError(f"--{given[0]} is about images: name their column, --images")


def _split_methods(text: str) -> list[str]:
    """Split names at commas, of which some have one themselves."""
    from ..comparison import METHOD_NAMES

    whole = {name.replace(" ", "").lower(): name for name in METHOD_NAMES if "," in name}
    parts = [part.strip() for part in text.split(",") if part.strip()]
    names: list[str] = []
    for part in parts:
        joined = f"{names[-1]},{part}".replace(" ", "").lower() if names else ""
        if joined in whole:
            names[-1] = whole[joined]
        else:
            names.append(part)
    return names


def _embedder(backbone: str | None, image_size: int | None) -> Any:
    from ..backbones import TimmEmbedder

    return TimmEmbedder(backbone or "tf_efficientnet_lite0", image_size=image_size)


def _save(
    found: MethodComparison,
    samples: Samples,
    schema: Schema | None,
    columns: Columns,
    folder: Path,
    seed: int,
) -> None:
    """Save the best method: of a table as gbmix fit does, of images as a Pipeline."""
    from ..estimators import METHODS
    from ._features import encode
    from ._models import PIPELINE, Model, write_pipeline
    from ._plain_fits import PlainFit

    best = found.best_
    tell(f"fitting {best} on all {len(samples):,} rows")
    if schema is not None:
        classifier: Any
        if best in METHODS:
            classifier = METHODS[best](random_state=seed)
            classifier.fit(
                encode(schema, samples.X, samples.where),
                samples.y,
                samples.groups,
                keep_together=samples.units,
            )
        else:
            classifier = PlainFit(best, seed=seed)(schema, samples)
        Model(classifier, columns.target, columns.groups, schema).save(folder)
        tell(f"saved {best} in {folder}, for gbmix predict")
        return
    import joblib

    fitted = found.fit_best(samples.X, samples.y, samples.groups, keep_together=samples.units)
    write_pipeline(folder, lambda file: joblib.dump(fitted, file))
    tell(
        f"saved {best} as {folder / PIPELINE}: joblib.load reads it in Python, as code that is "
        "run, so load no such file of others. gbmix predict reads none; gbmix embed and then gbmix "
        "compare --fit-best make a model of images that it reads"
    )
