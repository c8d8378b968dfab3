"""Two models on the same samples."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from gbmix_sklearn import GroupAudit
from gbmix_sklearn.report import AuditComparison, _compare, _worst
from gbmix_sklearn.report._compare import worst_difference_interval

RNG = np.random.default_rng(0)
N = 1200
TRUTH, GROUPS = RNG.integers(2, size=(2, N))


def guesses(accuracy):
    return np.where(RNG.random(N) < accuracy, TRUTH, 1 - TRUTH)


def audit(predicted, truth=TRUTH, groups=GROUPS, **options):
    return GroupAudit.from_predictions(truth, predicted, groups=groups, **options)


def test_each_cell_has_an_exact_paired_test():
    first, second = guesses(0.9), guesses(np.where(GROUPS, 0.9, 0.7))
    comparison = audit(first).compare(audit(second))
    frame = comparison.to_frame()
    right, other = first == TRUTH, second == TRUTH
    pvalues = []
    for (label, group), row in frame.iterrows():
        cell = (label == TRUTH) & (group == GROUPS)
        only_first, only_second = (right & ~other & cell).sum(), (other & ~right & cell).sum()
        assert (row["only_this"], row["only_other"]) == (only_first, only_second)
        assert row["difference"] == pytest.approx(right[cell].mean() - other[cell].mean())
        pvalues.append(binomtest(only_first, only_first + only_second).pvalue)
    np.testing.assert_allclose(frame["pvalue"], pvalues)
    np.testing.assert_array_equal(frame["significant"], frame["pvalue_adjusted"] <= 0.05)
    adjusted = np.maximum.accumulate(np.sort(pvalues) * [4, 3, 2, 1])  # Holm, over the four cells
    np.testing.assert_allclose(np.sort(frame["pvalue_adjusted"]), np.minimum(adjusted, 1))
    assert frame["significant"].tolist() == [True, False, True, False]


def test_the_worst_groups_are_compared():
    comparison = audit(guesses(0.9)).compare(audit(guesses(0.6)))
    assert comparison.worst_group_difference == pytest.approx(
        comparison.worst_group_accuracy - comparison.other_worst_group_accuracy
    )
    assert comparison.low < comparison.worst_group_difference < comparison.high
    assert comparison.worst_group_is_different
    assert "better" in repr(comparison)
    assert "<- different" in repr(comparison)
    turned = audit(guesses(0.6)).compare(audit(guesses(0.9)))
    assert "worse" in repr(turned)


def test_a_model_is_not_different_from_itself():
    predicted = guesses(0.8)
    comparison = audit(predicted).compare(audit(predicted))
    assert isinstance(comparison, AuditComparison)
    assert comparison.worst_group_difference == 0
    assert not comparison.worst_group_is_different
    assert (comparison.cells["pvalue_adjusted"] == 1).all()
    assert "not told apart" in repr(comparison)


def test_comparing_twice_gives_the_same():
    first, second = audit(guesses(0.9)), audit(guesses(0.8))
    assert first.compare(second).low == first.compare(second).low


@pytest.mark.parametrize("most_pairs", [20_000, 0])
@pytest.mark.parametrize(
    ("accuracy", "other"),
    [
        ([0.6, 0.8, 0.9, 0.9], [0.7, 0.75, 0.9, 0.9]),  # each has a clear worst cell
        ([0.7, 0.7, 0.7, 0.7], [0.6, 0.9, 0.9, 0.9]),  # one is equally bad everywhere
        ([0.7, 0.7, 0.7, 0.7], [0.7, 0.9, 0.9, 0.9]),
        ([0.7, 0.7, 0.7, 0.7], [0.7, 0.7, 0.7, 0.7]),
    ],
)
def test_the_interval_covers_the_difference_of_the_worst_groups(
    accuracy, other, most_pairs, monkeypatch
):
    monkeypatch.setattr(_worst, "RESAMPLES", 999)
    monkeypatch.setattr(_compare, "MOST_PAIRS", most_pairs)
    rng = np.random.default_rng(0)
    accuracy, other = np.array(accuracy), np.array(other)
    both = accuracy * other + 0.6 * (np.minimum(accuracy, other) - accuracy * other)
    chances = np.stack([1 - accuracy - other + both, other - both, accuracy - both, both], axis=1)
    truth = accuracy.min() - other.min()
    repeats, covered = 200, 0
    for _ in range(repeats):
        counts = np.stack([rng.multinomial(300, chance) for chance in chances])
        low, high = worst_difference_interval(counts, 0.95, rng)
        covered += low <= truth <= high
    assert binomtest(covered, repeats, 0.95, alternative="less").pvalue > 0.05


def test_percentiles_of_the_difference_would_not_cover_it():
    """The test above can fail: this is what other programs do."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        measured = rng.binomial(300, 0.7, size=12) / 300
        other = rng.binomial(300, 0.7) / 300
        resampled = rng.binomial(300, measured, size=(999, 12)).min(axis=1) / 300
        difference = resampled - rng.binomial(300, other, size=999) / 300
        low, high = np.quantile(difference, [0.025, 0.975])
        covered += low <= 0 <= high
    assert covered < 160


def test_where_the_worst_cells_are_clear_the_interval_is_that_of_two_cells():
    counts = np.array([[150, 50, 100, 200], [10, 5, 5, 980]])
    low, high = worst_difference_interval(counts, 0.95, np.random.default_rng(0))
    # the paired difference of the first cell, with its normal interval
    difference = (100 - 50) / 500
    spread = np.sqrt((0.2 + 0.1 - difference**2) / 500)
    assert low == pytest.approx(difference - 1.96 * spread, abs=0.006)
    assert high == pytest.approx(difference + 1.96 * spread, abs=0.006)


def test_leaving_out_the_pairing_makes_the_interval_wider(monkeypatch):
    counts = np.array([[20, 15, 25, 240]] * 5)
    paired = worst_difference_interval(counts, 0.95, np.random.default_rng(0))
    monkeypatch.setattr(_compare, "MOST_PAIRS", 0)
    low, high = worst_difference_interval(counts, 0.95, np.random.default_rng(0))
    assert low < paired[0] < paired[1] < high


@pytest.mark.filterwarnings("ignore::gbmix_sklearn.exceptions.SmallCellWarning")
@pytest.mark.parametrize(
    ("truth", "groups", "message"),
    [
        (TRUTH[:-1], GROUPS[:-1], "they have 1200 and 1199 samples"),
        (1 - TRUTH, GROUPS, "row 0 is '. , group=.' in one|row 0 is .* 1200 rows differ"),
        (TRUTH + 1, GROUPS, "only one of them has the cell '0, group=0'"),
        (TRUTH, pd.Series(GROUPS, name="sex"), r"attributes are \['group'\] and \['sex'\]"),
    ],
)
def test_other_samples_are_an_error(truth, groups, message):
    predicted = guesses(0.9)
    other = audit(predicted[: len(truth)], truth, groups)
    with pytest.raises(ValueError, match=message):
        audit(predicted).compare(other)


def test_something_else_is_an_error():
    with pytest.raises(TypeError, match="other must be a GroupAudit, got float"):
        audit(guesses(0.9)).compare(0.5)
