"""Training, selection and refit: which data go where, and which epoch is kept."""

import logging

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC, LinearSVC
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping

from gbmix_sklearn import (
    ERMClassifier,
    GBMixClassifier,
    MissingGroupsWarning,
    NonFiniteLossError,
    NonFiniteLossWarning,
    SmallCellWarning,
    worst_group_accuracy_score,
)
from gbmix_sklearn.estimators import METHODS, _base, _last_layer, _training
from gbmix_sklearn.refit import Recipe

from .problems import FAST, method, problem


class Recorder(Callback):
    """Counts what happens, and keeps the weights of every epoch."""

    def initialize(self):
        self.epochs, self.batches, self.states, self.losses = 0, 0, [], []
        return self

    def on_batch_end(self, net, training, loss=None, **_):
        if training:
            self.batches += 1
            self.losses.append(loss.item())

    def on_epoch_end(self, net, **_):
        self.epochs += 1
        state = net.raw_module.state_dict()
        self.states.append({name: value.clone() for name, value in state.items()})


class AtEpoch(Callback):
    """Does something to the net after an epoch."""

    def __init__(self, epoch, do):
        self.epoch = epoch
        self.do = do

    def on_epoch_end(self, net, **_):
        if len(net.history) == self.epoch:
            self.do(net)


def explode(net):
    for group in net.optimizer_.param_groups:
        group["lr"] = 1e30


@pytest.fixture
def seen(monkeypatch):
    """Rows that were trained on, validated with, and refitted on."""
    rows = {}

    class Training(_training.TrainingSource):
        def __init__(self, x, positions, *args):
            rows["train"] = set(positions.tolist())
            super().__init__(x, positions, *args)

    def evaluation_source(self, *args):
        source = real_source(self, *args)
        if source is not None:
            rows["valid"] = set(source.rows.tolist())
        return source

    def refit_head(z, y, cells, classes, **options):
        rows["refit"] = z
        rows["refit_validation"] = options["validation"]
        rows["refit_draws"] = options["n_draws"]
        rows["refit_scaling"] = options["scaling"]
        return real(z, y, cells, classes, **options)

    real, real_source = _last_layer.refit_head, _base.GroupClassifier._evaluation_source
    monkeypatch.setattr(_training, "TrainingSource", Training)
    monkeypatch.setattr(_base.GroupClassifier, "_evaluation_source", evaluation_source)
    monkeypatch.setattr(_last_layer, "refit_head", refit_head)
    # rows are recognised by what is in them
    monkeypatch.setattr(_base.GroupClassifier, "_scaled", lambda self, inputs: inputs)
    return rows


# ---------------------------------------------------------------------------- parts


@pytest.mark.parametrize("name", METHODS)
def test_training_validation_and_refit_share_no_sample(name, seen):
    X, y, s = problem(400)
    method(name, refit="logistic", refit_on="held_out").fit(X, y, s)
    position = {row.tobytes(): i for i, row in enumerate(X)}
    refit = {position[row.tobytes()] for row in seen["refit"]}
    assert len(refit) == len(seen["valid"]) == 80
    assert not refit & seen["train"]
    assert not refit & seen["valid"]
    assert not seen["train"] & seen["valid"]
    assert refit | seen["train"] | seen["valid"] == set(range(400))
    z, _, cells = seen["refit_validation"]
    valid = {position[row.tobytes()] for row in z}
    assert valid == seen["valid"]
    assert np.bincount(cells).tolist() == [20] * 4


def test_nothing_is_set_aside_that_is_not_needed(seen):
    X, y, s = problem()
    method("GBMix", refit=None, validation_fraction=None).fit(X, y, s)
    assert seen == {"train": set(range(200))}
    method("GBMix", refit=None).fit(X, y, s, X_val=X, y_val=y, groups_val=s)
    assert seen["train"] == seen["valid"] == set(range(200))


# ---------------------------------------------------------------------------- refit


def rows_of(X, some):
    position = {row.tobytes(): i for i, row in enumerate(X)}
    return {position[row.tobytes()] for row in some}


