"""The study of frozen features: parts, methods, what is stored, and the committed results."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Bunch

from benchmarks import _frozen_data, _frozen_methods, frozen
from benchmarks._frozen_data import PROBLEMS, Problem, divide
from benchmarks._frozen_methods import (
    ABLATIONS,
    BASELINE,
    BOTH_PARTS,
    CORE,
    FAMILIES,
    LEARNED,
    class_scaled,
    methods_of,
    takes_part,
)
from benchmarks._frozen_report import block
from benchmarks._gains_report import block as gains
from benchmarks._packed import pack_codes, pack_flags, unpack_codes, unpack_flags
from benchmarks._parts import Division, Part, cell_balanced_weights
from benchmarks._records import RESULTS
from benchmarks._study import Study, compare
from benchmarks.paper.data import AbsentError
from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.groups import make_cells

from ..estimators.problems import problem


@pytest.fixture(scope="module")
def division():
    X, y, s = problem(600, n_features=6)
    X = X.astype(np.float32)
    rows = np.split(np.arange(600), [300, 450])
    parts = [Part(X[r], y[r], s[r]) for r in rows]
    in_test = np.arange(600) >= 450
    return Division(*parts, make_cells(y, s), None, in_test)


def test_flags_and_codes_survive_as_text():
    rng = np.random.default_rng(0)
    for n in (0, 1, 8, 1001):
        flags, codes = rng.random(n) < 0.9, rng.integers(65_536, size=n)
        np.testing.assert_array_equal(unpack_flags(pack_flags(flags), n), flags)
        np.testing.assert_array_equal(unpack_codes(pack_codes(codes)), codes)
    assert len(pack_flags(np.ones(16_000, dtype=bool))) < 100
    with pytest.raises(ValueError, match="from -1 to 5 do not fit"):
        pack_codes(np.array([-1, 5]))


def test_the_penalty_has_the_best_worst_group_of_the_validation_part(division):
    weighted, both = FAMILIES["logistic"](division, 0)
    assert [weighted.method, both.method] == [BASELINE, BOTH_PARTS]
    assert weighted.setting == both.setting
    train, valid = division.train, division.valid
    cold = {
        C: LogisticRegression(C=C, max_iter=1000).fit(
            train.X, train.y, sample_weight=cell_balanced_weights(train)
        )
        for C in _frozen_methods.PENALTIES
    }

    def worst(model):
        right = model.predict(valid.X) == valid.y
        cells = make_cells(valid.y, valid.groups)
        return min(right[cells.codes == cell].mean() for cell in cells.present)

    chosen = cold[weighted.setting["C"]]
    assert worst(chosen) == pytest.approx(max(map(worst, cold.values())), abs=0.02)
    X = division.test.X
    assert np.mean(weighted.predict(X) == chosen.predict(X)) > 0.99


def test_class_scaling_multiplies_probabilities(division):
    class Model:
        classes_ = np.array(["a", "b", "c"])

        def predict_proba(self, X):
            scores = np.exp(X[:, :3].astype(float))
            return scores / scores.sum(axis=1, keepdims=True)

    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    y = np.array(["a", "b", "c"])[(X - [0, 1.5, 0] + rng.normal(size=X.shape) / 4).argmax(axis=1)]
    part = Part(X[:400], y[:400], np.zeros(400, dtype=int))
    model = Model()
    offsets, predict = class_scaled(model, part)
    expected = model.classes_[(model.predict_proba(X) * np.exp(offsets)).argmax(axis=1)]
    assert np.mean(predict(X) == expected) > 0.998  # the offsets are shown rounded

    def worst(predicted):
        return min(np.mean(predicted[400:][y[400:] == c] == c) for c in model.classes_)

    usual = model.classes_[model.predict_proba(X).argmax(axis=1)]
    assert worst(predict(X)) > worst(usual) + 0.2


@pytest.mark.parametrize("family", ["ERM", "GBMix", LEARNED, *ABLATIONS])
def test_a_family_yields_the_methods_it_says(division, family):
    fitted = list(FAMILIES[family](division, 0))
    assert tuple(f.method for f in fitted) == methods_of(family)
    for found in fitted:
        assert np.mean(found.predict(division.test.X) == division.test.y) > 0.6
        json.dumps(found.setting)


def test_boosting_takes_the_better_setting_and_learns_a_balance_with_it(division, monkeypatch):
    settings = ({"max_iter": 1, "min_samples_leaf": 1000}, {"max_iter": 2})  # a constant first
    monkeypatch.setattr(_frozen_methods, "BOOSTING", settings)
    learned = []
    monkeypatch.setattr(
        _frozen_methods,
        "_learned",
        lambda models, whole, seed: learned.append((models, len(whole.y))) or (settings[1], None),
    )
    fitted = FAMILIES["boosting"](division, 0)
    assert next(fitted).setting == settings[1]
    with pytest.raises(AttributeError):  # there is no model to predict with
        next(fitted)
    ((models, n_samples),) = learned
    assert [setting for setting, _ in models] == [settings[1]]
    assert n_samples == 450


def test_all_methods_for_matrices_take_part_and_trees_in_tables_alone():
    names = {name for name, cls in METHODS.items() if not cls._images_only}
    assert {*names, *ABLATIONS, "logistic", LEARNED, "boosting"} == set(FAMILIES)
    with_trees = {name for name, p in PROBLEMS.items() if takes_part("boosting", p)}
    assert with_trees == {"Adult, income by sex", "COMPAS, charge by race"}
    assert all(takes_part("GBMix", p) for p in PROBLEMS.values())


def test_what_matters_most_is_run_first():
    problems, families = ["Waterbirds", "Adult, income by sex"], list(FAMILIES)
    order = list(frozen.jobs(problems, families, 2))
    assert len(order) == len(set(order)) == 2 * (len(families) - 1) + 2 * len(families)
    n_core = 2 * 2 * len(CORE)
    assert {family for _, _, family in order[:n_core]} == set(CORE)
    assert [seed for _, seed, _ in order[:n_core]] == sorted(s for _, s, _ in order[:n_core])


def test_the_test_part_of_adult_is_official_and_the_seed_draws_the_validation_part(tmp_path):
    first, second = (divide(PROBLEMS["Adult, income by sex"], tmp_path, seed) for seed in (0, 1))
    assert len(first.test.y) == 16_281
    np.testing.assert_array_equal(first.in_test, second.in_test)
    assert len(first.train.y) == pytest.approx(0.8 * 32_561, abs=2)
    assert not np.array_equal(first.valid.y, second.valid.y)
    assert first.train.X.mean(axis=0)[:3] == pytest.approx(0, abs=1e-4)
    np.testing.assert_array_equal(first.cells.codes, second.cells.codes)


def test_images_are_embedded_at_their_size_and_persons_are_known(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    split = np.repeat([0, 1, 2], 20)
    bunch = Bunch(
        images=np.array([f"{n}.jpg" for n in range(60)], dtype=object),
        target=np.tile([0, 1], 30),
        groups=np.repeat([0, 1], 30),
        split=split,
        person=np.arange(60) // 5,
        target_names=["dark", "blond"],
        group_names=["female", "male"],
    )
    asked = []

    def embed(paths, image_size):
        asked.append((len(paths), image_size))
        return rng.normal(3, 2, size=(len(paths), 4)).astype(np.float32)

    monkeypatch.setattr(_frozen_data, "embedded", embed)
    monkeypatch.setattr(_frozen_data.data, "load", lambda *a, **options: bunch)
    found = divide(PROBLEMS["CelebA, blond hair by gender"], tmp_path, 0)
    assert asked == [(60, 96)]
    assert found.train.X.mean(axis=0) == pytest.approx(0, abs=1e-5)
    assert abs(found.test.X.mean()) > 0
    np.testing.assert_array_equal(found.valid.units, np.arange(20, 40) // 5)
    whole = found.train.followed_by(found.valid)
    np.testing.assert_array_equal(whole.units, np.arange(40) // 5)
    assert whole.X.shape == (40, 4)
    assert found.cells.labels[found.cells.codes[1]] == "blond, group=female"


@pytest.fixture
def small(division):
    """A study of two methods on one problem, and the fits that it has made."""
    fits = []

    def family(name, share):
        def fit(division, seed):
            fits.append((name, seed))
            rng = np.random.default_rng(seed)
            labels = {id(p.X): p.y for p in division[:3]}

            def predict(X):
                return np.where(rng.random(len(X)) < share, labels[id(X)], -1)

            yield _frozen_methods.Fitted(name, {}, predict)

        return fit

    families = {BASELINE: family(BASELINE, 0.7), "GBMix": family("GBMix", 0.9)}
    study = Study(
        "small",
        "Two methods.",
        {"small": Problem("small", "Small")},
        families,
        lambda problem, root, seed: division,
        lambda problems, names, seeds: (
            (p, s, n) for p in problems for s in range(seeds) for n in names
        ),
    )
    return study, fits


def test_a_stopped_run_goes_on_and_compares_at_its_end(small, tmp_path):
    study, fits = small
    out = tmp_path / "small.json"
    command = ["--data-root", str(tmp_path), "--out", str(out)]
    study.main([*command, "--seeds", "1"])
    assert sorted(fits) == [("GBMix", 0), (BASELINE, 0)]
    study.main([*command, "--seeds", "2"])
    assert len(fits) == 4
    results = json.loads(out.read_text())
    assert {"machine", "data", "divisions", "records", "comparisons"} == set(results)
    assert len(results["records"]) == 4
    difference = next(
        c for c in results["comparisons"] if (c["method"], c["against"]) == ("GBMix", BASELINE)
    )
    assert 0 < difference["low"] < difference["difference"] < difference["high"]
    stored = {(r["method"], r["seed"]): r["worst_group_accuracy"] for r in results["records"]}
    means = [np.mean([stored[name, seed] for seed in (0, 1)]) for name in ("GBMix", BASELINE)]
    assert difference["difference"] == pytest.approx(means[0] - means[1], abs=2e-5)


def test_absent_data_are_named_and_the_rest_is_run(small, tmp_path, capsys):
    study, fits = small

    def absent(*args):
        raise AbsentError("put it there")

    out = str(tmp_path / "small.json")
    replace(study, divide=absent).main(["--data-root", str(tmp_path), "--out", out])
    assert "absent: small: put it there" in capsys.readouterr().err
    assert fits == []


# ---------------------------------------------------------------------- committed results


@pytest.fixture(scope="module")
def results():
    return json.loads((RESULTS / "frozen.json").read_text())


def test_scores_are_those_of_what_was_right(results):
    sizes = {(d["problem"], d["seed"]): d for d in results["divisions"]}
    cells = {d["problem"]: unpack_codes(d["cells"]) for d in results["data"]}
    for record in results["records"]:
        codes = cells[record["problem"]]
        in_test = sizes[record["problem"], record["seed"]]["in_test"]
        tested = codes[unpack_flags(in_test, len(codes))]
        right = unpack_flags(record["right"], len(tested))
        accuracies = [right[tested == cell].mean() for cell in np.unique(tested)]
        assert record["worst_group_accuracy"] == pytest.approx(min(accuracies), abs=1e-5)
        assert record["robust_gap"] == pytest.approx(np.ptp(accuracies), abs=2e-5)
        assert record["average_accuracy"] == pytest.approx(right.mean(), abs=1e-5)


def test_no_fit_is_there_twice_and_all_are_compared(results):
    ran = [(r["problem"], r["method"], r["seed"]) for r in results["records"]]
    assert len(ran) == len(set(ran))
    compared = {(c["problem"], c["method"]) for c in results["comparisons"]}
    assert compared == {run[:2] for run in ran}


def test_comparisons_are_those_of_the_records(results):
    found = compare(results, "COMPAS, charge by race", frozen.STUDY.pairs)
    stored = [c for c in results["comparisons"] if c["problem"] == "COMPAS, charge by race"]
    assert [c["method"] for c in found] == [c["method"] for c in stored]
    for one, other in zip(found, stored, strict=True):
        assert one["difference"] == pytest.approx(other["difference"], abs=1e-5)
        assert one["low"] == pytest.approx(other["low"], abs=1e-3)


def test_the_page_marks_who_is_level_with_the_first(results):
    text = block(results, "Run here.")
    assert text.endswith("Run here.")
    assert len(re.findall(r"\| first \| \d+ \|\n", text)) == len(results["data"])
    assert "| level |" in text


def test_gains_are_differences_of_what_has_a_part_and_what_has_not(results):
    text = gains(results, "Run here.")
    rows = [line for line in text.splitlines() if line.startswith("| mixing alone |")]
    assert len(rows) == 1
    records = {
        (r["method"], r["seed"]): r["worst_group_accuracy"]
        for r in results["records"]
        if r["problem"] == "COMPAS, charge by race"
    }
    shared = [seed for method, seed in records if method == "Mixup" and ("ERM", seed) in records]
    mean = np.mean([records["Mixup", seed] - records["ERM", seed] for seed in shared])
    cell = rows[0].strip("| ").split(" | ")[-1]  # COMPAS is the last problem
    assert cell.startswith(f"{100 * mean:+.1f} (")
