"""The paper's tables and figures as commands, on small generated folders."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor

import pandas as pd
import pytest

from benchmarks.__main__ import main as benchmarks
from benchmarks.paper import cells, config, figures, report, results, runner
from benchmarks.paper.choice import SIGNS, choose, mean_ranks
from benchmarks.paper.data import AbsentError, find, part, prepare
from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.estimators._paper import paper_params

from ..datasets import layouts

#: rows of Tables 1 to 4 and 6, as the paper prints them
PRINTED = """
1|Waterbirds|ERM|86.1|63.6|30.8
1|Waterbirds|Mixup|80.4|57.6|41.3
1|CelebA|ERM|95.4|49.7|49.2
1|CelebA|Mixup|95.9|39.1|60.6
1|UTKFace|ERM|91.2|70.2|25.2
1|UTKFace|Mixup|92.2|67.9|29.0
2|CelebA 1:2|ERM|91.9|78.2|17.4
2|CelebA 1:2|Mixup|91.8|84.7|5.9
2|CelebA 1:4|ERM|92.2|70.5|26.0
2|CelebA 1:4|Mixup|92.3|68.9|28.2
2|CelebA 1:8|ERM|91.9|63.9|33.7
2|CelebA 1:8|Mixup|91.6|59.4|38.9
3|Waterbirds, CelebA|ERM|77.9±0.8|21.8±0.8|91.1±0.3|48.8±3.4|50.3±3.6|95.7±0.3
3|Waterbirds, CelebA|SUBG|89.1±1.1|-|-|85.6±2.3|-|-
3|Waterbirds, CelebA|Mixup|76.8±1.0|20.2±0.6|91.3±0.3|46.5±1.6|52.8±1.6|95.8±0.04
3|Waterbirds, CelebA|FairMix|86.6±0.2|10.7±0.8|91.9±0.4|84.7±1.4|9.5±1.0|92.5±0.2
3|Waterbirds, CelebA|OBMix|87.4±0.3|8.3±0.9|91.6±0.5|85.7±0.9|8.4±1.0|92.5±0.6
3|Waterbirds, CelebA|UniMix|78.3±0.2|21.2±0.6|90.2±0.5|43.7±2.3|55.7±2.4|95.8±0.1
3|Waterbirds, CelebA|GDRO|91.4|-|93.5|88.9|-|92.9
3|Waterbirds, CelebA|JTT|86.7|-|93.3|81.1|-|88
3|Waterbirds, CelebA|DFR|92.9±0.2|-|94.2±0.4|88.3±1.1|-|91.3±0.3
3|Waterbirds, CelebA|GBMix|94.5±0.3|4.0±0.7|95.8±0.2|90.6±0.2|5.0±0.6|91.9±0.2
4|UTKFace, FairFace|ERM|60.1±0.2|36.1±5.1|91.1±4.5|85.1±0.2|9.2±0.2|91.8±0.1
4|UTKFace, FairFace|SUBG|69.1±1.1|23.2±1.0|87.9±0.2|86.5±1.0|8.6±1.0|92.0±0.1
4|UTKFace, FairFace|Mixup|61.3±4.7|36.0±5.2|92.1±0.1|87.1±1.1|7.3±1.0|92.3±0.04
4|UTKFace, FairFace|FairMix|70.8±3.4|22.4±2.9|89.2±0.4|85.6±0.5|8.7±0.7|91.6±0.2
4|UTKFace, FairFace|OBMix|75.6±3.4|17.4±3.8|88.7±0.2|87.2±0.5|7.0±0.6|92.3±0.1
4|UTKFace, FairFace|UniMix|65.0±4.6|32.5±4.8|92.3±0.2|87.1±0.4|7.5±0.7|92.5±0.2
4|UTKFace, FairFace|GDRO|75.7±5.3|17.5±5.5|87.1±1.3|86.3±1.5|8.0±1.6|91.9±0.1
4|UTKFace, FairFace|JTT|55.5±3.1|40.4±2.9|88.9±0.6|84.8±0.9|8.5±0.9|90.8±0.4
4|UTKFace, FairFace|DFR|68.6±2.4|27.0±3.5|84.5±1.7|86.6±0.6|8.0±0.6|92.1±0.2
4|UTKFace, FairFace|GBMix|80.9±0.3|13.5±0.5|88.8±1.0|87.3±0.1|6.8±0.7|91.9±0.2
6|binary, non-binary|ERM|6.3|8.0
6|binary, non-binary|RWG|4.5|6.2
6|binary, non-binary|Mixup|6.0|4.0
6|binary, non-binary|FairMix|5.0|6.3
6|binary, non-binary|OBMix|4.0|3.3
6|binary, non-binary|UniMix|6.7|4.0
6|binary, non-binary|GDRO|3.0|5.7
6|binary, non-binary|JTT|6.5|8.7
6|binary, non-binary|DFR|3.8|6.0
6|binary, non-binary|GBMix|2.0|2.8
"""
TWO_RATES = """
about = "two settings"
backbone = "test_efficientnet"
[data]
max_per_cell = 4
[parameters]
pretrained = false
image_size = 32
batch_size = 16
[sweep]
lr = [1e-2, 1e-3]
[epochs]
UTKFace = 1
FairFace = 1
"""
PILOT = "pilot_seeds = 1\n" + TWO_RATES
FROZEN = """
about = "a frozen backbone"
backbone = "test_efficientnet"
[embedding]
pretrained = false
image_size = 32
[parameters]
hidden_units = [4]
[sweep]
lr = [1e-2, 1e-3]
[epochs]
UTKFace = 2
FairFace = 2
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """UTKFace and Waterbirds as folders; CelebA and FairFace are absent."""
    folder = tmp_path_factory.mktemp("data")
    layouts.utkface(folder / "UTKFace", n=120)
    layouts.waterbirds(folder / "waterbirds_v1.0", n=48)
    return folder


