"""scikit-learn's own callbacks see the epochs of a fit."""

import copy
import gc
import pickle
import subprocess
import sys
import weakref
from typing import ClassVar

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import (
    MissingGroupsError,
    SubgroupStratifiedKFold,
    worst_group_accuracy_score,
    worst_group_accuracy_scorer,
)
from gbmix_sklearn.estimators import METHODS

from ..conftest import REPOSITORY
from ..estimators.problems import frame, method, problem

pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
from sklearn.callback import ProgressBar, ScoringMonitor

X, Y, S = problem()


class Recorder:
    """Follows the protocol, and writes down what it hears."""

    stop_at = None

    def __init__(self):
        self.heard = []

    def setup(self, estimator, context):
        self.heard.append("setup")

    def teardown(self, estimator, context):
        self.heard.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.heard.append(f"{name(context)} begins")

    def on_fit_task_end(self, estimator, context):
        self.heard.append(f"{name(context)} ends")
        return name(context) == self.stop_at


class Propagated(Recorder):
    max_propagation_depth = None


class Asking(Recorder):
    """Asks for everything that a hook may ask for."""

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.heard.append((name(context), X, y, metadata, fitted_estimator))


def name(context):
    names = []
    while context is not None:
        names.append(f"{context.task_name} {context.task_id}")
        context = context.parent
    return "/".join(reversed(names[:-1])) or "fit"


def coefficients(model):
    return model.head_.coef_.tolist()


@pytest.mark.parametrize("method_name", sorted(set(METHODS) - {"JTT", "UMIX"}))
def test_epochs_are_tasks_of_the_fit(method_name):
    callback = Recorder()
    model = method(method_name).set_callbacks(callback).fit(X, Y, S)
    epochs = [f"epoch {i} {what}" for i in range(3) for what in ("begins", "ends")]
    assert callback.heard == ["setup", "fit begins", *epochs, "fit ends", "teardown"]
    assert coefficients(model) == coefficients(method(method_name).fit(X, Y, S))


@pytest.mark.filterwarnings("ignore::gbmix_sklearn.EmptyErrorSetWarning")
@pytest.mark.parametrize("method_name", ["JTT", "UMIX"])
def test_methods_of_two_stages_have_tasks_for_them(method_name):
    callback = Recorder()
    model = method(method_name).set_callbacks(callback).fit(X, Y, S)
    assert [heard for heard in callback.heard if heard.endswith(" begins")] == [
        "fit begins",
        "first stage 0 begins",
        "first stage 0/epoch 0 begins",
        "first stage 0/epoch 1 begins",
        "training 1 begins",
        *[f"training 1/epoch {i} begins" for i in range(3)],
    ]
    assert callback.heard[-4:-1] == ["training 1/epoch 2 ends", "training 1 ends", "fit ends"]
    assert coefficients(model) == coefficients(method(method_name).fit(X, Y, S))


def test_the_number_of_tasks_is_known_in_advance():
    totals = {}

    class Totals(Recorder):
        def on_fit_task_begin(self, estimator, context):
            totals[name(context)] = context.max_subtasks

    method("GBMix", max_epochs=2).set_callbacks(Totals()).fit(X, Y, S)
    assert totals == {"fit": 2, "epoch 0": 0, "epoch 1": 0}


def test_a_callback_may_stop_the_training():
    callback = Recorder()
    callback.stop_at = "epoch 1"
    model = method("GBMix", max_epochs=9).set_callbacks(callback).fit(X, Y, S)
    assert len(model.history_) == 2
    assert callback.heard[-3:] == ["epoch 1 ends", "fit ends", "teardown"]


def test_a_stopped_run_is_over_for_its_checkpoint_too(tmp_path):
    model = method("GBMix", max_epochs=9, checkpoint_dir=tmp_path)
    callbacks = [Recorder() for _ in range(2)]
    for callback in callbacks:
        callback.stop_at = "epoch 1"
        assert len(model.set_callbacks(callback).fit(X, Y, S).history_) == 2
    assert callbacks[1].heard == callbacks[0].heard  # which is part of the run
    assert len(model.set_callbacks().fit(X, Y, S).history_) == 9


