"""What decides where GBMix is: the program that varies one thing at a time, and its results."""

from collections import Counter

import numpy as np
import pytest

from benchmarks import reading
from benchmarks._divisions import METRICS, divide
from benchmarks._records import read

from ..estimators.problems import problem


@pytest.fixture(scope="module")
def parts():
    return reading._standardised(divide(*problem(400, n_features=12), seed=0))


def test_parts_share_no_sample_and_have_all_cells():
    X, y, s = problem(400)
    X[:, 0] = np.arange(400)
    parts = reading._standardised(divide(X, y, s, seed=0))
    assert [len(y) for _, y, _ in parts] == pytest.approx([240, 80, 80], abs=4)
    ranks = [np.unique(X[:, 0]) for X, _, _ in parts]  # standardised alike, so still distinct
    assert len(np.unique(np.concatenate(ranks))) == 400
    for _, y, s in parts:
        assert len(set(zip(y, s, strict=True))) == 4
    assert parts[0][0].mean(axis=0) == pytest.approx(0, abs=1e-5)


def test_a_setting_is_judged_with_and_without_its_refit(parts):
    scores = reading.run(parts, "GBMix", {"max_epochs": 2}, seed=0)
    assert set(scores) >= {"judged", "judged_unrefitted", "chosen_on", "best_epoch"}
    assert all(0 <= scores["judged"][metric] <= 1 for metric in METRICS)
    alone = reading.run(parts, "GBMix", {"max_epochs": 2, "refit": None}, seed=0)
    assert "judged_unrefitted" not in alone


def test_without_validation_data_the_last_epoch_is_kept(parts):
    setting = {"max_epochs": 3, "refit": None, "X_val": None}
    assert reading.run(parts, "GBMix", setting, seed=0)["best_epoch"] == 3


def test_differences_are_taken_on_the_same_division():
    def record(factor, setting, seed, worst):
        judged = {"worst_group_accuracy": worst, "average_accuracy": 0.9}
        names = {"dataset": "Faces", "method": "GBMix", "seed": seed}
        return {**names, "factor": factor, "setting": setting, "judged": judged}

    records = [
        record("base", {}, 0, 0.5),
        record("base", {}, 1, 0.7),
        record("refit", {"refit": None}, 0, 0.4),
        record("refit", {"refit": None}, 1, 0.6),
    ]
    text = reading.block({"records": records}, "Run here.")
    assert "| as in the tables |  | 60.0 ± 10.0 | 90.0 ± 0.0 |" in text
    assert "| refit | refit=None | -10.0 ± 0.0 | +0.0 ± 0.0 |" in text
    assert text.endswith("on the same divisions. Run here.")


def test_results_are_whole():
    records = read("reading.json")["records"]
    seeds = {record["seed"] for record in records}
    assert len(seeds) >= 3
    ran = Counter(
        (r["dataset"], r["factor"], r["method"], str(r["setting"]), r["seed"]) for r in records
    )
    wanted = Counter(
        (dataset, factor, method, str(reading._describe(setting)), seed)
        for dataset in reading.STUDIED
        for factor, method, setting in reading.SETTINGS
        for seed in seeds
    )
    assert ran == wanted