@pytest.fixture
def paper(root, tmp_path):
    """Run the command into a folder of the test's own."""

    def run(*arguments, data=root, preset="smoke", seeds=1):
        if not preset.isalpha():
            file = tmp_path / "own.toml"
            file.write_text(preset)
            preset = str(file)
        common = ["--data-root", str(data), "--out", str(tmp_path / "out"), "--preset", preset]
        return benchmarks(["paper", *arguments, *common, "--seeds", str(seeds)])

    run.out = tmp_path / "out"
    run.results = lambda: json.loads((run.out / "paper.json").read_text())
    return run


def spy(monkeypatch, module, name):
    """Note every call of a function."""
    calls, original = [], getattr(module, name)

    def noting(*arguments):
        calls.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(module, name, noting)
    return calls


# ---------------------------------------------------------------- the command


def test_a_table_from_data_to_results(paper, capsys):
    assert paper("--table", "4", "--figure", "3") == 0
    found = paper.results()
    records = {record["method"]: record for record in found["records"]}
    ablations = config.table("figure3")["methods"]
    assert set(records) == {*config.table("table4")["methods"], *ablations}
    needed = {"dataset", "method", "preset", "seed", "setting", "validation", "best_epoch"}
    needed |= {"epochs", "seconds", "machine", *results.COLUMNS.values()}
    for record in found["records"]:
        assert needed <= set(record)
        assert record["dataset"] in ("UTKFace", "Waterbirds")
        assert 0 <= record["worst_group_accuracy"] <= record["average_accuracy"] <= 1
        machine = found["machines"][record["machine"]]
        assert {"date", "processor", "cores", "gpu", "versions"} <= set(machine)
    assert {"date", "processor", "cores", "gpu", "python", "versions"} <= set(found["machine"])
    captured = capsys.readouterr()
    assert re.search(r"absent: FairFace: .*https://github.com/joojs/fairface", captured.err)
    assert "17/17 cells, " in captured.err
    assert "| GBMix |" in captured.out
    for stem in ("table4-smoke", "figure3-smoke"):
        for suffix in (".md", ".tex", ".png"):
            assert (paper.out / f"{stem}{suffix}").stat().st_size > 100
    assert not list((paper.out / "models").iterdir())


def test_nothing_is_run_twice(paper, monkeypatch):
    arguments = ("--table", "4", "--methods", "ERM", "GBMix")
    assert paper(*arguments) == 0
    before = paper.results()
    fits, parts = spy(monkeypatch, cells, "_fit"), spy(monkeypatch, cells, "part")
    assert paper(*arguments) == 0
    assert not fits
    assert not parts
    assert paper.results()["records"] == before["records"]


def test_tables_share_cells(paper, monkeypatch):
    assert paper("--table", "1", "--datasets", "UTKFace") == 0
    fits = spy(monkeypatch, cells, "_fit")
    assert paper("--table", "4", "--methods", "ERM", "Mixup", "SUBG") == 0
    assert [cell.method for cell, *_ in fits] == ["SUBG"]


def test_more_seeds_run_only_the_new_ones(paper, monkeypatch):
    arguments = ("--table", "4", "--methods", "ERM")
    assert paper(*arguments) == 0
    fits = spy(monkeypatch, cells, "_fit")
    assert paper(*arguments, seeds=2) == 0
    assert [cell.seed for cell, *_ in fits] == [1]
    assert {record["seed"] for record in paper.results()["records"]} == {0, 1}


def test_fewer_seeds_take_no_results_away(paper):
    arguments = ("--table", "4", "--methods", "ERM")
    assert paper(*arguments, seeds=2) == 0
    assert paper(*arguments, seeds=1) == 0
    assert {record["seed"] for record in paper.results()["records"]} == {0, 1}


