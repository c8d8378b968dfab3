"""What the methods that train on groups make of them."""

import numpy as np
import pytest
import torch

from gbmix_sklearn import (
    ERMClassifier,
    FairMixClassifier,
    GroupDROClassifier,
    LISAClassifier,
    MissingGroupsError,
    RWGClassifier,
    SUBGClassifier,
    worst_group_accuracy_score,
)
from gbmix_sklearn.groups import make_cells

from ..training.test_checkpoints import killed_after, outcome
from .problems import FAST, problem

METHODS = {
    "RWG": RWGClassifier,
    "SUBG": SUBGClassifier,
    "GroupDRO": GroupDROClassifier,
    "FairMix, parity": FairMixClassifier,
    "FairMix, odds": lambda **options: FairMixClassifier(constraint="equalized_odds", **options),
    "LISA": LISAClassifier,
}
#: the groups serve training alone, they choose no epoch
LAST_EPOCH = {"max_epochs": 15, "random_state": 0, "validation_fraction": None}
every_method = pytest.mark.parametrize("name", METHODS)


def spurious(n, minority, seed):
    """A weak feature of the class, and a strong one of an attribute that mostly agrees with it."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    s = np.where(rng.random(n) < minority, 1 - y, y)
    X = rng.normal(size=(n, 6))
    X[:, 0] += 2 * (2 * y - 1)
    X[:, 1] = 3 * (2 * s - 1) + 0.5 * X[:, 1]
    return X.astype(np.float32), y, s


@every_method
def test_groups_are_required(name):
    X, y, _ = problem()
    with pytest.raises(MissingGroupsError, match="Classifier needs groups"):
        METHODS[name](**FAST).fit(X, y)


@every_method
@pytest.mark.parametrize(("n_classes", "n_values"), [(2, 2), (3, 3), (2, 1)])
def test_any_number_of_classes_and_values_is_learnt(name, n_classes, n_values):
    X, y, s = problem(300, n_classes, n_values)
    model = METHODS[name](**(FAST | {"max_epochs": 12, "weight_decay": 1e-4})).fit(X, y, s)
    assert model.score(X, y) > 0.85


@every_method
def test_an_absent_cell_does_no_harm(name):
    X, y, s = problem(300)
    keep = (y == 0) | (s == 1)
    model = METHODS[name](hidden_units=(4,), **(FAST | {"max_epochs": 20, "lr": 0.05}))
    model.fit(X[keep], y[keep], s[keep])
    assert model.group_table_["count"].tolist()[2] == 0
    assert model.score(X[keep], y[keep]) > 0.85


def test_the_weights_of_the_cells_survive_an_interruption(tmp_path):
    X, y, s = spurious(400, 0.1, seed=0)
    options = FAST | {"step_size": 0.3, "patience": None}
    whole = GroupDROClassifier(**options).fit(X, y, s)
    model = GroupDROClassifier(**options, checkpoint_dir=tmp_path)
    with killed_after(2):
        model.fit(X, y, s)
    model.fit(X, y, s)
    q, expected = model.net_.criterion_.q, whole.net_.criterion_.q
    assert torch.equal(q, expected)
    assert q.max() > 0.26  # they have left where they began
    assert outcome(model) == outcome(whole)


@pytest.mark.parametrize("cls", [RWGClassifier, SUBGClassifier])
def test_balancing_classes_needs_no_groups_and_balances_classes(cls):
    X, y, s = spurious(600, 0.1, seed=0)
    keep = (y == 0) | (np.arange(600) % 8 == 0)
    X, y, s = X[keep], y[keep], s[keep]
    model = cls(balance="class", **FAST)
    model.fit(X, y)
    cells = make_cells(y, s)
    rng = np.random.default_rng(0)
    drawn = np.concatenate([model._make_sampler(cells, rng).epoch(rng) for _ in range(20)]).ravel()
    assert y[drawn].mean() == pytest.approx(0.5, abs=0.02)
    assert (s[drawn] == y[drawn]).mean() > 0.8  # the attribute is left as it is
    model.set_params(balance="group")
    drawn = np.concatenate([model._make_sampler(cells, rng).epoch(rng) for _ in range(20)]).ravel()
    assert (s[drawn] == y[drawn]).mean() == pytest.approx(0.5, abs=0.02)


def test_subg_never_uses_what_its_subsample_leaves_out():
    _, y, s = spurious(600, 0.1, seed=0)
    cells = make_cells(y, s)
    rng = np.random.default_rng(0)
    sampler = SUBGClassifier(**FAST)._make_sampler(cells, rng)
    used = np.unique(np.concatenate([sampler.epoch(rng).ravel() for _ in range(10)]))
    assert np.bincount(cells.codes[used]).tolist() == [cells.counts.min()] * 4


@pytest.mark.parametrize(
    ("constraint", "balanced"), [("demographic_parity", "s"), ("equalized_odds", "codes")]
)
def test_fairmix_balances_what_its_constraint_compares(constraint, balanced):
    _, y, s = spurious(600, 0.1, seed=0)
    s[y == 1] = np.where(np.arange((y == 1).sum()) % 5 == 0, 0, s[y == 1])
    cells = make_cells(y, s)
    rng = np.random.default_rng(0)
    model = FairMixClassifier(constraint=constraint, batch_size=40)
    for batch in model._make_sampler(cells, rng).epoch(rng):
        counts = np.bincount(getattr(cells, balanced)[batch])
        assert len(set(counts)) == 1


@pytest.mark.parametrize("cls", [RWGClassifier, SUBGClassifier, GroupDROClassifier, LISAClassifier])
def test_the_worst_group_gains_where_an_attribute_is_spurious(cls):
    X, y, s = spurious(2000, 0.03, seed=0)
    X_test, y_test, s_test = spurious(4000, 0.5, seed=1)

    def worst(cls):
        model = cls(**LAST_EPOCH).fit(X, y, s)
        return worst_group_accuracy_score(y_test, model.predict(X_test), groups=s_test)

    assert worst(cls) > worst(ERMClassifier) + 0.08


def test_fairmix_brings_predictions_of_groups_together():
    X, y, s = spurious(2000, 0.2, seed=0)
    gaps = []
    for weight in (0, 3):
        model = FairMixClassifier(weight=weight, lr=0.002, **LAST_EPOCH).fit(X, y, s)
        positive = model.predict_proba(X)[:, 1]
        gaps.append(abs(positive[s == 1].mean() - positive[s == 0].mean()))
    assert gaps[1] < 0.5 * gaps[0]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (RWGClassifier(balance="cell"), "balance"),
        (GroupDROClassifier(step_size=-1), "step_size"),
        (GroupDROClassifier(adjustment=-1), "adjustment"),
        (FairMixClassifier(weight=-1), "weight"),
        (FairMixClassifier(constraint="parity"), "constraint"),
        (LISAClassifier(p_intra_label=2), "p_intra_label"),
        (LISAClassifier(alpha=0), "alpha"),
    ],
)
def test_parameters_out_of_range_are_named(model, name):
    X, y, s = problem()
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        model.fit(X, y, s)
