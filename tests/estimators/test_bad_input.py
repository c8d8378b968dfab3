"""Every input that cannot be used is refused with its cause and its cure."""

import inspect
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils._param_validation import InvalidParameterError

from gbmix_sklearn import GBMixClassifier, GroupsError, MissingGroupsWarning
from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.refit import LearnedRecipe, Recipe
from gbmix_sklearn.training import GroupNet

from .problems import method, problem, requires_groups

every_method = pytest.mark.parametrize("name", METHODS)

#: parameter -> values that must be refused
INVALID = {
    "backbone": [3, ["resnet50"]],
    "hidden_units": [5, None],
    "trainable": [0, 1.5, None],
    "pretrained": [None, 3],
    "image_size": [0, 2.5, "small"],
    "augment": ["flips", 3],
    "max_epochs": [0, -1, 1.5, "10", None],
    "batch_size": [0, 2.0, None],
    "optimizer": ["SGD", "rmsprop", None],
    "lr": [0, -1e-3, "fast", None, np.nan],
    "head_lr": [0, "fast"],
    "momentum": [-0.1, 1, 1.5, None],
    "weight_decay": [-1e-9, "no", None],
    "lr_schedule": ["linear", None],
    "warmup_epochs": [-1, None],
    "max_grad_norm": [0, "small"],
    "refit": ["dro", 3],
    "refit_on": ["test", None],
    "refit_fraction": [0, 1, -0.5, None],
    "validation_fraction": [0, 1, 1.5, "all"],
    "patience": [0, -1, 2.5],
    "image_root": [3],
    "value_range": [3, "all"],
    "on_error": ["ignore", None],
    "cache_dir": [3],
    "num_workers": [-1, 1.5, None],
    "device": [0, None],
    "precision": ["float16", 16, None],
    "compile": ["yes", None],
    "checkpoint_dir": [3],
    "callbacks": ["early stopping", ()],
    "random_state": ["seed", -1, 1.5],
    "verbose": [-1, "loud"],
    "alpha": [0, -1, "half", None],
    "cell_shares": ["fair", None],
    "balance": ["sex", None],
    "step_size": [-1, "small", None],
    "adjustment": [-1, "large", None],
    "weight": [-1, "heavy", None],
    "constraint": ["parity", None],
    "p_intra_label": [-0.1, 1.1, None],
    "first_stage_epochs": [0, 1.5, None],
    "counted_epochs": [0, 1.5, None],
    "sigma": [-0.1, 1.1, None],
    "eta": [-1, "large", None],
    "kappa": [0.5, "large", None],
    "tau": ["small", None],
    "bayias": ["yes", None],
    "p": [-0.1, 1.1, None],
    "gamma": [-1, "high", None],
    "reg_coeff": [-1, "high", None],
    "refit_steps": [0, 2.5, None],
    "refit_lr": [0, "small", None],
    "lambda_up": [0, 2.5, None],
    "k": [0, 2.5, "pairs", None],
    "mix_granularity": ["cell", None],
    "target_smoothing": [-0.1, 1, None],
    "categorize": ["yes", None],
    "mix": ["no", None],
}
#: parameters whose values only the data can judge
UNCHECKED = {"group_columns", "image_column"}


@every_method
def test_every_parameter_has_values_that_are_refused(name):
    parameters = set(METHODS[name]().get_params(deep=False)) - UNCHECKED
    assert parameters <= set(INVALID)
    X, y, s = problem(40)
    for parameter in parameters:
        for value in INVALID[parameter]:
            with pytest.raises(InvalidParameterError, match=rf"The '{parameter}' parameter of"):
                method(name, **{parameter: value}).fit(X, y, s)


def test_the_list_of_invalid_values_has_no_parameter_that_is_gone():
    known = set().union(*(inspect.signature(cls).parameters for cls in METHODS.values()))
    assert set(INVALID) | UNCHECKED == known


@every_method
def test_typos_in_parameters_are_named(name):
    with pytest.raises(TypeError, match="'alhpa'"):
        METHODS[name](alhpa=1)
    with pytest.raises(ValueError, match="'alhpa'"):
        METHODS[name]().set_params(alhpa=1)


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"hidden_units": (0,)}, ValueError, r"hidden_units must be positive integers such as"),
        ({"hidden_units": ("a",)}, ValueError, "hidden_units must be positive integers"),
        ({"hidden_units": (2.5,)}, ValueError, "hidden_units must be positive integers"),
        ({"device": "abacus"}, ValueError, "device"),
        (
            {
                "refit": "logistic",
                "refit_on": "held_out",
                "refit_fraction": 0.5,
                "validation_fraction": 0.5,
            },
            ValueError,
            r"leave nothing to train on.*0\.5 \+ 0\.5",
        ),
        ({"checkpoint_dir": "x", "random_state": None}, ValueError, "integer random_state"),
        (
            {"checkpoint_dir": "x", "random_state": np.random.RandomState(0)},
            ValueError,
            "integer random_state",
        ),
        ({"refit": LinearRegression()}, TypeError, "linear scikit-learn classifier"),
        ({"refit": LogisticRegression}, TypeError, "linear scikit-learn classifier"),
        ({"group_columns": []}, (ValueError, TypeError), "group_columns"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
)
def test_parameters_that_do_not_fit_together(parameters, error, match):
    X, y, s = problem(40)
    groups = None if "group_columns" in parameters else s
    with pytest.raises(error, match=match):
        method("GBMix", **parameters).fit(X, y, groups)


