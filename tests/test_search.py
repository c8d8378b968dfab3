"""The classifiers inside scikit-learn's searches, pipelines and cross-validation."""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import check_scoring
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import (
    BestWorstGroup,
    MissingGroupsWarning,
    SubgroupStratifiedKFold,
    make_group_scorer,
    robust_gap_scorer,
    subgroup_train_test_split,
    worst_group_accuracy_score,
    worst_group_accuracy_scorer,
)
from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.exceptions import MissingGroupsError

from .estimators.problems import frame, method, problem

FOLDS = SubgroupStratifiedKFold(3)
GRID = {"gbmixclassifier__alpha": [0.2, 2.0], "gbmixclassifier__lr": [1e-7, 0.05]}
SEARCH = {"scoring": worst_group_accuracy_scorer, "cv": FOLDS, "error_score": "raise"}

every_method = pytest.mark.parametrize("name", METHODS)


@pytest.fixture
def routing_on():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture
def data():
    return problem(240)


def pipeline(**parameters):
    # behind a hidden layer, where tiny steps lead nowhere
    parameters = {"hidden_units": (8,), "refit": None} | parameters
    return make_pipeline(StandardScaler(), method("GBMix", **parameters))


def by_hand(estimator, X, y, groups):
    """The scores of each fold without any of scikit-learn's machinery."""
    scores = []
    for train, test in FOLDS.split(X, y, groups):
        scaler = StandardScaler().fit(X[train])
        model = clone(estimator[-1]).fit(scaler.transform(X[train]), y[train], groups[train])
        predicted = model.predict(scaler.transform(X[test]))
        scores.append(worst_group_accuracy_score(y[test], predicted, groups=groups[test]))
    return scores


@pytest.mark.usefixtures("routing_on")
class TestRoutingOn:
    def test_groups_reach_the_classifier_the_scorer_and_the_splitter(self, data):
        X, y, s = data
        search = GridSearchCV(pipeline(), GRID, **SEARCH).fit(X, y, groups=s)
        for row, parameters in enumerate(search.cv_results_["params"]):
            scores = [search.cv_results_[f"split{fold}_test_score"][row] for fold in range(3)]
            assert scores == pytest.approx(by_hand(pipeline().set_params(**parameters), X, y, s))
        assert search.best_params_["gbmixclassifier__lr"] == 0.05
        best = search.best_estimator_[-1]
        assert best.group_table_.index.tolist() == [(0, 0), (0, 1), (1, 0), (1, 1)]
        expected = worst_group_accuracy_score(y, search.predict(X), groups=s)
        assert search.score(X, y, groups=s) == expected

    @pytest.mark.parametrize(
        "make",
        [
            lambda: RandomizedSearchCV(pipeline(), GRID, n_iter=2, random_state=0, **SEARCH),
            lambda: HalvingGridSearchCV(
                pipeline(), GRID, random_state=0, min_resources=120, **SEARCH
            ),
        ],
        ids=["randomized", "halving"],
    )
    def test_other_searches(self, make, data):
        X, y, s = data
        search = make().fit(X, y, groups=s)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert len(search.best_estimator_[-1].group_table_) == 4

    def test_two_processes_do_as_one(self, data):
        X, y, s = data
        one, two = (
            GridSearchCV(
                pipeline(), {"gbmixclassifier__alpha": [0.2, 2.0]}, n_jobs=n_jobs, **SEARCH
            ).fit(X, y, groups=s)
            for n_jobs in (1, 2)
        )
        for fold in range(3):
            name = f"split{fold}_test_score"
            assert one.cv_results_[name].tolist() == two.cv_results_[name].tolist()

    @every_method
    def test_cross_validation(self, name, data):
        X, y, s = data
        model = make_pipeline(StandardScaler(), method(name))
        results = cross_validate(model, X, y, params={"groups": s}, return_estimator=True, **SEARCH)
        assert results["test_score"] == pytest.approx(by_hand(model, X, y, s))
        for fitted in results["estimator"]:
            assert len(fitted[-1].group_table_) == 4
        predicted = cross_val_predict(model, X, y, params={"groups": s}, cv=FOLDS)
        assert predicted.shape == (240,)

    def test_nested_cross_validation(self, data):
        X, y, s = data
        inner = GridSearchCV(pipeline(), {"gbmixclassifier__lr": [1e-7, 0.05]}, **SEARCH)
        results = cross_validate(inner, X, y, params={"groups": s}, return_estimator=True, **SEARCH)
        assert (results["test_score"] > 0.4).all()
        for search in results["estimator"]:
            assert search.best_params_ == {"gbmixclassifier__lr": 0.05}

    def test_cells_as_groups_are_an_error_inside_a_search(self, data):
        X, y, s = data
        with pytest.raises(ValueError, match="one class only"):
            GridSearchCV(pipeline(), GRID, **SEARCH).fit(X, y, groups=2 * y + s)

    def test_a_split_and_a_fit_with_text_everywhere(self, data):
        X, y, s = data
        text = np.array(["no", "yes"])[y], np.array(["f", "m"])[s]
        X_train, X_test, y_train, y_test, s_train, s_test = subgroup_train_test_split(
            X, *text, random_state=0
        )
        search = GridSearchCV(pipeline(), GRID, **SEARCH).fit(X_train, y_train, groups=s_train)
        assert search.score(X_test, y_test, groups=s_test) > 0.7


