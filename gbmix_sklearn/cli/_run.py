"""How every command runs: errors as messages, warnings on stderr, exit codes."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from ..exceptions import GBMixError
from ._console import tell_error, tell_warning

__all__ = ["command"]

#: exit codes; 0 and 1 are those of the commands themselves
WRONG_INPUT, BUG, INTERRUPTED = 2, 3, 130

#: what wrong input or a machine that lacks something raises; anything else is a bug
_EXPECTED = (
    GBMixError,
    ValueError,
    OSError,
    ImportError,
    MemoryError,
    RuntimeError,
)

_Debug = Annotated[
    bool,
    typer.Option("--debug", envvar="GBMIX_DEBUG", help="Show the traceback of an error."),
]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option ``--debug``, and messages and exit codes instead of tracebacks."""

    @wraps(function)
    def run(*, debug: bool, **options: Any) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("always", UserWarning)
                warnings.showwarning = _tell_each_once()
                function(**options)
        except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
            raise  # Typer's own ways to end, and a reader such as `head` that has enough
        except KeyboardInterrupt:
            tell_error("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if debug:
                raise
            expected = isinstance(error, _EXPECTED) and str(error)
            tell_error(str(error) if expected else _bug(error))
            raise typer.Exit(WRONG_INPUT if expected else BUG) from None

    # what Typer reads; the annotations are evaluated where the names in them are known
    hints = get_type_hints(function, include_extras=True) | {"debug": _Debug}
    by_name = inspect.Parameter.KEYWORD_ONLY
    own = [
        parameter.replace(kind=by_name, annotation=hints[name])
        for name, parameter in inspect.signature(function).parameters.items()
    ]
    debug = inspect.Parameter("debug", by_name, default=False, annotation=_Debug)
    run.__signature__ = inspect.Signature([*own, debug])  # type: ignore[attr-defined]
    run.__annotations__ = hints
    return run


def _tell_each_once() -> Callable[..., None]:
    told: set[str] = set()

    def tell_once(message: Warning | str, *_: Any, **__: Any) -> None:
        text = str(message)
        if text not in told:
            told.add(text)
            tell_warning(text)

    return tell_once


def _bug(error: Exception) -> str:
    return (
        f"unexpected {type(error).__name__}: {error}. This is an error of gbmix; please report it "
        "with the traceback that the same command with --debug shows"
    )