def test_processes_give_what_one_gives(paper, tmp_path):
    arguments = ("--table", "4", "--methods", "ERM", "GBMix")
    assert paper(*arguments) == 0
    one = paper.results()["records"]
    shutil.rmtree(paper.out)
    assert paper(*arguments, "--jobs", "2") == 0
    scores = [[record[name] for name in results.COLUMNS.values()] for record in one]
    two = paper.results()["records"]
    assert [[record[name] for name in results.COLUMNS.values()] for record in two] == scores


def test_ctrl_c_loses_the_running_cell_only(paper, monkeypatch, capsys):
    original, calls = cells._fit, []

    def stopped(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    arguments = ("--table", "4", "--methods", "ERM", "Mixup", "SUBG")
    monkeypatch.setattr(cells, "_fit", stopped)
    assert paper(*arguments) == 130
    assert "stopped: 2 of 3 cells are kept" in capsys.readouterr().err
    monkeypatch.setattr(cells, "_fit", original)
    fits = spy(monkeypatch, cells, "_fit")
    assert paper(*arguments) == 0
    assert len(fits) == 1


def is_there(process_group):
    try:
        os.killpg(process_group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX's")
def test_a_job_that_is_ended_leaves_no_process_behind(root, tmp_path):
    command = ["paper", "--table", "4", "--preset", "smoke", "--jobs", "2"]
    folders = ["--data-root", str(root), "--out", str(tmp_path)]
    job = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", *command, *folders],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in job.stderr:
        if "time unknown" in line:  # the first cells are running
            break
    job.terminate()
    _, rest = job.communicate(timeout=120)
    assert job.returncode == 130
    assert "the same command goes on" in rest
    deadline = time.monotonic() + 60
    while is_there(job.pid):
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.1)


def test_a_process_that_dies_is_explained(paper, monkeypatch, capsys):
    def died(*arguments):
        raise BrokenExecutor("killed")

    monkeypatch.setattr(cells, "_fit", died)
    monkeypatch.setattr(runner, "_caught", lambda function, *arguments: function(*arguments))
    assert paper("--table", "4", "--methods", "ERM") == 1
    error = capsys.readouterr().err
    assert "0 of 1 cells are kept" in error
    assert "fewer --jobs" in error


def test_a_broken_cell_is_reported_and_stops_no_other(paper, monkeypatch, capsys):
    def broken(self, *arguments, **others):
        raise RuntimeError("out of luck")

    arguments = ("--table", "4", "--methods", "ERM", "Mixup")
    with monkeypatch.context() as patched:
        patched.setattr(METHODS["ERM"], "fit", broken)
        patched.setattr(METHODS["Mixup"], "fit", METHODS["Mixup"].fit)
        patched.setattr(cells, "METHODS", METHODS)
        assert paper(*arguments) == 1
    error = capsys.readouterr().err
    assert "broken: UTKFace, ERM, lr=0.01, seed 0" in error
    assert "out of luck" in error
    assert [record["method"] for record in paper.results()["records"]] == ["Mixup"]
    assert paper(*arguments) == 0  # tried again
    assert [record["method"] for record in paper.results()["records"]] == ["ERM", "Mixup"]


def test_a_plan_runs_nothing(paper, monkeypatch, capsys):
    fits = spy(monkeypatch, cells, "_fit")
    assert paper("--table", "4", "--plan", seeds=3) == 0
    assert not fits
    assert "10 pairs of method and data set, 30 cells" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--table", "5"],
        ["--table", "4", "--methods", "Nonsense"],
        ["--table", "4", "--datasets", "CelebA"],
        ["--table", "4", "--jobs", "0"],
    ],
)
def test_nonsense_is_refused(paper, arguments):
    with pytest.raises(SystemExit) as exit_:
        paper(*arguments)
    assert exit_.value.code == 2


def test_an_unknown_preset_names_those_that_there_are(paper):
    with pytest.raises(SystemExit, match=r"cpu, frozen, gpu, paper, smoke"):
        paper("--table", "4", preset="huge")


def test_a_preset_without_a_data_set_says_what_is_missing(paper):
    with pytest.raises(SystemExit, match="preset own says no epochs for Waterbirds"):
        paper("--table", "3", preset=FROZEN)


def test_unknown_commands_are_refused(capsys):
    assert benchmarks(["nonsense"]) == 2
    assert "paper" in capsys.readouterr().err


# ---------------------------------------------------------------- no look at test data


def test_test_data_are_read_for_the_chosen_setting_alone_and_last(paper, monkeypatch):
    read = spy(monkeypatch, cells, "part")
    assert paper("--table", "4", "--methods", "ERM", preset=TWO_RATES, seeds=2) == 0
    names = [name for _, name, *_ in read]
    assert names == ["train", "valid"] * 4 + ["test"] * 2  # two settings, two seeds; one chosen


