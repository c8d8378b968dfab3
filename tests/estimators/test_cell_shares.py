"""Shares of the cells that are learned while a method trains."""

import numpy as np
import pytest

from gbmix_sklearn import (
    FairMixClassifier,
    GBMixClassifier,
    GroupDROClassifier,
    GroupsError,
    LISAClassifier,
    OBMixClassifier,
    RWGClassifier,
    load_model,
)
from gbmix_sklearn.balance import shrink
from gbmix_sklearn.groups import make_cells

from ..training.test_checkpoints import killed_after, outcome

METHODS = {
    "GBMix": GBMixClassifier,
    "RWG": RWGClassifier,
    "GroupDRO": GroupDROClassifier,
    "LISA": LISAClassifier,
    "FairMix": lambda **options: FairMixClassifier(constraint="equalized_odds", **options),
    "OBMix": lambda **options: OBMixClassifier(balance="group", **options),
}
every_method = pytest.mark.parametrize("name", METHODS)
FAST = {"max_epochs": 6, "random_state": 0, "refit": None, "patience": None}


def one_hard_cell(n=800):
    """The last cell can hardly be told from the other class, whose cells are easy to tell."""
    rng = np.random.default_rng(0)
    y, s = rng.integers(2, size=(2, n))
    X = rng.normal(size=(n, 4)).astype(np.float32)
    X[:, 0] += np.where((y == 1) & (s == 0), 6, np.where(y == 1, 1, 0))
    return X, y, s


@every_method
def test_the_worse_a_cell_the_larger_its_share(name):
    X, y, s = one_hard_cell()
    model = METHODS[name](cell_shares="learned", **FAST).fit(X, y, s)
    shares = model.history_.filter(regex=r"^share\[").to_numpy()
    assert shares[0] == pytest.approx(0.25)
    assert shares.sum(1) == pytest.approx(1)
    assert shares[-1].argmax() == 3
    assert shares[-1, 2] < 0.25


def test_the_rule_is_that_of_the_learned_balance():
    X, y, s = one_hard_cell()
    model = RWGClassifier(cell_shares="learned", **FAST)
    X_val, y_val, s_val = X[:300], y[:300], s[:300]
    model.fit(X[300:], y[300:], s[300:], X_val=X_val, y_val=y_val, groups_val=s_val)
    cells = make_cells(y_val, s_val)
    history = model.history_
    shares = history.filter(regex=r"^share\[").to_numpy()
    misses = (1 - history.filter(regex=r"^accuracy\[").to_numpy()) * cells.counts
    for now, following, missed in zip(shares, shares[1:], misses, strict=False):
        errors = shrink(missed, cells)
        expected = now * np.exp(errors - errors.mean())
        assert following == pytest.approx(expected / expected.sum())


def test_no_share_gets_farther_than_four_times_its_beginning():
    X, y, s = one_hard_cell()
    model = RWGClassifier(cell_shares="learned", **(FAST | {"max_epochs": 60, "lr": 1e-6}))
    shares = model.fit(X, y, s).history_.filter(regex=r"^share\[").to_numpy()
    assert shares[-1].max() <= 16 * shares[-1].min() * (1 + 1e-9)
    assert shares[-1].max() > 3 * shares[-1].min()


@pytest.mark.parametrize("cls", [GBMixClassifier, RWGClassifier])
def test_shares_survive_an_interruption(cls, tmp_path):
    X, y, s = one_hard_cell()
    options = FAST | {"cell_shares": "learned", "hidden_units": (4,)}
    whole = cls(**options).fit(X, y, s)
    model = cls(**options, checkpoint_dir=tmp_path)
    with killed_after(2):
        model.fit(X, y, s)
    model.fit(X, y, s)
    assert outcome(model) == outcome(whole)


def test_a_saved_model_knows_how_it_was_trained(tmp_path):
    X, y, s = one_hard_cell()
    model = GBMixClassifier(cell_shares="learned", **FAST).fit(X, y, s)
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.cell_shares == "learned"
    assert np.array_equal(loaded.predict(X), model.predict(X))


def test_tiny_cells_have_no_share_of_their_own():
    X, y, s = one_hard_cell()
    s[:3], y[:3] = 2, 1
    model = GBMixClassifier(cell_shares="learned", **FAST).fit(X, y, s)
    shares = model.history_.filter(regex=r"^share\[1, group=2").to_numpy()
    assert (shares == 0).all()


def test_without_validation_samples_there_is_nothing_to_learn_from():
    X, y, s = one_hard_cell(100)
    model = GBMixClassifier(cell_shares="learned", **(FAST | {"validation_fraction": None}))
    with pytest.raises(ValueError, match="set validation_fraction, give X_val"):
        model.fit(X, y, s)


def test_validation_samples_need_groups():
    X, y, s = one_hard_cell(200)
    model = GBMixClassifier(cell_shares="learned", **FAST)
    with pytest.warns(UserWarning, match="groups_val"), pytest.raises(GroupsError, match="give it"):
        model.fit(X[:100], y[:100], s[:100], X_val=X[100:], y_val=y[100:])


@pytest.mark.parametrize(
    ("model", "what"),
    [
        (RWGClassifier(balance="class"), "balance='class'"),
        (OBMixClassifier(balance="class"), "balance='class'"),
        (FairMixClassifier(), "constraint='demographic_parity'"),
        (GBMixClassifier(target_smoothing=0.5), "target_smoothing=0.5"),
    ],
)
def test_what_goes_by_something_else_than_cells_is_refused(model, what):
    X, y, s = one_hard_cell(100)
    with pytest.raises(ValueError, match=what):
        model.set_params(cell_shares="learned").fit(X, y, s)
