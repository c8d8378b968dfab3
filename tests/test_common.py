"""Every classifier keeps scikit-learn's contract and ours."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from gbmix_sklearn.estimators import METHODS


@pytest.mark.filterwarnings("ignore::gbmix_sklearn.MissingGroupsWarning")
# scikit-learn's checks fit classes of one or two samples on purpose
@pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
@parametrize_with_checks([method() for method in METHODS.values()])
def test_estimator_keeps_scikit_learns_contract(estimator, check):
    check(estimator)
