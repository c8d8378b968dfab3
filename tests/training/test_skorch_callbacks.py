"""skorch's own callbacks work as its users know them, and a run knows what they have counted."""

import functools

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LRScheduler,
    ProgressBar,
    TrainEndCheckpoint,
    Unfreezer,
)
from torch.optim import lr_scheduler

from gbmix_sklearn import UMIXClassifier
from gbmix_sklearn.training import GroupNet

from ..estimators.problems import method, problem
from .test_checkpoints import Killed, killed_after, outcome, runs

X, Y, S = problem()
OPTIONS = {"max_epochs": 4, "batch_size": 40, "hidden_units": (4,), "refit": None}


def fit(*callbacks, name="ERM", **options):
    return method(name, callbacks=list(callbacks), **OPTIONS | options).fit(X, Y, S)


def watched(*callbacks, **options):
    """Fit with callbacks that only watch, which must not change a bit."""
    model = fit(*callbacks, **options)
    assert np.array_equal(model.head_.coef_, fit(**options).head_.coef_)
    return model


# ---------------------------------------------------------------------------- what they show


@pytest.mark.parametrize("name", ["ERM", "GBMix"])
@pytest.mark.parametrize("scoring", [EpochScoring, BatchScoring])
def test_scores_of_the_validation_part(scoring, name):
    model = watched(scoring("accuracy", lower_is_better=False, name="acc"), name=name)
    found = [epoch["acc"] for epoch in model.net_.history]
    assert found == pytest.approx(model.history_["average_accuracy"].tolist())
    assert model.net_.history[0]["acc_best"]


def test_scores_of_the_training_part_and_by_probabilities():
    scorings = [
        ("seen", EpochScoring("accuracy", on_train=True, name="seen", lower_is_better=False)),
        ("area", EpochScoring("roc_auc", name="area", lower_is_better=False)),
        ("own", EpochScoring(accuracy_of_the_sources, use_caching=False, name="own")),
    ]
    history = watched(*scorings).net_.history
    assert history[-1]["seen"] > 0.5
    assert history[-1]["area"] > 0.5
    assert history[-1]["own"] == pytest.approx(history[-1]["average_accuracy"])


def accuracy_of_the_sources(net, source, y):
    assert y is None
    return accuracy_score(source.samples.y, net.predict(source))


def test_without_validation_there_is_no_score():
    history = watched(EpochScoring("accuracy"), validation_fraction=None).net_.history
    assert "accuracy" not in history[-1]
    assert [epoch["train_loss_best"] for epoch in history] == [True] * 4


def test_arrays_that_a_callback_predicts_are_in_the_units_of_the_user():
    """The net is trained on standardised features, which is nobody's business."""
    seen = []

    class Predict(Callback):
        def on_batch_end(self, net, training, **_):  # in the middle of an epoch
            seen.append(net.predict_proba(10 * X + 3))

    data = 10 * X + 3
    options = {**OPTIONS, "max_epochs": 1, "hidden_units": ()}
    model = method("ERM", callbacks=[Predict()], **options).fit(data, Y, S)
    assert seen[-1] == pytest.approx(model.predict_proba(data), abs=1e-5)
    assert np.array_equal(model.head_.coef_, method("ERM", **options).fit(data, Y, S).head_.coef_)


def test_the_progress_bar_counts_the_batches_of_both_parts(capsys):
    model = watched(ProgressBar(detect_notebook=False))
    batches = model.net_.history[-1]["batches"]
    counts = [model.net_.history[-1][f"{part}_batch_count"] for part in ("train", "valid")]
    assert sum(counts) == len(batches) == 5
    assert "0/5" in capsys.readouterr().err


# ---------------------------------------------------------------------------- files


@pytest.mark.parametrize("callback", [Checkpoint, TrainEndCheckpoint])
def test_files_of_weights_are_those_of_the_model(callback, tmp_path):
    model = watched(callback(dirname=str(tmp_path)), hidden_units=())
    (path,) = tmp_path.glob("*params.pt")
    saved = torch.load(path, weights_only=True)
    if callback is TrainEndCheckpoint:  # the other keeps the lowest loss
        for name, value in model.net_.raw_module.state_dict().items():
            assert torch.allclose(saved[name], value, atol=1e-6)
    again = fit(max_epochs=1, hidden_units=())
    again.net_.load_params(f_params=path)
    assert again.net_.predict_proba(X).shape == (len(X), 2)


