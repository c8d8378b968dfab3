"""Batches of two halves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbmix_sklearn.sampling import GroupBalancedSampler, ShuffledSampler
from gbmix_sklearn.sampling._paired import PairedSampler


class Fixed:
    def __init__(self, *batches):
        self.batches = [np.array(batch) for batch in batches]

    def epoch(self, rng):
        return self.batches


def test_the_first_half_is_kept_and_the_second_is_the_other_samplers():
    sampler = PairedSampler(Fixed([3, 1, 2], [4, 0, 5]), Fixed([10, 11, 12], [13, 14, 15]))
    batches = sampler.epoch(np.random.default_rng(0))
    assert [batch[:3].tolist() for batch in batches] == [[3, 1, 2], [4, 0, 5]]
    assert [sorted(batch[3:]) for batch in batches] == [[10, 11, 12], [13, 14, 15]]


def test_a_smaller_batch_meets_a_random_part_of_a_whole_one():
    sampler = PairedSampler(Fixed([7, 8]), Fixed(np.arange(10)))
    drawn = []
    for seed in range(300):
        (batch,) = sampler.epoch(np.random.default_rng(seed))
        assert len(batch) == 4
        drawn.append(batch[2:])
    counts = np.bincount(np.concatenate(drawn), minlength=10)
    assert counts.min() > 30  # 60 each


@given(st.integers(2, 80), st.integers(1, 30), st.integers(0, 2**31 - 1))
def test_every_sample_is_once_in_a_first_half_and_second_halves_are_balanced(n, size, seed):
    y = (np.arange(n) % 5 == 0).astype(int)
    sampler = PairedSampler(ShuffledSampler(y, size), GroupBalancedSampler(y, size))
    batches = sampler.epoch(np.random.default_rng(seed))
    assert len(batches) == -(-n // size)
    halves = [np.split(batch, 2) for batch in batches]
    assert sorted(np.concatenate([half[0] for half in halves])) == list(range(n))
    for first, second in halves:
        assert len(first) == len(second)
        if len(first) == size:
            assert abs(np.bincount(y[second], minlength=2) @ [1, -1]) <= 1


def test_one_sampler_twice_gives_independent_halves():
    """A balanced batch comes cell after cell: side by side, only like would meet like."""
    y = np.arange(400) % 2
    balanced = GroupBalancedSampler(y, 20)
    batches = PairedSampler(balanced, balanced).epoch(np.random.default_rng(0))
    first, second = np.split(np.array(batches), 2, axis=1)
    assert (first != second).mean() > 0.95
    assert (y[first] != y[second]).mean() == pytest.approx(0.5, abs=0.08)


def test_samplers_that_disagree_on_the_number_of_batches_are_refused():
    with pytest.raises(ValueError, match="zip"):
        PairedSampler(Fixed([0], [1]), Fixed([0])).epoch(np.random.default_rng(0))
