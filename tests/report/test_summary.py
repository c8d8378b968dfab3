"""What readers are told."""

import numpy as np
import pytest

from gbmix_sklearn import GroupAudit
from gbmix_sklearn.report._summary import sentences
from gbmix_sklearn.report._text import listed, markdown, percent, points, pvalue_text, visible


def audit(correct, count, **options):
    """Audit of a class whose groups have these counts."""
    groups = np.repeat([f"g{number}" for number in range(len(count))], count)
    predicted = np.concatenate(
        [np.repeat([1, 0], [right, n - right]) for right, n in zip(correct, count, strict=True)]
    )
    truth = np.ones(len(groups), dtype=int)
    return GroupAudit.from_predictions(truth, predicted, groups=groups, **options)


def told(*args, **options):
    return " ".join(sentences(audit(*args, **options)))


def test_a_clear_worst_group():
    text = told([50, 90, 95], [100, 100, 100])
    assert text.startswith(
        "The worst group is 1, group=g0 with an accuracy of 50.0 % (39.8 to 60.2"
    )
    assert "It is significantly worse than the next group, 1, group=g1 with 90.0 %" in text
    assert "significantly worse than each of the other groups" in text
    assert "45.0 points apart" in text
    assert "78.3 % over all samples and 78.3 % when each group counts the same" in text


def test_two_groups_that_cannot_be_told_apart():
    text = told([50, 52, 95, 96], [100] * 4)
    assert "It cannot be told to be worse than the next group, 1, group=g1" in text
    assert "It is significantly worse than each of the groups after that." in text


def test_groups_that_are_alike_are_named_the_worst_first():
    text = told([95, 51, 50, 53, 52], [100] * 5)
    assert (
        "Of the 4 other groups, 3 cannot be told from it: "
        "1, group=g1; 1, group=g4; 1, group=g3." in text
    )


@pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
def test_a_worst_group_that_is_too_small_is_not_the_last_word():
    text = told([0, 60, 90], [2, 100, 100])
    assert "1, group=g0 with an accuracy of 0.0 % (0.0 to 84.2, 2 samples)" in text
    assert (
        "The worst of the groups that are large enough to say something is 1, group=g1 with an "
        "accuracy of 60.0 %" in text
    )
    assert text.endswith("Too small to say anything: 1, group=g0.")


def test_probabilities_are_summed_up():
    over = told([80, 80], [100, 100], y_proba=np.where(np.arange(200) < 80, 0.95, 0.3))
    assert "furthest off for group=g1: there the mean confidence is" in over
    assert "points below the accuracy" in over


def test_the_adjusted_average_is_told():
    weights = {(1, "g0"): 3, (1, "g1"): 1}
    assert "57.5 % when each counts as in training" in told(
        [50, 80], [100, 100], cell_weights=weights
    )


def test_numbers_and_lists():
    assert (percent(0.6125), points(0.031), points(0.4, 0)) == ("61.3 %", "3.1", "40")
    assert (pvalue_text(0.0123), pvalue_text(0.0009)) == ("p = 0.012", "p < 0.001")
    assert listed(list("abcdefg")) == "a; b; c; d; e; and 2 more"
    assert listed(["a, b", "c"]) == "a, b; c"


def test_invisible_characters_become_visible():
    assert visible("a\u202eb\x00\n\ud800é") == r"a\u202eb\u0000\u000a\ud800é"


def test_markdown_shows_text_as_it_is():
    assert markdown("<b>|*_`[x](y)") == r"&lt;b&gt;\|\*\_\`\[x\](y)"
    assert markdown("a\nb") == r"a\\u000ab"
