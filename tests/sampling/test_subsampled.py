"""One fixed subsample with cells of equal size."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gbmix_sklearn.sampling import SubsampledSampler

cell_codes = st.lists(st.integers(0, 9), min_size=1, max_size=120).map(np.array)


def sampler(codes, batch_size=8, seed=0):
    return SubsampledSampler(codes, batch_size, np.random.default_rng(seed))


@settings(deadline=None, max_examples=200)
@given(cell_codes, st.integers(1, 70), st.integers(0, 2**31 - 1))
def test_every_present_cell_is_cut_to_the_smallest(codes, batch_size, seed):
    rng = np.random.default_rng(seed)
    made = SubsampledSampler(codes, batch_size, rng)
    smallest = min((codes == cell).sum() for cell in set(codes))
    assert len(set(made.subsample)) == len(made.subsample)
    for cell in set(codes):
        assert (codes[made.subsample] == cell).sum() == smallest
    batches = made.epoch(rng)
    assert batches.shape == (-(-len(codes) // batch_size), batch_size)
    drawn = np.bincount(batches.ravel(), minlength=len(codes))
    outside = np.delete(drawn, made.subsample)
    assert (outside == 0).all()
    assert np.ptp(drawn[made.subsample]) <= 1  # permutations one after another


def test_the_subsample_stays_the_same_in_all_epochs():
    codes = np.repeat([0, 1, 2], [500, 40, 7])
    made = sampler(codes)
    rng = np.random.default_rng(1)
    epochs = [made.epoch(rng) for _ in range(5)]
    assert all(set(epoch.ravel()) == set(made.subsample) for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])


def test_the_subsample_is_drawn_at_random_from_each_cell():
    codes = np.repeat([0, 1], [10, 4])
    taken = np.bincount(
        np.concatenate([sampler(codes, seed=seed).subsample for seed in range(2000)])
    )
    assert taken[10:].tolist() == [2000] * 4
    assert taken[:10].min() > 700
    assert taken[:10].max() < 900


def test_passes_through_the_subsample_are_shuffled_anew():
    made = sampler(np.array([0] * 90 + [1] * 3), batch_size=6)
    epoch = made.epoch(np.random.default_rng(0))  # each batch is a permutation of the subsample
    assert all(set(batch) == set(made.subsample) for batch in epoch)
    assert len({tuple(batch) for batch in epoch}) > 12


def test_the_generator_decides_alone():
    codes = np.arange(50) % 3
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two, other = (
        sampler(codes, seed=seed).epoch(np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (one == two).all()
    assert (one != other).any()
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
