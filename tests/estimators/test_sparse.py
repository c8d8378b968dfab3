"""Sparse X, as TF-IDF and one-hot columns come: dense by the batch, and the same as an array."""

import resource
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from torch import nn

from gbmix_sklearn import (
    DuplicateSamplesWarning,
    GBMixClassifier,
    GroupsError,
    SubgroupStratifiedKFold,
    load_model,
    make_group_scorer,
    subgroup_train_test_split,
)
from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.refit import LearnedRecipe

from .problems import FAST, method

N = 240


def rows(n=N, n_features=40, seed=0):
    """Rows that are mostly 0, whose first two columns tell class and group."""
    rng = np.random.default_rng(seed)
    y, s = np.divmod(np.arange(n) % 4, 2)
    X = rng.random((n, n_features)) * (rng.random((n, n_features)) < 0.15)
    X[:, 0] += 2 * y * (rng.random(n) < 0.9)
    X[:, 1] += s
    return X.astype(np.float32), y, s


DENSE, Y, S = rows()
X = sparse.csr_matrix(DENSE)

CONFIGURATIONS = {
    "linear": {},
    "hidden": {"hidden_units": (4,)},
    **{name: {"refit": name} for name in ("learned", "anchored", "logistic", "dfr")},
}


@pytest.mark.parametrize("configuration", ["linear", "hidden", "learned"])
@pytest.mark.parametrize("name", METHODS)
def test_every_method_predicts_of_sparse_rows_what_it_predicts_of_dense_ones(name, configuration):
    model = method(name, **CONFIGURATIONS[configuration]).fit(X, Y, S)
    np.testing.assert_allclose(
        model.decision_function(X), model.decision_function(DENSE), rtol=1e-5, atol=1e-5
    )
    assert model.predict_proba(X).shape == (N, 2)
    assert np.isfinite(model.head_.coef_).all()


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_what_is_learned_is_close_to_what_dense_rows_teach(configuration):
    options = FAST | {"max_epochs": 20, "lr": "auto"} | CONFIGURATIONS[configuration]
    model = GBMixClassifier(**options).fit(X, Y, S)
    dense = GBMixClassifier(**options).fit(DENSE, Y, S)
    assert (model.predict(X) == dense.predict(DENSE)).mean() > 0.88
    assert model.score(X, Y) > 0.88


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_formats_make_no_difference(make):
    expected = method("GBMix").fit(X, Y, S)
    model = method("GBMix").fit(make(DENSE), Y, S)
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    np.testing.assert_array_equal(model.predict_proba(make(DENSE)), expected.predict_proba(X))


def test_what_is_stored_twice_or_as_zero_makes_no_difference():
    coo = X.tocoo()
    halves = sparse.csr_matrix(
        (
            np.r_[coo.data / 2, coo.data / 2, 0.0].astype(np.float32),
            (np.r_[coo.row, coo.row, 3], np.r_[coo.col, coo.col, 5]),
        ),
        shape=X.shape,
    )
    doubled = sparse.csr_matrix(X.shape, dtype=np.float32)
    doubled.data, doubled.indices = np.repeat(X.data / 2, 2), np.repeat(X.indices, 2)
    doubled.indptr = X.indptr * 2
    expected = method("GBMix").fit(X, Y, S)
    for same in (halves, doubled):
        stored = same.nnz
        np.testing.assert_allclose(method("GBMix").fit(same, Y, S).coef_, expected.coef_, rtol=1e-6)
        assert same.nnz == stored  # the user's own, which nobody writes to


def test_64_bit_indices_and_other_numbers_are_taken():
    large = X.astype(np.float64)
    large.indices, large.indptr = large.indices.astype(np.int64), large.indptr.astype(np.int64)
    expected = method("GBMix", refit="logistic").fit(X, Y, S)  # whose solver takes 32 bits
    model = method("GBMix", refit="logistic").fit(large, Y, S)
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    ones = sparse.csr_matrix(DENSE > 0)
    np.testing.assert_array_equal(
        method("GBMix").fit(ones, Y, S).coef_, method("GBMix").fit(ones.astype(float), Y, S).coef_
    )


