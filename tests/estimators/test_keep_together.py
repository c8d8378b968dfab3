"""Samples that belong together, and samples that are the same, in a fit."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import (
    DuplicateSamplesWarning,
    GBMixClassifier,
    GroupsWarning,
    SmallCellWarning,
    SubgroupStratifiedKFold,
    worst_group_accuracy_scorer,
)
from gbmix_sklearn.estimators._duplicates import content_keys, hash_rows
from gbmix_sklearn.estimators._parts import set_aside
from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.model_selection._units import encode_units

from .problems import METHODS, method, problem

FRACTIONS = {"validation_fraction": 0.2, "refit_fraction": 0.2}


def units_of(n, per_unit=3, seed=0):
    return np.random.default_rng(seed).permutation(n) // per_unit


class TestSetAside:
    @pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
    @pytest.mark.filterwarnings("ignore::gbmix_sklearn.LargeUnitWarning")
    @settings(deadline=None, max_examples=100)
    @given(st.integers(20, 120), st.integers(1, 4), st.floats(0.05, 0.4), st.integers(0, 999))
    def test_units_are_in_one_part_and_training_has_every_cell(self, n, per_unit, first, seed):
        rng = np.random.default_rng(seed)
        units = units_of(n, per_unit, seed)
        # every unit in one cell, so that no unit has to choose between two
        y, s = np.divmod(rng.integers(4, size=n)[units], 2)
        cells = make_cells(y, s)
        if pd.Series(units).groupby(cells.codes).nunique().max() < 2:
            return
        parts = set_aside(cells, {"a": first, "b": 0.3}, rng, encode_units(units, n))
        assert list(parts) == ["train", "a", "b"]
        assert sorted(np.concatenate(list(parts.values()))) == list(range(n))
        for name, rows in parts.items():
            assert (np.diff(rows) > 0).all()
            for other, others in parts.items():
                assert name == other or not set(units[rows]) & set(units[others])
        n_units = pd.Series(units).groupby(cells.codes).nunique()
        found = [set(cells.codes[rows]) for rows in parts.values()]
        for cell, count in n_units.items():
            assert sum(cell in part for part in found) == min(count, 3)
            assert count < 3 or cell in found[0]

    def test_parts_have_their_shares_of_every_cell(self):
        n = 2000
        rng = np.random.default_rng(0)
        y, s = np.divmod(rng.choice(4, p=[0.5, 0.3, 0.15, 0.05], size=n), 2)
        cells, units = make_cells(y, s), encode_units(units_of(n), n)
        parts = set_aside(cells, FRACTIONS, rng, units)
        for name, share in {"train": 0.6, **FRACTIONS}.items():
            assert abs(cells.take(parts[name]).counts - share * cells.counts).max() <= 3

    def test_cells_of_too_few_units_are_named_and_trained_on(self):
        y, s = [0] * 30, ["f"] * 26 + ["m"] * 4
        cells = make_cells(y, s)
        units = encode_units([*range(26), "p", "p", "q", "q"], 30)
        with pytest.warns(SmallCellWarning, match=r"too few units.*: 0, group=m \(2\)"):
            parts = set_aside(cells, FRACTIONS, np.random.default_rng(0), units)
        assert len({26, 28} & set(parts["train"])) == 1

    def test_too_few_units_are_refused(self):
        cells = make_cells([0, 1] * 10, [0, 0, 1, 1] * 5)
        with pytest.raises(ValueError, match=r"2 unit\(s\) for training, validation_fraction, ref"):
            set_aside(cells, FRACTIONS, np.random.default_rng(0), encode_units([0, 1] * 10, 20))

    def test_where_nothing_is_set_aside_units_do_not_matter(self):
        cells = make_cells([0, 1] * 10, [0, 0, 1, 1] * 5)
        units = encode_units([0] * 20, 20)
        assert len(set_aside(cells, {}, np.random.default_rng(0), units)["train"]) == 20


class TestFit:
    @pytest.fixture
    def seen(self, monkeypatch):
        """Parts of the last fit."""
        parts = {}
        original = GBMixClassifier._divide

        def divide(self, *args):
            parts.update(original(self, *args))
            return parts

        monkeypatch.setattr(GBMixClassifier, "_divide", divide)
        return parts

    @pytest.mark.parametrize("form", [np.asarray, list, pd.Series])
    def test_no_unit_is_in_two_parts(self, seen, form):
        X, y, s = problem(300)
        units = units_of(300)
        model = method("GBMix", hidden_units=(4,), refit="anchored", validation_fraction=0.2)
        model.fit(X, y, s, keep_together=form(units))
        assert set(seen) == {"train", "validation_fraction", "refit_fraction"}
        found = [set(units[rows]) for rows in seen.values()]
        assert sum(map(len, found)) == len(set.union(*found)) == 100

    @pytest.mark.parametrize("name", METHODS)
    def test_every_method_takes_them(self, name):
        X, y, s = problem(120)
        whole, units = method(name), units_of(120, 2)
        whole.fit(X, y, s, keep_together=units)
        # what belongs to nothing else is divided in another way than samples, but is divided
        assert whole.group_table_["count"].sum() <= 120
        assert (whole.group_table_["count"] > 0).all()

    def test_without_units_a_fit_is_what_it_was(self):
        X, y, s = problem(120)
        one, other = (method("GBMix").fit(X, y, s, **k) for k in ({}, {"keep_together": None}))
        assert (one.predict_proba(X) == other.predict_proba(X)).all()

    def test_the_state_of_a_fit_belongs_to_its_units(self, tmp_path):
        X, y, s = problem(120)
        for units in (None, units_of(120, 2), units_of(120, 2, seed=1)):
            method("GBMix", checkpoint_dir=tmp_path).fit(X, y, s, keep_together=units)
        assert len(list(tmp_path.iterdir())) == 3

    def test_images_that_cannot_be_read_leave_their_units(self, seen, tmp_path):
        rng = np.random.default_rng(0)
        y, s = np.divmod(np.arange(48) % 4, 2)
        paths = []
        for row in range(48):
            pixels = rng.integers(100, size=(8, 8, 3)) + 120 * y[row]
            paths.append(str(tmp_path / f"{row}.png"))
            Image.fromarray(pixels.astype(np.uint8)).save(paths[-1])
        (tmp_path / "5.png").write_text("no image")
        model = method(
            "GBMix", backbone="test_resnet.r160_in1k", pretrained=False, on_error="skip",
            image_size=8, max_epochs=1, refit=None, validation_fraction=0.25,
        )  # fmt: skip
        units = units_of(48, 2)
        with pytest.warns(UserWarning, match="left out"):
            model.fit(paths, y, s, keep_together=units)
        assert list(model.skipped_) == [5]
        assert not set(units[seen["train"]]) & set(units[seen["validation_fraction"]])

    @pytest.mark.parametrize(
        ("units", "error", "message"),
        [
            ([0] * 7, ValueError, "keep_together has 7 entries for 120 samples"),
            ([None] * 120, ValueError, "missing value"),
            (["p"] * 120, ValueError, r"has a single unit, 'p' \(120 of 120 samples\)"),
            (pd.Series(units_of(120))[::-1], ValueError, r"keep_together\.loc\[X\.index\]"),
        ],
    )
    def test_unusable_units_are_refused_before_training(self, units, error, message):
        X, y, s = problem(120)
        with pytest.raises(error, match=message):
            method("GBMix").fit(pd.DataFrame(X), y, s, keep_together=units)

    def test_a_single_unit_is_refused_before_training_where_nothing_is_set_aside(self):
        X, y, s = problem(120)
        model = method("GBMix", validation_fraction=None, refit_on="train")
        with pytest.raises(ValueError, match="has a single unit"):
            model.fit(X, y, s, keep_together=["p"] * 120)
        assert not hasattr(model, "net_")

    @pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
    def test_persons_as_groups_are_reported_with_the_cure(self):
        X, y, _ = problem(300)
        person = np.arange(300) // 5 + 100 * y  # each of one class,
        with pytest.raises(ValueError, match=r"one class only.*keep_together"):
            method("ERM").fit(X, y, person)
        person[:4] = -1  # but one
        with pytest.warns(GroupsWarning, match="keep_together") as caught:
            method("ERM").fit(X, y, person)
        assert [w.filename for w in caught if w.category is GroupsWarning] == [__file__]


class TestSearches:
    def test_units_reach_splitter_and_classifier_in_a_pipeline(self, monkeypatch):
        X, y, s = problem(240)
        units = units_of(240)
        fitted = []
        original = GBMixClassifier.fit

        def fit(self, X, y, groups=None, *, keep_together=None, **others):
            fitted.append(np.asarray(keep_together))
            return original(self, X, y, groups, keep_together=keep_together, **others)

        monkeypatch.setattr(GBMixClassifier, "fit", fit)
        with sklearn.config_context(enable_metadata_routing=True):
            search = GridSearchCV(
                make_pipeline(StandardScaler(), method("GBMix")),
                {"gbmixclassifier__lr": [0.01]},
                scoring=worst_group_accuracy_scorer,
                cv=SubgroupStratifiedKFold(3),
                error_score="raise",
            )
            search.fit(X, y, groups=s, keep_together=units)
            search.fit(X, y, groups=s)  # they need not be there
        *of_folds, refitted = fitted[:4]
        for some in of_folds:
            assert (np.bincount(some)[np.unique(some)] == 3).all()
        np.testing.assert_array_equal(refitted, units)
        assert fitted[4] is None or fitted[4].item() is None


class TestDuplicates:
    @pytest.fixture
    def data(self):
        """Samples of 20 continuous features, of which a tenth is there twice."""
        X, y, s = problem(400, n_features=20)
        X[:40], y[:40], s[:40] = X[40:80], y[40:80], s[40:80]
        return X, y, s

    def test_copies_on_both_sides_are_counted(self, data):
        X, y, s = data
        with pytest.warns(DuplicateSamplesWarning, match="set aside by validation_fraction") as w:
            model = method("GBMix", validation_fraction=0.25, refit=None).fit(X, y, s)
        assert w[0].filename == __file__
        assert len(w) == 1
        n_valid = 400 - model.group_table_["count"].sum()
        assert f"of the {n_valid} samples" in str(w[0].message)

    def test_copies_in_one_unit_are_no_reason(self, data):
        X, y, s = data
        units = np.arange(400)
        units[:40] = units[40:80]
        method("GBMix").fit(X, y, s, keep_together=units)

    def test_copies_in_data_that_were_given_are_counted(self, data):
        X, y, s = data
        model = method("GBMix", refit=None)
        valid = {"X_val": X[90:110], "y_val": y[90:110], "groups_val": s[90:110]}
        with pytest.warns(DuplicateSamplesWarning, match="^10 of the 20 samples of X_val are also"):
            model.fit(X[100:], y[100:], s[100:], **valid)
        model.fit(X[110:], y[110:], s[110:], **valid)

    @pytest.mark.parametrize(
        "table",
        [
            lambda rng: np.eye(5)[rng.integers(5, size=(300, 8))].reshape(300, -1),  # one-hot
            lambda rng: StandardScaler().fit_transform(
                np.eye(5)[rng.integers(5, size=(300, 8))].reshape(300, -1)
            ),
            lambda rng: rng.integers(10, size=(300, 20)),  # answers to questions
            lambda rng: rng.normal(size=(300, 5)),  # too few to say
        ],
        ids=["one-hot", "scaled one-hot", "answers", "few columns"],
    )
    def test_equal_rows_of_categories_are_nothing_special(self, table):
        X = table(np.random.default_rng(0)).astype(np.float32)
        X[:150] = X[150:]
        _, y, s = problem(300)
        method("GBMix").fit(X, y, s)

    def test_small_data_are_never_reported(self, data):
        X, y, s = data
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            method("GBMix").fit(X[:80], y[:80], s[:80])

    @pytest.mark.parametrize("form", ["array", "paths"])
    @pytest.mark.parametrize("trainable", [True, False])
    def test_equal_images_are_counted(self, form, trainable, tmp_path):
        rng = np.random.default_rng(0)
        X = rng.integers(256, size=(160, 8, 8, 3), dtype=np.uint8)
        y, s = np.divmod(np.arange(160) % 4, 2)
        X[:80] = X[80:]
        if form == "paths":
            for row, pixels in enumerate(X):
                Image.fromarray(pixels).save(tmp_path / f"{row}.png")
            X = [str(tmp_path / f"{row}.png") for row in range(160)]
        model = method(
            "GBMix", backbone="test_resnet.r160_in1k", pretrained=False, image_size=8,
            max_epochs=1, trainable=trainable, refit=None, validation_fraction=0.25,
        )  # fmt: skip
        with pytest.warns(DuplicateSamplesWarning, match="of the 40 samples set aside"):
            clone(model).fit(X, y, s)
        model.fit(X, y, s, keep_together=np.arange(160) % 80)


class TestKeys:
    @pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
    @pytest.mark.parametrize("width", [1, 3, 16, 17])
    def test_rows_have_equal_keys_where_they_are_equal(self, dtype, width):
        rows = np.random.default_rng(0).integers(3, size=(500, width)).astype(dtype)
        _, expected = np.unique(rows, axis=0, return_inverse=True)
        keys = hash_rows(rows)
        assert len(set(zip(keys, expected.ravel(), strict=True))) == len(set(keys))
        assert len(set(keys)) == len(set(expected.ravel()))
        np.testing.assert_array_equal(hash_rows(rows[::-1])[::-1], keys)

    def test_arrays_of_more_axes_are_rows_too(self):
        X = np.random.default_rng(0).normal(size=(200, 4, 5, 5)).astype(np.float32)
        X[3] = X[7]
        keys = content_keys(X)
        assert keys[3] == keys[7]
        assert len(set(keys)) == 199
