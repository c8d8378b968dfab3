"""Every classifier keeps scikit-learn's contract."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from .estimators.problems import CHECKED


@pytest.mark.filterwarnings("ignore::gbmix_sklearn.MissingGroupsWarning")
# scikit-learn's checks fit classes of one or two samples, and easy ones, on purpose
@pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
@pytest.mark.filterwarnings("ignore::gbmix_sklearn.EmptyErrorSetWarning")
@parametrize_with_checks([method() for method in CHECKED.values()])
def test_estimator_keeps_scikit_learns_contract(estimator, check):
    check(estimator)