@every_method
@pytest.mark.parametrize(
    ("groups", "error", "match"),
    [
        (lambda y, s: s[:-1], GroupsError, "199 entries for 200 samples"),
        (lambda y, s: np.where(s, np.nan, 1.0), GroupsError, r"100 missing value.*row \d"),
        (lambda y, s: pd.Series(np.where(s, "f", None), name="sex"), GroupsError, "'sex'"),
        (
            lambda y, s: 2 * y + s,
            GroupsError,
            r"4 values of groups.*one class only.*sensitive attribute",
        ),
        (lambda y, s: y, GroupsError, "one class only"),
        (lambda y, s: np.arange(200), GroupsError, "one class only"),
        (lambda y, s: "sex", TypeError, "got str"),
        (lambda y, s: {"sex": s}, TypeError, "got dict"),
        (lambda y, s: s[None], GroupsError, "1 entries for 200 samples"),
        (lambda y, s: s[:, None, None], GroupsError, r"shape \(200, 1, 1\)"),
    ],
)
def test_groups_that_cannot_be_used(name, groups, error, match):
    X, y, s = problem()
    with pytest.raises(error, match=match):
        method(name).fit(X, y, groups(y, s))


@every_method
def test_data_that_cannot_be_used(name):
    X, y, s = problem()
    broken = X.copy()
    for value, match in [(np.nan, "NaN"), (np.inf, "infinity")]:
        broken[3, 1] = value
        with pytest.raises(ValueError, match=match):
            method(name).fit(broken, y, s)
    with pytest.raises(ValueError, match=r"y has one class, 7.*at least two"):
        method(name).fit(X, np.full(200, 7), s)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        method(name).fit(X[:-1], y, s)
    with pytest.raises(ValueError, match="continuous"):
        method(name).fit(X, y + 0.5, s)
    with pytest.raises(ValueError, match=r"NaN|missing"):
        method(name).fit(X, np.where(y, 1.0, np.nan), s)
    with pytest.raises(ValueError, match=rf"missing label.*row {np.flatnonzero(y)[0]}"):
        method(name).fit(X, np.where(y, None, "a").astype(object), s)
    with pytest.raises(ValueError, match=r"1D|2D|1d"):
        method(name).fit(X, np.column_stack([y, y]), s)
    too_large = X.astype(np.float64)
    too_large[3, 1] = 1e39
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="too large"):
        method(name).fit(too_large, y, s)


@every_method
@pytest.mark.parametrize("hidden_units", [(), (3,)])
def test_data_that_cannot_be_predicted(name, hidden_units):
    X, y, s = problem()
    model = method(name, hidden_units=hidden_units).fit(X, y, s)
    broken = X.copy()
    for value, match in [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]:
        broken[3, 1] = value
        for predict in (
            model.predict,
            model.predict_proba,
            model.decision_function,
            model.transform,
        ):
            with pytest.raises(ValueError, match=match):
                predict(broken)
    with pytest.raises(ValueError, match=r"X has 4 features.*expecting 5"):
        model.predict(X[:, :4])


def test_validation_data_that_cannot_be_used():
    X, y, s = problem()
    model = method("GBMix")
    for given in ({"y_val": y}, {"groups_val": s}):
        with pytest.raises(ValueError, match="need X_val"):
            model.fit(X, y, s, **given)
    with pytest.raises(ValueError, match="X_val needs y_val"):
        model.fit(X, y, s, X_val=X)
    with pytest.raises(ValueError, match="199 labels for 200 samples"):
        model.fit(X, y, s, X_val=X, y_val=y[:-1])
    with pytest.raises(ValueError, match=r"y_val has classes that y does not have: \[2\]"):
        model.fit(X, y, s, X_val=X, y_val=y + 1)
    with pytest.raises(GroupsError, match="groups_val has 3 entries for 200 samples"):
        model.fit(X, y, s, X_val=X, y_val=y, groups_val=s[:3])
    with pytest.raises(ValueError, match="4 features"):
        model.fit(X, y, s, X_val=X[:, :4], y_val=y)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, y, s, X_val=np.full_like(X, np.nan), y_val=y)