BOTH = {"worst": worst_group_accuracy_scorer, "average": "accuracy"}


def choose_by_hand(results, floor, rows=None):
    """Row with the best worst group among those whose average reaches the floor."""
    rows = range(len(results["params"])) if rows is None else rows
    good = [row for row in rows if results["mean_test_average"][row] >= floor]
    return max(good, key=lambda row: results["mean_test_worst"][row])


@pytest.mark.usefixtures("routing_on")
class TestBestWorstGroup:
    @pytest.mark.parametrize("kind", [GridSearchCV, RandomizedSearchCV])
    def test_the_best_worst_group_among_good_averages_is_refitted(self, kind, data):
        X, y, s = data
        grid = {"gbmixclassifier__lr": [1e-5, 1e-3, 0.05], "gbmixclassifier__alpha": [0.2, 2.0]}
        options = {"n_iter": 4, "random_state": 0} if kind is RandomizedSearchCV else {}
        search = kind(
            pipeline(), grid, **options, **SEARCH | {"scoring": BOTH}, refit=BestWorstGroup(0.5)
        ).fit(X, y, groups=s)
        assert search.best_index_ == choose_by_hand(search.cv_results_, 0.5)
        assert search.best_params_ == search.cv_results_["params"][search.best_index_]
        again = pipeline().set_params(**search.best_params_).fit(X, y, groups=s)
        assert (search.predict_proba(X) == again.predict_proba(X)).all()

    def test_any_classifier_of_scikit_learn_will_do(self, data):
        X, y, s = data
        search = GridSearchCV(
            # all in one class, or the prior's: a good average, and groups with nothing right
            DummyClassifier(random_state=0),
            {"strategy": ["most_frequent", "stratified", "prior"]},
            **SEARCH | {"scoring": BOTH},
            refit=BestWorstGroup(within=0.5),
        ).fit(X, y, groups=s)
        assert search.best_params_ == {"strategy": "stratified"}

    def test_methods_are_candidates_like_any_parameter(self, data):
        X, y, s = data
        methods = [method("ERM", lr=1e-5), method("GBMix"), method("GroupDRO")]
        search = GridSearchCV(
            Pipeline([("scale", StandardScaler()), ("method", method("ERM"))]),
            {"method": methods},
            **SEARCH | {"scoring": BOTH},
            refit=BestWorstGroup(),
        ).fit(X, y, groups=s)
        assert search.best_index_ in (1, 2)
        assert type(search.best_estimator_[-1]) is type(methods[search.best_index_])

    def test_two_processes_choose_as_one(self, data):
        X, y, s = data
        one, two = (
            GridSearchCV(
                pipeline(),
                GRID,
                n_jobs=n_jobs,
                **SEARCH | {"scoring": BOTH | {"gap": robust_gap_scorer}},
                refit=BestWorstGroup(),
            ).fit(X, y, groups=s)
            for n_jobs in (1, 2)
        )
        for key in one.cv_results_:
            if "_test_" in key:
                assert one.cv_results_[key].tolist() == two.cv_results_[key].tolist()
        assert one.best_params_ == two.best_params_
        assert (one.predict_proba(X) == two.predict_proba(X)).all()

    def test_halving_searches_choose_among_the_candidates_of_the_last_iteration(self, data):
        """They drop candidates by "score" and never call a callable `refit`: call it afterwards."""
        X, y, s = data
        scores = {"score": worst_group_accuracy_scorer, "average": "accuracy"}
        rule = BestWorstGroup(floor=0.5, worst="score")
        search = HalvingGridSearchCV(
            pipeline(),
            {"gbmixclassifier__lr": [1e-5, 1e-3, 0.01, 0.05]},
            factor=2,
            min_resources=120,
            random_state=0,
            **SEARCH | {"scoring": check_scoring(pipeline(), scoring=scores)},
            refit=rule,
        ).fit(X, y, groups=s)
        results = search.cv_results_
        last = np.flatnonzero(results["iter"] == max(results["iter"]))
        assert 1 < len(last) < len(results["iter"])
        renamed = results | {"mean_test_worst": results["mean_test_score"]}
        assert rule(results) == choose_by_hand(renamed, 0.5, last)
        tuned = clone(search.estimator).set_params(**results["params"][rule(results)])
        assert tuned.fit(X, y, groups=s).score(X, y) > 0.5


