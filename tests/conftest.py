"""Fixtures that every test may use."""

import os
import random
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _seeded():
    """Every test starts from the same global random state."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002


@pytest.fixture(scope="session")
def development_data():
    """Folder of the development data sets, or a skip that says how to give it.

    The environment variable GBMIX_DATA names it; the default lies beside the checkout.
    """
    folder = Path(os.environ.get("GBMIX_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"development data not found at {folder}; set GBMIX_DATA to their folder")
    return folder
