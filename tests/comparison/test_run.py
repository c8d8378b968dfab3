"""Fits are kept as they end, timed, and told of."""

import logging

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from gbmix_sklearn.comparison import _run
from gbmix_sklearn.comparison._progress import Progress

from .problems import Constant, Failing, places, quick

X, Y, PLACE = places()


class Logged(Constant):
    """Writes a line for each fit; is interrupted in the second one where a file says so."""

    def __init__(self, label="cat", path=None, other=0):
        super().__init__(label)
        self.path = path
        self.other = other

    def fit(self, X, y):
        with self.path.open("a") as file:
            file.write("fit\n")
        if fits(self.path) == 2 and self.path.with_suffix(".stop").exists():
            raise KeyboardInterrupt
        return super().fit(X, y)


def fits(path):
    return path.read_text().count("fit") if path.exists() else 0


def test_a_comparison_that_was_stopped_goes_on(tmp_path):
    log, stop = tmp_path / "log", tmp_path / "log.stop"
    options = {"methods": {"own": Logged(path=log)}, "folder": tmp_path / "kept"}
    stop.touch()
    with pytest.raises(KeyboardInterrupt):
        quick(X, Y, PLACE, **options)
    stop.unlink()
    found = quick(X, Y, PLACE, **options)
    assert fits(log) == 2 + 2  # the first fold was there
    assert len(found.predictions_) == 240


def test_what_is_there_is_not_fitted_again(tmp_path):
    log = tmp_path / "log"
    options = {"methods": {"own": Logged(path=log)}, "folder": tmp_path / "kept"}
    first = quick(X, Y, PLACE, **options)
    second = quick(X, Y, PLACE, **options)
    assert fits(log) == 3
    assert first.predictions_.equals(second.predictions_)
    options["methods"]["other"] = LogisticRegression()
    third = quick(X, Y, PLACE, **options)
    assert fits(log) == 3
    assert list(third.predictions_) == ["own", "other"]


@pytest.mark.parametrize("changed", ["data", "labels", "parameter", "seed", "groups"])
def test_what_was_found_for_others_is_not_taken(tmp_path, changed):
    log = tmp_path / "log"
    options = {"folder": tmp_path / "kept", "cv": 2}
    quick(X, Y, PLACE, methods={"own": Logged(path=log)}, **options)
    x, y, place, own = X, Y, PLACE, Logged(path=log)
    if changed == "data":
        x = X + 1
    elif changed == "labels":
        y = Y.copy()
        y[0] = "dog" if Y[0] == "cat" else "cat"
    elif changed == "parameter":
        own = Logged(path=log, other=1)
    elif changed == "seed":
        options["random_state"] = 1
    else:
        place = np.where(PLACE == "indoor", "outdoor", "indoor")
    quick(x, y, place, methods={"own": own}, **options)
    assert fits(log) == 4


def test_parameters_that_do_not_change_the_result_are_no_others(tmp_path):
    options = {"folder": tmp_path, "cv": 2}
    for verbose in (0, 1):
        quick(X, Y, PLACE, methods={"own": LogisticRegression(verbose=verbose)}, **options)
    assert len(list(tmp_path.glob("own-*.json"))) == 2


def test_a_broken_file_is_fitted_again(tmp_path):
    log = tmp_path / "log"
    options = {"methods": {"own": Logged(path=log)}, "folder": tmp_path / "kept", "cv": 2}
    quick(X, Y, PLACE, **options)
    next((tmp_path / "kept").glob("*.json")).write_text('{"codes": [1')
    quick(X, Y, PLACE, **options)
    assert fits(log) == 3


def test_a_digit_that_the_disk_has_lost_is_noticed(tmp_path):
    log = tmp_path / "log"
    options = {"methods": {"own": Logged(path=log)}, "folder": tmp_path / "kept", "cv": 2}
    expected = quick(X, Y, PLACE, **options).predictions_
    path = next((tmp_path / "kept").glob("*.json"))
    text = path.read_text()
    first = text.index('"codes": [') + len('"codes": [')
    path.write_text(f"{text[:first]}{1 - int(text[first])}{text[first + 1 :]}")
    assert path.read_text() != text
    found = quick(X, Y, PLACE, **options).predictions_
    assert fits(log) == 3
    assert found.equals(expected)


