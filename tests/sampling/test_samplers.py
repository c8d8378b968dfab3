"""Batches: balanced, complete, never shrunk."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbmix_sklearn.sampling import GroupBalancedSampler, PairedSampler, ShuffledSampler

cell_codes = st.lists(st.integers(0, 9), min_size=1, max_size=120).map(np.array)


@settings(deadline=None, max_examples=200)
@given(cell_codes, st.integers(1, 70), st.integers(0, 2**31 - 1))
def test_every_batch_is_balanced_and_whole(codes, batch_size, seed):
    batches = GroupBalancedSampler(codes, batch_size).epoch(np.random.default_rng(seed))
    assert batches.shape == (-(-len(codes) // batch_size), batch_size)
    present = np.unique(codes)
    share, rest = divmod(batch_size, len(present))
    for batch in batches:
        counts = np.array([(codes[batch] == cell).sum() for cell in present])
        assert set(counts) <= {share, share + 1}
        assert (counts == share + 1).sum() == rest
        for cell, count in zip(present, counts, strict=True):
            repeats = np.bincount(batch[codes[batch] == cell], minlength=len(codes))
            members = np.flatnonzero(codes == cell)
            if len(members) >= count:  # distinct samples where the cell has enough
                assert repeats.max(initial=0) <= 1
            else:  # evenly repeated ones where it has not
                assert np.ptp(repeats[members]) <= 1


def test_every_sample_has_its_turn():
    codes = np.repeat([0, 1, 2], [500, 40, 3])
    sampler = GroupBalancedSampler(codes, 30)
    rng = np.random.default_rng(0)
    drawn = np.bincount(np.concatenate([sampler.epoch(rng).ravel() for _ in range(200)]))
    for cell in range(3):
        counts = drawn[codes == cell]
        assert counts.min() > 0.5 * counts.mean()
        assert counts.max() < 1.5 * counts.mean()


def test_left_over_places_rotate_through_the_cells():
    codes = np.repeat(np.arange(5), 20)
    batches = GroupBalancedSampler(codes, 7).epoch(np.random.default_rng(0))
    extra = {tuple(np.flatnonzero(np.bincount(codes[b], minlength=5) == 2)) for b in batches}
    assert len(extra) > 3


def test_more_cells_than_places_draw_distinct_cells_each_time():
    codes = np.repeat(np.arange(10), 8)
    batches = GroupBalancedSampler(codes, 4).epoch(np.random.default_rng(0))
    assert all(len(set(codes[batch])) == 4 for batch in batches)
    assert len({tuple(sorted(codes[batch])) for batch in batches}) > 5


@settings(deadline=None, max_examples=100)
@given(cell_codes, st.integers(1, 70), st.integers(0, 2**31 - 1), st.booleans())
def test_places_go_by_shares(codes, batch_size, seed, one_alone):
    rng = np.random.default_rng(seed)
    shares = np.eye(10)[codes[0]] if one_alone else rng.random(10) ** 3 + 1e-3
    sampler = GroupBalancedSampler(codes, batch_size)
    sampler.set_cell_shares(shares)
    batches = sampler.epoch(rng)
    assert batches.shape == (-(-len(codes) // batch_size), batch_size)
    present = np.unique(codes)
    places = batch_size * shares[present] / shares[present].sum()
    for batch in batches:
        counts = np.bincount(codes[batch], minlength=10)[present]
        assert (np.abs(counts - places) < 1 + 1e-6).all()


def test_places_are_those_of_the_shares_on_average():
    codes = np.repeat([0, 1, 3], [50, 900, 7])
    sampler = GroupBalancedSampler(codes, 9)
    sampler.set_cell_shares(np.array([0.62, 0.05, 0.0, 0.33]))
    rng = np.random.default_rng(0)
    drawn = np.concatenate([sampler.epoch(rng).ravel() for _ in range(100)])
    assert np.bincount(codes[drawn]) / len(drawn) == pytest.approx([0.62, 0.05, 0, 0.33], abs=0.003)


def test_either_half_of_a_pair_takes_the_shares_where_it_is_balanced():
    codes = np.repeat([0, 1], [30, 70])
    balanced = GroupBalancedSampler(codes, 10)
    sampler = PairedSampler(ShuffledSampler(codes, 10), balanced)
    sampler.set_cell_shares(np.array([0.2, 0.8]))
    batches = sampler.epoch(np.random.default_rng(0))
    assert all(np.bincount(codes[batch[10:]]).tolist() == [2, 8] for batch in batches)
    assert np.bincount(codes[np.concatenate([batch[:10] for batch in batches])]).tolist() == [
        30,
        70,
    ]


@pytest.mark.parametrize("sampler", [GroupBalancedSampler, ShuffledSampler])
def test_the_generator_decides_alone(sampler):
    codes = np.arange(50) % 4
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two, other = (
        np.concatenate(list(sampler(codes, 8).epoch(np.random.default_rng(seed))))
        for seed in (1, 1, 2)
    )
    assert (one == two).all()
    assert (one != other).any()
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


@given(st.integers(1, 100), st.integers(1, 120))
def test_shuffled_batches_hold_every_sample_once(n, batch_size):
    batches = ShuffledSampler(np.zeros(n, int), batch_size).epoch(np.random.default_rng(0))
    assert len(batches) == -(-n // batch_size)
    assert sorted(np.concatenate(batches)) == list(range(n))
    sizes = [len(batch) for batch in batches]
    moved = batch_size > 2 and n > 1 and n % batch_size == 1
    assert sizes[:-2] == [batch_size] * len(sizes[:-2])
    assert sizes[-2:-1] == [batch_size - moved] * len(sizes[-2:-1])


@given(st.integers(2, 100), st.integers(3, 120))
def test_no_shuffled_batch_is_a_single_sample(n, batch_size):
    """Batch normalization refuses to train on one."""
    batches = ShuffledSampler(np.zeros(n, int), batch_size).epoch(np.random.default_rng(0))
    assert min(len(batch) for batch in batches) > 1


def test_a_last_batch_of_one_takes_a_sample_from_the_batch_before():
    def sizes(n, batch_size):
        batches = ShuffledSampler(np.zeros(n, int), batch_size).epoch(np.random.default_rng(0))
        return [len(batch) for batch in batches]

    assert sizes(13, 4) == [4, 4, 3, 2]
    assert sizes(5, 4) == [3, 2]
    assert sizes(14, 4) == [4, 4, 4, 2]
    assert sizes(5, 2) == [2, 2, 1]
    assert sizes(1, 4) == [1]