@pytest.mark.parametrize("hidden_units", [(), (4,)])
def test_what_a_callback_loads_at_the_end_is_the_model(hidden_units, tmp_path):
    options = {"hidden_units": hidden_units, "patience": None, "lr": 0.5}
    best = int(np.argmin([e["train_loss"] for e in fit(**options).net_.history])) + 1
    stopping = EarlyStopping("train_loss", patience=9, load_best=True, sink=lambda _: None)
    saving = Checkpoint("train_loss_best", dirname=str(tmp_path), load_best=True)
    for callback in (stopping, saving):
        model = fit(callback, checkpoint_dir=tmp_path / "runs", **options)
        assert model.best_epoch_ == best
        loaded = fit(callback, checkpoint_dir=tmp_path / "runs", **options)
        assert loaded.best_epoch_ == best
        assert np.allclose(loaded.head_.coef_, model.head_.coef_)


# ---------------------------------------------------------------------------- what they change


def test_clipping_is_that_of_max_grad_norm():
    expected = fit(max_grad_norm=1e-2)
    assert np.array_equal(fit(GradientNormClipping(1e-2)).head_.coef_, expected.head_.coef_)


def halved(epoch):
    return 0.5**epoch


def scheduler(step_every="epoch"):
    return LRScheduler(policy=lr_scheduler.LambdaLR, lr_lambda=halved, step_every=step_every)


def test_schedules_by_epoch_and_by_batch():
    by_epoch, by_batch = fit(scheduler(), lr=0.1), fit(scheduler("batch"), lr=0.1)
    assert [epoch["event_lr"] for epoch in by_epoch.net_.history] == [0.1, 0.05, 0.025, 0.0125]
    steps = by_batch.net_.history[-1]["train_batch_count"]
    assert by_batch.net_.history[-1]["lr"] == pytest.approx(0.1 * 0.5 ** (4 * steps))


def test_callbacks_in_a_search():
    callbacks = [
        EpochScoring("accuracy", lower_is_better=False, name="acc"),
        EarlyStopping("acc", lower_is_better=False, patience=2, sink=lambda _: None),
        scheduler(),
    ]
    model = method("ERM", callbacks=callbacks, **OPTIONS)
    search = GridSearchCV(model, {"lr": [0.1, 0.01]}, cv=2, error_score="raise").fit(X, Y)
    assert "acc" in search.best_estimator_.net_.history[-1]


# ---------------------------------------------------------------------------- pairs


class Pairs(Callback):
    def __init__(self):
        self.heard = []

    def on_train_begin(self, net, **_):
        self.heard.append("+train")

    def on_train_end(self, net, **_):
        self.heard.append("-train")

    def on_epoch_begin(self, net, **_):
        self.heard.append("+epoch")

    def on_epoch_end(self, net, **_):
        self.heard.append("-epoch")


class Raise(Callback):
    def __init__(self, hook, error, epoch=2):
        self.hook, self.error, self.epoch = hook, error, epoch

    def on_epoch_end(self, net, **_):
        self._act(net, "on_epoch_end")

    def on_batch_end(self, net, **_):
        self._act(net, "on_batch_end")

    def on_train_begin(self, net, **_):
        self._act(net, "on_train_begin")

    def _act(self, net, hook):
        if self.hook == hook and len(net.history) in (0, self.epoch):
            raise self.error


