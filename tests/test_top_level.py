"""The package is light to import and complete."""

import json
import subprocess
import sys

import pytest

import gbmix_sklearn

HEAVY = ("torch", "timm", "torchvision", "skorch")


def modules_after(code):
    """Heavy modules that a fresh interpreter has loaded after the code."""
    report = f"import json, sys; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "code",
    [
        "import gbmix_sklearn; dir(gbmix_sklearn); gbmix_sklearn.__version__",
        "from gbmix_sklearn import worst_group_accuracy_score, group_report\n"
        "from gbmix_sklearn import worst_group_accuracy_scorer, make_group_scorer\n"
        "from gbmix_sklearn import SubgroupStratifiedKFold, subgroup_train_test_split\n"
        "from gbmix_sklearn import GBMixError, MissingGroupsWarning\n"
        "from gbmix_sklearn import GroupThresholdClassifier, MinimaxClassifier\n"
        "group_report([0, 1], [0, 1], groups=[0, 1])",
    ],
    ids=["the package", "metrics, scorers, splitting and errors"],
)
def test_what_needs_no_torch_does_not_load_it(code):
    assert modules_after(code) == []


def test_a_classifier_loads_torch():
    """The test above can fail."""
    assert "torch" in modules_after("from gbmix_sklearn import ERMClassifier")


@pytest.mark.parametrize("name", gbmix_sklearn.__all__)
def test_every_public_name_is_there(name):
    value = getattr(gbmix_sklearn, name)
    assert name in dir(gbmix_sklearn)
    module = gbmix_sklearn._PUBLIC.get(name)
    if module is not None:
        assert getattr(value, "__module__", "gbmix_sklearn").startswith(f"gbmix_sklearn.{module}")
        assert name in sys.modules[f"gbmix_sklearn.{module}"].__all__


def test_a_star_import_brings_the_public_names():
    names: dict = {}
    exec("from gbmix_sklearn import *", names)
    assert set(gbmix_sklearn.__all__) <= set(names)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="'gbmix_sklearn' has no attribute 'GBMixRegressor'"):
        _ = gbmix_sklearn.GBMixRegressor
    with pytest.raises(ImportError, match="GBMixRegressor"):
        exec("from gbmix_sklearn import GBMixRegressor")


def test_names_appear_once():
    assert len(gbmix_sklearn.__all__) == len(set(gbmix_sklearn.__all__))
    assert dir(gbmix_sklearn) == sorted(set(dir(gbmix_sklearn)))


def test_errors_and_warnings_are_those_that_users_catch():
    for name, base in [
        ("GroupsError", ValueError),
        ("MissingGroupsError", TypeError),
        ("MissingGroupsError", gbmix_sklearn.GroupsError),
        ("NonFiniteLossError", ValueError),
        ("MissingGroupsWarning", UserWarning),
        ("SmallCellWarning", UserWarning),
        ("NonFiniteLossWarning", UserWarning),
    ]:
        cls = getattr(gbmix_sklearn, name)
        assert issubclass(cls, base)
        if name.endswith("Error"):
            assert issubclass(cls, gbmix_sklearn.GBMixError)
