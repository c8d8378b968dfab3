"""The tabular study: its pieces on a few rows, its committed results, and what the page says."""

import json
import re
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from benchmarks import tabular
from benchmarks.__main__ import main as benchmarks
from benchmarks._tabular_causes import VARIATIONS, Variation, thinned
from benchmarks._tabular_data import (
    ATTRIBUTES,
    DATASETS,
    AbsentError,
    Part,
    load,
    merge_rare_races,
)
from benchmarks._tabular_methods import CONTESTANTS, balancing_costs, cell_balanced_weights
from benchmarks._tabular_report import duels, ordered
from benchmarks.paper.config import describe
from benchmarks.render import ROOT
from gbmix_sklearn import NonFiniteLossError
from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.groups import make_cells

RESULTS = ROOT / "benchmarks" / "results" / "tabular.json"
PAGE = ROOT / "docs" / "tabular.md"
ACCURACIES = (
    "worst_group_accuracy",
    "average_accuracy",
    "adjusted_average_accuracy",
    "mean_group_accuracy",
    "balanced_accuracy",
)
#: fairlearn 0.15 with pandas 3
quietly = pytest.mark.filterwarnings(
    "ignore:Setting a value on a Series via .at", "ignore:Setting an item of incompatible dtype"
)


@pytest.fixture(scope="module")
def adult(tmp_path_factory):
    """A few thousand people; Adult needs no data folder."""
    table = load("Adult", tmp_path_factory.mktemp("nothing"))
    return table.take(np.arange(4000))


@pytest.fixture(scope="module")
def divisions(adult):
    return tabular.prepare(adult.take(np.arange(800)), "sex", 1, least_test_samples=2)[1]


@quietly
@pytest.mark.parametrize(
    "name",
    [
        "LogisticRegression, cell-weighted",
        "HistGradientBoosting, class-weighted",
        "ExponentiatedGradient, equalized odds",
        "ThresholdOptimizer, demographic parity",
        "RWG",
        "GBMix",
    ],
)
def test_a_method_of_each_library_competes(divisions, name):
    contestant = replace(CONTESTANTS[name], settings=CONTESTANTS[name].settings[-1:])
    sweep, records = tabular.compete(contestant, divisions)
    (setting, score), (record,) = *sweep.items(), records
    assert record["setting"] == setting
    assert 0 <= score <= 1
    for column in ACCURACIES:
        assert 0 <= record["worst_group_accuracy"] <= record[column] <= 1
    assert record["robust_gap"] + record["worst_group_accuracy"] <= 1.0001
    assert record["fit_seconds"] > 0
    assert record["fit_ratio"] > 0


def test_sensitive_attributes_are_no_features(adult):
    assert not {"sex", "race", "fnlwgt", "income"} & set(adult.X.columns)
    assert list(adult.attributes) == ["race", "sex"]


def _spying(settings, good, read):
    """A contestant that knows the labels under the settings in `good`, and notes what it reads."""

    def fit(train, setting, seed):
        if setting["a"] == "diverges" and seed == 0:
            raise NonFiniteLossError("NaN")

        def predict(X, groups):
            read.append((setting["a"], seed, X))
            return np.ones(len(X), dtype=int) if setting["a"] not in good else labels[id(X)]

        return predict

    labels = {}
    contestant = replace(CONTESTANTS["ERM"], settings=tuple({"a": a} for a in settings), fit=fit)
    return contestant, labels


def test_test_data_are_read_once_for_what_validation_chose(adult):
    _, divisions = tabular.prepare(adult, "sex", 2)
    read = []
    contestant, labels = _spying(["bad", "good", "diverges"], {"good", "diverges"}, read)
    labels |= {id(part.X): part.y for parts in divisions for part in parts.values()}
    sweep, records = tabular.compete(contestant, divisions)
    assert sweep == {"a=bad": 0.0, "a=good": 1.0, "a=diverges": None}
    assert [r["setting"] for r in records] == ["a=good", "a=good"]
    of_test = [
        (setting, seed)
        for setting, seed, X in read
        if any(X is parts["test"].X for parts in divisions)
    ]
    assert of_test == [("good", 0), ("good", 1)]
    assert not any(X is parts["train"].X for *_, X in read for parts in divisions)


def test_where_all_settings_diverge_the_method_is_named(divisions):
    contestant, _ = _spying(["diverges"], set(), [])
    with pytest.raises(RuntimeError, match="ERM: every setting diverged"):
        tabular.compete(contestant, divisions)


