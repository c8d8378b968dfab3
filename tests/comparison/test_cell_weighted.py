"""Equal weights for cells, parameters by the worst of them, learned weights."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_get_params_invariance

from gbmix_sklearn import MinimaxClassifier
from gbmix_sklearn.balance import start_shares
from gbmix_sklearn.balance._rounds import sample_weights
from gbmix_sklearn.comparison import _cell_weighted
from gbmix_sklearn.comparison._cell_weighted import CellWeightedClassifier
from gbmix_sklearn.groups import make_cells

from .problems import places

X, Y, PLACE = places()


class Counting(LogisticRegression):
    """Counts its fits."""

    fits = 0

    def fit(self, X, y, sample_weight=None):
        type(self).fits += 1
        return super().fit(X, y, sample_weight)


def test_cells_weigh_equally():
    cells = make_cells(Y, PLACE)
    model = CellWeightedClassifier(LogisticRegression()).fit(X, Y, PLACE)
    by_hand = LogisticRegression().fit(X, Y, sample_weights(start_shares(cells), cells.codes))
    np.testing.assert_allclose(model.estimator_.coef_, by_hand.coef_)
    assert model.classes_.tolist() == ["cat", "dog"]


def test_nothing_is_held_out_where_there_is_nothing_to_choose(monkeypatch):
    monkeypatch.setattr(Counting, "fits", 0)
    CellWeightedClassifier(Counting()).fit(X, Y, PLACE)
    assert Counting.fits == 1
    CellWeightedClassifier(Counting(), param_grid={"C": [0.1, 1]}, cv=3).fit(X, Y, PLACE)
    assert Counting.fits == 1 + 2 * 3 + 1


def test_of_equal_parameters_the_first_is_taken():
    model = CellWeightedClassifier(
        LogisticRegression(), param_grid={"C": [1.0, 1.0 + 1e-9]}, random_state=0
    )
    assert model.fit(X, Y, PLACE).best_params_ == {"C": 1.0}


def test_parameters_that_give_the_worst_cell_up_are_not_taken():
    model = CellWeightedClassifier(
        LogisticRegression(), param_grid={"C": [1e-9, 1.0]}, random_state=0
    )
    assert model.fit(X, Y, PLACE).best_params_ == {"C": 1.0}


def test_learned_weights_are_those_of_the_meta_estimator(monkeypatch):
    made = []

    class Recorded(MinimaxClassifier):
        def fit(self, *args, **options):
            made.append(self)
            return super().fit(*args, **options)

    monkeypatch.setattr(_cell_weighted, "MinimaxClassifier", Recorded)
    grid = {"C": [0.5, 1e-9]}
    model = CellWeightedClassifier(
        LogisticRegression(), param_grid=grid, learn=True, random_state=0
    )
    model.fit(X, Y, PLACE)
    assert model.estimator_ is made[0].estimator_
    assert made[0].estimator.C == 0.5  # chosen with equal weights


def test_parameters_are_stored_as_they_are():
    check_get_params_invariance("CellWeightedClassifier", CellWeightedClassifier(Counting()))