def test_after_a_pilot_the_other_seeds_run_the_chosen_setting_only(paper, monkeypatch, capsys):
    fits, tests = spy(monkeypatch, cells, "_fit"), spy(monkeypatch, runner, "score")
    arguments = ("--table", "4", "--methods", "ERM")
    assert paper(*arguments, preset=PILOT, seeds=3) == 0
    (sweep,) = paper.results()["sweeps"]
    ran = [(cell.setting["lr"], cell.seed) for cell, *_ in fits]
    chosen = sweep["chosen"]["lr"]
    assert ran == [(1e-2, 0), (1e-3, 0), (chosen, 1), (chosen, 2)]
    assert sorted((cell.setting["lr"], cell.seed) for cell, *_ in tests) == [
        (chosen, seed) for seed in range(3)
    ]
    assert {record["seed"] for record in paper.results()["records"]} == {0, 1, 2}
    of_settings = [entry["validation_worst_group_accuracy"] for entry in sweep["settings"]]
    assert sorted(map(len, of_settings)) == [1, 3]
    assert "4/4 cells" in capsys.readouterr().err
    assert paper(*arguments, preset=PILOT, seeds=3) == 0  # all of it is there
    assert len(fits) == 4


def test_a_pilot_alone_chooses(contest, tmp_path, monkeypatch):
    """The setting that wins with the first seed is kept, however it does with others."""
    found, source, made_up = contest
    later = [dataclasses.replace(cell, seed=1) for cell in found.cells]
    found = dataclasses.replace(found, after_pilot=tuple(later))
    assert len(found) == 3
    worst = {(1e-2, 0): 0.6, (1e-3, 0): 0.5, (1e-2, 1): 0.0, (1e-3, 1): 1.0}

    def made(cell, *_):
        return made_up(cell, worst[cell.setting["lr"], cell.seed], 0.5)

    monkeypatch.setattr(runner, "fit", made)
    monkeypatch.setattr(runner, "score", lambda cell, *_: made(cell))
    (outcome,) = runner.run([found], {"UTKFace": source}, cells.Store(tmp_path))
    assert outcome.chosen == {"lr": 1e-2}
    assert len(outcome.records) == 3


def test_a_choice_that_diverges_after_the_pilot_is_not_tested(
    contest, tmp_path, monkeypatch, capsys
):
    found, source, made_up = contest
    later = [dataclasses.replace(cell, seed=1) for cell in found.cells]
    found = dataclasses.replace(found, after_pilot=tuple(later))

    def fit(cell, *_):
        record = made_up(cell, 0.5, 0.5)
        del record["test"]
        return record if cell.seed == 0 else record | {"diverged": "nan"}

    monkeypatch.setattr(runner, "fit", fit)
    monkeypatch.setattr(runner, "score", lambda *_: pytest.fail("nothing to test"))
    (outcome,) = runner.run([found], {"UTKFace": source}, cells.Store(tmp_path))
    assert "diverged with a seed after the pilot" in capsys.readouterr().err
    assert results.merge(results.empty(), [outcome])["records"] == []


def test_a_sweep_needs_no_test_image(root, paper, tmp_path, monkeypatch):
    copy = tmp_path / "data"
    shutil.copytree(root, copy)
    source = prepare("UTKFace", copy, tmp_path / "cache")
    for path in part(source, "test", "", None)[0]:
        (copy / path).write_bytes(b"torn")
    monkeypatch.setattr(runner, "score", lambda *_: pytest.fail("nothing to score with"))
    store = cells.Store(tmp_path / "out")
    contest = next(config.contests([config.table("table4")], config.preset("smoke"), 1))
    for cell in contest.cells:
        assert "test" not in cells.fit(cell, source, store, 1)


@pytest.fixture
def contest(root, tmp_path):
    """Two settings, one seed: the contest, its data, and a function that makes up a record."""
    file = tmp_path / "own.toml"
    file.write_text(TWO_RATES)
    found = next(config.contests([config.table("table4")], config.preset(str(file)), 1))
    source = prepare("UTKFace", root, tmp_path / "cache")

    def made_up(cell, valid, test):
        return {
            "key": cell.key(source.identity),
            "setting": cell.setting,
            "validation": scores(valid),
            "test": scores(test),
        }

    return found, source, made_up


def test_test_scores_have_no_say(contest, tmp_path):
    found, source, made_up = contest
    store = cells.Store(tmp_path)
    for cell, valid, test in zip(found.cells, (0.9, 0.5), (0.1, 1.0), strict=True):
        record = made_up(cell, valid, test)
        store.write(record["key"], record)
    (outcome,) = runner.run([found], {"UTKFace": source}, store)
    assert outcome.chosen == {"lr": 1e-2}


