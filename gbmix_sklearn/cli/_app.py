"""The commands under one name."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from ._audit import audit
from ._compare import compare
from ._embed import embed
from ._fit import fit
from ._predict import predict
from ._run import command

__all__ = ["app"]

app = typer.Typer(
    name="gbmix",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    # errors are told without traceback; whoever asks for one gets Python's own, without values
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gbmix-sklearn {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Classifiers that are good for every group of people, and audits that say whether they are.

    Exit codes: 0 success, 1 a limit of --fail-under is not reached, 2 wrong usage or input, 3 an
    error of gbmix itself, 130 interrupted.
    """


for function in (audit, compare, embed, fit, predict):
    app.command()(command(function))
