"""Methods that train twice: what the first stage finds, and what the second makes of it."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from gbmix_sklearn import EmptyErrorSetWarning, JTTClassifier, load_model
from gbmix_sklearn.estimators import _jtt, _training
from gbmix_sklearn.training import GroupNet

from .problems import FAST, problem


def hard(n=200):
    X, y, s = problem(n)
    return X + np.random.default_rng(1).normal(size=X.shape) * 3, y, s


@pytest.fixture
def stages(monkeypatch):
    """Stage after stage: the weights that it begins with, its predictions, what it repeats."""
    seen = {"begin": [], "epochs": [], "predicted": [], "repeats": []}
    real_run, real_predict = _training.Training.run, _training.Training.predict
    real_sampler = _jtt.RepeatedSampler

    def run(self, *args, **options):
        state = self.network.state_dict()
        seen["begin"].append({name: value.clone() for name, value in state.items()})
        net = real_run(self, *args, **options)
        seen["epochs"].append(len(net.history))
        return net

    def predict(self):
        seen["predicted"].append((real_predict(self), self.cells.y))
        return seen["predicted"][-1][0]

    def sampler(repeats, batch_size):
        seen["repeats"].append(repeats)
        return real_sampler(repeats, batch_size)

    monkeypatch.setattr(_training.Training, "run", run)
    monkeypatch.setattr(_training.Training, "predict", predict)
    monkeypatch.setattr(_jtt, "RepeatedSampler", sampler)
    return seen


def test_jtt_repeats_what_the_first_stage_gets_wrong(stages):
    X, y, s = hard()
    model = JTTClassifier(**FAST, first_stage_epochs=2, lambda_up=7).fit(X, y, s)
    ((predicted, truth),) = stages["predicted"]
    (repeats,) = stages["repeats"]
    wrong = [i for i in range(len(truth)) if predicted[i] != truth[i]]
    assert 0 < len(wrong) < len(truth) == 160
    assert repeats.tolist() == [8 if i in wrong else 1 for i in range(len(truth))]
    assert model.n_errors_ == len(wrong)
    assert stages["epochs"] == [2, 3]


def test_the_second_stage_is_a_fresh_model(stages):
    X, y, s = hard()
    JTTClassifier(**FAST, hidden_units=(4,)).fit(X, y, s)
    first, second = stages["begin"]
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_batch_statistics_are_fresh_as_well(stages):
    X, y, s = hard()
    JTTClassifier(**FAST, backbone=torch.nn.BatchNorm1d(5)).fit(X, y, s)
    assert [state["embedding.0.num_batches_tracked"].item() for state in stages["begin"]] == [0, 0]


def test_no_error_to_repeat_warns_and_goes_on_as_erm(stages):
    X, y, s = problem(300)
    X[np.arange(300), y] += 40
    with pytest.warns(EmptyErrorSetWarning, match=r"10 epoch.*all 240 training samples") as caught:
        model = JTTClassifier(**FAST, first_stage_epochs=10).fit(X, y, s)
    assert caught[0].filename == __file__
    assert model.n_errors_ == 0
    assert set(stages["repeats"][0]) == {1}
    assert model.score(X, y) == 1


def test_the_size_of_the_error_set_is_saved(tmp_path):
    X, y, s = hard()
    model = JTTClassifier(**FAST).fit(X, y, s)
    model.save(tmp_path / "model")
    assert load_model(tmp_path / "model").n_errors_ == model.n_errors_ > 0


class Killed(Exception):
    pass


@pytest.fixture
def kill(monkeypatch):
    """After so many steps of training, once."""
    left = [np.inf]
    real = GroupNet.train_step

    def train_step(self, batch, **options):
        left[0] -= 1
        if left[0] < 0:
            left[0] = np.inf
            raise Killed
        return real(self, batch, **options)

    monkeypatch.setattr(GroupNet, "train_step", train_step)
    return left


# 160 samples in batches of 32: 5 steps an epoch, 4 epochs in the first stage and 6 in the second
@pytest.mark.parametrize("step", [3, 12, 20, 22, 33])
def test_a_killed_run_goes_on_in_whichever_stage_it_was(step, tmp_path, kill):
    X, y, s = hard()
    options = FAST | {"max_epochs": 6, "batch_size": 32, "first_stage_epochs": 4, "patience": None}
    whole = JTTClassifier(**options).fit(X, y, s)
    model = JTTClassifier(**options, checkpoint_dir=tmp_path)
    kill[0] = step
    with pytest.raises(Killed):
        model.fit(X, y, s)
    model.fit(X, y, s)
    assert model.n_errors_ == whole.n_errors_
    assert (model.head_.coef_ == whole.head_.coef_).all()
    assert (model.head_.intercept_ == whole.head_.intercept_).all()
    pick = ["train_loss", "valid_loss", "worst_group_accuracy"]
    assert model.history_[pick].equals(whole.history_[pick])
    kill[0] = 0  # a finished run trains no more
    again = JTTClassifier(**options, checkpoint_dir=tmp_path).fit(X, y, s)
    assert (again.head_.coef_ == whole.head_.coef_).all()


def test_callbacks_of_the_user_see_the_last_stage():
    class Count(Callback):
        epochs = 0

        def on_epoch_end(self, net, **_):
            Count.epochs += 1

    X, y, s = hard()
    JTTClassifier(**FAST, first_stage_epochs=5, callbacks=[Count()]).fit(X, y, s)
    assert Count.epochs == 3


def test_progress_names_the_stage(capsys):
    X, y, s = hard()
    JTTClassifier(**FAST, verbose=1).fit(X, y, s)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("eta")[0].strip(" *") for line in lines if "epoch" in line] == [
        "first stage, epoch 1/1",
        "epoch 1/3",
        "epoch 2/3",
        "epoch 3/3",
    ]
