"""The command as people start it: a process with exit codes, pipes and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ..test_top_level import modules_after

GBMIX = [sys.executable, "-m", "gbmix_sklearn.cli"]
#: finds the package from any folder
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}


def gbmix(*arguments, **options):
    return subprocess.run(
        [*GBMIX, *arguments], capture_output=True, text=True, env=ENVIRONMENT, **options
    )


def run_in_python(arguments):
    return (
        "from gbmix_sklearn.cli import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit as end:\n    assert not end.code\n"
    )


def test_help_loads_no_library_at_all():
    check = "import sys; assert not {'numpy', 'pandas', 'sklearn', 'torch'} & set(sys.modules)"
    assert modules_after(f"{run_in_python(['--help'])}{check}") == []


def test_an_audit_loads_no_torch(file, folder):
    options = ["-t", "y", "-p", "p", "-g", "place", "-o", str(folder / "r.html"), "--compare", "p"]
    assert modules_after(run_in_python(["audit", str(folder / file), *options])) == []


def test_the_command_is_installed():
    [entry] = [
        line
        for line in (Path(__file__).parents[2] / "pyproject.toml").read_text().splitlines()
        if line.startswith("gbmix = ")
    ]
    assert entry == 'gbmix = "gbmix_sklearn.cli:app"'


def test_a_pipe_of_csv_becomes_a_pipe_of_json(file):
    text = Path(file).read_text()
    done = gbmix("audit", "-", "-t", "y", "-p", "p", "-g", "place", "--json", input=text)
    assert done.returncode == 0
    assert json.loads(done.stdout)["summary"]["worst_group_accuracy"] == 0.5
    assert done.stderr == ""


def test_errors_have_an_exit_code_and_no_traceback(file):
    done = gbmix("audit", file, "-t", "Y", "-p", "p", "-g", "place")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    done = gbmix("audit", file, "-t", "Y", "-p", "p", "-g", "place", "--debug")
    assert "Traceback" in done.stderr
    assert "ValueError" in done.stderr
    assert "locals" not in done.stderr


def test_a_reader_that_has_enough_is_no_error_to_speak_of(file):
    command = " ".join([*GBMIX, "audit", file, "-t y -p p -g place --json | head -c 1"])
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.stdout == "{"
    assert "Error" not in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_in_a_fit_is_exit_code_130_and_leaves_nothing(train, folder):
    options = ["-t", "y", "-g", "sex", "-o", "model", "--set", "max_epochs=100000"]
    options += ["--set", "patience=none"]
    # a shell starts what it runs in the background, such as all of these tests, deaf to Ctrl-C
    hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{hear}; from gbmix_sklearn.cli import app; app()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "fit", train, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        for line in process.stderr:
            if line.startswith("epoch"):
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith("Error: interrupted\n")
    assert "Traceback" not in err
    assert out == ""
    assert [path.name for path in folder.iterdir()] == ["train.csv"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands(shell):
    variable = {"_GBMIX_COMPLETE": f"source_{shell}"}
    done = subprocess.run(GBMIX, capture_output=True, text=True, env=ENVIRONMENT | variable)
    assert done.returncode == 0
    assert "gbmix" in done.stdout


def test_the_shell_completes_methods():
    variables = {"_GBMIX_COMPLETE": "complete_bash", "COMP_CWORD": "3"}
    words = {"COMP_WORDS": "gbmix fit --method Gro"}
    done = subprocess.run(
        GBMIX, capture_output=True, text=True, env=ENVIRONMENT | variables | words
    )
    assert done.stdout.split() == ["GroupDRO"]