def test_failures_are_tried_again(tmp_path):
    options = {"methods": {"bad": Failing()}, "folder": tmp_path, "cv": 2}
    quick(X, Y, PLACE, **options)
    assert list(tmp_path.glob("bad*")) == []


def test_what_no_result_can_be_named_by_is_refused_with_a_folder(tmp_path):
    class Closed:
        def __reduce__(self):
            raise TypeError("not to be copied")

        def __deepcopy__(self, memo):
            return self

        def __call__(self, X):
            return X

    own = make_pipeline(FunctionTransformer(Closed()), LogisticRegression())
    with pytest.raises(ValueError, match=r"nobody can tell .*Closed.*leave folder out"):
        quick(X, Y, PLACE, methods={"own": own}, folder=tmp_path)


def test_results_of_functions_without_names_are_those_of_their_code(tmp_path):
    results = []
    for function in (lambda X: X, lambda X: -X[:, :1], lambda X: X):
        own = make_pipeline(FunctionTransformer(function), LogisticRegression())
        results.append(quick(X, Y, PLACE, methods={"own": own}, folder=tmp_path))
        assert results[-1].errors_ == {}
    first, other, again = (
        result.to_frame().drop(columns="seconds", errors="ignore") for result in results
    )
    assert first.equals(again)
    assert not first.equals(other)


class Never(Logged):
    """Writes a line, and fails."""

    def fit(self, X, y):
        super().fit(X, y)
        raise RuntimeError("never")


def test_the_other_folds_of_a_method_that_failed_are_left_out(tmp_path):
    quick(X, Y, PLACE, methods={"bad": Never(path=tmp_path / "log")}, n_jobs=1)
    assert fits(tmp_path / "log") == 1


def test_lines_say_what_is_done_and_how_long_it_takes(capsys):
    quick(X, Y, PLACE, verbose=1)
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert first.startswith("comparing 2 methods on 3 folds of 240 samples in 4 cells: 6 fits; ")
    assert [line.split()[1] for line in lines] == [f"{n}/6" for n in range(1, 7)]
    assert "eta      ?" in lines[0]
    assert "eta    0 s" in lines[1]
    assert "plain, fold 1/3:  average 0." in lines[0]
    assert last.startswith("compared in ")


def test_a_second_call_says_that_all_is_there(tmp_path, capsys):
    quick(X, Y, PLACE, folder=tmp_path)
    quick(X, Y, PLACE, folder=tmp_path, verbose=1)
    assert "6 fits; all of them are there already" in capsys.readouterr().out


def test_the_log_has_the_numbers(caplog):
    caplog.set_level(logging.INFO, "gbmix_sklearn")
    quick(X, Y, PLACE)
    records = [record for record in caplog.records if hasattr(record, "fold")]
    assert [record.n_done for record in records] == [1, 2, 3, 4, 5, 6]
    assert records[0].method == "plain"
    assert 0 < records[0].average_accuracy < 1


def test_large_folds_are_timed_on_few_samples_first(monkeypatch, capsys):
    monkeypatch.setattr(_run, "_MANY", 100)
    monkeypatch.setattr(_run, "_FEW", 20)
    monkeypatch.setattr(_run, "_MORE", 60)
    quick(X, Y, PLACE, verbose=1)
    assert "6 fits; about 0 s" in capsys.readouterr().out


def test_the_time_left_is_that_of_each_method():
    jobs = [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    options = {"n_stored": 0, "n_folds": 2, "n_workers": 2, "verbose": 0}
    progress = Progress(jobs, seconds={"a": 4.0}, **options)
    assert progress.seconds_left is None
    facts = {"average_accuracy": 1.0, "worst": 1.0}
    progress.ended("b", 0, {**facts, "seconds": 10.0}, "")
    assert progress.seconds_left == (2 * 4 + 10) / 2
    progress.ended("a", 0, {**facts, "seconds": 2.0}, "")
    assert progress.seconds_left == (2 + 10) / 2
    progress.skipped("b")
    assert progress.seconds_left == 1
    assert progress.n_fits == 3
