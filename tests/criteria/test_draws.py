"""Drawing samples of a batch evenly."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gbmix_sklearn.criteria._draws import draw_members, draw_partners


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.lists(st.booleans(), min_size=9, max_size=9), min_size=1, max_size=4),
    st.integers(1, 40),
    st.integers(0, 10**6),
)
def test_members_are_permutations_one_after_another(masks, k, seed):
    torch.manual_seed(seed)
    drawn = draw_members(torch.tensor(masks), k)
    assert drawn.shape == (len(masks), k)
    for mask, members in zip(masks, drawn.tolist(), strict=True):
        inside = set(np.flatnonzero(mask))
        if not inside:
            continue  # positions that mean nothing
        for start in range(0, k, len(inside)):
            part = members[start : start + len(inside)]
            assert len(set(part)) == len(part)
            assert set(part) <= inside


def test_every_permutation_is_drawn_anew():
    drawn = torch.stack([draw_members(torch.ones(4, dtype=torch.bool), 8) for _ in range(4000)])
    for place in range(8):  # each sample at each place, as often as the others
        assert drawn[:, place].bincount(minlength=4).min() > 850
    same = (drawn[:, :4] == drawn[:, 4:]).all(1).float().mean()
    assert 0.02 < same < 0.07  # 1 / 24: the second permutation does not know the first
    first, second = drawn[:, 0], drawn[:, 1]
    assert len((4 * first + second).unique()) == 12


def test_which_samples_a_larger_mask_gives_is_random():
    mask = torch.arange(10) < 6
    drawn = torch.cat([draw_members(mask, 2) for _ in range(3000)]).bincount(minlength=10)
    assert drawn[6:].tolist() == [0] * 4
    assert drawn[:6].min() > 850


@settings(deadline=None, max_examples=150)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(0, 10**6))
def test_partners_qualify_and_are_used_evenly(cells, seed):
    """Cell c draws from cells c + 1 and c + 2, where there are such."""
    torch.manual_seed(seed)
    cell = torch.tensor(cells)
    step = cell - cell[:, None]
    qualifies = (step == 1) | (step == 2)
    partner = draw_partners(qualifies, cell[:, None] == cell).tolist()
    for c in set(cells):
        rows = [i for i, own in enumerate(cells) if own == c]
        pool = [j for j, other in enumerate(cells) if other - c in (1, 2)]
        if not pool:
            assert [partner[i] for i in rows] == rows
            continue
        used = np.bincount([partner[i] for i in rows], minlength=len(cells))
        assert used.sum() == used[pool].sum() == len(rows)
        assert np.ptp(used[pool]) <= 1