def test_the_order_of_finishing_decides_no_tie(contest, tmp_path, monkeypatch):
    found, source, made_up = contest
    store = cells.Store(tmp_path)
    last = made_up(found.cells[1], 0.5, 0.5)
    store.write(last["key"], last)  # there before the first one
    monkeypatch.setattr(runner, "fit", lambda cell, *_: made_up(cell, 0.5, 0.5))
    monkeypatch.setattr(runner, "score", lambda cell, *_: made_up(cell, 0.5, 0.5))
    (outcome,) = runner.run([found], {"UTKFace": source}, store)
    assert outcome.chosen == {"lr": 1e-2}


def scores(worst, mean=0.5):
    return {"worst_group_accuracy": worst, "mean_group_accuracy": mean}


def test_the_mean_over_seeds_chooses():
    outcomes = [
        *[({"lr": 1}, scores(worst)) for worst in (0.9, 0.1, 0.2)],
        *[({"lr": 2}, scores(worst)) for worst in (0.5, 0.4, 0.5)],
    ]
    assert choose(outcomes) == {"lr": 2}


def test_ties_go_to_the_mean_of_the_groups_and_then_to_the_first():
    tie = [({"lr": 1}, scores(0.5, 0.6)), ({"lr": 2}, scores(0.5, 0.7))]
    assert choose(tie) == {"lr": 2}
    tie = [({"lr": 2}, scores(0.1 + 0.2)), ({"lr": 1}, scores(0.3))]
    assert choose(tie) == {"lr": 2}


def test_a_setting_that_diverged_with_a_seed_is_out():
    outcomes = [({"lr": 1}, scores(0.9)), ({"lr": 1}, None), ({"lr": 2}, scores(0.1))]
    assert choose(outcomes) == {"lr": 2}
    assert choose(outcomes[:2]) is None


def test_a_diverged_fit_is_an_outcome(paper, monkeypatch, capsys):
    preset = TWO_RATES.replace("1e-3", "1e30")
    assert paper("--table", "4", "--methods", "ERM", preset=preset) == 0
    (sweep,) = paper.results()["sweeps"]
    assert sweep["chosen"] == {"lr": 1e-2}
    assert sweep["settings"][1]["validation_worst_group_accuracy"] == [None]


# ---------------------------------------------------------------- frozen


def test_frozen_images_are_embedded_once_and_standardised(root, paper, capsys, tmp_path):
    assert paper("--table", "4", "--methods", "ERM", "CutMix", preset=FROZEN) == 0
    captured = capsys.readouterr()
    assert "left out: CutMix needs images" in captured.err
    (record,) = paper.results()["records"]
    assert record["method"] == "ERM"
    source = prepare("UTKFace", root, paper.out / "cache")
    X, y, groups = part(
        source, "train", "test_efficientnet", {"pretrained": False, "image_size": 32}
    )
    assert len(X) == len(y) == len(groups)
    assert abs(X.mean(axis=0)).max() < 1e-3
    assert X.std(axis=0) == pytest.approx(1, abs=1e-2)


def test_a_model_that_was_cleared_away_is_fitted_again(paper):
    arguments = ("--table", "4", "--methods", "ERM")
    assert paper(*arguments, preset=FROZEN) == 0
    before = paper.results()["records"]
    (file,) = [f for f in (paper.out / "cells").iterdir() if "test" in json.loads(f.read_text())]
    record = json.loads(file.read_text())
    del record["test"]
    file.write_text(json.dumps(record))
    assert paper(*arguments, preset=FROZEN) == 0
    assert paper.results()["records"] == before


# ---------------------------------------------------------------- data


def test_archives_are_found_and_are_the_same_data(root, tmp_path):
    layouts.pack(root, tmp_path / "utkface.tar")
    (tmp_path / "utkface.tar").unlink()
    (tmp_path / "whole").mkdir()
    shutil.copytree(root / "UTKFace", tmp_path / "whole" / "UTKFace")
    layouts.pack(tmp_path / "whole", tmp_path / "utkface.tar")
    shutil.rmtree(tmp_path / "whole")
    assert [place.name for place in find("UTKFace", tmp_path)] == ["utkface.tar"]
    of_archive = prepare("UTKFace", tmp_path, tmp_path / "cache")
    assert of_archive.identity == prepare("UTKFace", root, tmp_path / "cache").identity


def test_other_labels_are_other_data(root, tmp_path):
    before = prepare("Waterbirds", root, tmp_path / "cache").identity
    shutil.copytree(root / "waterbirds_v1.0", tmp_path / "waterbirds_v1.0")
    file = tmp_path / "waterbirds_v1.0" / "metadata.csv"
    line = file.read_text().splitlines()[1]
    fields = line.split(",")
    fields[2] = str(1 - int(fields[2]))
    layouts.replace_line(file, 2, ",".join(fields))
    assert prepare("Waterbirds", tmp_path, tmp_path / "cache").identity != before


