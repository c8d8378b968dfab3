"""The study of trained last stages: parts, methods, order, tables."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image
from sklearn.utils import Bunch

from benchmarks import _records, tuned
from benchmarks._tuned_report import block
from benchmarks.tuned import FROZEN, PROBLEMS, STUDIED, divide, jobs
from gbmix_sklearn.estimators import METHODS

from ..estimators.test_images import pictures

PROBLEM = PROBLEMS["CelebA, blond hair by gender"]


@pytest.fixture
def bunch(tmp_path, monkeypatch):
    """Pictures as files, two of each person, of which the first half trains."""
    X, y, s = pictures(96)
    paths = [tmp_path / f"{row}.png" for row in range(len(X))]
    for path, pixels in zip(paths, X, strict=True):
        Image.fromarray(pixels).save(path)
    found = Bunch(
        images=paths,
        target=(y == "light").astype(int),
        groups=(s == "b").astype(int),
        target_names=["dark", "light"],
        group_names=["a", "b"],
        split=np.repeat([0, 1, 2], [48, 24, 24]),
        person=np.arange(96) // 2,
    )
    monkeypatch.setattr(tuned.data, "load", lambda *args, **options: found)
    return found


def test_parts_are_paths_of_as_many_persons_as_are_asked_for(bunch, tmp_path):
    division = divide(replace(PROBLEM, persons=10), tmp_path, 0)
    assert [len(part.y) for part in division[:3]] == [20, 24, 24]
    assert len(np.unique(division.train.units)) == 10
    assert set(division.train.X) <= {str(path) for path in bunch.images[:48]}
    assert division.cells.labels[0] == "dark, group=a"
    every = divide(replace(PROBLEM, persons=None), tmp_path, 0)
    assert len(every.train.y) == 48


def test_frozen_and_gbmix_of_all_seeds_come_before_the_others():
    planned = list(jobs(list(PROBLEMS), list(STUDIED), 2))
    assert len(planned) == len(set(planned)) == 2 * 2 * len(STUDIED)
    assert {family for *_, family in planned[:8]} == {FROZEN, "GBMix"}


def test_a_study_of_small_networks_runs_and_is_shown(bunch, tmp_path, monkeypatch):
    small = {"pretrained": False, "device": "cpu"}
    monkeypatch.setattr(tuned, "METHODS", {n: partial(METHODS[n], **small) for n in METHODS})
    monkeypatch.setattr(tuned, "BACKBONE", "resnet10t")
    monkeypatch.setattr(tuned, "CACHE", tmp_path)
    monkeypatch.setattr(tuned, "EPOCHS", 1)
    out = tmp_path / "tuned.json"
    study = replace(tuned.STUDY, problems={PROBLEM.name: replace(PROBLEM, persons=None)})
    arguments = ["--data-root", str(tmp_path), "--out", str(out), "--seeds", "1"]
    methods = [FROZEN, "GBMix", "RWG"]
    assert study.main([*arguments, "--methods", *methods]) == 0
    results = _records.read(str(out.resolve()))
    assert [record["method"] for record in results["records"]] == methods
    assert all("best_epoch" in record["setting"] for record in results["records"])
    against = {(c["method"], c["against"]) for c in results["comparisons"]}
    assert {("GBMix", FROZEN), ("RWG", FROZEN), ("GBMix", "RWG")} <= against
    text = block(results, "Run somewhere.")
    assert "| GBMix, frozen | 1 |" in text
    assert "| RWG | 1 |" in text
