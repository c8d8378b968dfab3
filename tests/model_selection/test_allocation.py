"""How many samples each cell gives to a part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbmix_sklearn.model_selection._split import allocate_per_cell, draw_per_cell

COUNTS = st.lists(st.integers(0, 40), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(COUNTS, st.data())
def test_sizes_are_exact_and_every_cell_of_two_is_on_both_sides_where_sizes_allow(counts, data):
    counts = np.array(counts)
    size = data.draw(st.integers(0, int(counts.sum())))
    part = allocate_per_cell(counts, size)
    several = counts >= 2
    assert part.sum() == min(size, counts[several].sum())
    assert ((part >= 0) & (part <= counts)).all()
    assert (part[~several] == 0).all()
    if size >= several.sum():
        assert (part[several] >= 1).all()
    if size <= (counts[several] - 1).sum():
        assert (part[several] < counts[several]).all()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(10, 60), min_size=1, max_size=9), st.floats(0.1, 0.9))
def test_large_cells_are_within_one_sample_of_their_exact_share(counts, fraction):
    size = round(fraction * sum(counts))
    exact = np.array(counts) * size / sum(counts)
    part = allocate_per_cell(counts, size)
    assert part.sum() == size
    assert (np.abs(part - exact) < 1).all()
    # largest remainder: no cell was rounded up past one with a larger remainder
    remainder = exact - np.floor(exact)
    up = part > np.floor(exact)
    if up.any() and (~up).any():
        assert remainder[up].min() >= remainder[~up].max() - 1e-9


@pytest.mark.parametrize(
    ("counts", "size", "expected"),
    [
        ([4, 4], 2, [1, 1]),
        ([90, 8, 2, 1], 25, [22, 2, 1, 0]),
        ([100, 2], 2, [1, 1]),
        ([100, 2], 1, [1, 0]),
        ([100, 2, 0], 101, [99, 2, 0]),
        ([3, 3], 5, [3, 2]),
        ([1, 1, 1], 2, [0, 0, 0]),
        ([5], 0, [0]),
    ],
)
def test_allocation_of_small_and_large_parts(counts, size, expected):
    assert allocate_per_cell(counts, size).tolist() == expected


def test_thousands_of_cells_are_allocated_at_once():
    counts = np.random.default_rng(0).integers(1, 30, 3000)
    assert allocate_per_cell(counts, 20000).sum() == 20000


@settings(max_examples=50, deadline=None)
@given(COUNTS, st.integers(0, 2**31))
def test_draw_takes_as_many_of_each_cell_as_asked(counts, seed):
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    sizes = np.array([rng.integers(0, count + 1) for count in counts])
    drawn = draw_per_cell(codes, sizes, rng)
    assert np.bincount(codes[drawn], minlength=len(counts)).tolist() == sizes.tolist()


def test_draw_gives_every_sample_the_same_chance():
    codes = np.array([0] * 4 + [1] * 8)
    rng = np.random.default_rng(0)
    drawn = np.mean([draw_per_cell(codes, np.array([1, 2]), rng) for _ in range(4000)], axis=0)
    assert drawn == pytest.approx(np.full(12, 0.25), abs=0.03)
