"""Boosting, explanations and formats of other packages, with MinimaxClassifier between them.

These packages are the extras "boosting", "explain", "skops" and "onnx" of the project; tests of
those that are not installed are skipped.
"""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import GroupThresholdClassifier, LastLayerRefit, MinimaxClassifier

RNG = np.random.default_rng(0)
N = 400
Y, S = np.divmod(RNG.permutation(N) % 4, 2)
X = RNG.normal(size=(N, 4)) + 2 * Y[:, None] * [1, 1, 0, 0] + S[:, None]
SEX = np.array(["f", "m"])[S]

#: of packages among one another
of_others = pytest.mark.filterwarnings("ignore")


def boosting(name):
    """A small classifier of one of the packages."""
    module = pytest.importorskip(name, reason=f"{name}: pip install gbmix-sklearn[boosting]")
    if name == "lightgbm":
        return module.LGBMClassifier(n_estimators=10, min_child_samples=5, verbosity=-1, n_jobs=1)
    if name == "xgboost":
        return module.XGBClassifier(n_estimators=10, max_depth=3, n_jobs=1)
    # no folder of logs in the working directory
    return module.CatBoostClassifier(
        iterations=10, verbose=False, allow_writing_files=False, thread_count=1
    )


def minimax(classifier, rows=slice(None)):
    model = MinimaxClassifier(classifier, n_rounds=2, cv=2, random_state=0)
    return model.fit(X[rows], Y[rows], groups=SEX[rows])


@of_others
@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost"])
class TestBoosting:
    def test_learns_a_balance(self, name):
        model = minimax(boosting(name))
        assert model.score(X, Y) > 0.8
        assert model.predict_proba(X).shape == (N, 2)
        assert model.cell_weights_.sum() == pytest.approx(1)

    def test_is_fitted_with_the_weights_of_the_cells(self, name):
        rows = np.flatnonzero((Y == 0) | (S == 0) | (np.arange(N) % 3 == 0))  # uneven cells
        model = minimax(boosting(name), rows)
        other = minimax(boosting(name), rows)
        np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(X))
        plain = boosting(name).fit(X[rows], Y[rows])
        assert not np.array_equal(model.predict_proba(X), plain.predict_proba(X))

    def test_of_three_classes_predicts_one_label_for_each_sample(self, name):
        labels = Y + (Y * S)
        model = MinimaxClassifier(boosting(name), n_rounds=1, cv=2, random_state=0)
        predicted = model.fit(X, labels, groups=RNG.permutation(SEX)).predict(X)
        assert predicted.shape == (N,)

    def test_has_a_threshold_for_the_worst_group(self, name):
        model = GroupThresholdClassifier(boosting(name), cv=2, random_state=0)
        assert model.fit(X, Y, groups=SEX).predict(X).shape == (N,)


class ColumnOfLabels(ClassifierMixin, BaseEstimator):
    """Predicts a column, as CatBoost does of more than two classes."""

    def fit(self, X, y, sample_weight=None):
        self.model_ = LogisticRegression().fit(X, y, sample_weight)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(X)[:, None]


def test_a_column_of_labels_becomes_one_label_for_each_sample():
    model = minimax(ColumnOfLabels())
    np.testing.assert_array_equal(model.predict(X), model.estimator_.model_.predict(X))


@of_others
def test_shap_explains_the_classifier_that_was_found():
    shap = pytest.importorskip("shap", reason="shap: pip install gbmix-sklearn[explain]")
    model = minimax(HistGradientBoostingClassifier(max_iter=10))
    explained = shap.TreeExplainer(model.estimator_)(X[:20])
    total = explained.values.sum(axis=1) + explained.base_values.ravel()
    np.testing.assert_allclose(total, model.decision_function(X[:20]), atol=1e-4)


@of_others
def test_shap_explains_a_pipeline_of_a_table_with_group_columns():
    shap = pytest.importorskip("shap", reason="shap: pip install gbmix-sklearn[explain]")
    frame = pd.DataFrame(X, columns=list("abcd")).assign(sex=SEX)
    model = MinimaxClassifier(LogisticRegression(), n_rounds=1, cv=2, group_columns="sex")
    model.fit(frame, Y)
    features = frame.drop(columns="sex")  # which explainers hand in as arrays

    def positive(rows):
        return model.predict_proba(pd.DataFrame(rows, columns=features.columns))[:, 1]

    explained = shap.Explainer(positive, features[:50], seed=0)(features[:5])
    total = explained.values.sum(axis=1) + explained.base_values
    np.testing.assert_allclose(total, positive(features[:5]), atol=1e-6)


@of_others
def test_a_pipeline_becomes_onnx_with_the_classifier_in_its_place():
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx: pip install skl2onnx")
    runtime = pytest.importorskip("onnxruntime", reason="pip install gbmix-sklearn[onnx]")
    pipeline = make_pipeline(StandardScaler(), MinimaxClassifier(LogisticRegression(), cv=2))
    pipeline.fit(X, Y, minimaxclassifier__groups=SEX)
    plain = make_pipeline(*[step for _, step in pipeline.steps[:-1]], pipeline[-1].estimator_)
    rows = X.astype(np.float32)
    graph = skl2onnx.to_onnx(plain, rows[:1], options={"zipmap": False})
    session = runtime.InferenceSession(graph.SerializeToString())
    labels, probabilities = session.run(None, {session.get_inputs()[0].name: rows})
    np.testing.assert_array_equal(labels, pipeline.predict(rows))
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(rows), atol=1e-5)


@pytest.mark.parametrize(
    "classifier", [LogisticRegression(), HistGradientBoostingClassifier(max_iter=5)]
)
@pytest.mark.parametrize("meta", [MinimaxClassifier, GroupThresholdClassifier])
def test_skops_writes_a_pipeline_and_reads_it_again(meta, classifier):
    skops = pytest.importorskip("skops.io", reason="skops: pip install gbmix-sklearn[skops]")
    pipeline = make_pipeline(StandardScaler(), meta(classifier, cv=2, random_state=0))
    pipeline.fit(X, Y, **{f"{meta.__name__.lower()}__groups": SEX})
    written = skops.dumps(pipeline)
    untrusted = skops.get_untrusted_types(data=written)
    # skops knows some of scikit-learn's own types, depending on its version
    own = [name for name in untrusted if not name.startswith("sklearn.")]
    assert own == [f"{meta.__module__}.{meta.__name__}"]
    read = skops.loads(written, trusted=untrusted)
    np.testing.assert_array_equal(read.predict(X), pipeline.predict(X))
    pd.testing.assert_frame_equal(read[-1].group_table_, pipeline[-1].group_table_)


def test_skops_writes_a_refitted_last_layer():
    skops = pytest.importorskip("skops.io", reason="skops: pip install gbmix-sklearn[skops]")
    trained = LogisticRegression().fit(X[:200], Y[:200])
    model = LastLayerRefit(trained, random_state=0).fit(X[200:], Y[200:], groups=SEX[200:])
    written = skops.dumps(model)
    read = skops.loads(written, trusted=skops.get_untrusted_types(data=written))
    np.testing.assert_array_equal(read.predict(X), model.predict(X))
    pd.testing.assert_series_equal(read.cell_weights_, model.cell_weights_)
