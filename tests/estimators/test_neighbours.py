"""What the classifiers are to other packages, and what those hand in."""

import numpy as np
import pytest
import torch
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import ERMClassifier, GBMixClassifier
from gbmix_sklearn.export import export_onnx
from gbmix_sklearn.persistence import save_model

from .problems import method, problem

X, Y, S = problem(200)


def test_feature_selection_finds_the_coefficients():
    model = ERMClassifier(max_epochs=1, random_state=0)
    assert RFE(model, n_features_to_select=2).fit(X, Y).support_.sum() == 2
    assert SelectFromModel(model).fit(X, Y).get_support().any()


def test_coefficients_are_those_of_a_linear_model_alone():
    model = method("ERM").fit(X, Y)
    np.testing.assert_array_equal(model.coef_, model.head_.coef_)
    np.testing.assert_array_equal(model.intercept_, model.head_.intercept_)
    for other in (method("ERM"), method("ERM", hidden_units=(3,)).fit(X, Y)):
        with pytest.raises(AttributeError, match=r"head_\.coef_"):
            _ = other.coef_


def test_probabilities_are_doubles_that_others_write_into():
    model = method("GBMix").fit(X, Y, S)
    assert model.predict_proba(X).dtype == np.float64
    optimizer = ThresholdOptimizer(
        estimator=model, prefit=True, predict_method="predict_proba", constraints="equalized_odds"
    )
    optimizer.fit(X, Y, sensitive_features=S)
    assert len(optimizer.predict(X, sensitive_features=S, random_state=0)) == len(X)


def test_an_argument_that_is_none_is_refused_by_the_name_of_the_class():
    for model in (GBMixClassifier(), ERMClassifier()):
        with pytest.raises(TypeError, match=rf"^{type(model).__name__}\.fit\(\) got"):
            model.fit(X, Y, sample_weight=np.ones(len(Y)))


def test_tensors_are_taken_in_whatever_precision():
    tensor = torch.tensor(X, dtype=torch.bfloat16, requires_grad=True)
    model = method("ERM").fit(tensor, Y)
    expected = method("ERM").fit(tensor.detach().float().numpy(), Y)
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    np.testing.assert_array_equal(model.predict(tensor), expected.predict(tensor))


@pytest.mark.parametrize("write", [export_onnx, save_model])
def test_a_pipeline_is_no_classifier_of_ours_but_its_last_step_is(write, tmp_path):
    model = make_pipeline(StandardScaler(), method("ERM")).fit(X, Y)
    with pytest.raises(TypeError, match=r"got a Pipeline.* last step"):
        write(model, tmp_path / "model")
