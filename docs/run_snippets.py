"""Run the Python blocks of Markdown files, each file from top to bottom in one namespace.

    python docs/run_snippets.py README.md docs/getting_started.md

A block that starts with three backticks and ``python no-run`` is left out, and one that starts with
``python needs wandb rich`` where a module of these is missing. Files that the blocks write go to a
temporary folder. Metadata routing is off at the start of every block of a page; the README is read
from top to bottom, and runs as it is.
"""

import os
import re
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import sklearn

BLOCK = re.compile(r"^```python(?: needs ([^\n]*))?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run(path: Path) -> None:
    """Run the blocks of one file; the traceback of an error names file and line."""
    text = path.read_text(encoding="utf-8")
    namespace = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        if not all(map(is_installed, (block[1] or "").split())):
            continue
        if path.name != "README.md":
            sklearn.set_config(enable_metadata_routing=False)
        # empty lines in front, so that errors have the line numbers of the file
        above = "\n" * (text[: block.start()].count("\n") + 1)
        exec(compile(above + block[2], str(path), "exec"), namespace)


def is_installed(module: str) -> bool:
    """Say whether a module can be imported."""
    try:
        import_module(module)
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    paths = [Path(name).resolve() for name in sys.argv[1:]]
    start = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for path in paths:
            print(f"== {path.name}", flush=True)  # noqa: T201
            run(path)
        os.chdir(start)
