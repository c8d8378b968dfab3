"""The examples of the guide run; those whose libraries are missing are left out."""

import logging
import runpy

import pytest
import sklearn

from ..conftest import REPOSITORY

run = runpy.run_path(str(REPOSITORY / "docs" / "run_snippets.py"))["run"]

# the trackers' own dependencies deprecate things of each other
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(autouse=True)
def _as_before(tmp_path, monkeypatch):
    """Examples write files, configure scikit-learn and set up logging."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_SILENT", "true")
    loggers = [logging.getLogger(name) for name in (None, "gbmix_sklearn")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    with sklearn.config_context():
        yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.mark.parametrize("page", ["balance", "progress", "search"])
def test_the_examples_run(page):
    run(REPOSITORY / "docs" / "guide" / f"{page}.md")


@pytest.mark.parametrize(
    ("info", "runs"),
    [("", True), (" no-run", False), (" needs json re", True), (" needs json missing_", False)],
)
def test_blocks_are_left_out_where_something_is_missing(tmp_path, info, runs):
    page = tmp_path / "page.md"
    page.write_text(f"```python{info}\nopen('ran', 'w').close()\n```\n")
    run(page)
    assert (tmp_path / "ran").exists() == runs


def test_errors_have_the_line_of_the_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```python needs json\n1 / 0\n```\n")
    with pytest.raises(ZeroDivisionError) as error:
        run(page)
    assert error.traceback[-1].lineno == 3  # counted from 0
