"""The examples of the guide run; those whose libraries are missing are left out."""

import logging
import runpy
import warnings

import numpy as np
import pytest
import sklearn
from sklearn.utils import Bunch

import gbmix_sklearn

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


def test_the_readme_runs_from_top_to_bottom(monkeypatch):
    """In one process and with small data: no block may break a later one."""
    whole, digits = gbmix_sklearn.load_adult, gbmix_sklearn.make_waterdigits

    def few_people(**options):
        adult = whole(**options)
        rows = np.arange(0, len(adult.target), 120)
        fields = {name: adult[name] for name in ("target", "groups", "split")}
        fields = {name: values[rows] for name, values in fields.items()}
        return Bunch(data=adult.data.iloc[rows].reset_index(drop=True), **fields)

    def few_digits(**options):
        return digits(**options | {"n_train": 40, "n_test": 20})

    class Embedder(gbmix_sklearn.TimmEmbedder):
        def __init__(self, backbone="tf_efficientnet_lite0"):
            super().__init__("resnet10t", pretrained=False, image_size=32)

    real = gbmix_sklearn.GBMixClassifier.fit

    def fit(self, *args, **groups):
        if self.backbone is not None:
            self.set_params(backbone="resnet10t", pretrained=False, image_size=32)
        return real(self, *args, **groups)

    monkeypatch.setattr(gbmix_sklearn.GBMixClassifier, "fit", fit)
    monkeypatch.setattr(gbmix_sklearn, "load_adult", few_people)
    monkeypatch.setattr(gbmix_sklearn, "make_waterdigits", few_digits)
    monkeypatch.setattr(gbmix_sklearn, "TimmEmbedder", Embedder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of cells that are small here
        run(REPOSITORY / "README.md")


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
