"""What every classifier promises: seeds, labels, outputs."""

import io
import pickle
import random

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.svm import LinearSVC

from gbmix_sklearn import (
    ERMClassifier,
    GBMixClassifier,
    MissingGroupsWarning,
    SmallCellWarning,
    group_report,
    worst_group_accuracy_score,
)
from gbmix_sklearn.estimators import METHODS

from .problems import FAST, frame, method, problem

every_method = pytest.mark.parametrize("name", METHODS)

CONFIGURATIONS = {
    "linear": {},
    "hidden": {"hidden_units": (6,)},
    "refitted": {"hidden_units": (6,), "refit": "logistic"},
    "ridge": {"refit": RidgeClassifier()},
    "adam": {"optimizer": "adam", "lr_schedule": "cosine"},
}


def weights(model):
    state = model.net_.raw_module.state_dict()
    return [value.numpy() for value in state.values()] + [model.head_.coef_, model.head_.intercept_]


def equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


def global_states():
    numpy_state = np.random.get_state()  # noqa: NPY002
    return random.getstate(), torch.get_rng_state().tolist(), *map(str, numpy_state)


# ---------------------------------------------------------------------------- seeds


@every_method
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_the_same_seed_gives_the_same_weights_to_the_bit(name, configuration):
    X, y, s = problem()
    first = method(name, **CONFIGURATIONS[configuration]).fit(X, y, s)
    torch.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002
    assert equal(first, method(name, **CONFIGURATIONS[configuration]).fit(X, y, s))
    other = method(name, **CONFIGURATIONS[configuration]).set_params(random_state=1).fit(X, y, s)
    assert not np.array_equal(first.head_.coef_, other.head_.coef_)


@pytest.mark.parametrize("seed", [0, None, "generator"])
@pytest.mark.parametrize("refit", [None, "logistic", SGDClassifier(), LinearSVC()])
def test_global_random_states_are_untouched(seed, refit):
    X, y, s = problem()
    seed = np.random.RandomState(0) if seed == "generator" else seed
    before = global_states()
    model = method("GBMix", refit=refit, hidden_units=(4,)).set_params(random_state=seed)
    model.fit(X, y, s).predict(X)
    assert global_states() == before


def test_no_seed_gives_another_model_each_time():
    X, y, s = problem()
    model = method("GBMix").set_params(random_state=None)
    assert not equal(clone(model).fit(X, y, s), clone(model).fit(X, y, s))


def test_a_generator_moves_on_and_can_be_replayed():
    X, y, s = problem()
    generator = np.random.RandomState(7)
    first, second = (
        method("GBMix").set_params(random_state=generator).fit(X, y, s) for _ in range(2)
    )
    assert not equal(first, second)
    replayed = method("GBMix").set_params(random_state=np.random.RandomState(7)).fit(X, y, s)
    assert equal(first, replayed)


def test_fitting_again_forgets_the_first_fit():
    X, y, s = problem()
    model = method("GBMix").fit(X[:100, :3], np.where(y[:100], "p", "q"), s[:100])
    assert equal(model.fit(X, y, s), method("GBMix").fit(X, y, s))
    assert model.classes_.tolist() == [0, 1]
    assert len(model.history_) == 3


# ---------------------------------------------------------------------------- labels and groups

