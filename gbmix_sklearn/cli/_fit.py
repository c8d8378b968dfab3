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
    Category,
    Device,
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
    complete_method,
)
from ._plain_fits import PlainFit
from ._samples import Samples, find_columns, find_named, read_samples
from ._settings import find_method, find_plain_method, parse_settings
from ._show import show_audit
from ._tables import Table

if TYPE_CHECKING:
    from ..report import GroupAudit
    from ..tables import Schema
    from ._models import Model

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
            help="ERM, GroupDRO, JTT and so on, for tables also logistic, boosting-learned and so "
            "on; a name that is none lists all.",
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
    valid: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A table of rows that choose the epoch and judge the model; else a fifth of DATA.",
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

    What each column holds is found once and kept with the model. The columns of groups are not
    predicted from, unless --features names them.

    gbmix fit train.csv --target y --groups sex,race -o model
    """
    from ._features import learn
    from ._models import Model, check_model_folder

    plain = find_plain_method(method)
    class_name = find_method(method) if plain is None else plain
    check_model_folder(Path(output), overwrite)
    image_options = {"backbone": backbone, "image_size": image_size, "cache_dir": cache_dir}
    if images and plain is not None:
        raise ValueError(
            f"--method {method} is for tables: gbmix embed makes one of images, with their groups"
        )
    if images:
        image_options["backbone"] = backbone or "tf_efficientnet_lite0"
    elif given := [n for n, v in {**image_options, "root": root}.items() if v is not None]:
        raise ValueError(
            f"--{given[0].replace('_', '-')} is about images: name their column, --images"
        )
    table = Table(data)
    columns = find_columns(table, target, groups, features, exclude, images, keep_together)
    named = find_named(table, columns, number=number, category=category, text=text)
    samples = read_samples(table, columns, root)
    chosen_by = None
    if valid is not None:  # all on one side, whatever they belong to
        chosen_by = read_samples(Table(valid), replace(columns, unit=None), root)

    if plain is not None:
        fit_plain = PlainFit(plain, settings or [], seed)
        if chosen_by is None:
            samples, chosen_by = _divide(samples, fit_plain.validation_fraction, seed)
        known = learn(samples.X, samples.where, named)
        if not quiet:
            tell(_plan(plain, samples, chosen_by, known, "judge it", "none judge it"))
        model = Model(fit_plain(known, samples), target, columns.groups, known)
        model.save(Path(output))
        tell(f"saved {plain} in {output}")
        validation = {}
        if chosen_by is not None:
            X_val = model.numbers(chosen_by.X, chosen_by.where)
            validation = {"X_val": X_val, "y_val": chosen_by.y, "groups_val": chosen_by.groups}
        _report(
            plain, model, output, validation, len(samples), as_json, "They were not trained on."
        )
        return

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
    schema = None if images else learn(samples.X, samples.where, named)
    if not quiet:
        tell(
            _plan(class_name, samples, chosen_by, schema, "choose the epoch", "all epochs are run")
        )
    validation = {}
    if chosen_by is not None:
        X_val = _encoded(chosen_by, schema)
        validation = {"X_val": X_val, "y_val": chosen_by.y, "groups_val": chosen_by.groups}
    with redirect_stdout(sys.stderr):  # an epoch a line; stdout is for the result
        classifier.fit(
            _encoded(samples, schema),
            samples.y,
            samples.groups,
            keep_together=samples.units,
            **validation,
        )
    model = Model(classifier, target, columns.groups, schema, images)
    model.save(Path(output))
    kept = (
        f"epoch {classifier.best_epoch_}" if classifier.best_epoch_ else "the pretrained backbone"
    )
    tell(f"saved the model of {kept} in {output}")
    note = "These rows also chose the epoch: audit others as well."
    _report(class_name, model, output, validation, len(samples), as_json, note)


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


def _encoded(samples: Samples, schema: Schema | None) -> Any:
    from ._features import encode

    return samples.X if schema is None else encode(schema, samples.X, samples.where)


def _plan(
    method: str,
    samples: Samples,
    valid: Samples | None,
    schema: Schema | None,
    purpose: str,
    without: str,
) -> str:
    of = "images" if schema is None else f"rows of {len(schema.names)} columns"
    by = without if valid is None else f"{len(valid):,} others {purpose}"
    return f"{method} on {len(samples):,} {of}; {by}"


def _report(
    method: str,
    model: Model,
    output: str,
    validation: dict[str, Any],
    n_rows: int,
    as_json: bool,
    note: str,
) -> None:
    """Print what rows say that the model was not trained on."""
    audit = _audit(model.classifier, validation) if validation else None
    if as_json:
        typer.echo(_as_json(method, output, model.classifier, n_rows, audit))
    elif audit is not None:
        show_audit(audit, model.target)
        tell(note)


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
        "best_epoch": getattr(classifier, "best_epoch_", None),
        "validation": None if audit is None else json.loads(audit.to_json()),
    }
    return visible_json(json.dumps(content, indent=2, ensure_ascii=False))
