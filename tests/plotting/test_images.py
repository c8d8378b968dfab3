"""Pictures against stored ones.

After a wanted change, draw them anew, look at each, and commit those that changed::

    python -m pytest tests/plotting/test_images.py --mpl-generate-path tests/plotting/baseline

with the version of matplotlib that is named below, or a newer one that becomes the named one.
"""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from gbmix_sklearn import AblationDisplay, GroupAccuracyDisplay, TradeoffDisplay, TrainingDisplay

from .examples import STRANGE, ablation, cells, history, models

SEXES = ("female", "male", "other")
CELLS = [f"{target}, sex={sex}" for target in ("<=50K", ">50K") for sex in SEXES]


#: the pictures were drawn with it
VERSION = "3.11"

pytestmark = pytest.mark.skipif(
    not mpl.__version__.startswith(f"{VERSION}."),
    # letters of 3.8 and 3.10, which agree, differ from those of 3.11 by a root mean square of 35
    # to 40 of 255, as much as other words would; everything but the looks is tested elsewhere
    reason=f"pictures are compared with matplotlib {VERSION}: versions set text differently",
)


def picture(function):
    """Compare the figure that is returned; a marker of another shape is more than the tolerance."""
    return pytest.mark.mpl_image_compare(
        baseline_dir="baseline",
        style="default",
        backend="agg",
        savefig_kwargs={"dpi": 60, "pil_kwargs": {"optimize": True}},
        tolerance=0.5,
    )(function)


@picture
def test_two_cells():
    return GroupAccuracyDisplay(cells(["cat", "dog"], ["all"])).plot().figure_


@picture
def test_nine_cells_sorted():
    display = GroupAccuracyDisplay(cells(["<=50K", ">50K", "none"], SEXES, "sex"), name="A model")
    return display.plot(sort_by="accuracy").figure_


@picture
def test_fifty_cells():
    values = [f"occupation number {i}" for i in range(10)]
    return GroupAccuracyDisplay(cells(range(5), values, "job")).plot().figure_


@picture
def test_strange_names():
    return GroupAccuracyDisplay(cells(["a", "b"], STRANGE)).plot().figure_


@picture
def test_two_displays_in_one_figure():
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    GroupAccuracyDisplay(cells("ab", SEXES), name="Cells").plot(left)
    TradeoffDisplay(models(4), name="Models").plot(right)
    return figure


@picture
def test_ten_models():
    return TradeoffDisplay(models(10), name="Some data").plot(highlight="model 3").figure_


@picture
def test_sixty_models():
    return TradeoffDisplay(models(60)).plot().figure_


@picture
def test_a_training():
    return TrainingDisplay(history(15, CELLS), name="A classifier").plot().figure_


@picture
def test_a_training_with_twenty_cells():
    return TrainingDisplay(history(60, [f"cell {i}" for i in range(20)])).plot().figure_


@picture
def test_an_ablation():
    variants = ["whole", "without mixing", "without categories", "without refit"]
    table = ablation(["UTKFace", "CelebA"], variants)
    return AblationDisplay.from_results(table, reference="whole", name="Parts").figure_
