"""Methods that require groups: refused without, and within scikit-learn's contract with them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from gbmix_sklearn import GBMixClassifier, MissingGroupsError

from .problems import FAST, problem


class RequiringClassifier(GBMixClassifier):
    _groups_policy = "require"


class AlternatingGroupsClassifier(RequiringClassifier):
    """Supplies the groups that scikit-learn's checks do not know of, alternating in each class."""

    def fit(self, X, y, groups=None, **validation):
        if groups is None and y is not None:
            labels = pd.Series(np.asarray(y).ravel())
            groups = labels.groupby(labels, dropna=False).cumcount() % 2
        return super().fit(X, y, groups, **validation)


@pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
@parametrize_with_checks([AlternatingGroupsClassifier()])
def test_a_method_that_requires_groups_keeps_scikit_learns_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("error", [MissingGroupsError, ValueError, TypeError])
def test_groups_that_are_required_and_missing_are_an_error_with_the_cures(error):
    X, y, _ = problem()
    with pytest.raises(error, match=r"Requiring.*needs groups.*routing.*group_columns"):
        RequiringClassifier(**FAST).fit(X, y)


def test_a_method_that_requires_groups_uses_them():
    X, y, s = problem()
    model = RequiringClassifier(**FAST).fit(X, y, s)
    assert model.group_table_.index.tolist() == [(0, 0), (0, 1), (1, 0), (1, 1)]
