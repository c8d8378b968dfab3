"""The choice among a search's candidates: best worst group, average good enough."""

import math
import pickle
from dataclasses import FrozenInstanceError
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from gbmix_sklearn import BestWorstGroup, GBMixError, RefitRuleError

#: accuracies are whole numbers of correct ones among so many
OF = 20
scores = st.one_of(st.integers(0, OF), st.none())


def table(average, worst, iteration=None):
    """cv_results_ as scikit-learn makes it, from whole numbers; None is a score that failed."""
    results = {"params": [{"number": number} for number in range(len(average))]}
    for name, rows in (("average", average), ("worst", worst)):
        folds = np.array([[np.nan if x is None else x / OF for x in row] for row in rows])
        for fold in range(folds.shape[1]):
            results[f"split{fold}_test_{name}"] = folds[:, fold]
        results[f"mean_test_{name}"] = folds.mean(1)
        results[f"std_test_{name}"] = folds.std(1)
    if iteration is not None:
        results["iter"] = iteration
    return results


def slow_choice(average, worst, iteration=None, floor=None, within=None):
    """The rule word by word, in exact fractions; None where no candidate can be chosen."""

    def mean(row):
        return Fraction(sum(row), len(row) * OF)

    valid = [
        number
        for number in range(len(average))
        if None not in average[number] and None not in worst[number]
    ]
    if iteration is not None:
        valid = [number for number in valid if iteration[number] == max(iteration)]
    if not valid:
        return None
    best = max(valid, key=lambda number: (mean(average[number]), -number))
    top = mean(average[best])

    def is_good(number):
        if floor is not None:
            return mean(average[number]) >= floor
        if within is not None:
            return top - mean(average[number]) <= within
        folds = [Fraction(x, OF) for x in average[best]]
        variance = sum((x - top) ** 2 for x in folds) / (len(folds) - 1)
        return (top - mean(average[number])) ** 2 <= variance / len(folds)

    good = [number for number in valid if is_good(number)]
    if not good:
        return None
    return max(good, key=lambda n: (mean(worst[n]), mean(average[n]), -n))


@st.composite
def searches(draw):
    folds, candidates = draw(st.integers(2, 4)), draw(st.integers(1, 7))
    rows = st.lists(scores, min_size=folds, max_size=folds)
    average, worst = (
        draw(st.lists(rows, min_size=candidates, max_size=candidates)) for _ in range(2)
    )
    iterations = st.lists(st.integers(0, 2), min_size=candidates, max_size=candidates)
    return average, worst, draw(st.one_of(st.none(), iterations))


@given(searches(), st.sampled_from(["floor", "within", None]), st.integers(0, OF * 12))
def test_the_choice_is_that_of_the_rule_word_by_word(search, kind, number):
    limit = {} if kind is None else {kind: Fraction(number, OF * 12)}
    rule = BestWorstGroup(**{name: float(value) for name, value in limit.items()})
    expected = slow_choice(*search, **limit)
    if expected is None:
        with pytest.raises(RefitRuleError):
            rule(table(*search))
    else:
        chosen = rule(table(*search))
        assert type(chosen) is int
        assert chosen == expected


def test_three_ways_to_say_which_average_is_good_enough():
    #             fold 1, 2, 3 of each candidate
    average = [[18, 19, 20], [17, 18, 19], [18, 19, 19], [12, 12, 12]]
    worst = [[10] * 3, [16] * 3, [14] * 3, [18] * 3]
    results = table(average, worst)
    # means .95, .9, .933, .6; the standard error of the first is .05 / sqrt(3) = .029
    assert results["std_test_average"][0] / math.sqrt(2) == pytest.approx(0.05 / math.sqrt(3))
    assert BestWorstGroup()(results) == 2
    assert BestWorstGroup(within=0.05)(results) == 1
    assert BestWorstGroup(within=0.0)(results) == 0
    assert BestWorstGroup(0.9)(results) == 1
    assert BestWorstGroup(floor=0.6)(results) == 3


def test_the_standard_error_is_that_of_few_folds():
    # scores .9 and 1: s = .0707 with one degree of freedom, and s / sqrt(2) = .05
    worst = [[1, 1], [2, 2], [3, 3]]
    assert BestWorstGroup()(table([[18, 20], [18, 18], [17, 18]], worst)) == 1
    # the third lies within s of the best, as in scikit-learn's example, and is not chosen


def test_rounding_decides_nothing():
    results = {
        "params": [{}, {}, {}],
        "mean_test_average": [0.8, 0.7, 0.7],
        "mean_test_worst": [0.1, 0.3, 0.1 + 0.2],
    }
    assert 0.8 - 0.1 > 0.7  # in floats
    assert BestWorstGroup(within=0.1)(results) == 1
    assert BestWorstGroup(floor=0.6 + 1e-15)(results) == 1


def test_a_candidate_with_nan_is_no_measure_for_others():
    results = table([[20, 20], [15, 15], [14, 14]], [[None, 20], [10, 10], [12, 12]])
    assert BestWorstGroup(within=0.05)(results) == 2