def test_a_refit_on_validation_data_takes_all_of_them_and_nothing_else(seen):
    X, y, s = problem(400)
    method("GBMix", refit="logistic", refit_on="validation").fit(X, y, s)
    assert rows_of(X, seen["refit"]) == seen["valid"]
    assert len(seen["valid"]) == 80
    assert len(seen["train"]) == 320
    assert seen["refit_validation"] is None  # its halves choose
    assert seen["refit_draws"] is None  # as many as the recipe says

    given = slice(0, 100)
    model = method("GBMix", refit="logistic", refit_on="validation")
    model.fit(X[100:], y[100:], s[100:], X_val=X[given], y_val=y[given], groups_val=s[given])
    assert rows_of(X, seen["refit"]) == set(range(100))
    assert len(seen["train"]) == 300


def test_a_refit_on_training_data_chooses_on_validation_data(seen):
    X, y, s = problem(400)
    method("GBMix", refit="logistic", refit_on="train").fit(X, y, s)
    assert rows_of(X, seen["refit"]) == seen["train"]
    assert len(seen["train"]) == 320
    assert rows_of(X, seen["refit_validation"][0]) == seen["valid"]
    assert seen["refit_draws"] == 10


@pytest.mark.parametrize("refit", ["dfr", Recipe(scaler="train")])
def test_a_recipe_may_want_the_scale_of_the_training_data(seen, refit):
    X, y, s = problem(400)
    method("GBMix", refit=refit).fit(X, y, s)
    train = X[sorted(seen["train"])]
    mean, scale = seen["refit_scaling"]
    assert mean == pytest.approx(train.mean(0), rel=1e-5)
    assert scale == pytest.approx(train.std(0), rel=1e-5)
    method("GBMix", refit="logistic").fit(X, y, s)
    assert seen["refit_scaling"] is None


@pytest.mark.filterwarnings("ignore:X_val has no sample")
def test_a_refit_on_validation_data_needs_some():
    X, y, s = problem()
    model = method("GBMix", refit="logistic", refit_on="validation", validation_fraction=None)
    with pytest.raises(ValueError, match=r"needs validation data: set validation_fraction"):
        model.fit(X, y, s)
    zero = y == 0
    with pytest.warns(SmallCellWarning, match=r"not refitted.*100 sample.*second class"):
        model.fit(X, y, s, X_val=X[zero], y_val=y[zero], groups_val=s[zero])


def test_fractions_of_parts_that_are_not_needed_do_not_count():
    X, y, s = problem()
    half = {"refit": "logistic", "refit_fraction": 0.5, "validation_fraction": 0.5}
    method("GBMix", **half, refit_on="train").fit(X, y, s)


@pytest.fixture
def learned(monkeypatch):
    """Samples that a learned balance was fitted on, and what it may be held near."""
    seen = {}

    def learned_head(z, cells, **options):
        seen["z"], seen["cells"], seen["options"] = z, cells, options
        return real(z, cells, **options)

    real = _last_layer.learned_head
    monkeypatch.setattr(_last_layer, "learned_head", learned_head)
    return seen


def test_auto_learns_the_balance_on_all_samples_where_none_trained_the_embedding(learned):
    X, y, s = problem()
    model = method("GBMix", refit="auto").fit(X, y, s)
    assert len(learned["z"]) == 200
    assert learned["options"]["unseen"].sum() == 40  # the part that chose the epoch
    assert model.cell_weights_.sum() == pytest.approx(1)
    assert list(model.cell_weights_.index) == list(model.group_table_.index)
    assert {"worst", "average", "best"} <= set(model.refit_history_)
    learned.clear()
    method("ERM").fit(X, y, s)
    assert not learned
    assert GBMixClassifier().refit == "auto"


@pytest.mark.parametrize("layers", [{"hidden_units": (4,)}, {"backbone": torch.nn.Linear(5, 4)}])
def test_auto_sets_samples_aside_where_the_embedding_is_trained(learned, layers):
    X, y, s = problem()
    method("GBMix", **layers).fit(X, y, s)
    assert learned["z"].shape == (80, 4)  # a fifth was set aside, a fifth chose the epoch
    assert learned["options"]["unseen"].all()
    assert learned["options"]["trained"].coef_.shape == (1, 4)


