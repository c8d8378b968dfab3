"""Mixup for rare classes and hard samples: what is balanced, counted and weighed."""

import numpy as np
import pytest
import torch

from gbmix_sklearn import (
    BalancedMixUpClassifier,
    ERMClassifier,
    MissingGroupsError,
    NonFiniteLossWarning,
    OBMixClassifier,
    UMIXClassifier,
    UniMixClassifier,
    mean_group_accuracy_score,
    worst_group_accuracy_score,
)
from gbmix_sklearn.estimators import _training
from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.training import GroupNet

from ..training.test_checkpoints import outcome
from .problems import FAST, images, problem
from .test_group_methods import LAST_EPOCH, spurious
from .test_two_stages import Killed as KilledInAStep
from .test_two_stages import hard, kill, stages  # noqa: F401

BALANCED = {"OBMix": OBMixClassifier, "UniMix": UniMixClassifier}
METHODS = {
    "BalancedMixUp": BalancedMixUpClassifier,
    **BALANCED,
    "OBMix, group": lambda **options: OBMixClassifier(balance="group", **options),
    "UniMix, group": lambda **options: UniMixClassifier(balance="group", **options),
    "UniMix, Bayias": lambda **options: UniMixClassifier(bayias=True, **options),
    "UMIX": lambda **options: UMIXClassifier(**({"first_stage_epochs": 4} | options)),
}
every_method = pytest.mark.parametrize("name", METHODS)


