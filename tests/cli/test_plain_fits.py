"""Methods of scikit-learn in gbmix fit, compare and predict: saved without a pickle."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from gbmix_sklearn import GBMixError, TableEncoder, load_model
from gbmix_sklearn.cli._models import Model
from gbmix_sklearn.cli._options import PLAIN_METHODS
from gbmix_sklearn.cli._plain_fits import PlainFit
from gbmix_sklearn.cli._samples import Samples
from gbmix_sklearn.cli._settings import find_plain_method
from gbmix_sklearn.comparison import METHOD_NAMES
from gbmix_sklearn.comparison._methods import make_methods
from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.tables import Schema

from .conftest import people

FIT = ["fit", "train.csv", "-t", "y", "-g", "sex", "-q"]


def test_names_are_those_of_compare():
    assert {find_plain_method(name) for name in PLAIN_METHODS} == {*METHOD_NAMES} - {*METHODS}
    assert find_plain_method("Minimax Boosting") == "boosting, learned"
    assert find_plain_method("GroupDRO") is None


def samples(frame=None):
    frame = people() if frame is None else frame
    X = frame.drop(columns=["y", "sex"])
    return Samples("people", X, frame["y"].to_numpy(object), frame[["sex"]])


@pytest.mark.parametrize("name", PLAIN_METHODS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_saved_model_predicts_what_the_fitted_one_does(name, n_classes, tmp_path):
    frame = people()
    if n_classes == 3:
        frame.loc[frame["age"] > 52, "y"] = "maybe"
    rows = samples(frame)
    schema = Schema.learn(rows.X)
    fit = PlainFit(find_plain_method(name), ["max_iter=20"] if "boosting" in name else [])
    model = Model(fit(schema, rows), "y", ["sex"], schema)
    fitted = fit._classifier
    X = model.numbers(rows.X, "people")
    expected = fitted.predict(X)
    model.save(tmp_path)
    loaded = Model.load(tmp_path, "cpu")
    again = loaded.numbers(rows.X, "people")
    np.testing.assert_array_equal(loaded.classifier.predict(again), expected)
    np.testing.assert_allclose(
        loaded.classifier.predict_proba(again), fitted.predict_proba(X), atol=1e-5
    )
    assert not list(tmp_path.glob("*.joblib"))
    pd.testing.assert_frame_equal(loaded.classifier.group_table_, fitted.group_table_)


def test_it_is_the_method_that_compare_fits():
    rows = samples()
    schema = Schema.learn(rows.X)
    plain = PlainFit("logistic")(schema, rows)
    pipeline = make_methods(["logistic"], "table", None, 0)["logistic"]
    pipeline = make_pipeline(TableEncoder(), pipeline[-1])
    pipeline.fit(rows.X, rows.y, cellweightedclassifier__groups=rows.groups)
    X = schema.encode(rows.X)[0]
    np.testing.assert_array_equal(plain.predict(X), pipeline.predict(rows.X))


@pytest.mark.parametrize("method", ["boosting-learned", "class-scaled-erm"])
def test_from_fit_to_predictions_and_an_audit(gbmix, train, folder, method):
    output = gbmix(*FIT, "-m", method, "--set", "max_iter=50", "-o", "model")
    assert "They were not trained on" in output.err
    assert "worst" in output.out
    gbmix("predict", "model", "train.csv", "--proba", "-o", "p.csv")
    predicted = pd.read_csv("p.csv")
    assert (predicted["prediction"] == people()["y"]).mean() > 0.8
    np.testing.assert_allclose(predicted[["proba_no", "proba_yes"]].sum(axis=1), 1)
    audit = ["audit", "p.csv", "-t", "y", "--prediction", "prediction", "-g", "sex"]
    assert "each counts as in training" in " ".join(gbmix(*audit, "--model", "model").out.split())


def test_values_that_training_did_not_have_are_told_and_count_as_missing(gbmix, train, folder):
    gbmix(*FIT, "-m", "boosting", "-o", "model")
    rows = people().drop(columns="y")
    rows.loc[0, "work"] = "moon"
    rows.to_csv("new.csv", index=False)
    output = gbmix("predict", "model", "new.csv", "-o", "p.csv")
    assert "such as 'moon'; they count as missing" in output.err
    rows.loc[0, "work"] = None
    rows.to_csv("new.csv", index=False)
    gbmix("predict", "model", "new.csv", "-o", "q.csv")
    assert pd.read_csv("p.csv")["prediction"].equals(pd.read_csv("q.csv")["prediction"])


def test_all_rows_are_trained_on_where_others_judge_or_none(gbmix, train, folder):
    people(200, seed=1).to_csv("valid.csv", index=False)
    output = gbmix(*FIT, "-m", "logistic", "--valid", "valid.csv", "--json", "-o", "a")
    found = json.loads(output.out)
    assert (found["n_rows"], found["method"], found["best_epoch"]) == (400, "logistic", None)
    output = gbmix(*FIT, "-m", "logistic", "--set", "validation_fraction=none", "--json", "-o", "b")
    assert json.loads(output.out)["validation"] is None
    assert (load_model("a").model_.coef_ == load_model("b").model_.coef_).all()


def test_parameters_are_those_of_scikit_learn_and_take_the_place_of_a_search():
    fit = PlainFit("logistic", ["C=0.5"])
    assert fit._classifier.param_grid is None
    assert fit._classifier.estimator.C == 0.5
    with pytest.raises(ValueError, match=r"no parameter of this method; did you mean 'C'"):
        PlainFit("logistic", ["c=0.5"])
    with pytest.raises(ValueError, match="between 0 and 1"):
        PlainFit("logistic", ["validation_fraction=2"])


def test_images_are_embedded_first(gbmix, train):
    message = gbmix(*FIT, "-m", "boosting", "--images", "work", "-o", "m", code=2).err
    assert "gbmix embed makes one of images" in " ".join(message.split())


class TestStrangers:
    @pytest.fixture
    def saved(self, tmp_path):
        rows = samples()
        schema = Schema.learn(rows.X)
        plain = PlainFit("boosting", ["max_iter=3"])(schema, rows)
        return plain, Model(plain, "y", ["sex"], schema), tmp_path

    @pytest.mark.parametrize(
        "change",
        [
            {"kind": "pickle"},
            {"kind": "linear"},
            {"n_features_in": 7},
            {"n_features_in": "3"},
            {"offsets": [0.0]},
            {"offsets": [0.0, float("nan")]},
            {"classes": {"dtype": "<U3", "values": ["no", "no"]}},
            {"groups": {"names": ["a"], "cells": []}},
            {"method": 3},
        ],
        ids=str,
    )
    def test_what_cannot_be_is_refused(self, saved, change, monkeypatch):
        plain, model, folder = saved
        content = plain.to_json() | change
        monkeypatch.setattr(type(plain), "to_json", lambda _: content)
        model.save(folder)
        with pytest.raises(GBMixError, match="cannot be used"):
            Model.load(folder, "cpu")

    def test_another_number_of_columns_is_refused(self, saved):
        with pytest.raises(ValueError, match="X has 2 features"):
            saved[0].predict(np.zeros((3, 2)))
