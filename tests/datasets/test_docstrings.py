import doctest
import inspect
import re

import pytest
from sklearn.utils import Bunch

from gbmix_sklearn import datasets
from gbmix_sklearn.datasets import _adult, _common, _waterdigits


@pytest.mark.parametrize("module", [_adult, _common, _waterdigits])
def test_examples_run(module):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, tried = doctest.testmod(module, optionflags=flags)
    assert tried
    assert not failed


@pytest.mark.parametrize("name", datasets.__all__)
def test_every_parameter_is_documented(name):
    function = getattr(datasets, name)
    text = inspect.getdoc(function)
    for parameter in inspect.signature(function).parameters:
        assert re.search(rf"^.*\b{parameter}\b.* : ", text, re.MULTILINE), parameter


@pytest.mark.parametrize("load", [datasets.load_adult, datasets.make_waterdigits])
def test_every_field_is_documented(load):
    sizes = {"n_train": 4, "n_valid": 0, "n_test": 0} if load is datasets.make_waterdigits else {}
    bunch = load(**sizes)
    assert isinstance(bunch, Bunch)
    documented = re.findall(r"^    (\w+) : ", inspect.getdoc(load), re.MULTILINE)
    assert documented == list(bunch)
