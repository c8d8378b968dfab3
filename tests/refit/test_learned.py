"""A last layer whose balance is learned from held-out errors."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import LastLayerRefit, worst_group_accuracy_score
from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.refit import LearnedRecipe, deal_out, learned_head, linear_head


def uneven(n=2000, seed=0, rare=0.05):
    """A cell that is rare and hard: an attribute shifts the scores of its class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    s = (rng.random(n) < np.where(y == 1, rare, 0.5)).astype(int)
    X = rng.normal(size=(n, 8))
    X[:, 0] += 2 * y - 1.6 * s * y
    X[:, 1] += 0.8 * s
    return X.astype(np.float32), y, s


def fit(X, y, s, seed=0, **options):
    cells = make_cells(y, s)
    folds = deal_out(cells.codes, np.random.default_rng(seed))
    return learned_head(X, cells, folds=folds, **options)


def worst(head, X, y, s):
    return worst_group_accuracy_score(y, head.predict(X), groups=s)


def cell_weighted(X, y, s):
    cells = make_cells(y, s)
    weights = 1 / cells.counts[cells.codes]
    return LogisticRegression().fit(X, y, sample_weight=weights * len(y) / weights.sum())


def test_the_worst_cell_is_better_than_with_cells_that_weigh_alike():
    test = uneven(6000, seed=9)
    gains = []
    for seed in range(3):
        X, y, s = uneven(seed=seed)
        found = fit(X, y, s, seed)
        gains.append(worst(found.head, *test) - worst(cell_weighted(X, y, s), *test))
        assert found.cell_weights.argmax() == 3  # the hard one
        assert found.cell_weights.sum() == pytest.approx(1)
    assert np.mean(gains) > 0.02


def test_the_units_of_the_features_do_not_matter():
    X, y, s = uneven(600)
    plain = fit(X, y, s).head.decision_function(X)
    assert fit(X * 1000 + 7, y, s).head.decision_function(X * 1000 + 7) == pytest.approx(
        plain, abs=1e-2
    )
    twice = np.c_[X, X]
    assert fit(twice, y, s).head.decision_function(twice) == pytest.approx(plain, abs=1e-2)


def test_three_rows_of_another_value_ruin_nothing():
    X, y, s = uneven()
    test = uneven(4000, seed=9)
    rare = s.astype(object)
    rare[np.flatnonzero(y == 0)[:3]] = "unknown"
    heads = [fit(X, y, values).head for values in (s.astype(object), rare)]
    recalls = [[(h.predict(test[0])[test[1] == c] == c).mean() for c in (0, 1)] for h in heads]
    assert np.abs(np.diff(recalls, axis=0)).max() < 0.03


def test_a_good_trained_layer_is_stayed_near_where_few_samples_were_set_aside():
    def noisy(n, seed):
        X, y, s = uneven(n, seed, rare=0.3)
        noise = np.random.default_rng(seed).normal(size=(n, 60)).astype(np.float32)
        return np.c_[X, noise], y, s

    good = fit(*noisy(20_000, 4)).head
    both = np.vstack([-good.coef_, good.coef_]) / 2, np.r_[0, good.intercept_]
    X, y, s = noisy(120, 3)
    found = fit(X, y, s, trained=linear_head(*both, np.arange(2)))
    assert found.anchored
    new = noisy(6000, 9)
    assert found.head.score(*new[:2]) > fit(X, y, s).head.score(*new[:2]) + 0.02


