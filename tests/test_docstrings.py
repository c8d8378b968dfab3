"""Docstrings of all public names, against signatures and fitted attributes."""

import inspect

import pytest
from numpydoc.docscrape import ClassDoc
from numpydoc.validate import validate

import gbmix_sklearn
from gbmix_sklearn.estimators import METHODS

from .estimators.problems import frame, method

#: checks of numpydoc that are not asked for, and why
IGNORED = {
    "ES01",  # a summary often says it all
    "SA01",  # a See Also section where there is something to see
    "SA04",  # and names there that speak for themselves
    "EX01",  # examples are asked for below, where they make sense
    "SS05",  # a summary may say what a thing is ("Adjusted average accuracy ...")
    "RT02",  # names of single return values carry shapes
}


def is_documented(value):
    return inspect.isclass(value) or inspect.isfunction(value)


def public_objects():
    for name in gbmix_sklearn._PUBLIC:
        value = getattr(gbmix_sklearn, name)
        if not is_documented(value):
            continue
        yield name
        if not inspect.isclass(value):
            continue
        for method_name, member in inspect.getmembers(value, inspect.isfunction):
            ours = member.__module__.startswith("gbmix_sklearn")
            if ours and not method_name.startswith("_"):
                yield f"{name}.{method_name}"


@pytest.mark.parametrize("name", list(public_objects()))
def test_the_docstring_is_that_of_the_signature(name):
    problems = validate(f"gbmix_sklearn.{name}")["errors"]
    assert not [problem for problem in problems if problem[0] not in IGNORED]


def wants_example(name):
    value = getattr(gbmix_sklearn, name)
    is_error = inspect.isclass(value) and issubclass(value, BaseException)
    return is_documented(value) and not is_error


@pytest.mark.parametrize("name", list(filter(wants_example, gbmix_sklearn._PUBLIC)))
def test_there_is_an_example_that_uses_it(name):
    text = inspect.getdoc(getattr(gbmix_sklearn, name))
    assert "Examples\n--------" in text
    example = text.split("Examples\n--------")[1]
    assert ">>>" in example
    assert name in example


@pytest.mark.parametrize("name", METHODS)
def test_fitted_attributes_are_the_documented_ones(name):
    X, y = frame()
    model = method(name, group_columns=["sex", "age"]).fit(X, y)
    computed = {
        key for key, value in inspect.getmembers(type(model)) if isinstance(value, property)
    }
    names = vars(model).keys() | computed
    fitted = {name for name in names if name.endswith("_") and not name.startswith("_")}
    documented = {entry.name for entry in ClassDoc(METHODS[name])["Attributes"]}
    assert documented == fitted


@pytest.mark.parametrize("name", METHODS)
def test_documented_defaults_are_those_of_the_signature(name):
    documented = {entry.name: entry.type for entry in ClassDoc(METHODS[name])["Parameters"]}
    for parameter in inspect.signature(METHODS[name]).parameters.values():
        text = documented[parameter.name].replace('"', "'")
        assert text.endswith(f"default={parameter.default!r}")


@pytest.mark.parametrize("name", METHODS)
def test_documented_choices_are_those_that_are_accepted(name):
    documented = {entry.name: entry.type for entry in ClassDoc(METHODS[name])["Parameters"]}
    for parameter, constraints in METHODS[name]._parameter_constraints.items():
        for constraint in constraints if isinstance(constraints, list) else []:
            for option in getattr(constraint, "options", ()):
                assert f'"{option}"' in documented[parameter]
