"""Group categorization and balanced pairs, against the sample-by-sample oracle."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gbmix_sklearn.criteria._pairs import balanced_pairs, coarse_groups

from .oracle import PAIRS, coarse_group

batches = st.tuples(st.integers(2, 5), st.integers(1, 5), st.integers(1, 40)).flatmap(
    lambda sizes: st.tuples(
        st.lists(st.integers(0, sizes[0] - 1), min_size=sizes[2], max_size=sizes[2]),
        st.lists(st.integers(0, sizes[1] - 1), min_size=sizes[2], max_size=sizes[2]),
    )
)


@pytest.mark.parametrize("n_classes", [2, 3, 4, 5])
@pytest.mark.parametrize("n_values", [1, 2, 3, 4, 5])
def test_coarse_groups_are_the_papers_for_every_target(n_classes, n_values):
    y, s = np.divmod(np.arange(n_classes * n_values), n_values)
    for y_target, s_target in zip(y, s, strict=True):
        expected = [coarse_group(a, b, y_target, s_target) for a, b in zip(y, s, strict=True)]
        target = torch.tensor(int(y_target)), torch.tensor(int(s_target))
        got = coarse_groups(torch.tensor(y), torch.tensor(s), *target)
        assert got.tolist() == expected


def test_all_targets_of_many_steps_are_prepared_at_once():
    y, s = torch.randint(3, (6, 20)), torch.randint(2, (6, 20))
    cell = torch.arange(6)
    together = coarse_groups(y[:, None], s[:, None], cell // 2, cell % 2)
    assert together.shape == (6, 6, 20)
    for step in range(6):
        for target in range(6):
            alone = coarse_groups(y[step], s[step], cell[target] // 2, cell[target] % 2)
            assert (together[step, target] == alone).all()
    assert balanced_pairs(together, 7).first.shape == (6, 6, 28)


@settings(deadline=None, max_examples=150)
@given(batches, st.integers(1, 20), st.integers(0, 2**31 - 1))
def test_sides_are_permutations_of_their_group_cut_to_k(batch, k, seed):
    torch.manual_seed(seed)
    y, s = (np.array(codes) for codes in batch)
    coarse = np.array([coarse_group(a, b, y[0], s[0]) for a, b in zip(y, s, strict=True)])
    pairs = balanced_pairs(torch.tensor(coarse), k)
    first, second, weight = (p.numpy() for p in (pairs.first, pairs.second, pairs.weight))
    assert first.shape == second.shape == weight.shape == (4 * k,)
    existing = [p for p in PAIRS if all((coarse == group).any() for group in p)]
    for number, pair in enumerate(PAIRS):
        rows = slice(number * k, (number + 1) * k)
        if pair not in existing:
            if existing:
                assert (weight[rows] == 0).all()
            continue
        assert weight[rows] == pytest.approx(4 / len(existing) / k)
        for side, group in ((first[rows], pair[0]), (second[rows], pair[1])):
            members = np.flatnonzero(coarse == group)
            assert len(side) == k
            assert np.isin(side, members).all()
            for start in range(0, k, len(members)):  # one permutation after another
                piece = side[start : start + len(members)]
                assert len(np.unique(piece)) == len(piece)
    assert weight.sum() == pytest.approx(4, rel=1e-5)


def test_repetitions_of_a_small_group_come_in_fresh_orders():
    coarse = torch.tensor([0] * 6 + [1] * 6)
    first = balanced_pairs(coarse, 600).first[:600].view(100, 6)
    assert len({tuple(row.tolist()) for row in first}) > 50


def test_members_are_drawn_evenly_over_many_draws():
    torch.manual_seed(0)
    coarse = torch.tensor([0, 0, 1, 1, 1, 1, 2, 2, 3, 3]).expand(4000, 10)
    pairs = balanced_pairs(coarse, 3)
    for rows, members in ((pairs.second[:, :3], range(2, 6)), (pairs.first[:, :3], range(2))):
        share = torch.bincount(rows.flatten(), minlength=10)[list(members)] / rows.numel()
        assert share.numpy() == pytest.approx(1 / len(members), abs=0.02)


def test_a_group_that_is_smaller_than_expected_is_repeated_all_the_same():
    coarse = torch.tensor([0] * 2 + [1] * 3 + [2] * 9 + [3] * 2)
    pairs = balanced_pairs(coarse, 4, repeat=False)
    for number, (i, j) in enumerate(PAIRS):
        rows = slice(4 * number, 4 * number + 4)
        assert (coarse[pairs.first[rows]] == i).all()
        assert (coarse[pairs.second[rows]] == j).all()


def test_skipping_the_repetition_changes_nothing_but_the_work():
    coarse = torch.tensor([0, 1, 2, 3] * 4)
    pairs = balanced_pairs(coarse, 4, repeat=False)
    for number, (i, j) in enumerate(PAIRS):
        rows = slice(4 * number, 4 * number + 4)
        assert sorted(pairs.first[rows].tolist()) == (coarse == i).nonzero().flatten().tolist()
        assert sorted(pairs.second[rows].tolist()) == (coarse == j).nonzero().flatten().tolist()


@pytest.mark.parametrize(("batch", "k"), [(8, 2), (10, 3), (6, 5)])
def test_without_any_pair_the_whole_batch_stands_for_itself(batch, k):
    coarse = torch.tensor([0, 3] * (batch // 2))
    pairs = balanced_pairs(coarse, k)
    assert (pairs.first == pairs.second).all()
    total = torch.zeros(batch).index_add_(0, pairs.first, pairs.weight)
    assert total.numpy() == pytest.approx(4 / batch)


def test_without_any_pair_and_little_room_samples_from_all_of_the_batch_stand_for_it():
    pairs = balanced_pairs(torch.tensor([0] * 8 + [3] * 8), 1)
    assert pairs.first.tolist() == [0, 4, 8, 12]
    assert pairs.weight.tolist() == [1, 1, 1, 1]