def test_masked_columns_and_data_frames_will_do():
    results = table([[18, 18], [17, 17]], [[5, 5], [9, 9]])
    assert BestWorstGroup(within=0.1)({k: np.ma.masked_array(v) for k, v in results.items()}) == 1
    frame = pd.DataFrame(results, index=[7, 3])
    assert BestWorstGroup(within=0.1)(frame) == 1
    assert BestWorstGroup()(frame) == 0


def test_other_names_even_one_that_ends_like_another():
    results = table([[18, 19], [17, 18]], [[5, 5], [9, 9]])
    renamed = {key.replace("worst", "w").replace("average", "a"): v for key, v in results.items()}
    renamed |= {"split0_test_not_test_a": [0, 0], "mean_test_not_test_a": [0, 0]}
    assert BestWorstGroup(worst="w", average="a")(renamed) == BestWorstGroup()(results) == 0


# ---------------------------------------------------------------------------- errors


def error_of(rule, results):
    with pytest.raises(RefitRuleError) as caught:
        rule(results)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, GBMixError)
    assert caught.value.cv_results is results
    return str(caught.value)


def test_a_floor_that_nobody_reaches_tells_the_best_average():
    results = table([[18, 18], [17, 17], [None, 20]], [[5, 5], [9, 9], [9, 9]])
    message = error_of(BestWorstGroup(floor=0.95), results)
    assert "floor=0.95" in message
    assert "0.9000, of candidate 0 ({'number': 0}), which has 'worst' 0.2500" in message


def test_nothing_but_nan_tells_how_to_see_why():
    results = table([[None, 1], [3, 3]], [[1, 1], [None, None]])
    for rule in (BestWorstGroup(), BestWorstGroup(floor=0.0), BestWorstGroup(within=1)):
        assert "error_score='raise'" in error_of(rule, results)


def test_missing_names_are_listed_with_those_that_are_there():
    results = {"params": [{}], "mean_test_score": [1.0], "mean_test_gap": [0.1]}
    message = error_of(BestWorstGroup(), results)
    assert "no scores named 'average', only 'score', 'gap'" in message
    results = table([[1, 1]], [[1, 1]])
    assert "named 'wrost', only 'average', 'worst'" in error_of(
        BestWorstGroup(worst="wrost"), results
    )


def test_one_fold_has_no_standard_error():
    results = table([[18]], [[5]])
    assert "there are 1: give floor" in error_of(BestWorstGroup(), results)
    assert BestWorstGroup(within=0.1)(results) == 0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"floor": 90}, "90 % is 0.9"),
        ({"floor": "0.9"}, "floor must be a number"),
        ({"floor": True}, "floor must be a number"),
        ({"floor": math.nan}, "floor must be a number"),
        ({"floor": -math.inf}, "floor must be a number"),
        ({"within": -0.1}, "within must be a number of 0 or more"),
        ({"within": "one_standard_error"}, "within must be a number"),
        ({"within": math.inf}, "within must be a number"),
        ({"floor": 0.9, "within": 0.1}, "two ways"),
    ],
)
def test_bad_parameters_are_told_before_the_search(parameters, message):
    with pytest.raises(ValueError, match=message):
        BestWorstGroup(**parameters)


def test_the_error_survives_a_pickle():
    error = pickle.loads(pickle.dumps(RefitRuleError("why", {"params": []})))
    assert (str(error), error.cv_results) == ("why", {"params": []})


# ---------------------------------------------------------------------------- in a search


def test_rules_are_values():
    rule = BestWorstGroup(floor=0.9)
    assert pickle.loads(pickle.dumps(rule)) == rule == clone(rule, safe=False)
    assert repr(rule) == "BestWorstGroup(floor=0.9, within=None, worst='worst', average='average')"
    with pytest.raises(FrozenInstanceError):
        rule.floor = 0.1


def test_a_search_with_it_can_be_cloned_and_pickled():
    X, y = make_classification(60, random_state=0)
    search = GridSearchCV(
        LogisticRegression(),
        {"C": [1e-4, 1.0]},
        scoring={"worst": "balanced_accuracy", "average": "accuracy"},
        refit=BestWorstGroup(within=0.5),
        error_score="raise",
    )
    fitted = pickle.loads(pickle.dumps(clone(search))).fit(X, y)
    assert fitted.best_index_ == np.argmax(fitted.cv_results_["mean_test_worst"])
    assert fitted.best_params_["C"] == fitted.best_estimator_.C


def test_a_search_in_which_none_can_be_chosen_keeps_its_results():
    X, y = make_classification(60, flip_y=0.3, random_state=0)
    search = GridSearchCV(
        LogisticRegression(),
        {"C": [1e-4, 1.0]},
        scoring={"worst": "balanced_accuracy", "average": "accuracy"},
        refit=BestWorstGroup(floor=1.0),
    )
    with pytest.raises(RefitRuleError, match=r"floor=1\.0") as caught:
        search.fit(X, y)
    assert len(caught.value.cv_results["mean_test_worst"]) == 2
