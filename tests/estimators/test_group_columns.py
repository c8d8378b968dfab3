"""Sensitive columns inside X, without metadata routing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import GroupsError, load_model
from gbmix_sklearn.estimators import METHODS

from .problems import frame, method

every_method = pytest.mark.parametrize("name", METHODS)


@every_method
@pytest.mark.parametrize("columns", ["sex", ["sex"], ["age", "sex"], ("age", "sex")])
def test_columns_are_taken_out_before_training(name, columns):
    X, y = frame()
    names = [columns] if isinstance(columns, str) else list(columns)
    rest = X.drop(columns=names)
    if "age" in rest:
        rest, X = rest.drop(columns="age"), X.drop(columns="age")
    inside = method(name, group_columns=columns).fit(X, y)
    outside = method(name).fit(rest, y, pd.concat([frame()[0][n] for n in names], axis=1))
    assert np.array_equal(inside.head_.coef_, outside.head_.coef_)
    assert inside.group_table_.index.names == ["target", *names]
    assert inside.feature_names_in_.tolist() == X.columns.tolist()
    assert inside.n_features_in_ == X.shape[1]
    assert inside.head_.coef_.shape[1] == rest.shape[1]
    # and are optional in predict
    expected = outside.predict_proba(rest)
    assert (inside.predict_proba(X) == expected).all()
    assert (inside.predict_proba(rest) == expected).all()
    assert (inside.predict_proba(rest.to_numpy()) == expected).all()
    pd.testing.assert_frame_equal(
        inside.group_report(X, y), outside.group_report(rest, y, frame()[0][names])
    )


def test_groups_beside_group_columns_are_refused():
    X, y = frame()
    with pytest.raises(GroupsError, match="give one of the two"):
        method("GBMix", group_columns="sex").fit(X, y, X["sex"])


def test_matrices_and_unknown_columns_are_refused():
    X, y = frame()
    with pytest.raises(TypeError, match=r"pandas DataFrame, got ndarray"):
        method("GBMix", group_columns="sex").fit(X.to_numpy(), y)
    with pytest.raises(GroupsError, match=r"names 'race'.*'x0', 'sex'"):
        method("GBMix", group_columns="race").fit(X, y)
    with pytest.raises(GroupsError, match=r"missing value.*'sex'"):
        method("GBMix", group_columns="sex").fit(X.replace({"sex": {"f": None}}), y)


def test_columns_that_do_not_fit_those_of_fit_are_refused():
    X, y = frame()
    X = X.drop(columns="age")
    model = method("GBMix", group_columns="sex").fit(X, y)
    with pytest.raises(ValueError, match=r"feature names should match.*same order"):
        model.predict(X[X.columns[::-1]])
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X.rename(columns={"x0": "z"}))
    with pytest.raises(ValueError, match="expecting 5 features as input, its group columns aside"):
        model.predict(X.drop(columns="sex").to_numpy()[:, :3])
    with pytest.raises(GroupsError, match="names 'sex'"):
        model.group_report(X.drop(columns="sex"), y)


def test_columns_may_be_numbers():
    X, y = frame()
    X = X.drop(columns="age").set_axis(range(6), axis=1)
    model = method("GBMix", group_columns=1).fit(X, y)
    assert model.n_features_in_ == 6
    assert not hasattr(model, "feature_names_in_")
    assert (model.predict(X) == model.predict(X.drop(columns=1))).all()


def test_validation_data_have_the_columns_too():
    X, y = frame()
    X = X.drop(columns="age")
    X_val, y_val = frame(80, seed=3)
    X_val = X_val.drop(columns="age")
    inside = method("GBMix", group_columns="sex").fit(X, y, X_val=X_val, y_val=y_val)
    outside = method("GBMix").fit(
        X.drop(columns="sex"),
        y,
        X["sex"],
        X_val=X_val.drop(columns="sex"),
        y_val=y_val,
        groups_val=X_val["sex"],
    )
    pd.testing.assert_frame_equal(
        inside.history_.drop(columns="dur"), outside.history_.drop(columns="dur")
    )
    assert "accuracy[0, sex=f]" in inside.history_
    with pytest.raises(GroupsError, match="names 'sex'"):
        method("GBMix", group_columns="sex").fit(X, y, X_val=X_val.drop(columns="sex"), y_val=y_val)


def test_behind_a_column_transformer_with_pandas_output():
    X, y = frame()
    numbers = [name for name in X if name.startswith("x")]
    transformer = make_column_transformer(
        (StandardScaler(), numbers),
        ("passthrough", ["sex", "age"]),
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    pipeline = make_pipeline(transformer, method("GBMix", group_columns=["sex", "age"])).fit(X, y)
    scaled = StandardScaler().fit_transform(X[numbers])
    direct = method("GBMix").fit(scaled, y, X[["sex", "age"]])
    assert pipeline[-1].head_.coef_ == pytest.approx(direct.head_.coef_, rel=1e-5)
    assert (pipeline.predict(X) == direct.predict(scaled)).all()


def test_group_columns_survive_saving(tmp_path):
    X, y = frame()
    model = method("GBMix", group_columns=["sex", "age"]).fit(X, y)
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.feature_names_in_.tolist() == X.columns.tolist()
    assert (loaded.predict_proba(X) == model.predict_proba(X)).all()
    assert (loaded.predict_proba(X.drop(columns="sex")) == model.predict_proba(X)).all()
    pd.testing.assert_frame_equal(loaded.group_report(X, y), model.group_report(X, y))


class TestArraysOfAllColumns:
    """As explainers make them of a DataFrame."""

    def test_the_group_columns_are_left_out_by_their_position(self):
        X, y = frame()
        model = method("GBMix", group_columns="sex").fit(X, y)
        expected = model.predict_proba(X)
        np.testing.assert_array_equal(model.predict_proba(X.to_numpy()), expected)
        numbers = X.assign(sex=0.0).to_numpy(dtype=float)
        np.testing.assert_array_equal(model.predict_proba(numbers), expected)

    def test_of_a_loaded_model_too(self, tmp_path):
        X, y = frame()
        model = method("GBMix", group_columns="sex").fit(X, y)
        model.save(tmp_path / "model")
        loaded = load_model(tmp_path / "model")
        np.testing.assert_allclose(loaded.predict_proba(X.to_numpy()), model.predict_proba(X))

    def test_other_widths_are_refused(self):
        X, y = frame()
        model = method("GBMix", group_columns="sex").fit(X, y)
        with pytest.raises(ValueError, match="its group columns aside"):
            model.predict(np.ones((3, X.shape[1] + 1)))


def test_tables_of_other_libraries_have_columns_too():
    pyarrow = pytest.importorskip("pyarrow")
    X, y = frame()
    model = method("GBMix", group_columns="sex").fit(pyarrow.Table.from_pandas(X), y)
    expected = method("GBMix", group_columns="sex").fit(X, y)
    assert list(model.group_table_.index) == list(expected.group_table_.index)
    np.testing.assert_array_equal(
        model.predict_proba(pyarrow.Table.from_pandas(X)), expected.predict_proba(X)
    )