def test_parts_are_disjoint_and_have_their_share_of_each_cell(adult):
    about, (parts,) = tabular.prepare(adult, "race × sex", 1, least_test_samples=3)
    assert about["samples"] == {"train": 2400, "valid": 800, "test": 800}
    counts = pd.DataFrame({n: make_cells(p.y, p.groups).counts for n, p in parts.items()})
    assert (counts["valid"] - counts["test"]).abs().max() <= 1
    assert (counts["train"] - 3 * counts["test"]).abs().max() <= 4
    assert about["smallest_cell_test_samples"] == counts["test"].min() >= 3
    assert about["merged_races"]


def test_large_training_parts_are_thinned_with_each_cells_share(adult, monkeypatch):
    monkeypatch.setattr("benchmarks._tabular_data.MOST_TRAINING_SAMPLES", 600)
    about, (parts,) = tabular.prepare(adult, "sex", 1)
    assert about["samples"] == {"train": 600, "valid": 800, "test": 800}
    shares = [make_cells(parts[n].y, parts[n].groups).table["share"] for n in ("train", "test")]
    np.testing.assert_allclose(*shares, atol=0.003)


def test_races_are_merged_fewest_people_first_and_named():
    races = ["a"] * 40 + ["b"] * 20 + ["c"] * 6 + ["d"] * 4
    groups = pd.DataFrame({"race": races})
    y = np.arange(len(races)) % 2
    named, merged = merge_rare_races(groups, y, 5)
    assert merged == ["d", "c"]
    assert named["race"].value_counts().to_dict() == {"a": 40, "b": 20, "others": 10}
    assert merge_rare_races(groups, y, 2)[1] == []
    with pytest.raises(ValueError, match="no races are left to merge"):
        merge_rare_races(groups, y, 25)
    with pytest.raises(ValueError, match="a cell has 1 samples"):
        merge_rare_races(pd.DataFrame({"sex": ["f", "f", "m", "m"]}), np.array([0, 1, 0, 1]), 2)


def test_cell_balanced_weights_give_every_cell_the_same_sum(divisions):
    part = divisions[0]["train"]
    weights = cell_balanced_weights(part)
    sums = np.bincount(make_cells(part.y, part.groups).codes, weights)
    np.testing.assert_allclose(sums, len(part.y) / 4)


def test_balancing_costs_make_a_constant_guess_of_either_class_cost_the_same():
    y = np.array([0] * 9 + [1])
    costs = balancing_costs(y)
    assert costs["fp"] * np.sum(y == 0) == pytest.approx(costs["fn"] * np.sum(y == 1))
    assert np.mean(np.where(y == 1, costs["fn"], costs["fp"])) == pytest.approx(1)


@quietly
def test_fits_of_fairlearn_use_the_costs_and_the_objective(divisions):
    """Balanced ones find more of the rare class."""
    train, valid = divisions[0]["train"], divisions[0]["valid"]
    for name in ("ExponentiatedGradient, demographic parity", "ThresholdOptimizer, equalized odds"):
        fit = CONTESTANTS[name].fit
        rest = {"difference_bound": 0.1, "C": 1.0}
        equal, balanced = (
            fit(train, {**rest, "costs": costs, "objective": objective}, 0)(valid.X, valid.groups)
            for costs, objective in (
                ("equal", "accuracy_score"),
                ("balanced", "balanced_accuracy_score"),
            )
        )
        assert balanced.mean() > equal.mean()


def test_scores_are_those_of_an_independent_count(divisions):
    parts = divisions[0]
    part = parts["test"]
    predicted = (part.X[:, 0] > 0).astype(int)
    scores = tabular.judge(lambda X, groups: predicted, part, parts["train"])
    right, sex = predicted == part.y, part.groups["sex"].to_numpy()
    cells = [(part.y == c) & (sex == s) for c in (0, 1) for s in np.unique(sex)]
    accuracies = [right[cell].mean() for cell in cells]
    train_sex = parts["train"].groups["sex"].to_numpy()
    shares = [
        np.mean((parts["train"].y == c) & (train_sex == s)) for c in (0, 1) for s in np.unique(sex)
    ]
    rates = [[predicted[cell].mean() for cell in cells[c : c + 2]] for c in (0, 2)]
    expected = {
        "worst_group_accuracy": min(accuracies),
        "robust_gap": max(accuracies) - min(accuracies),
        "average_accuracy": right.mean(),
        "mean_group_accuracy": np.mean(accuracies),
        "adjusted_average_accuracy": np.dot(shares, accuracies),
        "balanced_accuracy": np.mean([right[part.y == c].mean() for c in (0, 1)]),
        "demographic_parity_difference": np.ptp(
            [predicted[sex == s].mean() for s in np.unique(sex)]
        ),
        "equalized_odds_difference": max(np.ptp(pair) for pair in rates),
    }
    assert scores == pytest.approx(expected, abs=6e-5)