@pytest.mark.parametrize("hidden_units", [(), (4,)])
def test_transform_gives_what_the_last_layer_takes(hidden_units):
    model = method("GBMix", hidden_units=hidden_units).fit(X, Y, S)
    z = model.transform(X)
    if hidden_units:
        assert isinstance(z, np.ndarray)
        assert z.shape == (N, 4)
    else:
        assert sparse.issparse(z)
        assert (z != X).nnz == 0
    np.testing.assert_allclose(model.head_.predict_proba(z), model.predict_proba(X), rtol=1e-6)


def test_units_of_a_column_make_no_difference():
    scale = np.geomspace(1e-3, 1e3, X.shape[1]).astype(np.float32)
    scaled = sparse.csr_matrix(X.multiply(scale))
    for refit in (None, "learned"):
        model = GBMixClassifier(**FAST | {"lr": "auto"}, refit=refit).fit(X, Y, S)
        other = GBMixClassifier(**FAST | {"lr": "auto"}, refit=refit).fit(scaled, Y, S)
        np.testing.assert_allclose(
            other.decision_function(scaled), model.decision_function(X), rtol=1e-2, atol=1e-3
        )


@pytest.mark.filterwarnings("ignore::gbmix_sklearn.DuplicateSamplesWarning")
def test_validation_data_are_sparse_or_not_whatever_the_training_data_are():
    options = {"X_val": X, "y_val": Y, "groups_val": S}
    for given in (X, DENSE):
        expected = method("GBMix", refit="learned").fit(given, Y, S, **options | {"X_val": given})
        other = DENSE if given is X else X
        model = method("GBMix", refit="learned").fit(given, Y, S, **options | {"X_val": other})
        np.testing.assert_array_equal(model.coef_, expected.coef_)


class FewSteps:
    """The first batches of what another sampler draws."""

    def __init__(self, sampler):
        self.sampler = sampler

    def epoch(self, rng):
        return self.sampler.epoch(rng)[:4]


class BriefGBMix(GBMixClassifier):
    def _make_sampler(self, cells, rng):
        return FewSteps(super()._make_sampler(cells, rng))


@pytest.mark.parametrize("hidden_units", [(), (2,)])
def test_what_does_not_fit_into_the_memory_as_a_whole_is_dense_batch_by_batch(hidden_units):
    n, n_features, stored = 100_000, 50_000, 2  # 20 GB as an array
    rng = np.random.default_rng(0)
    y, s = np.divmod(np.arange(n) % 4, 2)
    columns = rng.integers(4, n_features, size=(n, stored))
    columns[:, 0] = y + 2 * s
    data = np.ones(n * stored, dtype=np.float32)
    large = sparse.csr_matrix((data, columns.ravel(), np.arange(n + 1) * stored), (n, n_features))
    few = np.arange(200)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = BriefGBMix(
        **FAST | {"max_epochs": 1, "lr": "auto"},
        hidden_units=hidden_units,
        refit=LearnedRecipe(n_rounds=1),
        refit_on="validation" if hidden_units else "train",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DuplicateSamplesWarning)
        model.fit(large, y, s, X_val=large[few], y_val=y[few], groups_val=s[few])
    assert model.transform(large[few]).shape == (200, 2 if hidden_units else n_features)
    if not hidden_units:  # whose last layer has learned from all rows
        assert (model.predict(large) == y).mean() > 0.9
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 700 * 2**10  # KiB


# ------------------------------------------------------------------------------ around the fit


def test_checkpoints_know_sparse_rows_by_their_content(tmp_path):
    def fit(X):
        model = method("GBMix").set_params(checkpoint_dir=tmp_path).fit(X, Y, S)
        return model, len(list(tmp_path.iterdir()))

    first, n_runs = fit(X)
    asked = sparse.csr_array(DENSE)
    assert asked.has_sorted_indices  # scipy keeps the answer in the object
    again, n_again = fit(asked)
    assert n_again == n_runs == 1
    np.testing.assert_array_equal(first.coef_, again.coef_)
    other = X.copy()
    other.data[0] += 1
    assert fit(other)[1] == 2


