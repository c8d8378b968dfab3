"""Sparse matrices are checked before anything reads by their indices."""

import numpy as np
import pytest
from scipy import sparse

from gbmix_sklearn._sparse import canonical, check_indices, content_of, stack_rows

X = sparse.csr_matrix(np.array([[0.0, 1, 2], [3, 0, 0]]))


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "bsr", "lil", "dok", "dia"])
def test_sound_matrices_of_all_formats_pass(format):
    check_indices(X.asformat(format))
    check_indices(sparse.csr_array(X).asformat(format))


@pytest.mark.parametrize("format", ["csr", "csc", "bsr"])
@pytest.mark.parametrize("value", [-1, 17])
def test_indices_outside_are_named(format, value):
    broken = X.asformat(format).copy()
    broken.indices[0] = value
    with pytest.raises(ValueError, match=f"X is a broken sparse matrix of format '{format}'"):
        check_indices(broken)


def test_what_is_checked_is_not_changed():
    large = X.copy()
    large.indices = large.indices.astype(np.int64)
    check_indices(large)
    assert large.indices.dtype == np.int64


def test_canonical_rows_are_copied_only_where_they_have_to_be():
    assert canonical(X) is X
    twice = sparse.csr_matrix((np.ones(4), [1, 1, 0, 2], [0, 2, 4]), shape=(2, 3))
    zero = sparse.csr_matrix((np.array([0.0, 1]), [0, 1], [0, 1, 2]), shape=(2, 3))
    assert canonical(twice).nnz == 3
    assert canonical(zero).nnz == 1
    assert (twice.nnz, zero.nnz) == (4, 2)
    np.testing.assert_array_equal(canonical(twice).toarray(), twice.toarray())


def test_contents_are_equal_where_rows_are():
    other = sparse.csr_array(X)
    other.indices = other.indices.astype(np.int64)
    for mine, theirs in zip(content_of(X), content_of(other), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_sparse_and_dense_rows_can_be_stacked():
    stacked = stack_rows([X, X.toarray()])
    assert stacked.format == "csr"
    np.testing.assert_array_equal(stacked.toarray(), np.vstack([X.toarray()] * 2))
