"""Displays need no torch, and matplotlib not before something is drawn."""

import pytest

from ..test_top_level import modules_after

IMPORT = (
    "import sys\n"
    "from gbmix_sklearn import AblationDisplay, GroupAccuracyDisplay, TradeoffDisplay\n"
    "from gbmix_sklearn import BalanceDisplay, TrainingDisplay\n"
)
DRAW = "GroupAccuracyDisplay.from_predictions([0, 1], [0, 1], groups=[0, 1])\n"


@pytest.mark.parametrize("code", [IMPORT, IMPORT + DRAW], ids=["importing", "drawing"])
def test_displays_load_no_torch(code):
    assert modules_after(code) == []


def test_importing_displays_does_not_load_pyplot():
    modules_after(IMPORT + "assert 'matplotlib.pyplot' not in sys.modules")