def test_a_saved_model_predicts_sparse_rows(tmp_path):
    for hidden_units in ((), (3,)):
        model = method("GBMix", hidden_units=hidden_units).fit(X, Y, S)
        model.save(tmp_path / f"model{len(hidden_units)}")
        loaded = load_model(tmp_path / f"model{len(hidden_units)}")
        np.testing.assert_allclose(loaded.predict_proba(X), model.predict_proba(X), rtol=1e-6)


def documents(n=400, seed=0):
    """Long texts, so that no two are the same by chance."""
    rng = np.random.default_rng(seed)
    words = np.array([f"word{i}" for i in range(120)])
    y, s = np.divmod(np.arange(n) % 4, 2)
    texts = [" ".join([f"class{c}", *rng.choice(words, 60)]) for c in y]
    return np.array(texts), y, s


class TestCopies:
    texts, y, s = documents()
    features = TfidfVectorizer().fit_transform(texts)

    def test_of_training_texts_among_those_to_predict_are_told(self):
        model = method("ERM").fit(self.features[:300], self.y[:300], self.s[:300])
        with pytest.warns(DuplicateSamplesWarning, match="25 of the 125 samples"):
            model.predict(self.features[275:])

    def test_are_found_whether_rows_are_sparse_or_not(self):
        model = method("ERM").fit(self.features[:300], self.y[:300], self.s[:300])
        with pytest.warns(DuplicateSamplesWarning, match="25 of the 125 samples"):
            model.predict(self.features[275:].toarray())

    def test_in_x_val_are_told(self):
        with pytest.warns(DuplicateSamplesWarning, match="X_val"):
            method("ERM").fit(
                self.features[:300],
                self.y[:300],
                X_val=self.features[200:],
                y_val=self.y[200:],
            )

    def test_of_people_of_the_same_categories_are_no_copies(self):
        people = np.random.default_rng(0).integers(2, size=(400, 30))
        one_hot = OneHotEncoder().fit_transform(people)
        model = method("ERM").fit(one_hot[:300], self.y[:300], self.s[:300])
        model.predict(one_hot[200:])  # warnings are errors


def test_searches_scorers_and_splits_take_sparse_rows():
    train, test, y, y_test, s, s_test = subgroup_train_test_split(X, Y, S, random_state=0)
    assert sparse.issparse(train)
    model = method("GBMix").fit(train, y, s)
    report = model.group_report(test, y_test, s_test)
    assert len(report) > 0
    scorer = make_group_scorer("worst_group_accuracy")
    assert 0 <= scorer(model, test, y_test, groups=s_test) <= 1
    from sklearn import config_context

    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            method("GBMix"),
            {"alpha": [0.5, 1]},
            scoring=make_group_scorer("worst_group_accuracy"),
            cv=SubgroupStratifiedKFold(2),
            error_score="raise",
        ).fit(X, Y, groups=S)
    assert search.predict(X).shape == (N,)


def test_texts_go_through_a_pipeline():
    texts, y, s = documents()
    model = make_pipeline(TfidfVectorizer(), method("GBMix", max_epochs=10, refit="learned"))
    model.fit(texts, y, gbmixclassifier__groups=s)
    assert model.score(texts, y) > 0.9


def test_a_dataframe_of_sparse_columns_is_sparse():
    frame = pd.DataFrame.sparse.from_spmatrix(X, columns=[f"w{i}" for i in range(X.shape[1])])
    model = method("GBMix").fit(frame, Y, S)
    np.testing.assert_array_equal(model.coef_, method("GBMix").fit(X, Y, S).coef_)
    assert model.feature_names_in_[1] == "w1"