def test_thinning_keeps_every_cell_of_every_part(root, tmp_path):
    source = prepare("Waterbirds", root, tmp_path / "cache", max_per_cell=2)
    for name in ("train", "valid", "test"):
        _, y, groups = part(source, name, "", None)
        assert pd.Series(list(zip(y, groups, strict=True))).value_counts().tolist() == [2] * 4


def test_labels_without_images_are_absent(root, tmp_path):
    layouts.fairface(tmp_path / "fairface")
    shutil.rmtree(tmp_path / "fairface" / "train")
    with pytest.raises(AbsentError, match="fairface"):
        prepare("FairFace", tmp_path, tmp_path / "cache")


def test_undersampled_variants_are_data_sets_of_their_own(tmp_path):
    layouts.celeba(tmp_path / "celeba")
    assert prepare("CelebA 1:1", tmp_path, tmp_path / "cache").name == "CelebA 1:1"
    with pytest.raises(AbsentError, match="too small a part"):
        prepare("CelebA 1:8", tmp_path, tmp_path / "cache")


# ---------------------------------------------------------------- configurations


def printed_rows():
    for line in PRINTED.strip().splitlines():
        number, places, method, *numbers = line.split("|")
        places = places.split(", ")
        each = len(numbers) // len(places)
        for i, place in enumerate(places):
            yield f"table{number}", place, method, numbers[each * i : each * (i + 1)]


@pytest.mark.parametrize(("name", "place", "method", "numbers"), list(printed_rows()))
def test_published_numbers_are_those_of_the_paper(name, place, method, numbers):
    row = config.table(name)["published"][place][method]
    metrics = ["rank"] if name == "table6" else config.table(name)["metrics"]
    assert [row[metric] for metric in metrics] == numbers


def test_no_number_is_published_that_the_paper_does_not_print():
    rows = {(name, place, method) for name, place, method, _ in printed_rows()}
    for name in config.tables():
        for place, methods in config.table(name).get("published", {}).items():
            assert {(name, place, method) for method in methods} <= rows


@pytest.mark.parametrize("name", config.tables())
def test_every_table_has_all_rows_of_the_paper(name):
    found = config.table(name)
    assert set(found["methods"]) <= set(config.methods())
    as_printed = {found.get("printed_as", {}).get(m, m) for m in found["methods"]}
    for methods in found.get("published", {}).values():
        assert set(methods) == as_printed
    for dataset in found["datasets"]:
        for size in ("paper", "gpu", "cpu", "frozen", "smoke"):
            assert config.base(dataset) in config.preset(size)["epochs"]


def test_there_is_a_file_for_each_table_and_figure():
    tables = [f"table{n}" for n in (1, 2, 3, 4, 6)]
    assert config.tables() == [*(f"figure{n}" for n in (3, 4, 5)), *tables]


def test_the_preset_of_the_paper_is_that_of_the_package():
    contests = list(config.contests([config.table("table3"), config.table("table4")],
                                    config.preset("paper"), 1))  # fmt: skip
    for contest in (contest for contest in contests if contest.method == "GBMix"):
        settings = paper_params(contest.dataset, "GBMix")
        assert contest.cells[0].parameters | contest.cells[0].setting == settings
        assert [cell.setting["lr"] for cell in contest.cells] == [1e-3, 1e-4, 1e-5]


@pytest.mark.parametrize(
    ("dataset", "method", "swept"),
    [
        ("UTKFace", "GDRO", {"lr": 3, "adjustment": 3, "weight_decay": 2}),
        ("CelebA", "GDRO", {"lr": 3, "adjustment": 3}),
        ("CelebA", "FairMix", {"lr": 3, "weight": 3}),
        ("CelebA", "GBMix", {"lr": 3}),
    ],
)
def test_sweeps_are_those_of_the_paper(dataset, method, swept):
    tables = [config.table("table3"), config.table("table4")]
    contests = config.contests(tables, config.preset("paper"), 1)
    contest = next(c for c in contests if (c.dataset, c.method) == (dataset, method))
    settings = [cell.setting for cell in contest.cells]
    assert {name: len({s[name] for s in settings}) for name in settings[0]} == swept
    if (dataset, method) == ("CelebA", "GDRO"):
        assert contest.cells[0].parameters["weight_decay"] == 0.1


@pytest.mark.parametrize("size", ["paper", "gpu", "cpu", "frozen", "smoke"])
def test_every_setting_of_every_preset_is_valid(size):
    tables = [config.table(name) for name in config.tables()]
    contests = list(config.contests(tables, config.preset(size), 1))
    names = [contest.name for contest in contests]
    assert len(set(names)) == len(names)
    for contest in contests:
        for cell in contest.cells:
            model = METHODS[cell.classifier](**cell.parameters, **cell.setting)
            model._validate_params()
            model._check_parameters()