def test_thinned_parts_keep_each_cells_share(divisions):
    train = divisions[0]["train"]
    assert thinned(train, 1.0, 0) is train
    part = thinned(train, 0.5, 0)
    counts = [make_cells(p.y, p.groups).counts for p in (train, part)]
    np.testing.assert_allclose(counts[1], counts[0] / 2, atol=1)


def test_a_variation_is_judged_on_validation_data_only(divisions):
    parts = divisions[0]
    blind = [{**parts, "test": Part(None, None, None)}]
    variation = Variation("LogisticRegression, cell-weighted", "", {"C": 1.0}, 0.5)
    (record,) = tabular.vary(variation, blind)
    model = CONTESTANTS[variation.method].fit(thinned(parts["train"], 0.5, 0), {"C": 1.0}, 0)
    right = model(parts["valid"].X, parts["valid"].groups) == parts["valid"].y
    assert record["average_accuracy"] == pytest.approx(right.mean(), abs=6e-5)


def test_variations_are_of_methods_that_compete_and_start_with_their_base():
    methods = dict.fromkeys(v.method for v in VARIATIONS)
    assert set(methods) <= set(CONTESTANTS)
    for method in methods:
        of_method = [v for v in VARIATIONS if v.method == method]
        assert [v.what for v in of_method].index("") == 0
        assert len({v.what for v in of_method}) == len(of_method)


def test_causes_go_on_where_they_were_stopped(adult, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tabular, "load", lambda dataset, root: adult)
    out = tmp_path / "results.json"
    command = ["tabular", "--data-root", str(tmp_path), "--out", str(out), "--seeds", "1"]
    command += ["--datasets", "Adult", "--attributes", "sex", "--causes"]
    command += ["--methods", "LogisticRegression, cell-weighted"]
    assert benchmarks(command) == 0
    results = json.loads(out.read_text())
    assert [c["what"] for c in results["causes"]] == ["", "64% of the training part"]
    assert not results["records"]
    capsys.readouterr()
    assert benchmarks(command) == 0
    assert "Adult" not in capsys.readouterr().err
    assert json.loads(out.read_text()) == results


def test_duels_are_paired_by_division():
    scores = {"average_accuracy": 0.5, "equalized_odds_difference": 0.1}
    records = [
        {"dataset": "COMPAS", "attributes": attributes, "method": method, "seed": seed}
        | {"worst_group_accuracy": worst + seed / 10, **scores}
        for method, worst in (("ERM", 0.2), ("GBMix", 0.3))
        for attributes in ("sex", "race")
        for seed in (0, 1)
    ]
    differences = duels(ordered(records), "GBMix")
    assert list(differences.index) == [("ERM", "COMPAS", 0), ("ERM", "COMPAS", 1)]
    np.testing.assert_allclose(differences["worst_group_accuracy"], 0.1)
    np.testing.assert_allclose(differences["average_accuracy"], 0)


def test_records_are_shown_in_one_order_however_they_were_run():
    names = ["GBMix", "ERM", "LogisticRegression"]
    records = [{"dataset": d, "attributes": "sex", "method": m} for d in DATASETS for m in names]
    shown = ordered(records[::-1])
    assert list(shown["dataset"]) == ["Adult"] * 3 + ["COMPAS"] * 3
    assert list(shown["method"]) == ["LogisticRegression", "ERM", "GBMix"] * 2


def test_every_method_for_tables_competes_with_equally_many_settings():
    own = {name for name, cls in METHODS.items() if not cls._images_only}
    assert own <= set(CONTESTANTS)
    for contestant in CONTESTANTS.values():
        assert len({describe(setting) for setting in contestant.settings}) == 6, contestant.name