def imbalanced(n, seed, rare=0.05):
    """Two classes that overlap, the second one rare."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < rare).astype(int)
    X = rng.normal(size=(n, 5))
    X[:, 0] += 2 * y
    return X.astype(np.float32), y


@pytest.mark.parametrize("name", BALANCED)
def test_groups_are_required_to_balance_them_alone(name):
    X, y, _ = problem()
    assert BALANCED[name](**FAST).fit(X, y).balance == "class"
    with pytest.raises(MissingGroupsError, match="Classifier needs groups"):
        BALANCED[name](balance="group", **FAST).fit(X, y)


@every_method
@pytest.mark.parametrize(("n_classes", "n_values"), [(2, 2), (3, 3), (2, 1)])
def test_any_number_of_classes_and_values_is_learnt(name, n_classes, n_values):
    X, y, s = problem(300, n_classes, n_values)
    model = METHODS[name](**(FAST | {"max_epochs": 12})).fit(X, y, s)
    assert model.score(X, y) > 0.85


@every_method
def test_an_absent_cell_does_no_harm(name):
    X, y, s = problem(300)
    keep = (y == 0) | (s == 1)
    model = METHODS[name](hidden_units=(4,), **(FAST | {"max_epochs": 20, "lr": 0.05}))
    model.fit(X[keep], y[keep], s[keep])
    assert model.group_table_["count"].tolist()[2] == 0
    assert model.score(X[keep], y[keep]) > 0.85


@every_method
def test_batch_normalization_and_odd_batches_are_no_trouble(name):
    X, y, s = images(49)
    backbone = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    model = METHODS[name](backbone=backbone, batch_size=8, **(FAST | {"max_epochs": 8}))
    assert model.fit(X, y, s).score(X, y) > 0.85


def halves(model, cells, epochs=20):
    """Samples of first and second halves, from several epochs."""
    rng = np.random.default_rng(0)
    sampler = model._make_sampler(cells, rng)
    pairs = [np.split(batch, 2) for _ in range(epochs) for batch in sampler.epoch(rng)]
    return (np.concatenate(side) for side in zip(*pairs, strict=True))


def test_balanced_mixup_pairs_the_data_as_they_are_with_balanced_ones():
    _, y = imbalanced(600, seed=0)
    cells = make_cells(y, y * 0)
    first, second = halves(BalancedMixUpClassifier(batch_size=32), cells)
    assert (np.bincount(first) == 20).all()  # every sample once an epoch
    assert y[second].mean() == pytest.approx(0.5, abs=0.02)
    met = y[second][y[first] == 1]
    assert met.mean() == pytest.approx(0.5, abs=0.1)  # whoever it is paired with


def test_obmix_balances_both_halves_by_class_or_by_group():
    _, y, s = spurious(600, 0.1, seed=0)
    keep = (y == 0) | (np.arange(600) % 8 == 0)
    y, s = y[keep], s[keep]
    cells = make_cells(y, s)
    for half in halves(OBMixClassifier(batch_size=32), cells):
        assert y[half].mean() == pytest.approx(0.5, abs=0.02)
        assert (s[half] == y[half]).mean() > 0.8  # the attribute is left as it is
    first, second = halves(OBMixClassifier(balance="group", batch_size=32), cells)
    assert np.bincount(cells.codes[first]) == pytest.approx(len(first) / 4, rel=0.02)
    assert (cells.codes[first] == cells.codes[second]).mean() == pytest.approx(1 / 4, abs=0.05)


def test_unimix_counts_classes_or_groups():
    y = np.repeat([0, 0, 1, 1], [50, 30, 15, 5])
    s = np.repeat([0, 1, 0, 1], [50, 30, 15, 5])
    by_class = UniMixClassifier(bayias=True)._make_criterion(make_cells(y, s))
    assert by_class.log_counts.exp().tolist() == pytest.approx([80, 20])
    by_group = UniMixClassifier(balance="group", bayias=True)._make_criterion(make_cells(y, s))
    assert by_group.log_counts.exp().tolist() == pytest.approx([50, 30, 15, 5])
    for criterion in (by_class, by_group):  # the prior is that of the classes
        assert criterion.bias.exp().tolist() == pytest.approx([1.6, 0.4])


@pytest.mark.parametrize(
    "name", ["BalancedMixUp", "OBMix", "UniMix", "UniMix, Bayias", "OBMix, group"]
)
def test_the_mean_over_classes_gains_where_one_is_rare(name):
    X, y = imbalanced(2000, seed=0)
    X_test, y_test = imbalanced(4000, seed=1, rare=0.5)
    scores = []
    for cls in (ERMClassifier, METHODS[name]):
        model = cls(**LAST_EPOCH).fit(X, y, y * 0 + np.arange(2000) % 2)
        same = np.zeros(4000)
        scores.append(mean_group_accuracy_score(y_test, model.predict(X_test), groups=same))
    assert scores[1] > scores[0] + 0.02


def test_umix_helps_the_worst_group_without_seeing_groups():
    X, y, _ = spurious(2000, 0.03, seed=0)
    X_test, y_test, s_test = spurious(4000, 0.5, seed=1)
    own = {"first_stage_epochs": 5, "eta": 20}
    worst = []
    for model in (ERMClassifier(**LAST_EPOCH), UMIXClassifier(**own, **LAST_EPOCH)):
        p = model.fit(X, y).predict(X_test)
        worst.append(worst_group_accuracy_score(y_test, p, groups=s_test))
    assert worst[1] > worst[0] + 0.08


@pytest.fixture
def weights(monkeypatch):
    """The weights that stages are trained with."""
    seen = []
    real = _training.Training.run

    def run(self, *args, **options):
        seen.append(options.get("weights"))
        return real(self, *args, **options)

    monkeypatch.setattr(_training.Training, "run", run)
    return seen


@pytest.mark.parametrize(("epochs", "counted", "used"), [(5, 3, 3), (2, 50, 2)])
def test_umix_weighs_by_how_often_it_was_wrong(stages, weights, epochs, counted, used):  # noqa: F811
    X, y, s = hard()
    options = FAST | {"lr": 0.05}  # so that predictions change
    model = UMIXClassifier(**options, first_stage_epochs=epochs, counted_epochs=counted, eta=7)
    model.fit(X, y, s)
    assert stages["epochs"] == [epochs, 3]
    assert len(stages["predicted"]) == used
    first, second = weights
    assert first is None
    expected = []
    for i in range(160):
        wrong = sum(predicted[i] != truth[i] for predicted, truth in stages["predicted"])
        expected.append(1 + 7 * wrong / used)
    assert second == pytest.approx(expected)
    assert len(set(expected)) > 2


def test_the_last_epochs_are_those_that_count(stages):  # noqa: F811
    X, y, s = hard()
    options = {"random_state": 0, "validation_fraction": None, "lr": 0.1}
    UMIXClassifier(max_epochs=1, first_stage_epochs=5, counted_epochs=2, **options).fit(X, y, s)
    recorded = [predicted for predicted, _ in stages["predicted"]]
    for epochs, predicted in zip((4, 5), recorded, strict=True):
        erm = ERMClassifier(max_epochs=epochs, **options).fit(X, y, s)
        assert (erm.predict(X) == predicted).all()
    assert (recorded[0] != recorded[1]).any()


@pytest.mark.parametrize("counted", [1, 4])
def test_an_epoch_that_explodes_counts_for_nothing(counted, weights, monkeypatch):
    """In the third of five epochs: before the only one that counts, and as the second of four."""
    X, y, s = hard()
    real = GroupNet._train_epoch

    def explode(self, source):
        if len(weights) == 1 and len(self.history) == 3:
            for group in self.optimizer_.param_groups:
                group["lr"] = 1e38
        return real(self, source)

    monkeypatch.setattr(GroupNet, "_train_epoch", explode)
    options = FAST | {"lr": 0.05}  # so that predictions change
    model = UMIXClassifier(**options, first_stage_epochs=5, counted_epochs=counted, eta=10)
    with pytest.warns(NonFiniteLossWarning, match="epoch 3"):
        model.fit(X, y, s)
    values = set(weights[1].tolist())
    assert values == {1.0} if counted == 1 else values <= {1.0, 11.0}
    if counted == 4:  # epoch 2 is the only one
        assert len(values) == 2


def test_the_second_stage_of_umix_is_a_fresh_model(stages):  # noqa: F811
    X, y, s = hard()
    UMIXClassifier(**FAST, hidden_units=(4,), first_stage_epochs=2).fit(X, y, s)
    first, second = stages["begin"]
    assert all(torch.equal(first[name], second[name]) for name in first)


# 160 samples in batches of 32: 5 steps an epoch, 4 epochs in the first stage and 6 in the second
@pytest.mark.parametrize("step", [3, 12, 18, 20, 22, 33])
def test_umix_goes_on_in_whichever_stage_it_was_killed(step, tmp_path, kill, weights):  # noqa: F811
    X, y, s = hard()
    own = {"first_stage_epochs": 4, "counted_epochs": 3}
    options = FAST | own | {"max_epochs": 6, "batch_size": 32, "patience": None}
    whole = UMIXClassifier(**options).fit(X, y, s)
    model = UMIXClassifier(**options, checkpoint_dir=tmp_path)
    kill[0] = step
    with pytest.raises(KilledInAStep):
        model.fit(X, y, s)
    model.fit(X, y, s)
    assert (weights[-1] == weights[1]).all()
    assert outcome(model) == outcome(whole)
    kill[0] = 0  # a finished run trains no more
    again = UMIXClassifier(**options, checkpoint_dir=tmp_path).fit(X, y, s)
    assert outcome(again) == outcome(whole)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (BalancedMixUpClassifier(alpha=0), "alpha"),
        (OBMixClassifier(alpha=0), "alpha"),
        (OBMixClassifier(balance="cell"), "balance"),
        (UniMixClassifier(alpha=0), "alpha"),
        (UniMixClassifier(tau=float("inf")), "tau"),
        (UniMixClassifier(bayias="yes"), "bayias"),
        (UMIXClassifier(alpha=0), "alpha"),
        (UMIXClassifier(sigma=1.1), "sigma"),
        (UMIXClassifier(eta=-1), "eta"),
        (UMIXClassifier(first_stage_epochs=0), "first_stage_epochs"),
        (UMIXClassifier(counted_epochs=0), "counted_epochs"),
    ],
)
def test_parameters_out_of_range_are_named(model, name):
    X, y, _ = problem()
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        model.fit(X, y)
