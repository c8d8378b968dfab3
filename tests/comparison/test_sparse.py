"""Methods compared on a sparse matrix."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import SGDClassifier

from gbmix_sklearn import GroupThresholdClassifier, MinimaxClassifier, compare

RNG = np.random.default_rng(0)
Y, S = np.divmod(np.arange(160) % 4, 2)
DENSE = RNG.random((160, 20)) * (RNG.random((160, 20)) < 0.2)
DENSE[:, 0] = Y * (RNG.random(160) < 0.9)
X = sparse.csr_matrix(DENSE)


def test_every_format_gives_the_same_table_and_a_winner_that_predicts():
    methods = {"ERM": "ERM", "logistic": "logistic", "mine": SGDClassifier(random_state=0)}
    found = compare(X, Y, S, methods=methods, cv=2, verbose=0)
    same = compare(sparse.coo_array(DENSE), Y, S, methods=methods, cv=2, verbose=0)
    assert not found.errors_
    assert found.predictions_.equals(same.predictions_)
    assert found.fit_best(X, Y, S).predict(X).shape == Y.shape


def test_trees_are_left_out_and_fail_where_they_are_named():
    found = compare(X, Y, S, cv=2, methods=["logistic", "boosting"], verbose=0)
    assert "dense data is required" in found.errors_["boosting"]
    from gbmix_sklearn.comparison._methods import default_methods

    assert "boosting" not in default_methods(20, "sparse")


def test_a_stopped_comparison_knows_the_rows_again(tmp_path, capsys):
    def run(X):
        return compare(X, Y, S, methods=["logistic"], cv=2, folder=tmp_path)

    run(X)
    again = sparse.csr_array(DENSE)
    assert again.has_canonical_format  # scipy keeps the answer in the object
    run(again)
    assert "all of them are there already" in capsys.readouterr().out


@pytest.mark.parametrize(
    "model",
    [
        MinimaxClassifier(SGDClassifier(random_state=0), n_rounds=1, cv=2),
        GroupThresholdClassifier(SGDClassifier(random_state=0), cv=2),
    ],
)
def test_meta_estimators_refuse_broken_matrices(model):
    broken = X.copy()
    broken.indices[0] = 20
    with pytest.raises(ValueError, match="broken sparse matrix"):
        model.fit(broken, Y, S)
    assert model.fit(X, Y, S).predict(X).shape == Y.shape
