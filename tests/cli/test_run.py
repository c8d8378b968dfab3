"""Errors are messages and exit codes, warnings lines on stderr, in every command."""

import warnings

import pytest
import typer

from gbmix_sklearn import __version__
from gbmix_sklearn.cli._run import command


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a function as a command; exit code and output."""
    monkeypatch.delenv("GBMIX_DEBUG", raising=False)

    def run(function, *arguments):
        app = typer.Typer(pretty_exceptions_enable=False)
        app.command()(command(function))
        with pytest.raises(SystemExit) as end:
            app(list(arguments))
        return end.value.code, capsys.readouterr()

    return run


def failing(error):
    def fail(name: str = "x") -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    "error", [ValueError("no [such] column"), OSError("no file"), ImportError("no package")]
)
def test_wrong_input_is_a_message_without_traceback(run, error):
    code, output = run(failing(error))
    assert code == 2
    assert output.err == f"Error: {error}\n"
    assert output.out == ""


def test_long_messages_stay_on_one_line(run):
    _, output = run(failing(ValueError("word " * 100)))
    assert output.err.count("\n") == 1


@pytest.mark.parametrize(
    "error", [KeyError("y"), AssertionError(), ValueError(), TypeError("no [such] argument")]
)
def test_anything_else_is_a_bug_that_is_to_be_reported(run, error):
    code, output = run(failing(error))
    assert code == 3
    assert f"unexpected {type(error).__name__}" in output.err
    assert "--debug" in output.err


def test_an_interrupt_is_exit_code_130(run):
    code, output = run(failing(KeyboardInterrupt()))
    assert code == 130
    assert output.err == "Error: interrupted\n"


@pytest.mark.parametrize("by", ["option", "environment"])
def test_the_traceback_is_there_for_those_who_want_it(monkeypatch, by):
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command(failing(ValueError("wrong"))))
    if by == "environment":
        monkeypatch.setenv("GBMIX_DEBUG", "1")
    with pytest.raises(ValueError, match="wrong"):
        app(["--debug"] if by == "option" else [])


def test_each_warning_is_told_once_and_foreign_deprecations_never(run):
    def warn() -> None:
        for _ in range(3):
            warnings.warn("few rows", UserWarning, stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        warnings.warn("soon", FutureWarning, stacklevel=1)

    code, output = run(warn)
    assert code == 0
    assert output.err == "Warning: few rows\n"


def test_options_of_the_command_reach_it(run):
    seen = []

    def note(name: str, *, times: int = 1) -> None:
        seen.append((name, times))

    assert run(note, "a", "--times", "3")[0] == 0
    assert seen == [("a", 3)]


def test_the_version_is_that_of_the_package(gbmix):
    assert gbmix("--version").out == f"gbmix-sklearn {__version__}\n"


@pytest.mark.parametrize("name", ["audit", "embed", "fit", "predict"])
def test_every_command_has_help(gbmix, name):
    text = gbmix(name, "--help").out
    assert f"gbmix {name} " in text
    assert "--debug" in text


def test_unknown_commands_and_missing_options_are_exit_code_2(gbmix, folder):
    assert "audt" in gbmix("audt", code=2).err
    assert "--target" in gbmix("audit", "x.csv", code=2).err