@pytest.mark.filterwarnings("ignore:X_val has no sample")
def test_a_learned_balance_takes_validation_data_where_their_groups_are_known(learned):
    X, y, s = problem(400)
    model = method("GBMix", refit="auto")
    model.fit(X[100:], y[100:], s[100:], X_val=X[:100], y_val=y[:100], groups_val=s[:100] + 5)
    assert len(learned["z"]) == 400
    assert learned["cells"].counts.sum() == 400
    assert len(learned["cells"].attribute) == 4  # other values than the training data have
    with pytest.warns(MissingGroupsWarning):
        model.fit(X[100:], y[100:], s[100:], X_val=X[:100], y_val=y[:100])
    assert len(learned["z"]) == 300
    assert model.cell_table_["refit"].sum() == 300  # and the table says so


@pytest.mark.parametrize(
    "refit",
    [
        "logistic",
        LogisticRegression(C=0.5),
        RidgeClassifier(),
        LinearSVC(),
        SGDClassifier(),
        SGDClassifier(loss="log_loss"),
        Perceptron(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_any_linear_classifier_refits_the_head(refit, n_classes):
    X, y, s = problem(300, n_classes=n_classes)
    labels = np.array(["x", "y", "z"])[y]
    model = method("GBMix", refit=refit, hidden_units=(8,), max_epochs=10).fit(X, labels, s)
    z = model.transform(X)
    assert (model.head_.predict(z) == model.predict(X)).all()
    assert model.score(X, labels) > 0.85
    expected = LogisticRegression if refit == "logistic" else type(refit)
    assert type(model.head_) is expected
    assert hasattr(model, "predict_proba") == hasattr(model.head_, "predict_proba")
    assert model.head_.coef_.shape == (1 if n_classes == 2 else 3, 8)
    assert hasattr(method("GBMix", refit=refit), "predict_proba") == hasattr(model, "predict_proba")


@pytest.mark.parametrize("refit", [GaussianNB(), SVC(kernel="linear")])
def test_a_head_without_weights_of_its_own_is_refused(refit):
    X, y, s = problem()
    with pytest.raises(TypeError, match=r"refit must be a linear classifier.*coef_"):
        method("GBMix", refit=refit).fit(X, y, s)


def test_too_little_to_refit_on_is_told_before_training_and_the_trained_layer_is_kept():
    X, y, s = problem(8)
    told = []

    class Begin(Callback):
        def on_train_begin(self, net, **_):
            told.append([str(warning.message) for warning in caught])

    model = method("GBMix", refit="logistic", refit_on="held_out", callbacks=[Begin()])
    with pytest.warns(SmallCellWarning) as caught:
        model.fit(X, y, s)
    assert any("last layer is not refitted" in message for message in told[0])
    assert {warning.filename for warning in caught} == {__file__}
    weight, _ = model.net_.raw_module.head_weights
    assert model.head_.coef_[0] == pytest.approx(weight[1] - weight[0])


# ---------------------------------------------------------------------------- selection


def order_of_epochs(model):
    """What chooses: the worst cell, each drawn towards its class as if 25 more had been seen."""
    counts = model.cell_table_["validation"]
    scores = []
    for _, row in model.history_.iterrows():
        worst = np.inf
        for label in model.classes_:
            n = counts[counts > 0].loc[label].to_numpy()
            names = [c for c in row.index if c.startswith(f"accuracy[{label}, ")]
            right = row[names].dropna().to_numpy(dtype=float)
            of_class = (n / (n + 25) * right).sum() / (n / (n + 25)).sum()
            worst = min(worst, ((n * right + 25 * of_class) / (n + 25)).min())
        scores.append((round(worst, 12), row["mean_group_accuracy"]))
    return scores


def folded(model, state):
    """A state of the training, for samples in the units that they were given in."""
    scaling = model._input_scaling
    state = {name: value.double() for name, value in state.items()}
    state["head.bias"] = state["head.bias"] - state["head.weight"] @ torch.from_numpy(
        scaling.mean / scaling.scale
    )
    state["head.weight"] = state["head.weight"] / torch.from_numpy(scaling.scale)
    return state


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_the_best_epoch_is_kept(name, seed):
    X, y, s = problem(300, seed=seed)
    X[:, :2] /= 3  # hard enough for the epochs to differ
    recorder = Recorder()
    model = method(name, max_epochs=8, lr=0.1, random_state=seed, callbacks=[recorder])
    model.set_params(refit=None).fit(X, y, s)
    scores = order_of_epochs(model)
    assert model.best_epoch_ == scores.index(max(scores)) + 1  # the first of equals
    assert [i + 1 for i, best in enumerate(model.history_["best"]) if best][-1] == model.best_epoch_
    kept = folded(model, recorder.states[model.best_epoch_ - 1])
    for name_, value in model.net_.raw_module.state_dict().items():
        torch.testing.assert_close(value.double(), kept[name_], rtol=1e-5, atol=1e-6)


def test_ties_of_the_worst_group_go_to_the_better_mean():
    X, y, s = problem(400)
    y_val, s_val = np.repeat([0, 0, 1, 1], 100), np.tile(np.repeat([0, 1], 100), 2)
    X_val = X[np.r_[:400]]
    X_val[y_val == 1] = X[y == 0][0]  # a class that no epoch finds; the other decides
    X_val[y_val == 0] = np.random.default_rng(0).normal([2, 1, 0, 0, 0], size=(200, 5))
    model = method("ERM", max_epochs=12, patience=None, lr=1e-3)
    model.fit(X, y, s, X_val=X_val, y_val=y_val, groups_val=s_val)
    scores = order_of_epochs(model)
    assert len({worst for worst, _ in scores}) == 1
    assert len({mean for _, mean in scores}) > 1
    assert model.best_epoch_ == scores.index(max(scores)) + 1


def test_patience_ends_the_training():
    X, y, s = problem()
    model = method("GBMix", max_epochs=50, patience=2).fit(X, y, s)
    assert len(model.history_) == model.best_epoch_ + 2
    assert len(method("GBMix", max_epochs=30, patience=None).fit(X, y, s).history_) == 30


def test_without_validation_the_last_epoch_is_kept():
    X, y, s = problem()
    recorder = Recorder()
    model = method("GBMix", validation_fraction=None, max_epochs=12, callbacks=[recorder])
    model.set_params(patience=1).fit(X, y, s)
    assert model.best_epoch_ == len(model.history_) == 12
    assert "worst_group_accuracy" not in model.history_
    weight, _ = model.net_.raw_module.head_weights
    assert weight == pytest.approx(folded(model, recorder.states[-1])["head.weight"].numpy())


def test_given_validation_data_choose_the_epoch():
    X, y, s = problem(300)
    X_val, y_val, s_val = problem(120, seed=5)
    labels = np.array(["no", "yes"])
    X_val[:, :2] /= 3
    recorder = Recorder()
    model = method("ERM", max_epochs=6, callbacks=[recorder], patience=None)
    model.fit(X, labels[y], s, X_val=X_val, y_val=labels[y_val], groups_val=s_val)
    assert (model.group_table_["count"] == 75).all()  # all of it was trained on
    for epoch, state in enumerate(recorder.states):
        state = folded(model, state)
        predicted = (X_val @ state["head.weight"].numpy().T + state["head.bias"].numpy()).argmax(1)
        worst = worst_group_accuracy_score(y_val, predicted, groups=s_val)
        assert model.history_["worst_group_accuracy"][epoch] == pytest.approx(worst)
    assert "accuracy[yes, group=1]" in model.history_


def test_without_validation_groups_the_worst_class_chooses():
    X, y, s = problem(300)
    with pytest.warns(MissingGroupsWarning, match="Give groups_val as well") as caught:
        model = method("ERM").fit(X, y, s, X_val=X, y_val=y)
    assert caught[0].filename == __file__
    accuracies = model.history_[["accuracy[0, group=all]", "accuracy[1, group=all]"]]
    assert model.history_["worst_group_accuracy"].tolist() == accuracies.min(axis=1).tolist()


def test_the_history_has_a_row_for_each_epoch():
    X, y, s = problem(n_classes=3)
    model = method("GBMix", max_epochs=4, lr_schedule="cosine", lr=0.1).fit(X, y, s)
    table = model.history_
    assert table["epoch"].tolist() == [1, 2, 3, 4]
    assert table["lr"].tolist() == pytest.approx(
        [0.05 * (1 + np.cos(np.pi * epoch / 4)) for epoch in range(4)]
    )
    cells = [f"{c}, group={v}" for c in range(3) for v in range(2)]
    accuracy = table[[f"accuracy[{cell}]" for cell in cells]].to_numpy()
    assert accuracy.min(1) == pytest.approx(table["worst_group_accuracy"])
    assert accuracy.mean(1) == pytest.approx(table["mean_group_accuracy"])
    assert np.ptp(accuracy, axis=1) == pytest.approx(table["robust_gap"])
    shares = table[[f"target_share[{cell}]" for cell in cells]].to_numpy()
    assert shares.sum(1) == pytest.approx(1)
    assert table["target"].tolist() == [cells[i] for i in shares.argmax(1)]
    assert np.isfinite(table[["train_loss", "valid_loss", "dur"]]).all(axis=None)
    assert "target" not in method("ERM").fit(X, y, s).history_


def test_the_step_schedule_falls_to_a_tenth_after_each_third():
    X, y, s = problem()
    model = method("ERM", max_epochs=6, lr_schedule="step", lr=0.1, patience=None).fit(X, y, s)
    assert model.history_["lr"].tolist() == pytest.approx([0.1] * 2 + [0.01] * 2 + [0.001] * 2)


# ---------------------------------------------------------------------------- losses that explode


@pytest.mark.parametrize("validation_fraction", [0.2, None])
def test_a_loss_that_explodes_at_once_is_an_error_with_a_cure(validation_fraction):
    X, y, s = problem()
    model = method("GBMix", lr=1e35, validation_fraction=validation_fraction)
    with pytest.raises(NonFiniteLossError, match=r"first epoch.*Lower lr.*StandardScaler"):
        model.fit(X, y, s)
    assert not hasattr(model, "head_")


@pytest.mark.parametrize("validation_fraction", [0.2, None])
def test_a_loss_that_explodes_later_keeps_the_best_epoch(validation_fraction):
    X, y, s = problem()
    options = {"validation_fraction": validation_fraction, "patience": None}
    model = method("GBMix", max_epochs=10, **options, callbacks=[AtEpoch(3, explode)])
    with pytest.warns(NonFiniteLossWarning, match=r"epoch 4.*Lower lr"):
        model.fit(X, y, s)
    assert len(model.history_) == 4
    calm = method("GBMix", max_epochs=3, **options).fit(X, y, s)
    assert model.best_epoch_ == calm.best_epoch_
    assert np.array_equal(model.head_.coef_, calm.head_.coef_)


def test_weights_that_explode_in_the_very_last_step_are_not_kept():
    """The loss of an epoch is computed before its last step."""
    X, y, s = problem()
    model = method("ERM", lr=3e38, max_epochs=1, batch_size=200, validation_fraction=None)
    model.set_params(backbone=torch.nn.Identity())
    with pytest.raises(NonFiniteLossError, match="weights became infinite"):
        model.fit(X * 100, y, s)


# ---------------------------------------------------------------------------- callbacks, progress


@pytest.mark.parametrize("name", METHODS)
def test_callbacks_see_every_batch_and_epoch(name):
    X, y, s = problem(200)
    recorder = Recorder()
    model = method(name, refit=None, batch_size=48, callbacks=[recorder]).fit(X, y, s)
    assert recorder.epochs == 3
    assert recorder.batches == 3 * 4  # 160 in training
    assert model.history_["train_loss"][0] == pytest.approx(np.mean(recorder.losses[:4]), rel=1e-5)
    for epoch in model.net_.history:
        assert [sorted(batch) for batch in epoch["batches"]] == [
            *[["train_batch_size", "train_loss"]] * 4,
            ["valid_batch_size", "valid_loss"],
        ]


def test_callbacks_change_nothing_by_watching():
    X, y, s = problem()
    watched = method("GBMix", callbacks=[Recorder()]).fit(X, y, s)
    assert np.array_equal(watched.head_.coef_, method("GBMix").fit(X, y, s).head_.coef_)


def test_early_stopping_by_the_worst_group():
    X, y, s = problem()
    stopping = EarlyStopping(
        monitor="worst_group_accuracy", patience=3, lower_is_better=False, sink=lambda _: None
    )
    model = method("GBMix", max_epochs=60, patience=None, callbacks=[stopping]).fit(X, y, s)
    worst = model.history_["worst_group_accuracy"]
    assert len(worst) < 60
    assert worst[:-3].max() >= worst[-3:].max()


def test_gradients_can_be_clipped():
    X, y, s = problem()
    clipping = GradientNormClipping(gradient_clip_value=1e-9)
    options = {"momentum": 0.0, "weight_decay": 0.0, "optimizer": "sgd"}
    clipped = method("ERM", callbacks=[clipping], **options).fit(X, y, s)
    once = method("ERM", callbacks=[clipping], max_epochs=1, **options).fit(X, y, s)
    free = method("ERM", **options).fit(X, y, s)
    assert clipped.head_.coef_ == pytest.approx(once.head_.coef_, abs=1e-6)
    assert abs(free.head_.coef_ - once.head_.coef_).max() > 1e-3


def test_verbose_prints_a_line_for_each_epoch(capsys):
    X, y, s = problem()
    method("GBMix").fit(X, y, s)
    assert capsys.readouterr().out == ""
    method("GBMix", verbose=1).fit(X, y, s)
    lines = capsys.readouterr().out.splitlines()
    cells, lines = lines[:-3], lines[-3:]
    assert cells[0].split() == ["train", "validation", "refit", "note"]
    assert len(cells) == 2 + 4
    assert len(lines) == 3
    for number, line in enumerate(lines, 1):
        assert line.startswith(f"epoch {number}/3 ")
        for part in ("eta", "loss", "average", "gap", "worst", "target"):
            assert f"  {part} " in line


def test_the_logger_has_the_lines_in_any_case(caplog):
    X, y, s = problem()
    with caplog.at_level(logging.INFO, logger="gbmix_sklearn"):
        method("ERM", validation_fraction=None).fit(X, y, s)
    assert [record.name for record in caplog.records] == ["gbmix_sklearn"] * 3
    assert "worst" not in caplog.text


# ---------------------------------------------------------------------------- ablations, precision


@pytest.mark.parametrize(
    "parameters",
    [
        {"categorize": False},
        {"mix": False},
        {"categorize": False, "mix": False},
        {"k": "cells"},
        {"k": 3},
        {"mix_granularity": "pair"},
        {"mix_granularity": "batch"},
        {"target_smoothing": 0.9},
        {"alpha": 0.2},
    ],
    ids=str,
)
def test_every_option_changes_the_training_and_learns(parameters):
    X, y, s = problem(n_classes=3)
    model = method("GBMix", max_epochs=20, **parameters).fit(X, y, s)
    assert model.score(X, y) > 0.85
    plain = method("GBMix", max_epochs=20).fit(X, y, s)
    assert not np.array_equal(model.head_.coef_, plain.head_.coef_)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("hidden_units", [(), (8,)])
@pytest.mark.parametrize("name", METHODS)
def test_lower_precisions_train_to_nearly_the_same(name, hidden_units, precision):
    X, y, s = problem()
    options = {
        "validation_fraction": None,
        "hidden_units": hidden_units,
        "refit": None,
        "max_epochs": 20,
    }
    low = method(name, precision=precision, **options).fit(X, y, s)
    full = method(name, precision="fp32", **options).fit(X, y, s)
    assert not np.array_equal(low.head_.coef_, full.head_.coef_)
    assert abs(low.predict_proba(X) - full.predict_proba(X)).mean() < 0.05
    assert low.score(X, y) > 0.9
    assert low.net_.raw_module.head.weight.dtype == torch.float32


def test_sizes_may_be_of_any_integer_kind():
    X, y, s = problem()
    model = ERMClassifier(**FAST, hidden_units=np.array([4, 3]), batch_size=np.int64(16))
    assert model.fit(X, y, s).head_.coef_.shape == (1, 3)
