"""The paper's settings as parameters."""

import pytest

from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.estimators._paper import paper_params

DATASETS = ("waterbirds", "celeba", "utkface", "fairface")


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("method", METHODS)
def test_every_classifier_accepts_them(method, dataset):
    model = METHODS[method](**paper_params(dataset))
    model._validate_params()
    model._check_parameters()


def test_epochs_are_those_of_the_paper():
    epochs = [paper_params(dataset)["max_epochs"] for dataset in DATASETS]
    assert epochs == [200, 25, 80, 80]


def test_all_epochs_are_run():
    assert all(paper_params(dataset)["patience"] is None for dataset in DATASETS)


def test_common_settings_are_those_of_appendix_b():
    settings = paper_params("celeba")
    assert (settings["batch_size"], settings["weight_decay"]) == (64, 1e-4)
    assert settings["optimizer"] == "sgd"
    assert settings["lr"] in (1e-3, 1e-4, 1e-5)
    assert settings["backbone"].startswith("resnet50")


def test_case_does_not_matter():
    assert paper_params("CelebA", "gbmix") == paper_params("celeba", "GBMix")


@pytest.mark.parametrize("method", ["GBMix", "DFR"])
def test_what_is_refitted_is_refitted_as_published(method):
    own = paper_params("celeba", method)
    assert own == paper_params("celeba") | {"refit": "dfr"}
    METHODS[method](**own)._check_parameters()


@pytest.mark.parametrize("method", ["ERM", "", 3])
def test_other_methods_have_nothing_of_their_own(method):
    with pytest.raises(ValueError, match=r"method must be 'GBMix', 'DFR' or None, got"):
        paper_params("celeba", method)


def test_changing_the_result_changes_no_later_one():
    paper_params("celeba")["lr"] = 7
    assert paper_params("celeba")["lr"] == 1e-3


@pytest.mark.parametrize("dataset", ["adult", "", None, 3, ["celeba"]])
def test_unknown_data_sets_are_named_with_those_that_there_are(dataset):
    with pytest.raises(ValueError, match=r"waterbirds.*fairface.*got"):
        paper_params(dataset)