def test_a_stop_ends_the_epoch_of_all_callbacks():
    pairs = Pairs()
    fit(Raise("on_epoch_end", KeyboardInterrupt), pairs)
    assert pairs.heard == ["+train", "+epoch", "-epoch", "+epoch", "-epoch", "-train"]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ("on_epoch_end", ["+train", "+epoch", "-epoch", "+epoch", "-epoch", "-train"]),
        ("on_batch_end", ["+train", "+epoch", "-epoch", "+epoch", "-train"]),
    ],
)
def test_an_error_of_one_ends_what_the_others_have_begun(hook, expected, first):
    pairs, raising = Pairs(), Raise(hook, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        fit(*[("a", raising), ("b", pairs)][:: 1 if first else -1])
    assert pairs.heard == expected


def test_what_has_not_begun_does_not_end():
    before, after = Pairs(), Pairs()
    with pytest.raises(ZeroDivisionError):
        fit(("a", before), ("b", Raise("on_train_begin", ZeroDivisionError)), ("c", after))
    assert (before.heard, after.heard) == (["+train", "-train"], [])


# ---------------------------------------------------------------------------- runs


def stopping():
    return EarlyStopping("train_loss", patience=3, threshold=0.9, sink=lambda _: None)


def plateau():
    return LRScheduler(policy=lr_scheduler.ReduceLROnPlateau, patience=0, threshold=0.9)


def one_cycle():
    return LRScheduler(
        policy=lr_scheduler.OneCycleLR, max_lr=0.5, total_steps=64, step_every="batch"
    )


class Counting(Callback):
    """Stops after a number of epochs that it counts itself, without an underscore."""

    def __init__(self, most):
        self.most = most
        self.n = 0
        self.seen = []

    def on_epoch_end(self, net, **_):
        self.n += 1
        self.seen.append(float(net.history[-1]["train_loss"]))
        if self.n == self.most:
            raise KeyboardInterrupt


ACTING = {
    "stopping": lambda: [stopping()],
    "by epoch": lambda: [scheduler()],
    "by batch": lambda: [scheduler("batch")],
    "one cycle": lambda: [one_cycle()],
    "plateau": lambda: [plateau()],
    "clipping": lambda: [GradientNormClipping(1e-2)],
    "freezing": lambda: [("a", Freezer("embedding.*")), ("b", Unfreezer("embedding.*", at=3))],
    "counting": lambda: [Counting(3)],
}


@pytest.mark.parametrize("name", ACTING)
@pytest.mark.parametrize("same_objects", [True, False])
def test_a_killed_run_goes_on_with_what_callbacks_had_counted(name, same_objects, tmp_path):
    options = {"max_epochs": 5, "patience": None, "lr": 0.1}
    whole = fit(*ACTING[name](), **options)
    callbacks = ACTING[name]()
    with killed_after(2):
        fit(*callbacks, **options, checkpoint_dir=tmp_path)
    epochs = count_epochs()
    with epochs as trained:
        resumed = fit(
            *(callbacks if same_objects else ACTING[name]()), **options, checkpoint_dir=tmp_path
        )
    assert outcome(resumed) == outcome(whole)
    assert trained == list(range(3, len(whole.history_) + 1))
    assert len(runs(tmp_path)) == 1


class count_epochs:
    """Number of each epoch that is trained."""

    def __enter__(self):
        trained, self.real = [], GroupNet._train_epoch
        real = self.real

        def train_epoch(net, source):
            trained.append(len(net.history))
            return real(net, source)

        GroupNet._train_epoch = train_epoch
        return trained

    def __exit__(self, *_):
        GroupNet._train_epoch = self.real


def test_parts_are_released_with_momentum_too():
    released = [("a", Freezer("embedding.*")), ("b", Unfreezer("embedding.*", at=2))]
    model = fit(*released, max_epochs=2, lr=0.1)
    begin = fit(("a", Freezer("embedding.*")), max_epochs=2, lr=0.1)
    weights = [m.net_.raw_module.embedding[0][0].weight for m in (model, begin)]
    assert not torch.equal(*weights)


def test_callbacks_that_act_tell_runs_apart(tmp_path):
    different = [
        [],
        [stopping()],
        [stopping().set_params(patience=2)],
        [GradientNormClipping(1e-2)],
        [GradientNormClipping(1e-3)],
        [scheduler()],
        [LRScheduler(policy=lr_scheduler.LambdaLR, lr_lambda=lambda epoch: 0.9**epoch)],
        [LRScheduler(policy=lr_scheduler.LambdaLR, lr_lambda=lambda epoch: 0.8**epoch)],
        [Counting(2)],
        [Counting(3)],
        [EpochScoring("accuracy", name="s"), EarlyStopping("s", sink=lambda _: None)],
        [EpochScoring("f1", name="s"), EarlyStopping("s", sink=lambda _: None)],
    ]
    for number, callbacks in enumerate(different, 1):
        fit(*callbacks, max_epochs=1, checkpoint_dir=tmp_path)
        assert len(runs(tmp_path)) == number
    for callbacks in ([stopping()], [Counting(3)], [scheduler()]):  # other objects, nothing else
        with count_epochs() as trained:
            fit(*callbacks, max_epochs=1, checkpoint_dir=tmp_path)
        assert trained == []


def test_callbacks_that_watch_do_not(tmp_path):
    watching = [
        EpochScoring("accuracy"),
        ("progress", ProgressBar(detect_notebook=False)),
        ("checkpoint", Checkpoint(dirname=str(tmp_path / "files"))),
        Callback(),
    ]
    for callbacks in ([], watching):
        fit(*callbacks, checkpoint_dir=tmp_path / "runs")
    assert len(runs(tmp_path / "runs")) == 1


def test_what_callbacks_record_is_kept_whatever_it_is(tmp_path):
    class Record(Callback):
        def on_epoch_end(self, net, **_):
            net.history.record("event_of_mine", np.float32(0.5))
            net.history.record("event_of_torch", torch.ones(2))

    with killed_after(2):
        fit(Record(), checkpoint_dir=tmp_path)
    model = fit(Record(), checkpoint_dir=tmp_path)
    assert [epoch["event_of_mine"] for epoch in model.net_.history] == [0.5] * 4


# ---------------------------------------------------------------------------- scikit-learn's


class Tasks:
    """Follows scikit-learn's protocol."""

    def __init__(self, fails_at=None, stops_at=None):
        self.begun, self.ended = [], []
        self.fails_at, self.stops_at = fails_at, stops_at

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context):
        self.ended.append(context.task_name)
        if context.task_name == "epoch" and len(self.ended) == self.fails_at:
            raise ZeroDivisionError
        return context.task_name == "epoch" and self.ended.count("epoch") == self.stops_at


