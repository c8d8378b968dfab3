"""A pool that holds samples several times."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbmix_sklearn.sampling import RepeatedSampler

repeats = st.lists(st.integers(0, 6), min_size=1, max_size=60).map(np.array).filter(np.any)


@settings(deadline=None, max_examples=200)
@given(repeats, st.integers(1, 70), st.integers(0, 2**31 - 1))
def test_samples_occur_as_often_as_the_pool_holds_them(repeats, batch_size, seed):
    batches = RepeatedSampler(repeats, batch_size).epoch(np.random.default_rng(seed))
    assert batches.shape == (-(-len(repeats) // batch_size), batch_size)
    drawn = np.bincount(batches.ravel(), minlength=len(repeats))
    passes = batches.size // repeats.sum()
    assert (drawn >= passes * repeats).all()
    assert (drawn <= (passes + 1) * repeats).all()


def test_a_larger_pool_gives_another_part_in_every_epoch():
    repeats = np.array([1] * 30 + [50] * 10)
    sampler, rng = RepeatedSampler(repeats, 8), np.random.default_rng(0)
    drawn = [np.bincount(sampler.epoch(rng).ravel(), minlength=40) for _ in range(400)]
    assert all(counts.sum() == 40 for counts in drawn)
    mean = np.mean(drawn, axis=0)
    assert mean == pytest.approx(repeats * 40 / repeats.sum(), rel=0.6)
    assert mean[30:] == pytest.approx(50 * 40 / repeats.sum(), rel=0.1)


def test_all_equal_repeats_are_shuffled_batches():
    batches = RepeatedSampler(np.ones(12, dtype=int), 4).epoch(np.random.default_rng(0))
    assert sorted(batches.ravel()) == list(range(12))
    assert batches.ravel().tolist() != list(range(12))


@pytest.mark.parametrize("repeats", [[0, 0], [1, -1], [0.5, 1.0], [True, False]])
def test_impossible_repeats_are_refused(repeats):
    with pytest.raises(ValueError, match="an integer of at least 0 for each sample, not all 0"):
        RepeatedSampler(np.array(repeats), 4)


def test_the_generator_decides_alone():
    repeats = np.arange(50) % 4
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two, other = (
        RepeatedSampler(repeats, 8).epoch(np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (one == two).all()
    assert (one != other).any()
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
