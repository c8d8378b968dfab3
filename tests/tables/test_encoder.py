"""TableEncoder: scikit-learn's contract, its own parts as oracles, and what later tables get."""

import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from gbmix_sklearn import GBMixClassifier, MinimaxClassifier, TableEncoder


@parametrize_with_checks([TableEncoder()])
def test_it_keeps_scikit_learns_contract(estimator, check):
    check(estimator)


def people(n=600, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    frame = pd.DataFrame(
        {
            "age": 40.0 + 10 * y + rng.integers(-15, 15, size=n),
            "work": rng.choice(["office", "field", "sea"], n),
            "flag": rng.random(n) < 0.5,
            "sex": rng.choice(["f", "m"], n),
        }
    )
    frame.loc[::9, "age"] = np.nan
    frame.loc[::7, "work"] = None
    return frame, np.where(y, "yes", "no")


def test_numbers_are_the_splines_of_scikit_learn():
    values = np.random.default_rng(0).gamma(1.0, size=2000)
    encoder = TableEncoder().fit(pd.DataFrame({"x": values}))
    (column,) = encoder.schema_.columns
    knots = np.array(column.knots) * column.scale + column.center
    np.testing.assert_allclose(knots, np.quantile(values, np.linspace(0, 1, 6)), rtol=0.02)
    splines = SplineTransformer(degree=1, knots=knots[:, None], extrapolation="constant")
    new = np.r_[-1, values[:99], 99][:, None]
    expected = splines.fit(values[:, None]).transform(new)[:, 1:]
    found = encoder.transform(pd.DataFrame({"x": new[:, 0]}))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_categories_are_one_hot_as_those_of_scikit_learn():
    frame, _ = people()
    found = TableEncoder().fit_transform(frame[["sex"]])
    expected = OneHotEncoder(sparse_output=False).fit_transform(frame[["sex"]])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("n", "pieces"), [(50, 1), (399, 1), (400, 2), (1000, 5), (5000, 5)])
def test_small_tables_have_few_pieces(n, pieces):
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=n)})
    assert TableEncoder().fit_transform(frame).shape[1] == pieces


def test_a_value_that_many_rows_have_is_the_end_of_a_piece():
    rng = np.random.default_rng(0)
    gains = np.where(rng.random(2000) < 0.9, 0, rng.integers(1, 9999, size=2000))
    encoder = TableEncoder().fit(pd.DataFrame({"gain": gains}))
    (column,) = encoder.schema_.columns
    assert len(column.knots) == 6  # one for zero, the others for the rest
    few = pd.DataFrame({"n": rng.integers(3, size=2000)})
    assert TableEncoder().fit(few).get_feature_names_out().tolist() == ["n (1)", "n (2)"]


@pytest.mark.filterwarnings("ignore:left out")
@pytest.mark.parametrize("value", [0.1, 14.62, 0.3, 0.0, -1e300])
def test_a_constant_column_has_the_scale_1(value):
    encoder = TableEncoder().fit(pd.DataFrame({"fee": np.full(400, value), "n": [0.5, 1.5] * 200}))
    assert encoder.schema_.columns[0].scale == 1
    later = encoder.transform(pd.DataFrame({"fee": [value, value + 0.1, 2], "n": [1, 2, 3]}))
    assert later[0, 0] == 0
    assert (abs(later) <= 1).all()