def test_a_fit_that_goes_on_or_is_loaded_has_the_epochs_that_are_run(tmp_path):
    class Watching(ProgressBar):
        """Is one of scikit-learn's own, which stop nothing, and shows nothing."""

        heard: ClassVar[list[str]] = []
        setup = teardown = lambda self, estimator, context: None

        def on_fit_task_begin(self, estimator, context):
            self.heard.append(f"{name(context)} begins")

        def on_fit_task_end(self, estimator, context):
            self.heard.append(f"{name(context)} ends")

    model = method("GBMix", checkpoint_dir=tmp_path).fit(X, Y, S)
    model.set_callbacks(Watching()).fit(X, Y, S)
    assert Watching.heard == ["fit begins", "fit ends"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_callbacks_are_torn_down_where_the_fit_fails(error):
    from skorch.callbacks import Callback

    class Fail(Callback):
        def on_epoch_begin(self, net, **_):
            if len(net.history) == 2:
                raise error

    callback = Recorder()
    model = method("GBMix", callbacks=[Fail()]).set_callbacks(callback)
    with pytest.raises(error):
        model.fit(X, Y, S)
    assert callback.heard[-3:] == ["epoch 0 ends", "fit ends", "teardown"]
    assert not hasattr(model, "_callback_fit_ctx")
    model.set_params(callbacks=None).fit(X, Y, S)
    assert callback.heard.count("teardown") == 2


def test_bad_data_are_told_before_anything_is_set_up():
    callback = Recorder()
    with pytest.raises(ValueError, match="NaN"):
        method("GBMix").set_callbacks(callback).fit(X * np.nan, Y, S)
    assert callback.heard == []


def test_the_data_of_a_fit_are_not_kept():
    data = X.copy()
    kept = weakref.ref(data)
    model = method("GBMix").set_callbacks(Recorder()).fit(data, Y, S)
    del data
    gc.collect()
    assert kept() is None
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict(X) == model.predict(X)).all()
    assert coefficients(copy.deepcopy(model).fit(X, Y, S)) == coefficients(model)


def test_clones_share_the_callback():
    callback = Recorder()
    model = clone(method("GBMix").set_callbacks(callback)).fit(X, Y, S)
    assert callback.heard[-1] == "teardown"
    clone(model.set_callbacks()).fit(X, Y, S)
    assert callback.heard.count("teardown") == 1


def test_they_are_no_callbacks_of_skorch():
    with pytest.raises(TypeError, match="FitCallback"):
        method("GBMix").set_callbacks(method)


# ---------------------------------------------------------------------------- what hooks may ask


@pytest.mark.parametrize("hidden_units", [(), (8,)])
def test_the_fitted_estimator_is_that_of_a_fit_which_stopped_there(hidden_units):
    callback = Asking()
    options = {"hidden_units": hidden_units, "refit": None, "max_epochs": 4}
    model = method("GBMix", **options).set_callbacks(callback).fit(X, Y, S)
    ends = [heard for heard in callback.heard if isinstance(heard, tuple)]
    assert [end[0] for end in ends] == ["epoch 0", "epoch 1", "epoch 2", "epoch 3", "fit"]
    for n_epochs, (_, data, y, metadata, fitted) in enumerate(ends[:-1], 1):
        stopped = method("GBMix", **options | {"max_epochs": n_epochs}).fit(X, Y, S)
        assert data is X
        assert y is Y
        assert metadata is None  # without metadata routing
        assert coefficients(fitted) == coefficients(stopped)
        assert (fitted.predict_proba(X) == stopped.predict_proba(X)).all()
        assert (fitted.transform(X) == stopped.transform(X)).all()
        assert fitted.best_epoch_ == stopped.best_epoch_
    assert (ends[-1][-1].predict_proba(X) == model.predict_proba(X)).all()


def test_data_are_passed_as_they_were_given():
    callback = Asking()
    table, y = frame()
    method("GBMix", group_columns=["sex", "age"]).set_callbacks(callback).fit(table, y)
    ends = [heard for heard in callback.heard if isinstance(heard, tuple)]
    for _, data, _, _, fitted in ends:
        assert data is table
        assert fitted.predict(data).shape == y.shape


def test_scores_of_every_epoch():
    monitor = ScoringMonitor(scoring="accuracy")
    model = method("GBMix", refit=None).set_callbacks(monitor).fit(X, Y, S)
    log = monitor.get_logs().data_as_pandas.set_index("task_id_path")["accuracy"]
    assert list(log.index) == [(0,), (0, 0), (0, 1), (0, 2)]
    assert log[(0,)] == model.score(X, Y)
    assert log[(0, 2)] == model.score(X, Y)
    one = method("GBMix", refit=None, max_epochs=1).fit(X, Y, S)
    assert log[(0, 0)] == one.score(X, Y)


