"""The scorers inside scikit-learn's searches and cross-validation, routing on and off."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.compose import make_column_transformer
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from gbmix_sklearn.exceptions import GroupsError, MissingGroupsError
from gbmix_sklearn.metrics import (
    equalized_odds_scorer,
    make_group_scorer,
    mean_group_accuracy_scorer,
    robust_gap_scorer,
    worst_group_accuracy_score,
    worst_group_accuracy_scorer,
)
from gbmix_sklearn.model_selection import SubgroupStratifiedKFold

GRID = {"C": [0.01, 1.0]}
FOLDS = SubgroupStratifiedKFold(3)
BY_SEX = SubgroupStratifiedKFold(3, group_columns="sex")
WORST_BY_SEX = make_group_scorer("worst_group_accuracy", group_columns="sex")


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    n = 160
    y = np.where(rng.random(n) < 0.4, "yes", "no")
    sex = np.where(rng.random(n) < 0.3, "f", "m")
    value = (y == "yes") * 1.5 + (sex == "f") + rng.normal(size=n)
    X = pd.DataFrame({"value": value, "noise": rng.normal(size=n), "sex": sex})
    return X, pd.Series(y)


@pytest.fixture(scope="module")
def arrays(frame):
    X, y = frame
    return X[["value", "noise"]].to_numpy(), y.to_numpy(), X["sex"].to_numpy()


@pytest.fixture
def routing_on():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def slow_fold_scores(X, y, groups, C):
    scores = []
    for train, test in FOLDS.split(X, y, groups):
        predicted = LogisticRegression(C=C).fit(X[train], y[train]).predict(X[test])
        scores.append(worst_group_accuracy_score(y[test], predicted, groups=groups[test]))
    return scores


@pytest.mark.usefixtures("routing_on")
class TestRoutingOn:
    def test_grid_search_scores_each_fold_with_its_groups(self, arrays):
        X, y, groups = arrays
        search = GridSearchCV(
            LogisticRegression(),
            GRID,
            scoring=worst_group_accuracy_scorer,
            cv=FOLDS,
            error_score="raise",
        ).fit(X, y, groups=groups)
        for row, C in enumerate(GRID["C"]):
            scores = [search.cv_results_[f"split{fold}_test_score"][row] for fold in range(3)]
            assert scores == pytest.approx(slow_fold_scores(X, y, groups, C))
        assert search.score(X, y, groups=groups) == worst_group_accuracy_score(
            y, search.predict(X), groups=groups
        )

    @pytest.mark.parametrize("kind", [list, pd.Series, lambda g: pd.DataFrame({"a": g, "b": g})])
    def test_groups_come_in_any_container(self, arrays, kind):
        X, y, groups = arrays
        search = GridSearchCV(
            LogisticRegression(),
            GRID,
            scoring=worst_group_accuracy_scorer,
            cv=FOLDS,
            error_score="raise",
        ).fit(X, y, groups=kind(groups))
        scores = [search.cv_results_[f"split{fold}_test_score"][1] for fold in range(3)]
        assert scores == pytest.approx(slow_fold_scores(X, y, groups, 1.0))

    def test_several_scorers_share_the_predictions_of_a_fold(self, arrays):
        X, y, groups = arrays
        calls = []

        class Counting(LogisticRegression):
            def predict(self, X):
                calls.append(len(X))
                return super().predict(X)

        results = cross_validate(
            Counting(),
            X,
            y,
            cv=FOLDS,
            params={"groups": groups},
            error_score="raise",
            scoring={
                "worst": worst_group_accuracy_scorer,
                "gap": robust_gap_scorer,
                "mean": mean_group_accuracy_scorer,
                "odds": equalized_odds_scorer,
                "accuracy": "accuracy",
            },
        )
        assert len(calls) == 3
        assert results["test_worst"] == pytest.approx(slow_fold_scores(X, y, groups, 1.0))
        assert (results["test_gap"] <= 0).all()
        assert (results["test_odds"] <= 0).all()
        assert (results["test_worst"] <= results["test_mean"]).all()

    def test_two_processes_score_as_one(self, arrays):
        X, y, groups = arrays
        results = cross_validate(
            LogisticRegression(),
            X,
            y,
            cv=FOLDS,
            params={"groups": groups},
            scoring={"worst": worst_group_accuracy_scorer},
            error_score="raise",
            n_jobs=2,
        )
        assert results["test_worst"] == pytest.approx(slow_fold_scores(X, y, groups, 1.0))

    @pytest.mark.parametrize(
        "make",
        [
            lambda **k: RandomizedSearchCV(
                LogisticRegression(), GRID, n_iter=2, random_state=0, **k
            ),
            lambda **k: HalvingGridSearchCV(
                LogisticRegression(), GRID, min_resources=80, random_state=0, **k
            ),
        ],
        ids=["randomized", "halving"],
    )
    def test_other_searches_route_groups_too(self, arrays, make):
        X, y, groups = arrays
        search = make(scoring=worst_group_accuracy_scorer, cv=FOLDS, error_score="raise")
        search.fit(X, y, groups=groups)
        assert 0 <= search.best_score_ <= 1
        assert not np.isnan(search.cv_results_["mean_test_score"]).any()

    def test_nested_cross_validation_routes_groups_to_both_levels(self, arrays):
        X, y, groups = arrays
        search = GridSearchCV(
            LogisticRegression(),
            GRID,
            scoring=worst_group_accuracy_scorer,
            cv=SubgroupStratifiedKFold(2),
            error_score="raise",
        )
        scores = cross_val_score(
            search,
            X,
            y,
            cv=FOLDS,
            scoring=worst_group_accuracy_scorer,
            params={"groups": groups},
            error_score="raise",
        )
        assert scores.shape == (3,)
        assert ((scores >= 0) & (scores <= 1)).all()

    def test_estimators_that_request_groups_get_them_beside_the_scorer(self, arrays):
        X, y, groups = arrays
        seen = []

        class TakesGroups(LogisticRegression):
            __metadata_request__fit = {"groups": True}

            def fit(self, X, y, groups=None):
                seen.append(groups)
                return super().fit(X, y)

        model = make_pipeline(StandardScaler(), TakesGroups())
        GridSearchCV(
            model,
            {"takesgroups__C": [1.0]},
            scoring=worst_group_accuracy_scorer,
            cv=FOLDS,
            error_score="raise",
        ).fit(X, y, groups=groups)
        for part, (train, _) in zip(seen, FOLDS.split(X, y, groups), strict=False):
            assert list(part) == list(groups[train])
        assert len(seen) == 4  # three folds and the refit

    def test_groups_that_are_not_passed_raise(self, arrays):
        X, y, _ = arrays
        search = GridSearchCV(
            LogisticRegression(),
            GRID,
            scoring=worst_group_accuracy_scorer,
            error_score="raise",
        )
        with pytest.raises(MissingGroupsError):
            search.fit(X, y)

    def test_groups_can_be_passed_under_another_name(self, arrays):
        X, y, groups = arrays
        scorer = make_group_scorer("worst_group_accuracy").set_score_request(groups="sex")
        scores = cross_val_score(
            LogisticRegression(),
            X,
            y,
            cv=FOLDS,
            scoring=scorer,
            params={"sex": groups, "groups": groups},
            error_score="raise",
        )
        assert scores == pytest.approx(slow_fold_scores(X, y, groups, 1.0))

    def test_sample_weight_is_routed_where_it_is_requested(self, arrays):
        X, y, groups = arrays
        weight = np.random.default_rng(0).random(len(y)) + 0.1
        scorer = make_group_scorer("worst_group_accuracy").set_score_request(sample_weight=True)
        model = LogisticRegression().set_fit_request(sample_weight=False)
        scores = cross_val_score(
            model,
            X,
            y,
            cv=FOLDS,
            scoring=scorer,
            params={"groups": groups, "sample_weight": weight},
            error_score="raise",
        )
        expected = [
            worst_group_accuracy_score(
                y[test],
                LogisticRegression().fit(X[train], y[train]).predict(X[test]),
                groups=groups[test],
                sample_weight=weight[test],
            )
            for train, test in FOLDS.split(X, y, groups)
        ]
        assert scores == pytest.approx(expected)

    def test_sample_weight_that_nobody_decided_on_is_an_error(self, arrays):
        X, y, groups = arrays
        model = LogisticRegression().set_fit_request(sample_weight=True)
        search = GridSearchCV(model, GRID, scoring=worst_group_accuracy_scorer, cv=FOLDS)
        with pytest.raises(ValueError, match=r"sample_weight.*not explicitly set"):
            search.fit(X, y, groups=groups, sample_weight=np.ones(len(y)))

    def test_scorers_with_group_columns_ignore_the_groups_of_the_search(self, frame):
        X, y = frame
        model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
        scores = cross_val_score(
            model,
            X,
            y,
            cv=FOLDS,
            scoring=WORST_BY_SEX,
            params={"groups": X["sex"]},
            error_score="raise",
        )
        assert scores.shape == (3,)


class TestRoutingOff:
    def test_group_columns_work_behind_a_column_transformer_with_pandas_output(self, frame):
        X, y = frame
        model = make_pipeline(
            make_column_transformer(
                (StandardScaler(), ["value", "noise"]), verbose_feature_names_out=False
            ).set_output(transform="pandas"),
            LogisticRegression(),
        )
        search = GridSearchCV(
            model,
            {"logisticregression__C": [0.01, 1.0]},
            scoring={"worst": WORST_BY_SEX, "accuracy": "accuracy"},
            refit="worst",
            cv=BY_SEX,
            error_score="raise",
        ).fit(X, y)
        assert search.best_score_ <= search.cv_results_["mean_test_accuracy"][search.best_index_]
        assert search.score(X, y) == worst_group_accuracy_score(
            y, search.predict(X), groups=X["sex"]
        )

    def test_groups_of_a_search_reach_only_the_splitter_so_that_the_scorer_raises(self, arrays):
        X, y, groups = arrays
        search = GridSearchCV(
            LogisticRegression(),
            GRID,
            scoring=worst_group_accuracy_scorer,
            cv=FOLDS,
            error_score="raise",
        )
        with pytest.raises(MissingGroupsError, match="enable_metadata_routing=True"):
            search.fit(X, y, groups=groups)

    @pytest.mark.parametrize("scoring", [worst_group_accuracy_scorer, {"a": robust_gap_scorer}])
    def test_without_error_score_raise_scikit_learn_makes_nan_and_a_warning_of_it(
        self, arrays, scoring
    ):
        X, y, groups = arrays
        search = GridSearchCV(LogisticRegression(), GRID, scoring=scoring, cv=FOLDS, refit=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            search.fit(X, y, groups=groups)
        texts = [str(warning.message) for warning in caught]
        assert any("Scoring failed" in text and "group_columns=" in text for text in texts)
        name = "mean_test_score" if callable(scoring) else "mean_test_a"
        assert np.isnan(search.cv_results_[name]).all()

    def test_groups_beside_a_splitter_with_group_columns_are_an_error(self, frame):
        X, y = frame
        search = GridSearchCV(LogisticRegression(), GRID, scoring=WORST_BY_SEX, cv=BY_SEX)
        with pytest.raises(GroupsError, match="give one of the two"):
            search.fit(X, y, groups=X["sex"])


def test_what_takes_the_score_function_out_of_a_scorer_says_what_to_do():
    from sklearn.model_selection import TunedThresholdClassifierCV

    rng = np.random.default_rng(0)
    y = rng.integers(2, size=60)
    X = pd.DataFrame({"a": rng.normal(size=60) + y, "sex": rng.integers(2, size=60)})
    scorer = make_group_scorer("worst_group_accuracy", group_columns="sex")
    tuned = TunedThresholdClassifierCV(LogisticRegression(), scoring=scorer, cv=2)
    with pytest.raises(MissingGroupsError, match=r"bind them with make_group_scorer"):
        tuned.fit(X, y)
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_group_scorer("worst_group_accuracy")
        tuned = TunedThresholdClassifierCV(LogisticRegression(), scoring=scorer, cv=2)
        assert 0 <= tuned.fit(X, y, groups=X["sex"]).best_threshold_ <= 1
