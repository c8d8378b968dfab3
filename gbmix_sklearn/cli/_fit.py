"""``gbmix fit``: a classifier from a table of features or of images."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._visible import visible_json
from ._console import tell
from ._options import (
    AsJson,
    CacheDir,
    Device,
    Groups,
    ImageColumn,
    KeepTogether,
    Quiet,
    Root,
    Target,
    complete_method,
)
from ._samples import Samples, find_columns, read_samples
from ._settings import find_method, parse_settings
from ._show import show_audit
from ._tables import Table

if TYPE_CHECKING:
    from ..report import GroupAudit
    from ._features import Features

__all__ = ["fit"]


def fit(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A table; - is CSV on stdin.")],
    target: Target,
    groups: Groups,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FOLDER", help="Save the model in this folder."),
    ],
    method: Annotated[
        str,
        typer.Option(
            "--method",
            "-m",
            metavar="NAME",
            help="ERM, GroupDRO, JTT and so on; a name that is none lists all.",
            autocompletion=complete_method,
        ),
    ] = "GBMix",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A parameter of the method, such as alpha=2 or max_epochs=100; may be repeated.",
        ),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMNS",
            help="Columns to predict from, with commas between, or patterns such as "
            "'embedding_*'; else all but target and groups.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMNS", help="Columns that are not predicted from."),
    ] = None,
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
    valid: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="A table of rows that choose the epoch; else a fifth of DATA."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn.")] = 0,
    device: Device = "auto",
    cache_dir: CacheDir = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model that is there already.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Fit a classifier that is good for every group, and report its accuracy for each.

    Numbers are standardised, text becomes categories. The columns of groups are not predicted
    from, unless --features names them.

    gbmix fit train.csv --target y --groups sex,race -o model
    """
    from ._features import Features
    from ._models import Model, check_model_folder

    class_name = find_method(method)
    check_model_folder(Path(output), overwrite)
    image_options = {"backbone": backbone, "image_size": image_size, "cache_dir": cache_dir}
    if images:
        image_options["backbone"] = backbone or "tf_efficientnet_lite0"
    elif given := [n for n, v in {**image_options, "root": root}.items() if v is not None]:
        raise ValueError(
            f"--{given[0].replace('_', '-')} is about images: name their column, --images"
        )
    table = Table(data)
    columns = find_columns(table, target, groups, features, exclude, images, keep_together)
    samples = read_samples(table, columns, root)
    chosen_by = None
    if valid is not None:  # all on one side, whatever they belong to
        chosen_by = read_samples(Table(valid), replace(columns, unit=None), root)

    import gbmix_sklearn

    classifier = getattr(gbmix_sklearn, class_name)()
    parameters = classifier.get_params(deep=False)
    classifier.set_params(
        **parse_settings(settings or [], list(parameters)),
        **(image_options if images else {}),
        device=device,
        random_state=seed,
        verbose=0 if quiet else 1,
    )
    if chosen_by is None:
        samples, chosen_by = _divide(samples, classifier.validation_fraction, seed)
    encoder = None if images else Features.learn(samples.X, samples.where)
    if not quiet:
        tell(_plan(class_name, samples, chosen_by, encoder))
    validation = {}
    if chosen_by is not None:
        X_val = _encoded(chosen_by, encoder)
        validation = {"X_val": X_val, "y_val": chosen_by.y, "groups_val": chosen_by.groups}
    with redirect_stdout(sys.stderr):  # an epoch a line; stdout is for the result
        classifier.fit(
            _encoded(samples, encoder),
            samples.y,
            samples.groups,
            keep_together=samples.units,
            **validation,
        )
    Model(classifier, target, columns.groups, encoder, images).save(Path(output))
    tell(f"saved the model of epoch {classifier.best_epoch_} in {output}")
    audit = _audit(classifier, validation) if validation else None
    if as_json:
        typer.echo(_as_json(class_name, output, classifier, len(samples), audit))
    elif audit is not None:
        show_audit(audit, target)
        tell("These rows also chose the epoch: audit others as well.")


def _divide(samples: Samples, fraction: float | None, seed: int) -> tuple[Samples, Samples | None]:
    """Set rows aside that choose the epoch, the same share of every class in every group."""
    if fraction is None:
        return samples, None
    import numpy as np

    from ..model_selection import subgroup_train_test_split

    train, valid, *_ = subgroup_train_test_split(
        np.arange(len(samples)),
        samples.y,
        samples.groups,
        keep_together=samples.units,
        test_size=fraction,
        random_state=seed,
    )
    return samples.take(train), samples.take(valid)


def _encoded(samples: Samples, encoder: Features | None) -> Any:
    return samples.X if encoder is None else encoder.encode(samples.X, samples.where)


def _plan(
    class_name: str, samples: Samples, valid: Samples | None, encoder: Features | None
) -> str:
    of = "images" if encoder is None else f"rows of {len(encoder.names)} columns"
    by = "all epochs are run" if valid is None else f"{len(valid):,} others choose the epoch"
    return f"{class_name} on {len(samples):,} {of}; {by}"


def _audit(classifier: Any, validation: dict[str, Any]) -> GroupAudit:
    from ..report import GroupAudit

    return GroupAudit.from_predictions(
        validation["y_val"],
        classifier.predict(validation["X_val"]),
        groups=validation["groups_val"],
        estimator=classifier,
    )


def _as_json(
    class_name: str, output: str, classifier: Any, n_rows: int, audit: GroupAudit | None
) -> str:
    content = {
        "model": output,
        "method": class_name,
        "n_rows": n_rows,
        "best_epoch": int(classifier.best_epoch_),
        "validation": None if audit is None else json.loads(audit.to_json()),
    }
    return visible_json(json.dumps(content, indent=2, ensure_ascii=False))