@pytest.mark.usefixtures("routing_on")
class TestOptuna:
    @pytest.fixture
    def optuna(self):
        optuna = pytest.importorskip("optuna", reason="pip install gbmix-sklearn[optuna]")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna

    def test_a_study_of_the_worst_group_with_the_average_as_constraint_or_aim(self, optuna, data):
        X, y, s = data

        def objective(trial):
            lr = trial.suggest_float("lr", 1e-5, 0.1, log=True)
            model = pipeline(lr=lr, alpha=trial.suggest_float("alpha", 0.1, 2.0))
            scores = cross_validate(model, X, y, params={"groups": s}, **SEARCH | {"scoring": BOTH})
            return scores["test_worst"].mean(), scores["test_average"].mean()

        study = optuna.create_study(
            directions=["maximize", "maximize"], sampler=optuna.samplers.RandomSampler(seed=0)
        )
        study.optimize(objective, n_trials=5)
        values = np.array([trial.values for trial in study.trials])
        first = pipeline(**study.trials[0].params)
        assert values[0, 0] == pytest.approx(np.mean(by_hand(first, X, y, s)))
        assert values[:, 0].max() in [trial.values[0] for trial in study.best_trials]
        # the trials of a study are candidates like those of a search
        results = {
            "params": [trial.params for trial in study.trials],
            "mean_test_worst": values[:, 0],
            "mean_test_average": values[:, 1],
        }
        assert BestWorstGroup(0.5)(results) == choose_by_hand(results, 0.5)

    def test_bad_trials_are_pruned_by_the_worst_group_of_an_epoch(self, optuna, data):
        integration = pytest.importorskip(
            "optuna_integration.skorch", reason="pip install gbmix-sklearn[optuna]"
        )
        X, y, s = data

        def objective(trial):
            prune = integration.SkorchPruningCallback(trial, "worst_group_accuracy")
            lr = trial.suggest_categorical("lr", [0.05, 1e-6])
            model = method("GBMix", lr=lr, max_epochs=10, hidden_units=(8,), refit=None)
            model.set_params(callbacks=[prune]).fit(X, y, s)
            return model.history_["worst_group_accuracy"].max()

        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.GridSampler({"lr": [0.05, 1e-6]}, seed=0),
            pruner=optuna.pruners.ThresholdPruner(lower=0.5, n_warmup_steps=3),
        )
        study.optimize(objective)
        states = {trial.params["lr"]: trial.state.name for trial in study.trials}
        assert states == {0.05: "COMPLETE", 1e-6: "PRUNED"}
        for trial in study.trials:
            n_epochs = 10 if trial.state.name == "COMPLETE" else 4
            assert list(trial.intermediate_values) == list(range(n_epochs))

    @pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
    @pytest.mark.filterwarnings("ignore:`optuna.terminator` module:FutureWarning")
    def test_optunas_own_search_works_with_group_columns_and_routing_off(self, optuna):
        integration = pytest.importorskip(
            "optuna_integration.sklearn", reason="pip install gbmix-sklearn[optuna]"
        )
        X, y = frame(240)
        X = X.drop(columns="age")
        with sklearn.config_context(enable_metadata_routing=False):
            search = integration.OptunaSearchCV(
                method("GBMix", group_columns="sex"),
                {"lr": optuna.distributions.FloatDistribution(1e-5, 0.1, log=True)},
                scoring=make_group_scorer("worst_group_accuracy", group_columns="sex"),
                cv=SubgroupStratifiedKFold(2, group_columns="sex"),
                n_trials=3,
                random_state=0,
                error_score="raise",
            ).fit(X, y)
            for trial in search.trials_:
                scores = cross_validate(
                    method("GBMix", group_columns="sex", **trial.params),
                    X,
                    y,
                    scoring=search.scoring,
                    cv=search.cv,
                    error_score="raise",
                )
                assert trial.value == pytest.approx(scores["test_score"].mean())
        assert search.best_estimator_.group_table_.index.names == ["target", "sex"]