# ------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("indices", -1, "must be >= 0"),
        ("indices", 40, "must be < 40"),
        ("indptr", 10**6, "broken sparse matrix"),
    ],
)
@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csc_array])
def test_indices_out_of_range_are_refused(make, field, value, message):
    broken = make(DENSE[:40])
    getattr(broken, field)[3] = value
    with pytest.raises(ValueError, match=message):
        method("GBMix").fit(broken, Y[:40], S[:40])
    model = method("GBMix").fit(X, Y, S)
    with pytest.raises(ValueError, match=message):
        model.predict(broken)


def test_coordinates_out_of_range_and_fractions_as_indices_are_refused():
    broken = sparse.coo_array(DENSE)
    broken.coords[1][0] = -1
    with pytest.raises(ValueError, match="broken sparse matrix of format 'coo'"):
        method("GBMix").fit(broken, Y, S)
    broken = X.copy()
    broken.indices = broken.indices + 0.5
    with pytest.raises(ValueError, match="dtype float64"):
        method("GBMix").fit(broken, Y, S)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_and_infinite_values_are_refused(value):
    broken = X.copy()
    broken.data[0] = value
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        method("GBMix").fit(broken, Y, S)
    for hidden_units in ((), (3,)):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            method("GBMix", hidden_units=hidden_units).fit(X, Y, S).predict(broken)


def test_data_of_strange_types_are_numbers_or_refused():
    half = X.copy()
    half.data = half.data.astype(np.float16)  # scipy makes none itself
    rounded = X.copy()
    rounded.data = half.data.astype(np.float32)
    np.testing.assert_array_equal(
        method("GBMix").fit(half, Y, S).coef_, method("GBMix").fit(rounded, Y, S).coef_
    )
    text = X.copy()
    text.data = text.data.astype(object)
    text.data[0] = "seven"
    with pytest.raises(ValueError, match="seven"):
        method("GBMix").fit(text, Y, S)
    with pytest.raises(ValueError, match="Complex"):
        method("GBMix").fit(X.astype(complex), Y, S)


@pytest.mark.parametrize("backbone", [nn.Linear(40, 3), "resnet18"])
def test_a_backbone_takes_none_and_the_error_says_what_to_do(backbone):
    with pytest.raises(TypeError, match=r"X is sparse.* hidden_units.*TruncatedSVD"):
        GBMixClassifier(backbone, **FAST).fit(X, Y, S)


def test_group_columns_are_names_which_a_matrix_does_not_have():
    with pytest.raises(TypeError, match="group_columns='sex' needs X to have named columns"):
        GBMixClassifier(**FAST, group_columns="sex").fit(X, Y)


def test_columns_of_groups_are_cut_out_of_all_columns_of_a_matrix():
    frame = pd.DataFrame(DENSE, columns=[f"w{i}" for i in range(40)])
    frame.insert(7, "sex", S)
    model = GBMixClassifier(**FAST, group_columns="sex").fit(frame, Y)
    expected = model.predict_proba(frame)
    for matrix in (sparse.csr_matrix(frame.to_numpy()), X):
        np.testing.assert_allclose(model.predict_proba(matrix), expected, rtol=1e-6)


def test_labels_and_groups_must_not_be_sparse():
    with pytest.raises((TypeError, ValueError), match=r"[sS]parse"):
        method("GBMix").fit(X, sparse.csr_matrix(Y[:, None]), S)
    with pytest.raises((TypeError, ValueError), match=r"[sS]parse"):
        method("GBMix").fit(X, Y, sparse.csr_matrix(S[:, None]))


def test_another_number_of_columns_is_refused():
    model = method("GBMix").fit(X, Y, S)
    with pytest.raises(ValueError, match="features"):
        model.predict(X[:, :30])
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        method("GBMix").fit(X[:0], Y[:0], S[:0])


def test_groups_that_say_the_class_are_refused_as_ever():
    with pytest.raises(GroupsError):
        method("GBMix").fit(X, Y, Y)
