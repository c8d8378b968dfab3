"""Sparse embeddings: scaled without a centre, never dense as a whole."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline

from gbmix_sklearn import LastLayerRefit
from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.refit import deal_out, learned_head, scaling_of, standardised
from gbmix_sklearn.refit._anchored import fit_anchored
from gbmix_sklearn.refit._linear import linear_decision
from gbmix_sklearn.refit._logistic import LogisticFits

RNG = np.random.default_rng(0)
N = 400
Y, S = RNG.integers(2, size=(2, N))
DENSE = RNG.random((N, 60)) * (RNG.random((N, 60)) < 0.1)
DENSE[:, 0] = Y * (RNG.random(N) < 0.9)
DENSE[:, 1] = S
DENSE = DENSE.astype(np.float32)
X = sparse.csr_array(DENSE)


class TestScaling:
    def test_is_the_root_mean_square_of_what_a_column_stores(self):
        z = sparse.csr_matrix(np.array([[3.0, 0, 2], [4.0, 0, 0], [0, 0, 2]]))
        mean, scale = scaling_of(z)
        np.testing.assert_allclose(scale, [np.sqrt(12.5), 1, 2])
        assert not mean.any()

    def test_keeps_zeros_and_indices(self):
        scaled = standardised(X, scaling_of(X))
        assert np.shares_memory(scaled.indices, X.indices)
        np.testing.assert_allclose(scaled.toarray(), DENSE / scaling_of(X)[1], rtol=1e-6)

    def test_of_dense_features_writes_to_none_of_them(self):
        z = DENSE.copy()
        standardised(z, scaling_of(z))
        np.testing.assert_array_equal(z, DENSE)


@pytest.mark.parametrize("n_features", [4, 60])  # with a factor, and each feature by itself
@pytest.mark.parametrize("n_classes", [2, 3])
def test_logistic_fits_of_sparse_samples_are_those_of_dense_ones(n_features, n_classes):
    y = (Y + S) if n_classes == 3 else Y
    weights = RNG.random((N, 2))
    anchor = RNG.normal(size=(1 if n_classes == 2 else 3, n_features)), np.zeros(n_classes - 1 or 1)
    anchor = anchor[0], np.zeros(len(anchor[0]))
    few = X[:, :n_features].tocsr()
    for near in (None, anchor):
        found = LogisticFits(few, y, n_classes, near).fit(weights, 10.0, tol=1e-7)
        expected = LogisticFits(DENSE[:, :n_features], y, n_classes, near).fit(
            weights, 10.0, tol=1e-7
        )
        np.testing.assert_allclose(found.coef, expected.coef, atol=2e-2)
        np.testing.assert_allclose(found.intercept, expected.intercept, atol=2e-2)


def test_more_features_than_fit_into_a_square_matrix_are_taken():
    n_features = 200_000  # 320 GB as a second moment
    wide = sparse.csr_matrix(
        (X.tocoo().data, (X.tocoo().row, X.tocoo().col * 3000)), shape=(N, n_features)
    )
    cells = make_cells(Y, S)
    folds = deal_out(cells.codes, np.random.default_rng(0))
    found = learned_head(wide, cells, folds=folds)
    assert found.head.coef_.shape == (1, n_features)
    assert (found.head.predict(wide) == Y).mean() > 0.9
    narrow = learned_head(X, cells, folds=folds)
    np.testing.assert_allclose(found.head.coef_[:, ::3000][:, :60], narrow.head.coef_)


def test_words_that_the_refit_has_not_seen_keep_what_the_trained_layer_knows_of_them():
    trained = LogisticRegression(C=100.0).fit(X, Y)
    trained.coef_ = np.hstack([trained.coef_, [[7.0]]])
    wider = sparse.csr_matrix(np.hstack([DENSE, np.zeros((N, 1), dtype=np.float32)]))
    cells = make_cells(Y, S)
    folds = deal_out(cells.codes, np.random.default_rng(0))
    found = learned_head(wider, cells, trained=trained, folds=folds)
    assert found.head.coef_[0, -1] == (7.0 if found.anchored else 0.0)


def test_anchored_regression_of_sparse_samples_is_that_of_dense_ones():
    found = fit_anchored(X, Y, np.array([0, 1]))
    np.testing.assert_allclose(found.coef_, fit_anchored(DENSE, Y, np.array([0, 1])).coef_)


def test_decisions_depend_on_no_other_sample():
    head = LogisticRegression().fit(DENSE, Y)
    together = linear_decision(head, X)
    np.testing.assert_allclose(together, linear_decision(head, DENSE), rtol=1e-6)
    assert together[7] == linear_decision(head, X[[7]])[0]


@pytest.mark.parametrize("recipe", ["learned", "anchored", "logistic", "dfr", RidgeClassifier()])
def test_every_recipe_takes_sparse_embeddings(recipe):
    trained = LogisticRegression(C=0.1).fit(X[:200], Y[:200])
    model = LastLayerRefit(trained, recipe=recipe, random_state=0)
    model.fit(
        X[200:300], Y[200:300], groups=S[200:300], X_val=X[300:], y_val=Y[300:], groups_val=S[300:]
    )
    assert model.score(X, Y) > 0.85
    assert sparse.issparse(model.transform(X))
    np.testing.assert_array_equal(model.predict(X), model.predict(sparse.csc_matrix(DENSE)))


def biographies(n, seed):
    """What people do, in words of which some say more of who they are."""
    rng = np.random.default_rng(seed)
    nurse = rng.integers(2, size=n)
    she = np.where(rng.random(n) < 0.92, nurse, 1 - nurse)
    common = np.array([f"word{i}" for i in range(400)])
    often = 1 / np.arange(1, 401)
    of_job = np.array([["theatre", "scalpel", "surgeon"], ["ward", "night", "shift"]])
    texts = [
        " ".join(
            [
                *rng.choice(common, 12, p=often / often.sum()),
                *rng.choice(of_job[j if rng.random() < 0.85 else 1 - j], 2),
                *rng.choice([["he", "his"], ["she", "her"]][s], 2),
            ]
        )
        for j, s in zip(nurse, she, strict=True)
    ]
    return np.array(texts), nurse, she


def test_of_texts_the_worst_group_is_no_worse_than_with_cell_weights():
    texts, y, s = biographies(800, 0)
    others, y_other, s_other = biographies(4000, 1)
    vectorizer = TfidfVectorizer().fit(texts)
    Z, Z_other = vectorizer.transform(texts), vectorizer.transform(others)
    cells = make_cells(y, s)
    weights = (1 / cells.counts)[cells.codes]
    weighted = LogisticRegression().fit(Z, y, sample_weight=weights / weights.mean())
    found = learned_head(Z, cells, folds=deal_out(cells.codes, np.random.default_rng(0)))

    def worst(model):
        right = model.predict(Z_other) == y_other
        return min(right[(y_other == a) & (s_other == b)].mean() for a in (0, 1) for b in (0, 1))

    assert worst(found.head) >= worst(weighted)


def test_broken_embeddings_are_refused():
    broken = sparse.csr_matrix(DENSE)
    broken.indices[5] = 1000
    model = LastLayerRefit(LogisticRegression().fit(X, Y), embed=lambda X: broken)
    with pytest.raises(ValueError, match="the sparse matrix of embeddings is a broken"):
        model.fit(DENSE, Y, groups=S)


def test_texts_are_refitted_in_a_pipeline():
    texts, y, s = biographies(600, 0)
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts[:300], y[:300])
    meta = LastLayerRefit(model, random_state=0).fit(texts[300:], y[300:], groups=s[300:])
    assert meta.score(texts, y) > 0.7
    assert meta.head_.coef_.shape[1] == len(model[0].vocabulary_)