def needs_tasks():
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")


ENDINGS = {
    "stop of skorch": ([functools.partial(Raise, "on_epoch_end", KeyboardInterrupt)], None),
    "error of skorch": ([functools.partial(Raise, "on_epoch_end", Killed)], Killed),
    "error in an epoch": ([functools.partial(Raise, "on_batch_end", Killed)], Killed),
    "error at the begin": ([functools.partial(Raise, "on_train_begin", Killed)], Killed),
    "error of a task": ([], ZeroDivisionError),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", ["ERM", "UMIX"])
def test_tasks_are_ended_as_often_as_begun(name, ending):
    needs_tasks()
    makers, error = ENDINGS[ending]
    failing = Tasks(fails_at=2 if error is ZeroDivisionError else None)
    after = Tasks()
    model = method(name, callbacks=[make() for make in makers], **OPTIONS)
    model.set_callbacks(failing, after)
    if error is None:
        model.fit(X, Y, S)
    else:
        with pytest.raises(error):
            model.fit(X, Y, S)
    for tasks in (failing, after):
        assert sorted(tasks.begun) == sorted(tasks.ended)
        assert tasks.ended[-1] == "fit"


def test_a_stop_of_the_first_stage_gives_no_negative_weights(monkeypatch):
    needs_tasks()
    from gbmix_sklearn.estimators._training import Training

    weights, run = [], Training.run

    def spy(self, *args, **options):
        weights.append(options.get("weights"))
        return run(self, *args, **options)

    monkeypatch.setattr(Training, "run", spy)
    options = {"max_epochs": 2, "first_stage_epochs": 5, "counted_epochs": 5, "random_state": 0}
    for stops_at in (1, 3):
        UMIXClassifier(**options).set_callbacks(Tasks(stops_at=stops_at)).fit(X, Y, S)
        assert weights[-1].min() >= 1
        assert weights[-1].max() <= 6


def test_a_stopped_run_is_no_run_of_a_fit_that_is_not(tmp_path):
    needs_tasks()
    model = method("ERM", checkpoint_dir=tmp_path, **OPTIONS)
    assert len(model.set_callbacks(Tasks(stops_at=2)).fit(X, Y, S).history_) == 2
    assert len(model.set_callbacks(Tasks()).fit(X, Y, S).history_) == 4
    assert len(model.set_callbacks(Tasks(stops_at=2)).fit(X, Y, S).history_) == 2
    assert len(model.set_callbacks().fit(X, Y, S).history_) == 4