def test_scorers_get_groups_with_metadata_routing_on():
    scoring = {"worst": worst_group_accuracy_scorer, "average": "accuracy"}
    monitor = ScoringMonitor(scoring=scoring)
    with sklearn.config_context(enable_metadata_routing=True):
        model = method("GBMix", refit=None).set_callbacks(monitor).fit(X, Y, S)
    log = monitor.get_logs().data_as_pandas.set_index("task_id_path")
    expected = worst_group_accuracy_score(Y, model.predict(X), groups=S)
    assert log["worst"][(0,)] == expected
    assert log["average"][(0,)] == model.score(X, Y)
    with pytest.raises(MissingGroupsError):
        model.fit(X, Y, S)


# ---------------------------------------------------------------------------- inside others


@pytest.fixture
def routing_on():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


SEARCH = {
    "scoring": worst_group_accuracy_scorer,
    "cv": SubgroupStratifiedKFold(2),
    "error_score": "raise",
}


@pytest.mark.usefixtures("routing_on")
@pytest.mark.parametrize("kind", [GridSearchCV, RandomizedSearchCV])
def test_a_search_passes_its_callbacks_on(kind):
    callback = Propagated()
    options = {"n_iter": 2} if kind is RandomizedSearchCV else {}
    search = kind(method("GBMix"), {"alpha": [0.2, 2.0]}, **options, **SEARCH)
    search.set_callbacks(callback).fit(X, Y, groups=S)
    heard = callback.heard
    assert heard.count("setup") == heard.count("teardown") == 1
    epochs = [task for task in heard if "epoch" in task and task.endswith("ends")]
    assert len(epochs) == 5 * 3  # four fits and the refit, of three epochs each
    assert epochs[0] == "search 0/fit 0/epoch 0 ends"
    assert epochs[-1] == "fit 1/epoch 2 ends"
    plain = kind(method("GBMix"), {"alpha": [0.2, 2.0]}, **options, **SEARCH).fit(X, Y, groups=S)
    assert (search.predict_proba(X) == plain.predict_proba(X)).all()


@pytest.mark.usefixtures("routing_on")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_progress_bar_shows_the_epochs_inside_a_search(n_jobs, capsys):
    pytest.importorskip("rich", reason="scikit-learn's ProgressBar needs rich")
    search = GridSearchCV(method("GBMix"), {"alpha": [0.2, 2.0]}, n_jobs=n_jobs, **SEARCH)
    search.set_callbacks(ProgressBar()).fit(X, Y, groups=S)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    fits = [line for line in lines if "GBMixClassifier - fit" in line]
    assert len({line.split("#")[1].split()[0] for line in fits}) == 4
    assert len(fits) == 5
    assert all("100%" in line for line in fits)


@pytest.mark.usefixtures("routing_on")
@pytest.mark.filterwarnings("ignore:The estimator StandardScaler does not support callbacks")
def test_the_progress_bar_reaches_a_classifier_in_a_pipeline(capsys):
    pytest.importorskip("rich", reason="scikit-learn's ProgressBar needs rich")
    model = make_pipeline(StandardScaler(), method("GBMix"))
    model.set_callbacks(ProgressBar()).fit(X, Y, groups=S)
    assert "GBMixClassifier - fit" in capsys.readouterr().out


def test_older_versions_of_scikit_learn_do_without():
    code = """
import sys
import sklearn.linear_model, sklearn.model_selection, sklearn.pipeline
sys.modules["sklearn.callback"] = None  # its import fails now
import pickle
from tests.estimators.problems import method, problem
X, Y, S = problem()
model = pickle.loads(pickle.dumps(method("GBMix").fit(X, Y, S)))
assert not hasattr(model, "set_callbacks")
print(model.head_.coef_.tolist())
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert result.stdout.strip() == str(coefficients(method("GBMix").fit(X, Y, S)))


def test_the_progress_bar_shows_both_stages(capsys):
    pytest.importorskip("rich", reason="scikit-learn's ProgressBar needs rich")
    method("JTT", lr=1e-4).set_callbacks(ProgressBar()).fit(X, Y, S)
    out = capsys.readouterr().out
    assert "JTTClassifier - first stage" in out
    assert "JTTClassifier - training" in out
