"""Samples that belong together: encoding them, and dividing them whole."""

import time
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn.exceptions import GroupsWarning, LargeUnitWarning, SmallCellWarning
from gbmix_sklearn.model_selection import SubgroupStratifiedKFold, subgroup_train_test_split
from gbmix_sklearn.model_selection._units import divide_units, encode_units

quiet = pytest.mark.filterwarnings(
    "ignore::gbmix_sklearn.SmallCellWarning", "ignore::gbmix_sklearn.LargeUnitWarning"
)


def photographs(n_persons=300, seed=0):
    """One to nine photographs of each person, who may smile or not; three in ten are men."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n_persons), rng.integers(1, 10, size=n_persons))
    rng.shuffle(person)
    sex = np.where(rng.random(n_persons) < 0.3, "m", "f")[person]
    y = np.where(rng.random(len(person)) < np.where(sex == "m", 0.1, 0.5), "smile", "none")
    return rng.normal(size=(len(person), 3)), y, sex, person


@st.composite
def cells_and_units(draw, spanning=True):
    """Cells and units of samples; units may have samples of several cells, or of one only."""
    n = draw(st.integers(8, 80))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    units = rng.integers(draw(st.integers(4, n)), size=n)
    of_unit = rng.integers(4, size=n)
    cells = rng.integers(4, size=n) if spanning else of_unit[units]
    return cells, units


class TestDivideUnits:
    @settings(deadline=None, max_examples=150)
    @given(
        cells_and_units(),
        st.lists(st.floats(0.05, 1), min_size=2, max_size=5),
        st.integers(0, 99),
        st.sampled_from([None, 0]),
    )
    def test_units_are_whole_and_every_sample_is_in_one_part(self, data, shares, seed, keeps):
        cells, units = data
        parts = divide_units(cells, units, shares, np.random.default_rng(seed), keeps=keeps)
        assert parts.shape == cells.shape
        assert set(parts) <= set(range(len(shares)))
        assert pd.Series(parts).groupby(units).nunique().max() == 1
        if len(set(units)) >= len(shares):
            assert set(parts) == set(range(len(shares)))

    @settings(deadline=None, max_examples=150)
    @given(cells_and_units(spanning=False), st.integers(2, 5), st.integers(0, 99))
    def test_a_cell_of_enough_units_is_in_every_part(self, data, n_parts, seed):
        cells, units = data
        shares = np.arange(1, n_parts + 1) / sum(range(1, n_parts + 1))
        parts = divide_units(cells, units, shares, np.random.default_rng(seed), keeps=0)
        for cell in set(cells):
            inside = cells == cell
            assert len(set(parts[inside])) == min(len(set(units[inside])), n_parts)

    @settings(deadline=None, max_examples=60)
    @given(st.integers(20, 200), st.integers(2, 5), st.integers(0, 99))
    def test_single_samples_are_dealt_out_as_evenly_as_can_be(self, n, n_parts, seed):
        cells = np.random.default_rng(seed).choice(3, p=[0.6, 0.3, 0.1], size=n)
        parts = divide_units(cells, np.arange(n), [1 / n_parts] * n_parts)
        for cell in range(3):
            sizes = np.bincount(parts[cells == cell], minlength=n_parts)
            assert np.ptp(sizes) <= 1

    @pytest.mark.parametrize("shares", [[0.2] * 5, [0.6, 0.2, 0.2], [0.5, 0.1, 0.4], [0.95, 0.05]])
    def test_parts_have_their_shares_of_all_cells(self, shares):
        _, y, sex, person = photographs()
        cells = 2 * (y == "smile") + (sex == "m")
        parts = divide_units(cells, person, shares, np.random.default_rng(0))
        for inside in [np.full(len(y), True), *(cells == cell for cell in range(4))]:
            found = np.bincount(parts[inside], minlength=len(shares))
            # closer than the half of a large unit
            assert abs(found - np.array(shares) * inside.sum()).max() <= 3

    def test_rare_cells_are_spread_where_large_units_would_fill_the_parts(self):
        units = np.arange(100).repeat(20)
        cells = np.zeros(2000, dtype=int)
        cells[units < 5] = 1
        parts = divide_units(cells, units, [0.2] * 5)
        assert np.bincount(parts[cells == 1]).tolist() == [20] * 5
        assert np.bincount(parts).tolist() == [400] * 5

    def test_the_part_to_keep_gets_the_only_unit_of_a_cell(self):
        units = np.arange(40) // 2
        cells = (units == 3).astype(int)
        for keeps in (0, 1):
            parts = divide_units(cells, units, [0.5, 0.5], np.random.default_rng(0), keeps=keeps)
            assert set(parts[units == 3]) == {keeps}

    def test_the_generator_decides_and_names_of_units_do_not_matter(self):
        _, y, sex, person = photographs()
        cells = 2 * (y == "smile") + (sex == "m")

        def parts(seed, units=person):
            return divide_units(cells, units, [0.5, 0.5], np.random.default_rng(seed)).tolist()

        assert parts(0) == parts(0) == parts(0, 10 * person + 7)
        assert parts(0) != parts(1)

    def test_many_samples_take_little_time(self):
        rng = np.random.default_rng(0)
        person = rng.integers(7500, size=40_000)
        cells = rng.integers(2, size=7500)[person] + 2 * (rng.random(40_000) < 0.1)
        start = time.perf_counter()
        parts = divide_units(cells, person, [0.2] * 5, rng)
        assert time.perf_counter() - start < 2
        assert np.ptp(np.bincount(parts)) <= 5


class TestEncodeUnits:
    @pytest.mark.parametrize(
        "values",
        [
            ["b", "a", "b"],
            np.array([7, 3, 7]),
            np.array([[7.5], [3], [7.5]]),
            pd.Series(["b", "a", "b"], index=[4, 5, 6]),
            pd.DataFrame({"person": ["b", "a", "b"]}),
            pd.Categorical(["b", "a", "b"]),
            ["b", 1, "b"],
            pd.to_datetime(["2020-01-02", "2020-01-01", "2020-01-02"]),
        ],
        ids=lambda values: type(values).__name__,
    )
    def test_values_of_any_kind_are_numbered_in_order_of_appearance(self, values):
        units = encode_units(values, 3)
        assert units.codes.tolist() == [0, 1, 0]
        assert len(units) == 2
        assert units.counts.tolist() == [2, 1]

    def test_a_part_of_the_samples_has_the_units_that_it_has(self):
        units = encode_units(["a", "b", "c", "b"], 4).take(np.array([1, 2, 3]))
        assert units.codes.tolist() == [0, 1, 0]
        assert units.largest == "'b' (2 of 3 samples)"

    @pytest.mark.parametrize(
        ("values", "error", "message"),
        [
            (["a"] * 4, ValueError, "keep_together has 4 entries for 3 samples"),
            (["a", None, "b"], ValueError, r"1 missing value\(s\), the first at row 1.*its own"),
            ([1.0, 2.0, np.nan], ValueError, "the first at row 2"),
            ("abc", TypeError, "got str"),
            (5, TypeError, "got int"),
            (np.zeros((3, 2)), ValueError, r"must be 1-D, got shape \(3, 2\)"),
            (pd.DataFrame(np.zeros((3, 2))), ValueError, r"must be 1-D, got shape \(3, 2\)"),
        ],
    )
    def test_unusable_values_are_refused_with_the_reason(self, values, error, message):
        with pytest.raises(error, match=message):
            encode_units(values, 3)

    def test_an_index_in_another_order_is_refused_with_the_cure(self):
        X = pd.DataFrame({"x": [1, 2, 3]}, index=["r", "s", "t"])
        person = pd.Series(["a", "b", "c"], index=["s", "r", "t"])
        with pytest.raises(ValueError, match=r"keep_together\.loc\[X\.index\]"):
            encode_units(person, 3, beside={"X": X, "y": None})
        with pytest.raises(ValueError, match="another order"):
            encode_units(person, 3, beside={"X": X.to_numpy(), "y": X["x"]})
        # the same order, other labels and no labels are taken as they stand
        encode_units(person.loc[X.index], 3, beside={"X": X})
        encode_units(person.reset_index(drop=True), 3, beside={"X": X})
        encode_units(person, 3, beside={"X": [1, 2, 3]})
        encode_units(person.to_numpy(), 3, beside={"X": X})


class TestFolds:
    @quiet
    @settings(deadline=None, max_examples=60)
    @given(cells_and_units(), st.integers(2, 4), st.booleans())
    def test_every_unit_is_tested_once_and_whole(self, data, n_splits, shuffle):
        cells, units = data
        folds = SubgroupStratifiedKFold(
            n_splits, shuffle=shuffle, random_state=0 if shuffle else None
        )
        X, y, s = np.zeros(len(cells)), *np.divmod(cells, 2)
        in_cells = pd.Series(units).groupby(cells).nunique()
        if len(set(units)) < n_splits or in_cells.max() < 2:
            with pytest.raises(ValueError, match="keep_together"):
                next(folds.split(X, y, s, units))
            return
        parts = list(folds.split(X, y, s, keep_together=units))
        assert sorted(np.concatenate([test for _, test in parts])) == list(range(len(X)))
        for train, test in parts:
            assert len(test)
            assert not set(units[train]) & set(units[test])
            assert sorted([*train, *test]) == list(range(len(X)))

    def test_folds_have_their_shares_of_every_cell(self):
        X, y, sex, person = photographs()
        for _, test in SubgroupStratifiedKFold(5).split(X, y, sex, person):
            assert abs(len(test) - len(y) / 5) <= 3
            part = pd.crosstab(y[test], sex[test]) - pd.crosstab(y, sex) / 5
            assert (part.abs() <= 3).all(axis=None)

    def test_shuffled_folds_follow_the_seed(self):
        X, y, sex, person = photographs()

        def first(seed):
            folds = SubgroupStratifiedKFold(3, shuffle=True, random_state=seed)
            return next(folds.split(X, y, sex, person))[1].tolist()

        assert first(0) == first(0) != first(1)

    def test_cells_of_few_units_are_named(self):
        y, sex, person = [0] * 20, ["f"] * 16 + ["m"] * 4, [*range(16), "p", "p", "q", "q"]
        folds = SubgroupStratifiedKFold(4)
        with pytest.warns(SmallCellWarning, match=r"fewer units.*n_splits=4.*0, group=m \(2\)"):
            parts = list(folds.split(y, y, sex, person))
        assert sum({16, 17, 18, 19} & set(test) != set() for _, test in parts) == 2

    @pytest.mark.parametrize(
        ("person", "message"),
        [
            (["p"] * 20, r"has 1 unit\(s\) for n_splits=3 folds.*'p' \(20 of 20 samples\)"),
            (["p"] * 5 + ["q"] * 15, r"has 2 unit\(s\).*'q' \(15 of 20"),
            (list("fm") * 10, r"has 2 unit\(s\)"),
            ([f"{i % 4}" for i in range(20)], r"every cell .* in a single unit.*a class or a"),
        ],
    )
    def test_units_that_cannot_be_divided_are_refused_with_the_largest(self, person, message):
        y, sex = np.arange(20) // 2 % 2, np.arange(20) % 2
        with pytest.raises(ValueError, match=message):
            next(SubgroupStratifiedKFold(3).split(y, y, sex, person))

    def test_a_unit_larger_than_a_fold_is_named(self):
        y, sex = np.arange(200) // 2 % 2, np.arange(200) % 2
        person = np.where(np.arange(200) < 120, "unknown", np.arange(200).astype(str))
        with pytest.warns(LargeUnitWarning, match=r"'unknown' \(120 of 200 samples\).*uneven") as w:
            parts = list(SubgroupStratifiedKFold(4).split(y, y, sex, person))
        assert w[0].filename == __file__
        assert sorted(len(test) for _, test in parts)[-1] == 120

    @pytest.mark.parametrize("routing", [False, True])
    def test_without_units_nothing_has_changed(self, routing):
        X, y, sex, _ = photographs()
        with sklearn.config_context(enable_metadata_routing=routing):
            search = GridSearchCV(
                LogisticRegression(), {"C": [1.0]}, cv=SubgroupStratifiedKFold(3)
            ).fit(X, y, groups=sex)
        expected = [
            LogisticRegression().fit(X[train], y[train]).score(X[test], y[test])
            for train, test in SubgroupStratifiedKFold(3).split(X, y, sex, None)
        ]
        assert [search.cv_results_[f"split{i}_test_score"][0] for i in range(3)] == expected


class Recorder(LogisticRegression):
    """Remembers the persons that it was fitted on, which are a column of X."""

    seen: list = []

    def fit(self, X, y):
        self.seen.append(set(X[:, 0]))
        return super().fit(X, y)

    def score(self, X, y):
        self.seen.append(set(X[:, 0]))
        return super().score(X, y)


class TestSearches:
    @pytest.fixture
    def data(self):
        X, y, sex, person = photographs(90)
        X[:, 0] = person
        Recorder.seen.clear()
        return X, y, sex, person

    def test_with_routing_units_reach_the_splitter_of_a_search(self, data):
        X, y, sex, person = data
        with sklearn.config_context(enable_metadata_routing=True):
            GridSearchCV(Recorder(), {"C": [1.0]}, cv=SubgroupStratifiedKFold(3), refit=False).fit(
                X, y, groups=sex, keep_together=person
            )
        assert len(Recorder.seen) == 6
        for trained, tested in zip(Recorder.seen[::2], Recorder.seen[1::2], strict=True):
            assert not trained & tested

    def test_with_routing_units_are_kept_in_nested_searches(self, data):
        X, y, sex, person = data
        folds = SubgroupStratifiedKFold(3)
        with sklearn.config_context(enable_metadata_routing=True):
            inner = GridSearchCV(Recorder(), {"C": [1.0]}, cv=folds)
            cross_validate(
                inner,
                X,
                y,
                cv=folds,
                params={"groups": sex, "keep_together": person},
                error_score="raise",
            )
        # three times: fit and score in each of three inner folds, the refit, the outer score
        assert len(Recorder.seen) == 3 * 8
        for start in range(0, 24, 8):
            *inner_sets, refitted, tested = Recorder.seen[start : start + 8]
            assert not refitted & tested
            for trained, validated in zip(inner_sets[::2], inner_sets[1::2], strict=True):
                assert not trained & validated
                assert trained | validated == refitted

    def test_a_pipeline_needs_no_request(self, data):
        X, y, sex, person = data
        with sklearn.config_context(enable_metadata_routing=True):
            model = make_pipeline(StandardScaler(), LogisticRegression())
            search = GridSearchCV(
                model, {"logisticregression__C": [1.0]}, cv=SubgroupStratifiedKFold(3)
            )
            search.fit(X, y, groups=sex, keep_together=person)
        assert np.isfinite(search.best_score_)

    def test_without_routing_a_search_takes_the_splits(self, data):
        X, y, sex, person = data
        splits = list(SubgroupStratifiedKFold(3).split(X, y, sex, person))
        GridSearchCV(Recorder(), {"C": [1.0]}, cv=splits, refit=False).fit(X, y)
        for trained, tested in zip(Recorder.seen[::2], Recorder.seen[1::2], strict=True):
            assert not trained & tested


class TestTrainTestSplit:
    @quiet
    @settings(deadline=None, max_examples=60)
    @given(cells_and_units(), st.floats(0.1, 0.8), st.integers(0, 99))
    def test_no_unit_is_on_both_sides(self, data, test_size, seed):
        cells, units = data
        y, s = np.divmod(cells, 2)
        if pd.Series(units).groupby(cells).nunique().max() < 2:
            return
        rows = np.arange(len(y))
        parts = subgroup_train_test_split(
            rows, y, s, keep_together=units, test_size=test_size, random_state=seed
        )
        assert len(parts) == 8
        train, test, units_train, units_test = *parts[:2], *parts[6:]
        assert sorted([*train, *test]) == rows.tolist()
        assert len(train)
        assert len(test)
        assert not set(units_train) & set(units_test)
        for array, sides in zip((y, s, units), (parts[2:4], parts[4:6], parts[6:]), strict=True):
            np.testing.assert_array_equal(array[train], sides[0])
            np.testing.assert_array_equal(array[test], sides[1])

    @pytest.mark.parametrize("test_size", [0.25, 0.05, 0.5, 100])
    def test_parts_have_their_shares_of_every_cell(self, test_size):
        X, y, sex, person = photographs()
        share = test_size if test_size < 1 else test_size / len(y)
        parts = subgroup_train_test_split(
            X, y, sex, keep_together=person, test_size=test_size, random_state=0
        )
        difference = pd.crosstab(parts[3], parts[5]) - pd.crosstab(y, sex) * share
        assert (difference.abs() <= 3).all(axis=None)

    def test_the_units_come_back_as_they_were_given(self):
        X, y, sex, person = photographs()
        index = np.arange(len(y))[::-1]
        series = pd.Series(person, index=index, name="person")
        parts = subgroup_train_test_split(
            pd.DataFrame(X, index=index), y, sex, keep_together=series, random_state=0
        )
        for frame, units in (parts[0::6], parts[1::6]):
            assert isinstance(units, pd.Series)
            assert units.name == "person"
            assert (units.index == frame.index).all()
        listed = subgroup_train_test_split(X, y, sex, keep_together=person.tolist(), random_state=0)
        assert isinstance(listed[6], list)
        assert listed[7] == parts[7].tolist()

    def test_a_cell_of_one_unit_is_trained_on_and_named(self):
        y, sex = [0] * 24, ["f"] * 20 + ["m"] * 4
        person = [i // 2 for i in range(20)] + ["p"] * 4
        with pytest.warns(SmallCellWarning, match=r"single unit.*0, group=m \(1\)") as caught:
            parts = subgroup_train_test_split(
                y, y, sex, keep_together=person, test_size=0.5, random_state=0
            )
        assert caught[0].filename == __file__
        assert parts[6].count("p") == 4

    def test_the_wrong_order_is_refused(self):
        X, y, sex, person = photographs()
        with pytest.raises(ValueError, match=r"\.loc\[X\.index\]"):
            subgroup_train_test_split(
                pd.DataFrame(X), y, sex, keep_together=pd.Series(person)[::-1]
            )


class TestUnitsAsGroups:
    def lesions(self):
        """Pictures of one lesion nearly always have the same diagnosis."""
        X, _, sex, lesion = photographs()
        rng = np.random.default_rng(0)
        y = (rng.random(300) < 0.3)[lesion] ^ (rng.random(len(lesion)) < 0.02)
        return X, y, sex, lesion

    @pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
    def test_persons_as_groups_are_reported_once_with_the_cure(self):
        X, y, _, person = self.lesions()
        with pytest.warns(GroupsWarning, match=r"300 values.*keep_together") as caught:
            subgroup_train_test_split(X, y, person, random_state=0, test_size=0.5)
        assert [w.category for w in caught].count(GroupsWarning) == 1
        assert caught[-1].filename == __file__

    @pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
    def test_the_splitter_reports_them_too(self):
        X, y, _, person = self.lesions()
        with pytest.warns(GroupsWarning) as caught:
            list(SubgroupStratifiedKFold(2).split(X, y, person))
        assert [w.filename for w in caught if w.category is GroupsWarning] == [__file__]
        with pytest.raises(ValueError, match=r"more than the samples of any cell.*keep_together"):
            list(SubgroupStratifiedKFold(10).split(X, y, person))

    @pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
    def test_attributes_of_many_values_are_no_units(self):
        rng = np.random.default_rng(0)
        n = 4000
        y = (rng.random(n) < 0.2).astype(int)
        # countries and ages: few large values, and a long tail of small ones
        country = np.minimum(rng.geometric(0.15, size=n), 40)
        age = rng.integers(18, 90, size=n)
        crossed = np.column_stack([country, rng.integers(5, size=n), rng.integers(2, size=n)])
        for groups in (country, age, crossed):
            with warnings.catch_warnings():
                warnings.simplefilter("error", GroupsWarning)
                list(SubgroupStratifiedKFold(2).split(y, y, groups))