def test_a_preset_may_say_more_for_one_data_set():
    tables = [config.table("table3"), config.table("table4")]
    found = {
        contest.dataset: {cell.setting["adjustment"] for cell in contest.cells}
        for contest in config.contests(tables, config.preset("cpu"), 1)
        if contest.method == "GDRO"
    }
    assert found == {"Waterbirds": {3.0}, "CelebA": {3.0}, "UTKFace": {5.0}, "FairFace": {3.0}}


def test_keys_tell_cells_apart():
    tables = [config.table(name) for name in config.tables()]
    for size in ("paper", "frozen"):
        cells_ = [c for x in config.contests(tables, config.preset(size), 2) for c in x.cells]
        assert len({cell.key("data") for cell in cells_}) == len(cells_)
    assert cells_[0].key("data") != cells_[0].key("other data")


# ---------------------------------------------------------------- ranking and rendering


def test_ranks_by_hand():
    columns = [("A", "worst"), ("A", "gap"), ("A", "average")]
    frame = pd.DataFrame(
        {"x": [90, 5, 95], "y": [80, 5, 95], "z": [70, float("nan"), 96]}, index=columns
    ).T
    frame.columns = columns
    ranks = mean_ranks(frame)
    assert ranks["x"] == pytest.approx((1 + 1.5 + 2.5) / 3)  # gaps and averages are tied
    assert ranks["y"] == pytest.approx((2 + 1.5 + 2.5) / 3)
    assert ranks["z"] == pytest.approx((3 + 1) / 2)  # no gap: left out


def test_the_papers_numbers_have_the_papers_ranks():
    # it breaks ties by digits that it does not print: half a rank is the most that they move
    for name, place in (("table3", "binary"), ("table4", "non-binary")):
        ranks = mean_ranks(report.published_scores(config.table(name)))
        published = config.table("table6")["published"][place]
        for method, rank in ranks.items():
            row = published["RWG" if method == "SUBG" else method]
            assert rank == pytest.approx(config.value(row["rank"])[0], abs=0.51)
    assert round(ranks["SUBG"], 1) == 6.2  # the row that is printed as RWG


def record(method, seed, worst, dataset="UTKFace", gap=0.2, average=0.9):
    return {
        "preset": "frozen",
        "backbone": "tf_efficientnet_lite0",
        "dataset": dataset,
        "method": method,
        "seed": seed,
        "setting": {"lr": 0.01},
        "worst_group_accuracy": worst,
        "robust_gap": gap,
        "average_accuracy": average,
        "adjusted_average_accuracy": average,
    }


def small_table(**others):
    return config.table("table4") | {"methods": ["ERM", "GBMix"]} | others


def test_a_table_by_hand():
    found = {"records": [record("ERM", 0, 0.5), record("ERM", 1, 0.6)]}
    text = report.markdown(found, small_table(), config.preset("frozen"))
    assert text == (
        "**Table 4: more than two classes and groups** (preset `frozen`)\n\nUTKFace\n\n"
        "| method | worst group ↑ | paper | gap ↓ | paper | average ↑ | paper | "
        "adjusted average ↑ | chosen |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| ERM | 55.0 ± 5.0 | 60.1 ± 0.2 | 20.0 ± 0.0 | 36.1 ± 5.1 | 90.0 ± 0.0 | 91.1 ± 4.5 | "
        "90.0 ± 0.0 | lr=0.01 |\n"
        "| GBMix | – | 80.9 ± 0.3 | – | 13.5 ± 0.5 | – | 88.8 ± 1.0 | – |  |\n\n"
        "Test data, per cent, mean ± std of 2 seeds. Not run: FairFace."
    )


def test_what_the_paper_does_not_have_is_below_its_rows_where_it_was_run():
    table = small_table(also=["RWG", "GBMix, anchored refit", "ERM"])
    found = {"records": [record(m, 0, 0.5) for m in ("GBMix, anchored refit", "ERM", "LISA")]}
    text = report.markdown(found, table, config.preset("frozen"))
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]
    assert rows[2:] == ["| ERM", "| GBMix", "| GBMix, anchored refit"]
    assert "| GBMix, anchored refit | 50.0 |  | 20.0 |  | 90.0 |  | 90.0 | lr=0.01 |" in text


def test_one_seed_has_no_spread():
    found = {"records": [record("ERM", 0, 0.5), record("GBMix", 0, 0.6)]}
    text = report.markdown(found, small_table(), config.preset("frozen"))
    assert "| ERM | 50.0 | 60.1 ± 0.2 | 20.0 |" in text
    assert "Test data, per cent, one seed." in text