class TestRoutingOff:
    def test_group_columns_do_without_routing(self):
        X, y = frame(240)
        X = X.drop(columns="age")
        scorer = make_group_scorer("worst_group_accuracy", group_columns="sex")
        folds = SubgroupStratifiedKFold(3, group_columns="sex")
        model = method("GBMix", group_columns="sex", hidden_units=(8,), refit=None)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            search = GridSearchCV(
                model, {"lr": [1e-7, 0.05]}, scoring=scorer, cv=folds, error_score="raise"
            ).fit(X, y)
        assert search.best_params_ == {"lr": 0.05}
        assert search.best_estimator_.group_table_.index.names == ["target", "sex"]
        score = worst_group_accuracy_score(y, search.predict(X), groups=X["sex"])
        assert search.score(X, y) == score

    def test_groups_that_reach_only_the_splitter_never_train_or_score_silently(self, data):
        X, y, s = data
        with (
            pytest.warns(MissingGroupsWarning, match="enable_metadata_routing"),
            pytest.raises(MissingGroupsError, match="enable_metadata_routing"),
        ):
            GridSearchCV(pipeline(), GRID, **SEARCH).fit(X, y, groups=s)

    def test_without_error_score_raise_the_scores_are_nan_and_not_a_number_made_up(self, data):
        X, y, s = data
        options = SEARCH | {"error_score": np.nan}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            search = GridSearchCV(pipeline(), GRID, **options).fit(X, y, groups=s)
        assert np.isnan(search.cv_results_["mean_test_score"]).all()
        categories = {warning.category for warning in caught}
        assert MissingGroupsWarning in categories

    def test_a_pipeline_takes_groups_by_the_step(self, data):
        X, y, s = data
        model = pipeline().fit(X, y, gbmixclassifier__groups=s)
        scaled = StandardScaler().fit_transform(X)
        assert np.array_equal(model[-1].head_.coef_, clone(model[-1]).fit(scaled, y, s).head_.coef_)

    @every_method
    def test_checkpoints_of_the_folds_do_not_meet(self, name, data, tmp_path):
        X, y, s = data
        for directory in (None, tmp_path):
            results = cross_validate(
                method(name, checkpoint_dir=directory),
                X,
                y,
                params={"groups": s},
                cv=FOLDS.split(X, y, s),
                scoring="accuracy",
                error_score="raise",
            )["test_score"]
            if directory is None:
                expected = results
        assert (results == expected).all()
        assert len(list(tmp_path.iterdir())) == 3
