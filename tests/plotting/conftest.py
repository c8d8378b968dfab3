"""Pictures are drawn without a screen, in matplotlib's own style, and closed after each test."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def _drawing():
    plt.switch_backend("agg")
    with mpl.rc_context():
        mpl.rcdefaults()
        yield
    plt.close("all")
