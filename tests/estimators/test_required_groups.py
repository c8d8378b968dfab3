"""Methods that require groups are refused without; those that do not train without a warning."""

import pytest

from gbmix_sklearn import MissingGroupsError
from gbmix_sklearn.estimators import METHODS

from .problems import method, problem, requires_groups

REQUIRING = [name for name, cls in METHODS.items() if requires_groups(cls)]


def test_which_methods_require_groups():
    assert set(REQUIRING) == {"RWG", "SUBG", "FairMix", "GroupDRO", "LISA", "DFR"}


@pytest.mark.parametrize("error", [MissingGroupsError, ValueError, TypeError])
@pytest.mark.parametrize("name", REQUIRING)
def test_groups_that_are_required_and_missing_are_an_error_with_the_cures(name, error):
    X, y, _ = problem()
    match = rf"{METHODS[name].__name__} needs groups.*routing.*group_columns"
    with pytest.raises(error, match=match):
        method(name).fit(X, y)


@pytest.mark.parametrize("name", ["OBMix", "UniMix"])
def test_methods_that_balance_groups_or_classes_require_groups_for_groups_only(name):
    X, y, s = problem()
    with pytest.raises(MissingGroupsError, match="needs groups"):
        method(name, balance="group").fit(X, y)
    method(name, balance="group").fit(X, y, s)
    method(name, balance="class").fit(X, y)


@pytest.mark.parametrize("name", ["RWG", "SUBG"])
def test_balancing_classes_requires_no_groups(name):
    X, y, _ = problem()
    method(name, balance="class").fit(X, y)


@pytest.mark.parametrize("name", REQUIRING)
def test_a_method_that_requires_groups_uses_them(name):
    X, y, s = problem()
    model = method(name).fit(X, y, s)
    assert model.group_table_.index.tolist() == [(0, 0), (0, 1), (1, 0), (1, 1)]