@pytest.mark.parametrize("name", [n for n in METHODS if not requires_groups(METHODS[n])])
def test_missing_groups_warn_with_the_cures_where_the_method_works_on_groups(name):
    X, y, _ = problem()
    if METHODS[name]._groups_policy == "warn":
        with pytest.warns(MissingGroupsWarning) as caught:
            model = method(name).fit(X, y)
        (warning,) = caught
        assert warning.filename == __file__
        for cure in ("enable_metadata_routing", "group_columns", "Give groups to fit"):
            assert re.search(cure, str(warning.message))
    else:  # where a warning would be an error
        model = method(name).fit(X, y)
    assert model.group_table_.index.tolist() == [(0, "all"), (1, "all")]


def test_which_methods_work_on_groups():
    policies = {name: cls()._groups_policy for name, cls in METHODS.items()}
    assert [name for name, policy in policies.items() if policy == "warn"] == ["GBMix"]
    assert policies["ERM"] == policies["Mixup"] == "optional"


def test_without_groups_classes_are_balanced():
    X, y, _ = problem(400)
    keep = np.flatnonzero((y == 0) | (np.arange(400) % 10 == 1))
    model = GBMixClassifier(max_epochs=10, random_state=0)
    with pytest.warns(MissingGroupsWarning):
        model.fit(X[keep], y[keep])
    recall = model.score(X[y == 1], y[y == 1])
    assert model.group_table_["count"].min() * 5 < model.group_table_["count"].max()
    assert recall > 0.9


def test_columns_that_are_no_numbers_are_named_with_the_cure():
    X, y, s = problem()
    frame = pd.DataFrame(X, columns=[f"x{n}" for n in range(X.shape[1])])
    work = frame.assign(work=np.where(y, "sea", "field"), sex=s)
    with pytest.raises(ValueError, match=r"columns 'work' of X hold no numbers.*TableEncoder\(\)"):
        method("GBMix").fit(work, y, s)
    with pytest.raises(ValueError, match=r"columns 'work' of X hold no numbers"):
        method("GBMix", group_columns="sex").fit(work, y)
    frame.loc[3, "x1"] = np.nan
    with pytest.raises(ValueError, match=r"contains NaN(.|\n)*columns 'x1' of X have missing"):
        method("GBMix").fit(frame, y, s)


@pytest.mark.parametrize("kind", ["array", "list", "float"])
def test_missing_labels_of_any_kind_are_named_by_row(kind):
    X, y, s = problem()
    values = np.where(y, "a", "b").astype(object)
    values[5] = np.nan
    given = {
        "array": np.array(values.tolist()),
        "list": values.tolist(),
        "float": np.where(np.arange(len(y)) == 5, np.nan, y),
    }
    with pytest.raises(ValueError, match=r"y has 1 missing label.*row 5"):
        method("GBMix").fit(X, given[kind], s)


@pytest.mark.parametrize("library", ["pyarrow", "polars"])
def test_group_columns_of_other_tables(library):
    module = pytest.importorskip(library)
    X, y, s = problem()
    frame = pd.DataFrame(X, columns=[f"x{n}" for n in range(X.shape[1])]).assign(sex=s)
    make = module.Table.from_pandas if library == "pyarrow" else module.from_pandas
    expected = method("GBMix", group_columns="sex").fit(frame, y)
    found = method("GBMix", group_columns="sex").fit(make(frame), y)
    assert list(found.feature_names_in_) == list(expected.feature_names_in_)
    assert (found.predict(make(frame)) == expected.predict(frame)).all()
    assert (found.predict(make(frame.drop(columns="sex"))) == expected.predict(frame)).all()


NEVER = {
    "C is no tuple": Recipe(C=1.0),
    "no C": Recipe(C=()),
    "C of 0": Recipe(C=(0.0,)),
    "infinite C": Recipe(penalty="anchored", C=(np.inf,)),
    "no draw": Recipe(n_draws=0),
    "half a draw": Recipe(n_draws=2.5),
    "intercept": Recipe(intercept_scaling=0.0),
    "not linear": RandomForestClassifier(n_estimators=2),
    "with a kernel": SVC(),
    "a pipeline": make_pipeline(LogisticRegression()),
    "its own parameter": LogisticRegression(C=-1),
}


@pytest.mark.parametrize("kind", NEVER)
def test_a_refit_that_can_never_work_is_refused_before_training(kind, monkeypatch):
    X, y, s = problem()
    monkeypatch.setattr(GroupNet, "fit_loop", lambda *_: pytest.fail("trained"))
    with pytest.raises((ValueError, TypeError), match=r"must be"):
        method("GBMix", refit=NEVER[kind], hidden_units=(4,)).fit(X, y, s)


@pytest.mark.parametrize("refit", [Recipe(), LearnedRecipe(), "dfr", None])
def test_probabilities_are_there_before_a_fit(refit):
    assert hasattr(method("GBMix", refit=refit), "predict_proba")


def test_a_fit_that_fails_leaves_no_last_layer_of_other_classes():
    X, y, s = problem()
    model = method("GBMix").fit(X, np.where(y, "cat", "dog"), s)
    with pytest.raises(ValueError, match="y_val"):
        model.fit(X, np.where(y, "yak", "zebra"), s, X_val=X)
    with pytest.raises(NotFittedError):
        model.predict(X)
