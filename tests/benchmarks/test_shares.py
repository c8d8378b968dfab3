"""Rare groups made rarer step by step: what is drawn, and what the page shows."""

import json
from itertools import pairwise

import numpy as np
import pytest
from sklearn.utils import Bunch

from benchmarks import _shares_data
from benchmarks._packed import unpack_codes, unpack_flags
from benchmarks._records import RESULTS
from benchmarks._shares_data import PROBLEMS, RATIOS, divide, thinned
from benchmarks._shares_report import block
from benchmarks.shares import STUDY


def counts(y, s, rows):
    return np.array([[np.sum((y[rows] == a) & (s[rows] == b)) for b in (0, 1)] for a in (0, 1)])


@pytest.fixture
def labels():
    rng = np.random.default_rng(0)
    return rng.integers(2, size=8000), rng.integers(2, size=8000)


@pytest.mark.parametrize("frequent", [0, 1])
def test_rare_cells_have_the_ratio_and_classes_the_same_size(labels, frequent):
    y, s = labels
    sizes = set()
    for ratio in RATIOS:
        found = counts(y, s, thinned(y, s, ratio, frequent, np.random.default_rng(0)))
        often = found[[0, 1], [frequent, 1 - frequent]]
        rare = found[[0, 1], [1 - frequent, frequent]]
        np.testing.assert_allclose(often / rare, ratio, rtol=0.03)
        sizes.add(tuple(found.sum(axis=1)))
    assert len(sizes) == 1


def test_the_rare_samples_of_a_larger_ratio_are_among_those_of_a_smaller_one(labels):
    y, s = labels
    rare = [
        {row for row in thinned(y, s, ratio, 0, np.random.default_rng(0)) if y[row] != s[row]}
        for ratio in RATIOS
    ]
    assert all(larger < smaller for smaller, larger in pairwise(rare))


def test_no_class_is_larger_than_what_is_there(labels):
    y, s = labels
    few = np.flatnonzero((y == 0) | (s == 1) | (np.arange(8000) < 400))
    y, s = y[few], s[few]
    smallest = counts(y, s, np.arange(len(y)))[1, 0]
    for ratio in RATIOS:
        found = counts(y, s, thinned(y, s, ratio, 0, np.random.default_rng(0)))
        assert found[1].sum() == 3 * smallest
        assert found[1, 0] == max(1, round(3 * smallest / (ratio + 1)))


@pytest.mark.parametrize("name", ["Waterbirds, 1:8", "UTKFace, gender by race, 1:8"])
def test_parts_are_disjoint_and_the_test_part_is_whole(name, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    bunch = Bunch(
        images=np.arange(4000).astype(str).astype(object),
        target=rng.integers(2, size=4000),
        groups=rng.integers(3 if "UTK" in name else 2, size=4000),
        split=rng.choice(3, p=[0.5, 0.1, 0.4], size=4000),
    )
    monkeypatch.setattr(_shares_data, "_load", lambda *arguments: bunch)
    monkeypatch.setattr(
        _shares_data, "embedded", lambda paths, size: np.arange(len(paths), dtype=float)[:, None]
    )
    found = divide(PROBLEMS[name], tmp_path, 0)
    scale = np.polyfit(found.train.X[:, 0], np.arange(len(found.train.X)), 1)
    assert np.isfinite(scale).all()
    values = np.concatenate([part.X[:, 0] for part in found[:3]])
    assert len(np.unique(values)) == len(values)
    assert set(found.test.groups) == {0, 1}
    assert found.in_test.sum() == len(found.test.y)
    np.testing.assert_array_equal(found.cells.y[found.in_test], found.test.y)
    for part in (found.train, found.valid):
        often, rare = np.sum(part.y == part.groups), np.sum(part.y != part.groups)
        assert often / rare == pytest.approx(8, rel=0.1)


def test_committed_results_have_the_shares_and_large_test_cells():
    results = json.loads((RESULTS / "shares.json").read_text())
    for division in results["divisions"]:
        about = next(d for d in results["data"] if d["problem"] == division["problem"])
        codes = unpack_codes(about["cells"])
        tested = codes[unpack_flags(division["in_test"], len(codes))]
        counts = np.bincount(tested)
        assert np.count_nonzero(counts) == 4
        assert counts[counts > 0].min() > 200
    ran = {(r["problem"], r["seed"], r["method"]) for r in results["records"]}
    assert len(ran) == len(results["records"])
    text = block(results, "Run here.")
    for method, against in STUDY.pairs:
        assert f"| {method}, to {against} | " in text
