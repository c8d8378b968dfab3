"""The comparison as users call it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, RepeatedKFold, ShuffleSplit
from sklearn.pipeline import make_pipeline

from gbmix_sklearn import (
    ERMClassifier,
    GroupsError,
    MissingGroupsError,
    SubgroupStratifiedKFold,
    TimmEmbedder,
    compare,
    worst_group_accuracy_score,
)

from .problems import Constant, Failing, places, quick, table

X, Y, PLACE = places()
NO_NETWORK = {"backbone": "resnet18", "pretrained": False, "image_size": 32}


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    y, s = np.divmod(np.arange(40) % 4, 2)
    pixels = rng.integers(0, 40, size=(40, 8, 8, 3)) + 100 * y[:, None, None, None]
    return pixels.astype(np.uint8), y, s


def test_each_sample_is_predicted_by_a_model_that_has_not_seen_it():
    splits = list(SubgroupStratifiedKFold(3).split(X, Y, PLACE))
    found = quick(X, Y, PLACE, methods={"plain": LogisticRegression()}, cv=splits)
    for train, test in splits:
        model = LogisticRegression().fit(X[train], Y[train])
        assert found.predictions_.loc[test, "plain"].tolist() == model.predict(X[test]).tolist()
    score = worst_group_accuracy_score(Y, found.predictions_["plain"], groups=PLACE)
    assert found.to_frame().loc["plain", "worst_group_accuracy"] == score


def test_the_same_call_gives_the_same_table():
    names = {"methods": ["logistic, learned", "class-scaled ERM"], "cv": 2}
    first, second = (quick(X, Y, PLACE, **names).to_frame() for _ in range(2))
    pd.testing.assert_frame_equal(first.drop(columns="seconds"), second.drop(columns="seconds"))


def test_parallel_fits_give_the_same_table():
    alone, together = (quick(X, Y, PLACE, n_jobs=n).predictions_ for n in (1, 2))
    pd.testing.assert_frame_equal(alone, together)


def test_every_named_method_takes_a_table_with_missing_values():
    frame, y = table(120)
    names = ["logistic", "boosting", "logistic, learned", "class-scaled ERM", "ERM", "GBMix"]
    found = compare(frame, y, group_columns="place", methods=names, cv=2, verbose=0)
    assert found.errors_ == {}
    assert set(found.to_frame().index) == set(names)


def test_a_column_of_groups_is_not_predicted_from():
    class Columns(Constant):
        def fit(self, X, y):
            assert list(X) == ["a", "b", "c", "d", "colour"]
            return super().fit(X, y)

    frame, y = table()
    found = quick(frame, y, group_columns="place", methods={"own": make_pipeline(Columns())})
    assert found.errors_ == {}
    model = found.fit_best(frame, y)
    assert (model.predict(frame) == model.predict(frame.drop(columns="place"))).all()


def test_groups_that_are_given_leave_their_column_in_x():
    class Columns(Constant):
        def fit(self, X, y):
            assert "place" in X
            return super().fit(X, y)

    frame, y = table()
    found = quick(frame, y, frame["place"], methods={"own": make_pipeline(Columns())})
    assert found.errors_ == {}


def test_a_classifier_with_group_columns_gets_them():
    frame, y = table()
    frame = frame[["b", "c", "place"]]
    own = {"own": ERMClassifier(group_columns="place", max_epochs=1)}
    assert quick(frame, y, group_columns="place", methods=own, cv=2).errors_ == {}


def test_a_matrix_is_taken_as_it_is():
    class Same(Constant):
        def fit(self, X, y):
            assert isinstance(X, np.ndarray)
            return super().fit(X, y)

    assert quick(X, Y, PLACE, methods={"own": Same()}).errors_ == {}


def test_images_are_embedded_once(images, monkeypatch):
    pixels, y, s = images
    calls = []
    transform = TimmEmbedder.transform
    monkeypatch.setattr(
        TimmEmbedder, "transform", lambda self, X: calls.append(len(X)) or transform(self, X)
    )
    embedder = TimmEmbedder(**NO_NETWORK)
    found = quick(pixels, y, s, methods=["logistic", "ERM"], cv=2, embedder=embedder, refit=True)
    assert calls == [40]
    assert found.errors_ == {}
    assert found.best_estimator_.predict(pixels[:3]).tolist() == y[:3].tolist()
    again = found.fit_best(pixels, y, s)
    assert again.predict(pixels[:3]).tolist() == y[:3].tolist()


def test_a_method_that_embeds_images_itself_gets_them(images):
    pixels, y, s = images
    own = {"own": make_pipeline(TimmEmbedder(**NO_NETWORK), LogisticRegression())}
    found = quick(pixels, y, s, methods=own, cv=2, refit=True)
    assert found.errors_ == {}
    assert list(found.best_estimator_.named_steps) == ["timmembedder", "logisticregression"]


def test_a_failure_is_a_row_with_its_error():
    found = quick(X, Y, PLACE, methods={"bad": Failing(), "plain": LogisticRegression()})
    frame = found.to_frame()
    assert frame.index.tolist() == ["plain", "bad"]
    assert frame.loc["bad", "error"] == "fold 1: RuntimeError: no <b>convergence</b>"
    assert np.isnan(frame.loc["bad", "worst_group_accuracy"])
    assert found.best_ == "plain"
    assert "bad failed" in str(found)
    with pytest.raises(ValueError, match=r"'bad' failed \(fold 1.*the methods are 'plain'"):
        found.audit("bad")


def test_labels_that_are_no_classes_are_a_failure():
    found = quick(X, Y, PLACE, methods={"bad": Constant("cow"), "plain": LogisticRegression()})
    assert "predicts 'cow', which is no class of y" in found.errors_["bad"]


def test_all_failing_is_told_and_not_raised():
    found = quick(X, Y, PLACE, methods={"bad": Failing()}, refit=True)
    assert "Every method failed" in str(found)
    assert found.to_frame().index.tolist() == ["bad"]
    assert "Every method failed" in found.to_html()
    assert '"best": null' in found.to_json()
    with pytest.raises(ValueError, match=r"every method failed.*bad: fold 1"):
        _ = found.best_


def test_what_fits_warn_of_is_kept():
    found = quick(X, Y, PLACE, methods={"slow": LogisticRegression(max_iter=1, C=1e4)})
    assert any("ConvergenceWarning" in text for text in found.warnings_["slow"])
    assert "Fits of these warned" in str(found)


def test_units_are_held_out_together():
    person = np.arange(len(Y)) // 3

    class Whole(Constant):
        def fit(self, X, y, keep_together=None):
            assert (np.bincount(keep_together)[np.unique(keep_together)] == 3).all()
            return super().fit(X, y)

    found = quick(X, Y, PLACE, methods={"own": Whole()}, keep_together=person)
    assert found.errors_ == {}


def test_splits_of_the_user_are_checked_to_keep_units_whole():
    person = np.arange(len(Y)) // 3
    whole = list(GroupKFold(3).split(X, Y, person))
    assert quick(X, Y, PLACE, cv=whole, keep_together=person).n_folds == 3
    torn = list(SubgroupStratifiedKFold(3).split(X, Y, PLACE))
    with pytest.raises(ValueError, match="fold 1 of cv has samples of the same keep_together"):
        quick(X, Y, PLACE, cv=torn, keep_together=person)


def test_samples_that_no_fold_holds_out_are_left_out():
    cv = ShuffleSplit(1, test_size=0.5, random_state=0)
    found = quick(X, Y, PLACE, cv=cv)
    assert found.n_samples == len(found.predictions_) == 120


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"groups": None}, MissingGroupsError, "compare needs groups"),
        ({"methods": ["logitic"]}, ValueError, "did you mean 'logistic'"),
        ({"cv": 500}, ValueError, "cv=500 folds need as many samples"),
        ({"cv": RepeatedKFold(n_splits=2, n_repeats=2)}, ValueError, "out 2 times"),
        ({"confidence": 1}, ValueError, "confidence must lie between 0 and 1"),
        ({"folder": "f", "random_state": None}, ValueError, "needs an integer random_state"),
        ({"cell_weights": {("cat", "indoor"): 1}}, ValueError, "has no weight for"),
        ({"group_columns": "place"}, GroupsError, "groups were given although"),
        ({"X": Y, "groups": PLACE}, ValueError, "X must be a table"),
        ({"X": X[:10]}, ValueError, "inconsistent numbers of samples"),
    ],
)
def test_what_cannot_be_compared_is_told_before_anything_is_fitted(options, error, message):
    data = {"X": X, "y": Y, "groups": PLACE} | options
    with pytest.raises(error, match=message):
        quick(data.pop("X"), data.pop("y"), data.pop("groups"), **data)


def test_dates_in_a_table_are_told_at_once():
    frame, y = table()
    frame["day"] = pd.Timestamp("2020-01-01")
    with pytest.raises(ValueError, match="column 'day' holds datetime64"):
        quick(frame, y, group_columns="place", methods=["logistic"])


def test_weights_of_cells_add_the_adjusted_average():
    weights = {(c, p): 1 for c in ("cat", "dog") for p in ("indoor", "outdoor")}
    frame = quick(X, Y, PLACE, cell_weights=weights).to_frame()
    np.testing.assert_allclose(frame["adjusted_average_accuracy"], frame["mean_group_accuracy"])


def test_the_winner_can_be_fitted_on_everything():
    boosting = {"trees": HistGradientBoostingClassifier(max_iter=2, random_state=0)}
    found = quick(X, Y, PLACE, methods=boosting, refit=True)
    expected = boosting["trees"].fit(X, Y)
    assert (found.best_estimator_.predict(X) == expected.predict(X)).all()
    other = found.fit_best(X[:100], Y[:100], PLACE[:100])
    assert other is found.best_estimator_
    with pytest.raises(ValueError, match="'none' is none of them"):
        found.fit_best(X, Y, PLACE, name="none")


def test_several_attributes_are_compared_by_their_combinations():
    found = quick(X, Y, np.column_stack([PLACE, np.arange(240) % 2]))
    assert found.cells_.index.names == ["target", "group_0", "group_1"]
    assert len(found.cells_) == 8
