"""Batches cut out of memory, and the embedding of many rows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.sampling import GroupBalancedSampler, ShuffledSampler
from gbmix_sklearn.training import (
    ArrayInputs,
    EvaluationSource,
    TrainingSource,
    _inputs,
    _source,
    as_tensor,
    embed_in_batches,
)


class Fixed:
    """A sampler that has drawn already."""

    def __init__(self, batches):
        self.batches = batches

    def epoch(self, rng):
        return self.batches


def nothing(y, s):
    return None


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 60),
    st.integers(1, 25),
    st.sampled_from([1, 100, 10**6]),
    st.sampled_from([1, 30, 10**4]),
    st.booleans(),
    st.sampled_from([np.float32, np.float64, np.uint8]),
    st.integers(0, 10**6),
)
def test_every_batch_has_the_rows_that_were_drawn(
    n, batch_size, chunk, planned, balanced, dtype, seed
):
    """Whatever is gathered at once: a part of a batch, some batches, or the whole epoch."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 200, size=(2 * n, 2, 3)).astype(dtype)
    rows = rng.permutation(2 * n)[:n]
    y, s = rng.integers(3, size=(2, n))
    sampler = (GroupBalancedSampler if balanced else ShuffledSampler)(3 * y + s, batch_size)
    drawn = list(sampler.epoch(np.random.default_rng(seed)))
    inputs = ArrayInputs(torch.from_numpy(x))
    source = TrainingSource(inputs, rows, y, s, sampler, np.random.default_rng(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_inputs, "_CHUNK_BYTES", chunk)
        patch.setattr(_source, "_CHUNK_ROWS", planned)
        steps = [tuple(part.clone() for part in step) for step in source.epoch(nothing)]
    assert len(drawn) == -(-n // batch_size)
    if len(drawn) > 1 and len(drawn[-1]) == 1 < len(drawn[-2]):  # batch norm has nothing of one
        drawn[-2:] = [np.concatenate(drawn[-2:])]
    assert len(steps) == len(drawn)
    for positions, (x_step, y_step, s_step) in zip(drawn, steps, strict=True):
        assert x_step.dtype == torch.float32
        assert np.array_equal(x_step.numpy(), x[rows[positions]].astype(np.float32))
        assert y_step.tolist() == y[positions].tolist()
        assert s_step.tolist() == s[positions].tolist()


def test_plans_are_made_for_the_very_batch(monkeypatch):
    n = 50
    y, s = np.arange(n) % 2, np.arange(n) // 2 % 2
    x = torch.arange(n * 3.0).reshape(n, 3)
    batches = ShuffledSampler(y, 8).epoch(np.random.default_rng(0))
    source = TrainingSource(ArrayInputs(x), np.arange(n), y, s, Fixed(batches), None)
    monkeypatch.setattr(_source, "_CHUNK_ROWS", 2 * 8)
    sizes = []

    def plan(y, s):
        sizes.append(tuple(y.shape))
        return [(a.tolist(), b.tolist()) for a, b in zip(y, s, strict=True)]

    for _, y_step, s_step, planned in source.epoch(plan):
        assert planned == (y_step.tolist(), s_step.tolist())
    assert sizes == [(2, 8)] * 3 + [(1, 2)]


def test_an_epoch_of_a_single_ragged_batch():
    x = torch.arange(6.0).reshape(3, 2)
    zeros = np.zeros(3, int)
    source = TrainingSource(
        ArrayInputs(x), np.arange(3), zeros, zeros, Fixed([np.array([2, 0])]), None
    )
    ((step, _, _),) = source.epoch(nothing)
    assert step.tolist() == [[4, 5], [0, 1]]
    assert len(source) == 3


@pytest.mark.parametrize("chunk", [1, 40, 10**6])
def test_the_validation_part_comes_in_order(chunk, monkeypatch):
    monkeypatch.setattr(_inputs, "_CHUNK_BYTES", chunk)
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.integers(0, 255, (40, 3)).astype(np.uint8))
    cells = make_cells(rng.integers(2, size=15), rng.integers(3, size=15))
    rows = rng.permutation(40)[:15]
    source = EvaluationSource(ArrayInputs(x), rows, cells)
    parts = list(source)
    assert torch.equal(torch.cat([part[0] for part in parts]), x[rows].float())
    assert torch.cat([part[1] for part in parts]).tolist() == cells.y.tolist()
    assert torch.cat([part[2] for part in parts]).tolist() == cells.codes.tolist()
    assert len(source) == 15
    assert source.counts.tolist() == cells.counts.tolist()


@pytest.mark.parametrize("chunk", [1, 100, 10**6])
def test_embedding_does_not_depend_on_the_batches(chunk, monkeypatch):
    x = torch.randn(23, 2, 4, 4)
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.9))
    expected = module.eval()(x).flatten(1).detach().numpy()
    module.train()
    monkeypatch.setattr(_inputs, "_CHUNK_BYTES", chunk)
    got = embed_in_batches(module, ArrayInputs(x))
    assert got.dtype == np.float32
    assert got == pytest.approx(expected, abs=1e-6)
    assert module.training
    assert module[1].num_batches_tracked == 0


def test_arrays_that_are_read_only_are_shared_without_a_warning():
    array = np.arange(6.0)
    array.flags.writeable = False
    tensor = as_tensor(array)
    assert tensor.data_ptr() == array.ctypes.data