def test_the_command_goes_on_where_it_was_stopped(adult, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tabular, "load", lambda dataset, root: adult)
    out = tmp_path / "results.json"
    command = ["tabular", "--data-root", str(tmp_path), "--out", str(out), "--seeds", "1"]
    command += ["--datasets", "Adult", "--attributes", "sex", "--methods", "LogisticRegression"]
    assert benchmarks(command) == 0
    first = json.loads(out.read_text())
    command.append("LogisticRegression, cell-weighted")
    assert benchmarks(command) == 0
    then = json.loads(out.read_text())
    assert [r["method"] for r in then["records"]] == command[-2:]
    assert then["records"][:1] == first["records"]
    assert len(then["data"]) == 1
    capsys.readouterr()
    assert benchmarks(command) == 0
    assert "Adult" not in capsys.readouterr().err
    assert json.loads(out.read_text()) == then
    with pytest.raises(SystemExit, match="seeds 1, not 2"):
        benchmarks([*command, "--seeds", "2"])
    monkeypatch.setattr(tabular, "PROTOCOL", tabular.PROTOCOL + 1)
    with pytest.raises(SystemExit, match="protocol"):
        benchmarks(command)


def test_absent_data_are_named_and_wrong_methods_listed(tmp_path, capsys):
    root = ["tabular", "--data-root", str(tmp_path), "--out", str(tmp_path / "results.json")]
    assert benchmarks([*root, "--datasets", "COMPAS"]) == 0
    assert "absent: COMPAS" in capsys.readouterr().err
    with pytest.raises(AbsentError, match="compas-scores-two-years"):
        load("COMPAS", tmp_path)
    with pytest.raises(SystemExit):
        benchmarks([*root, "--methods", "GBMixx"])
    assert "GBMixx; there are" in capsys.readouterr().err


def test_compas_comes_out_of_the_archive(development_data):
    table = load("COMPAS", development_data)
    assert table.X.shape == (6172, 6)
    assert table.y.sum() == 2809


# ---------------------------------------------------------------------- the committed results


@pytest.fixture(scope="module")
def results():
    return json.loads(RESULTS.read_text())


def test_results_are_whole_and_small(results):
    studies = list(product(DATASETS, ATTRIBUTES, CONTESTANTS))
    records = [(r["dataset"], r["attributes"], r["method"], r["seed"]) for r in results["records"]]
    expected = [(*study, seed) for study in studies for seed in range(results["seeds"])]
    assert sorted(records) == sorted(expected)
    sweeps = [(s["dataset"], s["attributes"], s["method"]) for s in results["sweeps"]]
    assert sorted(sweeps) == sorted(studies)
    assert results["seeds"] >= 5
    assert "fairlearn" in results["machine"]["versions"]
    assert RESULTS.stat().st_size < 1_000_000
    causes = [(c["dataset"], c["attributes"], c["method"], c["what"]) for c in results["causes"]]
    wanted = [
        (*study, v.method, v.what) for study in product(DATASETS, ATTRIBUTES) for v in VARIATIONS
    ]
    assert sorted(causes) == sorted(wanted * results["seeds"])


def test_results_are_possible(results):
    for record in results["records"]:
        worst = record["worst_group_accuracy"]
        # scores are rounded: where all cells are alike they may be a hair apart
        assert all(0 <= worst <= record[column] + 1e-4 <= 1.0001 for column in ACCURACIES)
        assert worst + record["robust_gap"] <= 1.0001
        # the groups' rates of one class differ by no more than the cells' accuracies
        assert record["equalized_odds_difference"] <= record["robust_gap"] + 2e-4
        assert record["fit_ratio"] > 0


def test_what_was_tested_is_what_validation_chose(results):
    sweeps = {(s["dataset"], s["attributes"], s["method"]): s for s in results["sweeps"]}
    for record in results["records"]:
        sweep = sweeps[record["dataset"], record["attributes"], record["method"]]["validation"]
        best = max(score for score in sweep.values() if score is not None)
        assert sweep[record["setting"]] == best


def test_no_cell_that_is_tested_is_rare(results):
    for data in results["data"]:
        assert data["smallest_cell_test_samples"] >= 20


def test_the_reading_has_no_numbers_of_its_own():
    """They are in the tables, which a program writes."""
    before = PAGE.read_text().split("<!-- begin: tabular -->")[0]
    reading = before[before.index("## How to read it") :]
    assert not re.findall(r"\d", reading)
