"""Samples of the fit are noticed among those that are predicted and audited."""

import warnings

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import (
    DuplicateSamplesWarning,
    ERMClassifier,
    GroupAudit,
    LastLayerRefit,
    load_model,
)

from .problems import problem

X, Y, S = problem(600, n_features=20)
TRAIN, TEST = slice(0, 300), slice(300, None)
MIXED = np.r_[0:30, 300:570]  # a tenth was in the fit


def fitted(**parameters):
    options = {"max_epochs": 1, "random_state": 0, "refit": None} | parameters
    return ERMClassifier(**options).fit(X[TRAIN], Y[TRAIN], S[TRAIN])


class TestPredict:
    @pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
    @pytest.mark.parametrize("hidden_units", [(), (4,)])
    def test_copies_are_reported_once(self, method, hidden_units):
        predict = getattr(fitted(hidden_units=hidden_units), method)
        with pytest.warns(DuplicateSamplesWarning, match="^30 of the 300 samples to predict"):
            predict(X[MIXED])
        predict(X[MIXED])

    def test_another_head_reports_too(self):
        with pytest.warns(DuplicateSamplesWarning, match="^30 of"):
            fitted(refit=RidgeClassifier()).predict(X[MIXED])

    def test_the_training_data_and_new_ones_are_nothing_special(self):
        model = fitted()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.predict(X[TRAIN])
            model.score(X[:280], Y[:280])
            model.predict(X[TEST])
            model.transform(X[MIXED])  # which judges nothing

    def test_doubles_and_floats_are_the_same_samples(self):
        with pytest.warns(DuplicateSamplesWarning, match="^30 of"):
            fitted().predict(X[MIXED].astype(np.float32))

    def test_of_many_samples_all_are_counted(self):
        model = fitted()
        many = np.concatenate([X[TRAIN], np.random.default_rng(1).normal(size=(5000, 20))])
        with pytest.warns(DuplicateSamplesWarning, match="^300 of the 5,300 samples"):
            model.predict(many)

    def test_a_loaded_model_notices_them(self, tmp_path):
        model = fitted()
        model.save(tmp_path / "model")
        with pytest.warns(DuplicateSamplesWarning, match="^30 of"):
            load_model(tmp_path / "model").predict(X[MIXED])

    def test_rows_of_few_columns_are_not_kept(self):
        model = ERMClassifier(max_epochs=1).fit(X[TRAIN, :3], Y[TRAIN])
        assert model._seen is None
        model.predict(X[MIXED, :3])

    @pytest.mark.parametrize("form", ["array", "paths"])
    def test_equal_images_are_noticed(self, form, tmp_path):
        pixels = np.random.default_rng(0).integers(256, size=(160, 8, 8, 3), dtype=np.uint8)
        images = pixels
        if form == "paths":
            for row, image in enumerate(pixels):
                Image.fromarray(image).save(tmp_path / f"{row}.png")
            images = np.array([str(tmp_path / f"{row}.png") for row in range(160)])
        model = ERMClassifier(
            "test_resnet.r160_in1k", pretrained=False, image_size=8, max_epochs=1, trainable=False
        )
        model.fit(images[:120], np.arange(120) % 2)
        with pytest.warns(DuplicateSamplesWarning, match="^20 of the 60 samples"):
            model.predict(images[100:])


class TestAudit:
    @pytest.fixture
    def model(self):
        model = make_pipeline(StandardScaler(), ERMClassifier(max_epochs=1, random_state=0))
        return model.fit(X[TRAIN], Y[TRAIN], ermclassifier__groups=S[TRAIN])

    @pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
    @pytest.mark.filterwarnings("ignore::gbmix_sklearn.DuplicateSamplesWarning")
    @pytest.mark.parametrize(
        ("rows", "expected", "text"),
        [
            (MIXED, 30, "30 of the 300 samples were in the fit"),
            (TRAIN, 300, "All of the 300 samples were in the fit"),
            (TEST, 0, None),
        ],
    )
    def test_it_states_the_count(self, model, rows, expected, text):
        audit = GroupAudit.from_estimator(model, X[rows], Y[rows], groups=S[rows])
        assert audit.n_copies == expected
        assert f'"n_copies": {expected}' in audit.to_json()
        assert (text or "") in str(audit)
        assert ("in the fit of the model" in str(audit)) == (text is not None)

    @pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
    def test_other_models_cannot_tell(self):
        model = LogisticRegression().fit(X[TRAIN], Y[TRAIN])
        audit = GroupAudit.from_estimator(model, X[TRAIN], Y[TRAIN], groups=S[TRAIN])
        assert audit.n_copies is None


@pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
def test_a_refit_on_samples_of_the_training_is_reported():
    model = fitted()
    with pytest.warns(DuplicateSamplesWarning, match="^30 of the 300 samples were in the fit"):
        LastLayerRefit(model, recipe="logistic").fit(X[MIXED], Y[MIXED], groups=S[MIXED])
