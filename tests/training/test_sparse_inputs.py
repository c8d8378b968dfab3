"""Batches of sparse rows are what batches of the same rows as an array are."""

import numpy as np
import pytest
import torch
from scipy import sparse

from gbmix_sklearn.training import ArrayInputs, InputScaling, SparseInputs, largest_eigenvalue

RNG = np.random.default_rng(0)
DENSE = (RNG.random((50, 30)) * (RNG.random((50, 30)) < 0.2)).astype(np.float32)
CPU = torch.device("cpu")


def both():
    return SparseInputs(sparse.csr_matrix(DENSE), CPU), ArrayInputs(torch.from_numpy(DENSE))


def test_batches_are_the_rows():
    rows = RNG.integers(50, size=(6, 8))
    ours, arrays = both()
    pairs = zip(ours.batches(rows, RNG), arrays.batches(rows, RNG), strict=True)
    for ours, expected in pairs:
        assert torch.equal(ours, expected)


def test_batches_of_several_sizes_follow_one_another():
    ours, _ = both()
    for size in (4, 9, 2):
        rows = RNG.integers(50, size=(1, size))
        (batch,) = ours.batches(rows, RNG)
        np.testing.assert_array_equal(batch, DENSE[rows[0]])


@pytest.mark.parametrize("n_bytes", [1, 500, 10**6])
def test_chunks_are_all_rows_in_order(n_bytes, monkeypatch):
    monkeypatch.setattr("gbmix_sklearn.training._sparse_inputs._CHUNK_BYTES", n_bytes)
    rows = RNG.permutation(50)[:23]
    chunks = list(both()[0].chunks(rows))
    np.testing.assert_array_equal(torch.cat(chunks), DENSE[rows])


def test_a_matrix_without_any_value_is_zeros():
    inputs = SparseInputs(sparse.csr_matrix((5, 3), dtype=np.float32), CPU)
    assert not torch.cat(list(inputs.chunks(np.arange(5)))).any()
    scaling = InputScaling.of(inputs, np.arange(5))
    np.testing.assert_array_equal(scaling.scale, 1)
    assert largest_eigenvalue(inputs, np.arange(5)) == 0


def test_the_largest_eigenvalue_is_that_of_the_dense_rows():
    ours, arrays = both()
    rows = np.arange(40)
    assert largest_eigenvalue(ours, rows) == pytest.approx(largest_eigenvalue(arrays, rows), 1e-4)


def test_the_scaling_is_folded_back():
    ours, _ = both()
    scaling = InputScaling.of(ours, np.arange(50))
    scaled = torch.cat(list(scaling.apply(ours).chunks(np.arange(50))))
    layer = torch.nn.Linear(30, 2)
    expected = layer(scaled)
    scaling.fold_into(layer)
    torch.testing.assert_close(layer(torch.from_numpy(DENSE)), expected)