def test_missing_values_are_the_median_or_a_category_and_marked():
    frame, _ = people()
    encoder = TableEncoder().set_output(transform="pandas").fit(frame)
    row = pd.DataFrame({"age": [None, 44], "work": [None, "sea"], "flag": True, "sex": "f"})
    found = encoder.transform(row)
    assert found["age is missing"].tolist() == [1, 0]
    assert found["work=(missing)"].tolist() == [1, 0]
    median = frame["age"].sort_values().dropna().iloc[frame["age"].count() // 2]
    ages = found.filter(regex=r"age \(").to_numpy()
    np.testing.assert_array_equal(
        ages[0], encoder.transform(row.assign(age=median)).filter(regex=r"age \(").to_numpy()[0]
    )


def test_values_missing_later_alone_are_the_median_or_no_category():
    frame, _ = people()
    encoder = TableEncoder().fit(frame.dropna())
    gone = pd.DataFrame({"age": [None], "work": [None], "flag": [None], "sex": [None]})
    found = pd.Series(encoder.transform(gone)[0], encoder.get_feature_names_out())
    assert found.filter(like="=").sum() == 0
    assert found.filter(like="age").sum() > 0


def test_rare_categories_are_one_and_new_ones_are_as_those():
    work = ["office"] * 500 + ["field"] * 480 + [f"rare {n}" for n in range(20)]
    encoder = TableEncoder().set_output(transform="pandas").fit(pd.DataFrame({"work": work}))
    assert encoder.get_feature_names_out().tolist() == ["work=field", "work=office", "work=(rare)"]
    later = encoder.transform(pd.DataFrame({"work": ["rare 3", "new", "field"]}))
    assert later["work=(rare)"].tolist() == [1, 1, 0]
    both = TableEncoder().fit(pd.DataFrame({"work": work[:980]}))
    assert both.transform(pd.DataFrame({"work": ["new"]})).tolist() == [[0, 0]]


def test_very_many_categories_are_the_frequent_ones_and_the_rest():
    rng = np.random.default_rng(0)
    names = rng.permutation(np.r_[np.arange(100_000), rng.integers(300, size=20_000)])
    frame = pd.DataFrame({"name": [f"n{n}" for n in names]})
    assert TableEncoder().fit_transform(frame).shape == (120_000, 101)


@pytest.mark.parametrize("other", ["pandas", "pyarrow", "polars"])
def test_tables_of_other_libraries_give_the_same_and_keep_their_names(other):
    frame, _ = people()
    expected = TableEncoder().fit(frame)
    if other == "pyarrow":
        table = pytest.importorskip("pyarrow").Table.from_pandas(frame)
    elif other == "polars":
        table = pytest.importorskip("polars").from_pandas(frame)
    else:
        table = frame.astype({"work": "category", "flag": "boolean", "age": "Float64"})
    found = TableEncoder().fit(table)
    assert list(found.feature_names_in_) == ["age", "work", "flag", "sex"]
    assert list(found.get_feature_names_out()) == list(expected.get_feature_names_out())
    np.testing.assert_array_equal(found.transform(table), expected.transform(frame))
    np.testing.assert_array_equal(expected.transform(table), expected.transform(frame))


def test_names_that_are_added_never_meet_those_of_the_table():
    frame = pd.DataFrame({"a": [1, None, 3.0], "a is missing": [0.5, 0.25, 0.0], "s": list("xyx")})
    frame["s=x"] = [0.1, 0.2, 0.3]
    names = TableEncoder().fit(frame).get_feature_names_out()
    assert names.tolist() == ["a", "a is missing", "a is missing_", "s=x", "s=y", "s=x_"]


def test_rows_are_encoded_in_blocks_as_at_once(monkeypatch):
    frame, _ = people()
    whole = TableEncoder().fit_transform(frame)
    monkeypatch.setattr("gbmix_sklearn.tables._schema._BLOCK", 7)
    np.testing.assert_array_equal(TableEncoder().fit_transform(frame), whole)
    frame = frame.astype({"age": object})
    frame.loc[100, "age"] = "old"
    with pytest.raises(ValueError, match=r"'age' must have finite numbers, and has 'old' in row 1"):
        TableEncoder(number=["age"]).fit(people()[0]).transform(frame)


def test_it_can_be_cloned_and_pickled():
    frame, _ = people()
    encoder = TableEncoder(category=["age"], exclude=["sex"]).fit(frame)
    again = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(again.transform(frame), encoder.transform(frame))
    assert clone(encoder).get_params() == encoder.get_params()


class TestNamedColumns:
    def test_number_category_text_and_exclude_override(self):
        frame = pd.DataFrame(
            {"zip": [10115, 10117] * 20, "id": range(40), "note": ["a b c d"] * 40}
        )
        encoder = TableEncoder(category="zip", number=["id"], text=["note"]).fit(frame)
        names = encoder.get_feature_names_out().tolist()
        assert names[:3] == ["zip=10115", "zip=10117", "id"]
        assert len(names) == 3 + 64
        assert TableEncoder(exclude=["id", "note"]).fit(frame).schema_.names == ["zip"]

    def test_texts_with_the_same_words_are_near(self):
        frame = pd.DataFrame({"note": ["a red house", "a red horse", "blue sky above", None]})
        a, b, c, d = TableEncoder(text=["note"]).fit_transform(frame)
        assert a @ b > a @ c
        assert not d.any()

    @pytest.mark.parametrize("parameter", ["number", "category", "text", "exclude", "skrub"])
    def test_unknown_names_are_errors(self, parameter):
        with pytest.raises(ValueError, match=f"{parameter} names 'agee', which X does not have"):
            TableEncoder(**{parameter: ["agee"]}).fit(people()[0])


class TestSkrub:
    FRAME = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=30), "x": [0.5, 1.5] * 15})

    def test_without_it_the_extra_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "skrub", None)
        with pytest.raises(ImportError, match=r"gbmix-sklearn\[tables\]"):
            TableEncoder(skrub=["day"]).fit(self.FRAME)

    def test_its_columns_come_last(self, monkeypatch):
        class Months:
            def fit(self, X):
                assert list(X) == ["day"]
                return self

            def transform(self, X):
                return X["day"].dt.month.to_frame()

            def get_feature_names_out(self):
                return ["x"]

        monkeypatch.setitem(sys.modules, "skrub", SimpleNamespace(TableVectorizer=Months))
        encoder = TableEncoder(skrub=["day"]).fit(self.FRAME)
        assert encoder.get_feature_names_out().tolist() == ["x", "x_"]
        np.testing.assert_array_equal(encoder.transform(self.FRAME)[:2], [[0, 1], [1, 1]])

    @pytest.mark.filterwarnings("ignore")
    def test_dates_are_encoded_by_it(self):
        pytest.importorskip("skrub")
        found = TableEncoder(skrub=["day"]).fit_transform(self.FRAME)
        assert found.dtype == np.float32
        assert found.shape[1] > 2