def test_an_ablation_needs_two_variants():
    figure = config.table("figure3")
    alone = {"records": [record("GBMix", 0, 0.5)]}
    assert report.markdown(alone, figure, config.preset("frozen")) == ""
    alone["records"].append(record("GBMix without refit", 0, 0.6))
    assert "| GBMix without refit | 90.0 | 60.0 |" in report.markdown(
        alone, figure, config.preset("frozen")
    )


def test_a_latex_table_by_hand():
    found = {"records": [record("ERM", 0, 0.5), record("ERM", 1, 0.6)]}
    text = report.latex(found, small_table(), config.preset("frozen"))
    lines = text.splitlines()
    assert lines[0] == r"\begin{table}"
    assert lines[2] == r"\begin{tabular}{lrrrrrrrr}"
    assert lines[6].startswith(r"ERM & 55.0 $\pm$ 5.0 & 60.1 $\pm$ 0.2 & 20.0 $\pm$ 0.0 & ")
    assert all(line.endswith(r"\\") for line in lines[6:8])
    assert lines[-1] == r"\end{table}"


def test_a_ranking_by_hand():
    records = [
        record(method, seed, worst, dataset=dataset)
        for method, worst in (("ERM", 0.5), ("GBMix", 0.6))
        for dataset in ("UTKFace", "FairFace")
        for seed in (0, 1)
    ]
    table = config.table("table6") | {"methods": ["ERM", "GBMix"]}
    text = report.markdown({"records": records}, table, config.preset("frozen"))
    # worst: 2 and 1; gap and average are tied
    assert "| ERM | – | 6.3 | 1.7 | 8.0 |" in text
    assert "| GBMix | – | 2.0 | 1.3 | 2.8 |" in text
    assert "Not run: Waterbirds, CelebA." in text
    missing = [r for r in records if (r["method"], r["dataset"]) != ("ERM", "FairFace")]
    assert report.markdown({"records": missing}, table, config.preset("frozen")) == ""


def test_other_presets_backbones_and_methods_stay_out():
    wrong = [
        record("ERM", 0, 0.5) | {"preset": "cpu"},
        record("ERM", 0, 0.5) | {"backbone": "resnet18"},
        record("LISA", 0, 0.5),
    ]
    assert report.markdown({"records": wrong}, small_table(), config.preset("frozen")) == ""


def test_changes_of_ablations_are_taken_seed_by_seed():
    found = {
        "records": [
            record("GBMix", 0, 0.5),
            record("GBMix", 1, 0.9),
            record("GBMix without refit", 0, 0.4),
            record("GBMix without refit", 1, 0.8),
        ]
    }
    table = config.table("figure3")
    frame = results.select(found, table, config.preset("frozen"))
    panel = figures._ablation(frame, table).axes[1]
    assert panel.get_title() == "worst group accuracy"
    assert [text.get_text() for text in panel.texts] == ["−10.0 ± 0.0"]
    alone = frame[frame["seed"] == frame["method"].map({"GBMix": 0, "GBMix without refit": 1})]
    assert figures._ablation(alone, table) is None  # no seed that both have


def test_a_page_without_results_says_so():
    assert report.block(results.empty()) == "Nothing was run yet."


def test_a_page_shows_presets_tables_and_machine():
    found = results.empty() | {"records": [record("ERM", 0, 0.5) | {"machine": "a"}]}
    found["machines"] = {"a": found["machine"]}
    page = report.block(found)
    assert page.startswith("Preset `frozen`: embeddings of EfficientNet-Lite0")
    assert "**Table 1: ERM and mixup** (preset `frozen`)" in page
    assert "**Table 4: more than two classes and groups** (preset `frozen`)" in page
    assert "Figure 4" not in page  # it would be Table 4 again
    assert page.splitlines()[-1].startswith(f"Run on {found['machine']['date']} on ")


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({}, ""),
        ({"lr": 1e-3, "lambda_up": 20}, "lr=0.001, lambda_up=20"),
        ({"k": "cells"}, "k=cells"),
    ],
)
def test_settings_are_shown_shortly(setting, text):
    assert config.describe(setting) == text


@pytest.mark.parametrize("name", ["table4", "figure3", "figure4"])
def test_pictures_need_no_complete_results(name, tmp_path):
    methods = config.table(name)["methods"]
    found = {"records": [record(method, 0, 0.5) for method in {*methods[:2], "GBMix"}]}
    size = config.preset("frozen")
    assert figures.draw(found, config.table(name), size, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000
    assert not figures.draw({"records": []}, config.table(name), size, tmp_path / "none.png")


def test_signs_are_those_of_the_metrics():
    assert SIGNS == {"worst": 1, "gap": -1, "average": 1}