LABELS = {
    "str": np.array(["no", "yes"]),
    "bool": np.array([False, True]),
    "object": np.array(["b", "aa"], dtype=object),
    "negative": np.array([5, -3]),
    "small": np.array([0, 1], dtype=np.int8),
    "float": np.array([2.0, 1.0]),
    "unsigned": np.array([0, 255], dtype=np.uint8),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_come_back_as_they_were(kind):
    X, y, s = problem()
    labels = LABELS[kind][y]
    model = method("GBMix", max_epochs=15).fit(X, labels, s)
    assert model.classes_.dtype == labels.dtype
    assert model.classes_.tolist() == sorted(set(labels.tolist()))
    predicted = model.predict(X)
    assert predicted.dtype == labels.dtype
    assert (predicted == labels).mean() > 0.9
    assert model.head_.classes_.tolist() == model.classes_.tolist()


@pytest.mark.parametrize("kind", ["series", "categorical", "list", "string", "nullable"])
def test_labels_come_in_any_container(kind):
    X, y, s = problem()
    text = np.array(["no", "yes"])[y]
    labels = {
        "series": pd.Series(text, index=np.arange(200)[::-1]),
        "categorical": pd.Series(pd.Categorical(text, categories=["yes", "unused", "no"])),
        "list": list(text),
        "string": pd.Series(text, dtype="string"),
        "nullable": pd.Series(y).astype("Int64"),
    }[kind]
    model = method("GBMix", max_epochs=15).fit(X, labels, s)
    expected = y if kind == "nullable" else text
    assert (model.predict(X) == expected).mean() > 0.9
    assert len(model.classes_) == 2


@settings(deadline=None, max_examples=25)
@given(
    st.integers(2, 4),
    st.integers(1, 3),
    st.integers(1, 70),
    st.sampled_from(["GBMix", "ERM", "Mixup"]),
    st.integers(0, 10**6),
)
@pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
def test_any_sizes_fit(n_classes, n_values, batch_size, name, seed):
    """Batches that do not divide, more cells than places, cells of a single sample."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 90))
    y, s = np.arange(n) % n_classes, rng.integers(n_values, size=n)
    s[: 2 * n_classes] = 0  # an attribute that does not tell the class
    X = rng.normal(size=(n, 3))
    model = method(name, batch_size=batch_size, max_epochs=2, random_state=seed).fit(X, y, s)
    assert np.isfinite(model.head_.coef_).all()
    assert model.group_table_["count"].sum() <= n
    assert set(model.predict(X)) <= set(range(n_classes))


def test_a_cell_of_one_sample_is_trained_on_and_named():
    X, y, s = problem()
    keep = ~((y == 1) & (s == 1))
    keep[np.flatnonzero(~keep)[0]] = True
    with pytest.warns(SmallCellWarning, match=r"1, group=1 \(1\)") as caught:
        model = method("GBMix").fit(X[keep], y[keep], s[keep])
    assert caught[0].filename == __file__
    assert model.group_table_.loc[(1, 1), "count"] == 1
    assert np.isnan(model.history_["accuracy[1, group=1]"]).all()


def test_absent_cells_are_in_the_table_and_never_the_target():
    X, y, s = problem()
    keep = ~((y == 1) & (s == 1))
    model = method("GBMix", max_epochs=5).fit(X[keep], y[keep], s[keep])
    assert model.group_table_.loc[(1, 1), "count"] == 0
    assert (model.history_["target_share[1, group=1]"] == 0).all()
    assert "1, group=1" not in set(model.history_["target"])


def test_several_attributes_are_their_combinations():
    X, y, s = problem()
    groups = pd.DataFrame({"sex": np.array(["f", "m"])[s], "age": np.arange(200) // 4 % 2 * 30})
    model = method("GBMix").fit(X, y, groups)
    assert model.group_table_.index.names == ["target", "sex", "age"]
    assert len(model.group_table_) == 8
    joint = groups["sex"] + groups["age"].astype(str)
    assert equal(model, method("GBMix").fit(X, y, joint))


def test_the_table_counts_what_was_trained_on():
    X, y, s = problem(400)
    model = method("GBMix", refit="logistic", refit_on="held_out").fit(X, y, s)
    assert (model.group_table_["count"] == 60).all()  # 100 less two fifths
    assert (model.group_table_["share"] == 0.25).all()
    model = method("GBMix", validation_fraction=None).fit(X, y, s)
    assert (model.group_table_["count"] == 100).all()


def test_one_attribute_value_is_the_form_without_groups():
    X, y, _ = problem()
    with pytest.warns(MissingGroupsWarning):
        without = method("GBMix").fit(X, y)
    assert equal(without, method("GBMix").fit(X, y, np.full(200, "everyone")))


# ---------------------------------------------------------------------------- outputs


@every_method
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_outputs_agree(name, n_classes, configuration):
    X, y, s = problem(n_classes=n_classes)
    labels = np.array(["d", "c", "b", "a"])[y]
    model = method(name, **CONFIGURATIONS[configuration]).fit(X, labels, s)
    decision, predicted = model.decision_function(X), model.predict(X)
    assert model.classes_.tolist() == sorted(set(labels))
    if n_classes == 2:
        assert decision.shape == (200,)
        assert (predicted == model.classes_[(decision > 0).astype(int)]).all()
    else:
        assert decision.shape == (200, 4)
        assert (predicted == model.classes_[decision.argmax(1)]).all()
    if configuration == "ridge":
        assert not hasattr(model, "predict_proba")
    else:
        probabilities = model.predict_proba(X)
        assert probabilities.shape == (200, n_classes)
        assert probabilities.sum(1) == pytest.approx(1, abs=1e-5)
        assert (predicted == model.classes_[probabilities.argmax(1)]).all()
        head = model.head_.predict_proba(model.transform(X))
        assert probabilities == pytest.approx(head, abs=1e-5)
    assert (model.head_.predict(model.transform(X)) == predicted).all()
    assert model.score(X, labels) == (predicted == labels).mean()


@every_method
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("hidden_units", [(), (6,), (6, 4)])
def test_without_refit_the_head_is_the_nets_last_layer(name, n_classes, hidden_units):
    X, y, s = problem(n_classes=n_classes)
    model = method(name, hidden_units=hidden_units, refit=None).fit(X, y, s)
    net = model.net_.raw_module
    with torch.no_grad():
        logits = net(torch.from_numpy(X))
        embeddings = net.embed(torch.from_numpy(X)).numpy()
    assert type(model.head_) is LogisticRegression
    assert model.predict_proba(X) == pytest.approx(logits.softmax(1).numpy(), abs=1e-6)
    assert model.transform(X) == pytest.approx(embeddings, abs=1e-6)
    assert model.transform(X).shape == (200, hidden_units[-1] if hidden_units else 5)


@every_method
def test_embeddings_have_names(name):
    X, y, s = problem()
    model = method(name, hidden_units=(3,)).fit(X, y, s)
    prefix = type(model).__name__.lower()
    names = [f"{prefix}{i}" for i in range(3)]
    assert model.get_feature_names_out().tolist() == names
    table = model.set_output(transform="pandas").transform(X)
    assert table.columns.tolist() == names
    assert (table.to_numpy() == model.set_output(transform="default").transform(X)).all()


def test_pandas_output_does_not_reach_the_head():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    X, y, s = problem()
    model = method("GBMix", refit=LinearDiscriminantAnalysis()).fit(X, y, s)
    plain = model.predict_proba(X)
    # a DataFrame in the head, fitted on an array, would warn; warnings are errors here
    assert (model.set_output(transform="pandas").predict_proba(X) == plain).all()


def test_the_report_is_that_of_the_predictions():
    X, y, s = problem()
    model = method("GBMix", max_epochs=15).fit(X, y, s)
    report = model.group_report(X, y, s)
    expected = group_report(y, model.predict(X), groups=s, cell_weights=model.group_table_)
    pd.testing.assert_frame_equal(report, expected)
    other = np.where(s, "new", "values")
    assert model.group_report(X, y, other).index.tolist() == [
        (c, v) for c in (0, 1) for v in ("new", "values")
    ]


def test_float64_and_lists_are_the_same_as_float32():
    X, y, s = problem()
    first = method("GBMix").fit(X, y, s)
    second = method("GBMix").fit(X.astype(np.float64).tolist(), y.tolist(), s.tolist())
    assert equal(first, second)
    assert (first.predict_proba(X) == second.predict_proba(X.astype(np.float64))).all()


def test_input_is_never_written_to():
    X, y, s = problem()
    X.flags.writeable = y.flags.writeable = s.flags.writeable = False
    model = method("GBMix", hidden_units=(4,), refit="logistic").fit(X, y, s)
    assert model.predict_proba(X).shape == (200, 2)


# ---------------------------------------------------------------------------- copies


@every_method
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_pickles_predict_the_same_and_hold_no_data(name, configuration, tmp_path):
    X, y, s = problem(4000)
    model = method(name, **CONFIGURATIONS[configuration]).fit(X, y, s)
    text = pickle.dumps(model)
    assert len(text) < X.nbytes / 2
    joblib.dump(model, tmp_path / "model")
    for copied in (pickle.loads(text), joblib.load(tmp_path / "model")):
        assert (copied.decision_function(X) == model.decision_function(X)).all()
        pd.testing.assert_frame_equal(copied.history_, model.history_)


class WithoutTensors(pickle.Pickler):
    """Refuses tensors, except in what skorch packs for machines without the device."""

    def reducer_override(self, obj):
        assert not isinstance(obj, torch.Tensor)
        return NotImplemented


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_pickles_can_be_loaded_without_the_device(configuration):
    X, y, s = problem()
    model = method("GBMix", **CONFIGURATIONS[configuration]).fit(X, y, s)
    WithoutTensors(io.BytesIO()).dump(model)


def test_the_parts_of_a_pickled_net_belong_together_and_are_there_once():
    X, y, s = problem()
    model = method("GBMix", hidden_units=(200, 200), lr_schedule="cosine").fit(X, y, s)
    text = pickle.dumps(model)
    weights = sum(value.nbytes for value in model.net_.module_.state_dict().values())
    assert len(text) < 3.2 * weights  # those of now, those of the best epoch, the momentum
    net = pickle.loads(text).net_
    assert net.module is net.module_
    assert net.scheduler_.optimizer is net.optimizer_
    held = [p for group in net.optimizer_.param_groups for p in group["params"]]
    assert all(a is b for a, b in zip(held, net.module_.parameters(), strict=True))


@every_method
def test_clones_have_the_parameters_and_nothing_else(name):
    X, y, s = problem()
    model = method(name, hidden_units=(4,), refit=RidgeClassifier(alpha=3)).fit(X, y, s)
    copied = clone(model)
    assert not hasattr(copied, "head_")
    assert copied.get_params()["refit__alpha"] == 3
    assert copied.set_params(refit__alpha=5, lr=0.5).lr == 0.5
    assert model.refit.alpha == 3
    assert equal(clone(model).fit(X, y, s), model)


def test_fit_changes_no_parameter():
    X, y = frame()
    model = GBMixClassifier(
        **FAST, group_columns=["sex"], hidden_units=[4], refit=RidgeClassifier()
    )
    before = {name: repr(value) for name, value in model.get_params().items()}
    model.fit(X, y)
    assert {name: repr(value) for name, value in model.get_params().items()} == before
    assert not hasattr(model.refit, "coef_")


# ---------------------------------------------------------------------------- quality


def test_gbmix_is_better_for_the_worst_group_than_erm():
    rng = np.random.default_rng(0)
    n = 3000
    y = rng.integers(2, size=n)
    s = np.where(rng.random(n) < 0.95, y, 1 - y)  # a shortcut that fails for a few
    X = rng.normal(size=(n, 6)) + 1.5 * y[:, None] * np.eye(6)[0] + 3 * s[:, None] * np.eye(6)[1]
    test = slice(1500, None)
    scores = {
        cls: worst_group_accuracy_score(
            y[test],
            cls(random_state=0).fit(X[:1500], y[:1500], s[:1500]).predict(X[test]),
            groups=s[test],
        )
        for cls in (ERMClassifier, GBMixClassifier)
    }
    assert scores[GBMixClassifier] > scores[ERMClassifier] + 0.1


def test_coefficients_are_those_of_the_features_or_an_error_that_says_where_they_are():
    from sklearn.feature_selection import SelectFromModel

    X, y, s = problem()
    model = method("GBMix").fit(X, y, s)
    assert model.coef_ is model.head_.coef_
    assert SelectFromModel(method("ERM")).fit(X, y).get_support().any()
    deep = method("GBMix", hidden_units=(3,)).fit(X, y, s)
    with pytest.raises(AttributeError, match=r"head_\.coef_"):
        _ = deep.coef_
    assert not hasattr(method("GBMix"), "coef_")


def test_probabilities_are_in_double_precision():
    X, y, s = problem()
    assert method("GBMix").fit(X.astype(np.float32), y, s).predict_proba(X).dtype == np.float64