def test_the_trained_layer_is_judged_by_samples_that_it_has_not_seen():
    """A layer that knows the labels of its samples by heart looks perfect on them."""
    rng = np.random.default_rng(0)
    X, y, s = uneven(400)
    X = np.c_[X, 30 * np.eye(400, dtype=np.float32)[:, :200]]  # a feature for each trained sample
    heart = np.zeros((2, X.shape[1]))
    heart[:, 8:] = np.outer([-1, 1], np.where(y[:200] == 1, 1, -1))
    unseen = np.arange(400) >= 200
    found = fit(X, y, s, trained=linear_head(heart, np.zeros(2), np.arange(2)), unseen=unseen)
    new = uneven(2000, seed=int(rng.integers(99)))
    blank = np.c_[new[0], np.zeros((2000, 200), dtype=np.float32)]
    assert not found.anchored
    assert (found.head.predict(blank) == new[1]).mean() > 0.7


def test_a_class_without_samples_keeps_its_trained_row():
    X, y, s = uneven(600)
    rng = np.random.default_rng(0)
    trained = linear_head(rng.normal(size=(3, 8)), np.array([0.0, 0.0, 50.0]), np.arange(3))
    cells = make_cells(np.r_[y, 2], np.r_[s, 0]).take(np.arange(600))
    folds = deal_out(cells.codes, rng)
    head = learned_head(X, cells, trained=trained, folds=folds).head
    assert head.coef_.shape == (3, 8)
    assert (head.predict(X) == 2).all()  # as the trained layer has it
    forgotten = learned_head(X, cells, folds=folds).head
    assert not (forgotten.predict(X) == 2).any()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_tiny_data_are_fitted(n_classes):
    rng = np.random.default_rng(0)
    y = np.arange(12) % n_classes
    X = (rng.normal(size=(12, 3)) + 4 * np.eye(3)[y]).astype(np.float32)
    head = fit(X, y, np.arange(12) // 2 % 2).head
    assert (head.predict(X) == y).mean() > 0.8


def test_recipes_are_checked():
    for bad in ({"n_rounds": 0}, {"eta": -1}, {"max_average_loss": 2}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            LearnedRecipe(**bad)


def test_average_accuracy_is_given_up_no_further_than_allowed():
    X, y, s = uneven(4000)
    free = fit(X, y, s)
    bound = fit(X, y, s, recipe=LearnedRecipe(max_average_loss=0.0))
    assert bound.rounds["average"].iloc[0] >= bound.average
    assert bound.worst >= free.worst


class TestLastLayerRefit:
    def test_it_learns_by_default_and_keeps_samples_together(self):
        X, y, s = uneven(600)
        person = np.repeat(np.arange(200), 3)
        inner = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[:300], y[:300])
        model = LastLayerRefit(inner, random_state=0)
        model.fit(X[300:], y[300:], s[300:], keep_together=person[300:])
        assert isinstance(model.cell_weights_, pd.Series)
        assert model.cell_weights_.sum() == pytest.approx(1)
        assert model.score(X, y) > 0.7
        with pytest.raises(ValueError, match=r"keep_together has 3 entries for 300 samples"):
            model.fit(X[300:], y[300:], s[300:], keep_together=[1, 2, 3])

    def test_validation_data_are_more_samples(self):
        X, y, s = uneven(600)
        inner = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[:200], y[:200])
        options = {"X_val": X[400:], "y_val": y[400:], "groups_val": s[400:]}
        both = LastLayerRefit(inner, random_state=0).fit(
            X[200:400], y[200:400], s[200:400], **options
        )
        pooled = LastLayerRefit(inner, random_state=0).fit(X[200:], y[200:], s[200:])
        assert np.array_equal(both.head_.coef_, pooled.head_.coef_)


def test_a_single_unit_leaves_nothing_to_judge_by():
    X, y, s = uneven(100)
    with pytest.raises(ValueError, match="keep_together has a single unit"):
        learned_head(X, make_cells(y, s), folds=np.zeros(100, dtype=int))


def test_units_are_in_one_fold():
    codes = np.arange(100) % 4
    units = np.arange(60) // 3
    folds = deal_out(codes, np.random.default_rng(0), units)
    assert len(folds) == 100
    assert all(len(set(folds[:60][units == unit])) == 1 for unit in range(20))
    assert set(folds) == set(range(5))
