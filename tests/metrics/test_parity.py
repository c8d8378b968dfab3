"""Parity metrics: fairlearn's on 0 and 1, and the same for labels of any kind."""

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import demographic_parity_difference as fairlearn_parity
from fairlearn.metrics import equalized_odds_difference as fairlearn_odds
from hypothesis import given, settings
from hypothesis import strategies as st

from gbmix_sklearn.exceptions import MissingGroupsError
from gbmix_sklearn.metrics import demographic_parity_difference, equalized_odds_difference

# every cell occurs in the first eight samples, so that fairlearn's rates are all defined
BASE = {"y": [0, 0, 0, 1, 1, 1], "s": [0, 1, 2, 0, 1, 2]}


@st.composite
def binary_samples(draw):
    n = draw(st.integers(0, 15))
    bit = st.integers(0, 1)
    y_true = np.array(BASE["y"] + draw(st.lists(bit, min_size=n, max_size=n)))
    y_pred = np.array(draw(st.lists(bit, min_size=n + 6, max_size=n + 6)))
    s = np.array(BASE["s"] + draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    return y_true, y_pred, s


@settings(max_examples=10, deadline=None)
@given(binary_samples(), st.sampled_from([["no", "yes"], [False, True], [-3, 8], ["yes", "no"]]))
def test_labels_of_any_kind_score_as_fairlearn_scores_zeros_and_ones(samples, names):
    # twice, for the versions of fairlearn that fail on groups of a single sample
    y_true, y_pred, s = (np.repeat(values, 2) for values in samples)
    text_true = [names[i] for i in y_true]
    text_pred = np.array(names)[y_pred]
    groups = np.array(["x", "y", "z"])[s]
    weight = np.linspace(1, 2, len(s))
    for ours, theirs in (
        (demographic_parity_difference, fairlearn_parity),
        (equalized_odds_difference, fairlearn_odds),
    ):
        expected = theirs(y_true, y_pred, sensitive_features=s, sample_weight=weight)
        result = ours(text_true, text_pred, groups=groups, sample_weight=weight)
        assert type(result) is float
        assert result == pytest.approx(expected)
        # which of two classes is positive makes no difference
        for label in set(text_true):
            again = ours(text_true, text_pred, groups=groups, pos_label=label, sample_weight=weight)
            assert again == pytest.approx(expected)


def slow_rate_difference(y_pred, s, label, among):
    rates = [
        np.mean([p == label for p, g, a in zip(y_pred, s, among, strict=True) if g == group and a])
        for group in sorted({g for g, a in zip(s, among, strict=True) if a})
    ]
    return max(rates) - min(rates)


@pytest.mark.parametrize("seed", range(4))
def test_more_than_two_classes_give_the_maximum_over_one_against_the_rest(seed):
    rng = np.random.default_rng(seed)
    y_true, y_pred = rng.choice(["a", "b", "c"], (2, 40)).tolist()
    s = rng.choice(["x", "y", "z"], 40)
    parity = {
        label: slow_rate_difference(y_pred, s, label, [True] * 40) for label in ("a", "b", "c")
    }
    odds = {
        label: max(
            slow_rate_difference(y_pred, s, label, [t == label for t in y_true]),
            slow_rate_difference(y_pred, s, label, [t != label for t in y_true]),
        )
        for label in ("a", "b", "c")
    }
    for score, expected in (
        (demographic_parity_difference, parity),
        (equalized_odds_difference, odds),
    ):
        assert score(y_true, y_pred, groups=s) == pytest.approx(max(expected.values()))
        for label, value in expected.items():
            result = score(y_true, y_pred, groups=s, pos_label=label)
            assert result == pytest.approx(value)


def test_a_perfect_prediction_has_equal_odds_although_a_group_lacks_a_class():
    y, groups = [0, 0, 1, 1, 0, 0], list("aaaabb")
    assert fairlearn_odds(y, y, sensitive_features=groups) == 1  # the trap
    assert equalized_odds_difference(y, y, groups=groups) == 0


def test_several_attributes_stand_for_their_combinations():
    y_true = [0, 1] * 4
    y_pred = [0, 0, 1, 1, 0, 0, 0, 0]
    groups = pd.DataFrame({"sex": list("ffmmffmm"), "old": [0, 0, 0, 0, 1, 1, 1, 1]})
    assert demographic_parity_difference(y_true, y_pred, groups=groups) == 1
    assert demographic_parity_difference(y_true, y_pred, groups=groups["sex"]) == 0.5


def test_one_class_or_one_group_has_no_difference():
    assert equalized_odds_difference(["a", "a"], ["a", "a"], groups=["x", "y"]) == 0
    assert demographic_parity_difference(["a", "b"], ["a", "a"], groups=["x", "x"]) == 0


@pytest.mark.parametrize("score", [demographic_parity_difference, equalized_odds_difference])
def test_bad_input_is_refused(score):
    with pytest.raises(MissingGroupsError, match="groups is required"):
        score([0, 1], [0, 1], groups=None)
    with pytest.raises(ValueError, match="pos_label='yes' is no label"):
        score([0, 1], [0, 1], groups=["x", "y"], pos_label="yes")
    with pytest.raises(ValueError, match="different types"):
        score(["0", "1"], [0, 1], groups=["x", "y"])
