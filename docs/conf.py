"""Configuration of the documentation: ``sphinx-build -W -b html docs docs/_build``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import _reference

import gbmix_sklearn

project = "gbmix_sklearn"
author = copyright = "The gbmix_sklearn developers"
version = release = gbmix_sklearn.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # the docstrings say it
numpydoc_show_class_members = False  # the templates list the members
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = f"gbmix_sklearn {version}"

# reference/ is written from the package at every build, before the pages are read
_reference.write(Path(__file__).parent / "reference")


def setup(app):
    """Connect what the reference needs."""
    app.connect("autodoc-skip-member", _reference.skip_foreign)
    app.connect("autodoc-process-docstring", _reference.quote_shapes, priority=400)
