"""Committed results are complete, and the pages show them as they are."""

import json
from pathlib import Path

import pytest

from benchmarks.render import ROOT, TABLES, render, results_of

RESULTS = ROOT / "benchmarks" / "results"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_of_a_page_are_those_of_the_results(page):
    text = page.read_text()
    assert render(text) == text, "run: python -m benchmarks.render"


@pytest.mark.parametrize("name", TABLES)
def test_results_say_where_they_come_from(name):
    results = results_of(name)
    for part in [results] if "machine" in results else results.values():
        machine = part["machine"]
        assert {"date", "processor", "cores", "gpu", "python", "versions"} <= set(machine)
        assert {"torch", "scikit-learn", "numpy", "gbmix-sklearn"} <= set(machine["versions"])


def test_records_have_metrics_setting_and_seed():
    records = json.loads((RESULTS / "demo.json").read_text())["records"]
    needed = {"dataset", "method", "seed", "worst_group_accuracy", "robust_gap", "average_accuracy"}
    assert records
    for record in records:
        assert needed <= set(record)
        assert 0 <= record["worst_group_accuracy"] <= record["average_accuracy"] <= 1


def test_every_table_is_on_a_page():
    text = "".join(page.read_text() for page in PAGES)
    for name in TABLES:
        assert f"<!-- begin: {name} -->" in text


def test_no_page_names_a_result_that_does_not_exist():
    for page in PAGES:
        for line in page.read_text().splitlines():
            if line.startswith("<!-- begin: "):
                name = line.removeprefix("<!-- begin: ").removesuffix(" -->")
                assert name in {*TABLES, "registry"}, Path(page)
