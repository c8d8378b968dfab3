"""The picture of what each part is worth."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn import AblationDisplay

from .examples import STRANGE, ablation
from .looks import assert_readable, overlaps

VARIANTS = ["whole", "without mixing", "without refit"]


def names(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


def test_bars_are_means_and_deviations_of_the_seeds():
    table = ablation(["A", "B"], VARIANTS)
    display = AblationDisplay.from_results(table)
    assert names(display) == ["A", *VARIANTS, "B", *VARIANTS]
    bold = [label.get_fontweight() == "bold" for label in display.ax_.get_yticklabels()]
    assert bold == [True, False, False, False] * 2
    heights = dict(zip([0, 1, 2, 3, 4, 5, 6, 7], display.ax_.get_yticks(), strict=True))
    for place, (bar, text) in enumerate(zip(display.bars_, display.text_, strict=True)):
        dataset, variant = "AB"[place // 3], VARIANTS[place % 3]
        runs = table[(table["dataset"] == dataset) & (table["variant"] == variant)]
        scores = runs["worst_group_accuracy"].to_numpy()
        assert bar.get_width() == pytest.approx(scores.mean())
        assert text.get_text() == f"{scores.mean():.3f} ± {scores.std():.3f}"
        middle = bar.get_y() + bar.get_height() / 2
        assert middle == pytest.approx(heights[place + 1 + place // 3])
        assert text.get_position()[1] == pytest.approx(middle)
    assert display.ax_.get_xlabel() == "worst group accuracy"


def test_whiskers_are_a_deviation_to_both_sides():
    display = AblationDisplay.from_results(ablation(["A"], VARIANTS))
    ends = [c.get_segments()[0][:, 0] for c in display.ax_.collections]
    bars = display.bars
    assert [end.mean() for end in ends] == pytest.approx(bars["mean"].tolist())
    assert [np.ptp(end) / 2 for end in ends] == pytest.approx(bars["std"].tolist())


def test_differences_are_taken_seed_by_seed():
    # rows in any order
    table = ablation(["A", "B"], VARIANTS).sample(frac=1, random_state=0)
    display = AblationDisplay.from_results(table, reference="whole")
    scores = table.set_index(["dataset", "variant", "seed"]).sort_index()["worst_group_accuracy"]
    for row, text in zip(display.bars.itertuples(), display.text_, strict=True):
        change = scores[row.dataset, row.variant] - scores[row.dataset, "whole"]
        assert row.mean == pytest.approx(change.mean())
        assert row.std == pytest.approx(change.to_numpy().std())
        assert text.get_text() == f"{change.mean():+.3f} ± {row.std:.3f}".replace("-", "−")
    assert "whole" not in set(display.bars["variant"])
    assert display.ax_.get_xlabel() == "worst group accuracy, difference to whole"


def test_runs_without_a_counterpart_are_left_out():
    table = ablation(["A"], VARIANTS)
    table = table[~((table["variant"] == "whole") & (table["seed"] == 2))]
    display = AblationDisplay.from_results(table, reference="whole")
    kept = AblationDisplay.from_results(table[table["seed"] < 2], reference="whole")
    pd.testing.assert_frame_equal(display.bars, kept.bars)


def test_a_single_run_has_no_deviation():
    display = AblationDisplay.from_results(ablation(["A"], VARIANTS, seeds=1), reference="whole")
    assert [text.get_text() for text in display.text_] == ["−0.040", "−0.080"]
    assert display.bars["std"].isna().all()


def test_data_sets_and_seeds_may_be_left_out():
    runs = [{"variant": v, "gap": 0.1 * i} for i, v in enumerate(VARIANTS)]
    display = AblationDisplay.from_results(runs, metric="gap", reference="whole")
    assert names(display) == VARIANTS[1:]
    assert display.bars["mean"].tolist() == pytest.approx([0.1, 0.2])
    assert display.ax_.get_xlabel() == "gap, difference to whole"


def test_a_variant_looks_alike_on_every_data_set():
    display = AblationDisplay.from_results(ablation(["A", "B"], VARIANTS))
    looks = [(bar.get_facecolor(), bar.get_hatch()) for bar in display.bars_]
    assert looks[:3] == looks[3:]
    assert len(set(looks)) == 3
    assert len({hatch for _, hatch in looks}) == 3


@pytest.mark.parametrize(
    ("datasets", "variants"),
    [
        (["A"], VARIANTS[:2]),
        (["CelebA", "UTKFace", "FairFace"], VARIANTS),
        (["A", "B"], [f"variant {i}" for i in range(25)]),
        (["A"], [f"a variant with a name that is long, the one number {i}" for i in range(50)]),
        (["$A$", "B" * 90], STRANGE),
    ],
    ids=["2", "9", "50", "50 long", "strange"],
)
def test_labels_are_readable(datasets, variants):
    display = AblationDisplay.from_results(ablation(datasets, variants), name="Parts")
    assert_readable(display.figure_)
    size = display.ax_.get_yticklabels()[0].get_fontsize()
    assert size == mpl.rcParams["font.size"]


def test_several_scores_stand_side_by_side():
    table = ablation(["A", "B"], VARIANTS)
    table["average_accuracy"] = table["worst_group_accuracy"] + 0.1
    figure, axes = plt.subplots(1, 2, figsize=(10, 3), layout="constrained", sharey=True)
    for ax, metric in zip(axes, ("average_accuracy", "worst_group_accuracy"), strict=True):
        AblationDisplay.from_results(table, metric=metric, ax=ax)
    assert not overlaps(figure)


def test_looks_can_be_chosen():
    display = AblationDisplay.from_results(ablation(["A"], VARIANTS), name="old")
    display.plot(
        name="new", values_format=".1%", bar_kwargs={"fc": "red"}, text_kwargs={"color": "blue"}
    )
    assert display.ax_.get_title() == "new"
    assert display.text_[0].get_text().startswith("82.0% ± ")
    assert {text.get_color() for text in display.text_} == {"blue"}
    assert all(mpl.colors.same_color(bar.get_facecolor(), "red") for bar in display.bars_)


@pytest.mark.parametrize(
    ("table", "arguments", "message"),
    [
        (
            ablation(["A"], VARIANTS),
            {"metric": "gap"},
            "no column 'gap'; its columns are",
        ),
        (ablation(["A"], VARIANTS), {"reference": "all"}, "'all' is no variant; they are 'whole'"),
        (
            ablation(["A"], VARIANTS).drop(columns="seed"),
            {"reference": "whole"},
            "several runs of variant 'whole', dataset 'A'; give each run",
        ),
        (
            ablation(["A"], VARIANTS).assign(seed=range(9)),
            {"reference": "whole"},
            "no variant has a run with dataset and seed of a run of 'whole'",
        ),
        (ablation(["A"], VARIANTS).assign(worst_group_accuracy=np.inf), {}, "inf for 'whole'"),
    ],
)
def test_results_that_cannot_be_drawn_are_refused(table, arguments, message):
    with pytest.raises(ValueError, match=message):
        AblationDisplay.from_results(table, **arguments)
