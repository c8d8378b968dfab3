"""Methods and their parameters as people type them."""

import pytest

from gbmix_sklearn.cli._options import PLAIN_METHODS, complete_method, method_names
from gbmix_sklearn.cli._settings import find_method, parse_settings
from gbmix_sklearn.estimators import METHODS

KNOWN = ["alpha", "patience", "hidden_units", "lr_schedule", "refit", "random_state", "callbacks"]


def test_methods_are_those_of_the_registry():
    classes = {method.__name__ for method in METHODS.values()}
    assert {find_method(name) for name in method_names()} == classes
    assert len(method_names()) == len(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_methods_may_be_called_as_in_the_literature(name):
    assert find_method(name) == METHODS[name].__name__
    assert find_method(METHODS[name].__name__) == METHODS[name].__name__
    assert find_method(name.lower()) == METHODS[name].__name__


def test_an_unknown_method_names_the_choices():
    with pytest.raises(ValueError, match=r"no method 'GBMx'; did you mean 'GBMix'\?.*GroupDRO"):
        find_method("GBMx")


def test_the_shell_completes_methods():
    assert complete_method("gb") == ["GBMix"]
    assert complete_method("") == [*method_names(), *PLAIN_METHODS]
    assert complete_method("boost") == ["boosting", "boosting-learned"]


def test_values_are_numbers_names_or_text():
    given = [
        "alpha=2",
        "patience=None",
        "hidden_units=(64, 32)",
        "lr_schedule=cosine",
        "refit=none",
    ]
    assert parse_settings(given, KNOWN) == {
        "alpha": 2,
        "patience": None,
        "hidden_units": (64, 32),
        "lr_schedule": "cosine",
        "refit": None,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alpha", "no value"),
        ("=2", "no value"),
        ("alfa=2", "did you mean 'alpha'"),
        ("random_state=1", "option of its own: --seed"),
        ("callbacks=1", "no parameter of this method"),
        ("alpha=1", "given twice"),
    ],
)
def test_settings_that_make_no_sense_are_errors(text, message):
    with pytest.raises(ValueError, match=message):
        parse_settings(["alpha=2", text], KNOWN)
