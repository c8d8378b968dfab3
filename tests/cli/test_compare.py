"""gbmix compare: from a table to a leaderboard, a page and a model."""

import json

import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gbmix_sklearn.cli._compare import _split_methods

from .conftest import people

COMPARE = ["compare", "train.csv", "-t", "y", "-g", "sex", "--folds", "2"]


def test_the_table_goes_to_stdout_and_fits_to_stderr(gbmix, train, folder):
    output = gbmix(*COMPARE, "-m", "logistic,class-scaled-erm", "--html", "report.html")
    assert "comparing 2 methods on 2 folds of 400 samples" in output.err
    assert "fit 4/4" in output.err
    assert "wrote report.html" in output.err
    assert "use this" in output.out
    assert "class-scaled ERM" in output.out
    assert "fit 1" not in output.out
    assert "Comparison of methods" in (folder / "report.html").read_text("utf-8")


def test_json_is_all_that_stdout_gets(gbmix, train):
    output = gbmix(*COMPARE, "-m", "logistic", "--json", "-q")
    found = json.loads(output.out)
    assert found["best"] == "logistic"
    assert found["n_folds"] == 2
    assert "fit" not in output.err


def test_the_columns_of_groups_are_not_predicted_from(gbmix, train, folder):
    people().assign(y=people()["sex"]).to_csv("sexes.csv", index=False)
    (folder / "sexes.csv").write_text(
        people().assign(copy=people()["y"], sex=people()["sex"]).to_csv(index=False)
    )
    options = ["compare", "sexes.csv", "-t", "y", "-g", "sex", "--folds", "2", "-m", "logistic"]
    found = json.loads(gbmix(*options, "--json", "-q").out)
    assert found["methods"][0]["average_accuracy"] == 1  # the copy of the target
    found = json.loads(gbmix(*options, "--json", "-q", "--exclude", "copy").out)
    assert found["methods"][0]["average_accuracy"] < 1
    found = json.loads(gbmix(*options, "--json", "-q", "--features", "sex").out)
    assert found["methods"][0]["average_accuracy"] < 0.6


def test_a_winner_of_this_package_is_saved_for_gbmix_predict(gbmix, train, folder):
    output = gbmix(*COMPARE, "-m", "erm", "--save", "model")
    assert "saved ERM in model, for gbmix predict" in output.err
    assert (folder / "model" / "model.json").exists()
    assert json.loads((folder / "model" / "data.json").read_text())["target"] == "y"


@pytest.mark.parametrize("option", ["--fit-best", "--save"])
def test_a_winner_of_scikit_learn_too(gbmix, train, folder, option):
    output = gbmix(*COMPARE, "-m", "logistic,boosting", option, "model")
    assert "in model, for gbmix predict" in output.err
    assert not (folder / "model" / "model.joblib").exists()
    gbmix("predict", "model", "train.csv", "-o", "predictions.csv")
    assert (pd.read_csv("predictions.csv")["prediction"] == people()["y"]).mean() > 0.8


def test_a_model_is_replaced_only_on_request_and_as_a_whole(gbmix, train, folder):
    gbmix(*COMPARE, "-m", "logistic", "--save", "model")
    error = gbmix(*COMPARE, "-m", "erm", "--save", "model", code=2).err
    assert "model holds a model already; --overwrite replaces it" in error
    gbmix(*COMPARE, "-m", "erm", "--save", "model", "--overwrite")
    assert json.loads((folder / "model" / "model.json").read_text())["content"]["class"] == (
        "ERMClassifier"
    )


def test_a_stopped_comparison_goes_on(gbmix, train):
    options = [*COMPARE, "-m", "logistic", "--folder", "kept"]
    gbmix(*options)
    assert "2 fits; all of them are there already" in gbmix(*options).err


def test_rows_of_a_unit_stay_together(gbmix, folder):
    people().assign(person=np.arange(400) // 4).to_csv("train.csv", index=False)
    output = gbmix(*COMPARE, "-m", "logistic", "--keep-together", "person", "--json", "-q")
    assert json.loads(output.out)["best"] == "logistic"


def test_images_are_embedded(gbmix, folder):
    rng = np.random.default_rng(0)
    rows = []
    for n in range(24):
        y, s = divmod(n % 4, 2)
        pixels = (rng.integers(0, 60, (12, 12, 3)) + 120 * y).astype(np.uint8)
        Image.fromarray(pixels).save(f"{n}.png")
        rows.append({"file": f"{n}.png", "y": y, "s": s})
    pd.DataFrame(rows).to_csv("images.csv", index=False)
    options = ["compare", "images.csv", "-t", "y", "-g", "s", "--images", "file", "--folds", "2"]
    output = gbmix(*options, "-m", "logistic", "--image-size", "32", "--save", "model")
    assert "embedding 24 images, once for all" in output.err
    assert "load no such file of others" in " ".join(output.err.split())
    assert joblib.load(folder / "model" / "model.joblib").predict(["0.png"]).shape == (1,)


def test_a_failure_is_in_the_table_and_all_failing_an_error(gbmix, train):
    output = gbmix(*COMPARE, "-m", "logistic,cutmix", "-q")
    assert "failed" in output.out
    assert "for images only" in " ".join(output.out.split())
    assert "every method failed" in gbmix(*COMPARE, "-m", "cutmix", "-q", code=2).err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-m", "logitic"], "there is no method 'logitic'; did you mean 'logistic'?"),
        (["--html", "report.pdf"], "must end in .html"),
        (["--jobs", "0"], "--jobs 0 is none at all"),
        (["--backbone", "resnet18"], "--backbone is about images"),
        (["--image-size", "32"], "--image-size is about images"),
        (["--folds", "500"], "cv=500 folds need as many samples"),
        (["--keep-together", "persn"], "has no column 'persn'"),
        (["--exclude", "age,height,work"], "no column left to predict from"),
    ],
)
def test_wrong_usage_is_a_message(gbmix, train, options, message):
    assert message in " ".join(gbmix(*COMPARE, *options, code=2).err.split())


def test_names_with_commas_are_split_right():
    assert _split_methods("logistic,GBMix") == ["logistic", "GBMix"]
    assert _split_methods("logistic,logistic, learned,erm") == [
        "logistic",
        "logistic, learned",
        "erm",
    ]
    assert _split_methods("Boosting,learned") == ["boosting, learned"]
    assert _split_methods("logistic-learned,") == ["logistic-learned"]