class TestPipelines:
    """The same DataFrame for networks and for trees, with groups in it or beside it."""

    @pytest.mark.parametrize("routing", [False, True])
    def test_groups_beside_the_table(self, routing):
        X, y = people()
        pipe = make_pipeline(TableEncoder(), GBMixClassifier(max_epochs=3, random_state=0))
        import sklearn

        with sklearn.config_context(enable_metadata_routing=routing):
            groups = {"groups" if routing else "gbmixclassifier__groups": X["sex"]}
            pipe.fit(X, y, **groups)
        assert pipe.score(X, y) > 0.6
        assert pipe[-1].group_table_.index.names == ["target", "sex"]

    def test_groups_in_the_table(self):
        X, y = people()
        last = GBMixClassifier(max_epochs=3, random_state=0, group_columns="sex")
        pipe = make_pipeline(TableEncoder(group_columns="sex"), last).fit(X, y)
        assert pipe[-1].group_table_.index.names == ["target", "sex"]
        assert not any("sex" in str(name) for name in pipe[0].schema_.names)
        without = pipe.predict(X.drop(columns="sex"))
        np.testing.assert_array_equal(pipe.predict(X), without)

    @pytest.mark.parametrize(
        "inner",
        [
            make_pipeline(TableEncoder(), LogisticRegression()),
            make_pipeline(TableEncoder(), HistGradientBoostingClassifier(max_iter=5)),
            HistGradientBoostingClassifier(max_iter=5),
        ],
    )
    def test_the_same_table_for_other_classifiers(self, inner):
        X, y = people()
        X = X.astype({"work": "category"})
        model = MinimaxClassifier(inner, n_rounds=2, cv=2, group_columns="sex", random_state=0)
        assert (model.fit(X, y).predict(X) == y).mean() > 0.6

    def test_a_group_column_keeps_its_name_whatever_is_encoded(self):
        X, _ = people()
        X = X.rename(columns={"sex": "work=sea"})
        found = TableEncoder(group_columns=["work=sea"]).fit_transform(X)
        assert found["work=sea"].tolist() == X["work=sea"].tolist()
        assert "work=sea_" in found
        with pytest.raises(ValueError, match="group_columns names 'race'"):
            TableEncoder(group_columns="race").fit(X)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (pd.DataFrame({"a": []}), "0 rows of 1 columns"),
        (pd.DataFrame(index=[0, 1]), "2 rows of 0 columns"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "several columns 'a'"),
        (pd.DataFrame({"a": [1.0, np.inf]}), "column 'a' must have finite .* inf in row 1"),
        (pd.DataFrame({"a": [["x"], ["y"]]}), "column 'a' holds values of type list"),
        (pd.DataFrame({"a": [1 + 2j, 2]}), "column 'a' must have finite numbers"),
        (np.array([[1, "a"], [np.inf, "b"]], dtype=object), "column 'x0' must have finite"),
    ],
)
def test_what_cannot_be_encoded_is_an_error_that_says_where(X, message):
    with pytest.raises(ValueError, match=message):
        TableEncoder().fit(X)


def test_later_tables_must_have_the_same_columns_and_rows():
    frame, _ = people()
    encoder = TableEncoder().fit(frame)
    with pytest.raises(ValueError, match="Feature names unseen at fit time"):
        encoder.transform(frame.rename(columns={"age": "Age"}))
    with pytest.raises(ValueError, match="0 rows of 4 columns"):
        encoder.transform(frame[:0])
    with pytest.raises(ValueError, match=r"'age' must have finite numbers, and has inf in row 2"):
        encoder.transform(frame.assign(age=[1, 2, np.inf, *[4] * 597]))
