"""Rows and attributes are who they are, in whatever order and under whatever library they come."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from gbmix_sklearn import (
    ERMClassifier,
    GBMixClassifier,
    GroupAudit,
    LastLayerRefit,
    MinimaxClassifier,
    SubgroupStratifiedKFold,
    group_report,
    subgroup_train_test_split,
    worst_group_accuracy_score,
    worst_group_accuracy_scorer,
)
from gbmix_sklearn.exceptions import (
    DisjointLabelsWarning,
    GroupsError,
    GroupsWarning,
    SmallCellWarning,
)
from gbmix_sklearn.groups import as_frame, encode_attribute, encode_together, make_cells

N = 120
RNG = np.random.default_rng(0)
Y = pd.Series(np.arange(N) % 2, name="y")
SEX = pd.Series(np.where(np.arange(N) % 4 < 2, "f", "m"), name="sex")
RACE = pd.Series(np.where(np.arange(N) % 8 < 4, "f", "m"), name="race")
X = pd.DataFrame(RNG.normal(size=(N, 3)) + Y.to_numpy()[:, None], columns=["a", "b", "c"])
BOTH = pd.concat([SEX, RACE], axis=1)


def erm(**parameters):
    return ERMClassifier(max_epochs=1, refit=None, random_state=0, **parameters)


@pytest.fixture(scope="module")
def model():
    return erm().fit(X, Y, BOTH)


class TestOrderOfRows:
    @pytest.mark.parametrize(
        "use",
        [
            lambda model, groups: erm().fit(X, Y, groups),
            lambda model, groups: erm().fit(X.to_numpy(), Y, groups),
            lambda model, groups: erm().fit(X, Y, X_val=X, y_val=Y, groups_val=groups),
            lambda model, groups: MinimaxClassifier(LogisticRegression()).fit(X, Y, groups),
            lambda model, groups: LastLayerRefit(model).fit(X, Y, groups),
            lambda model, groups: worst_group_accuracy_score(Y, Y, groups=groups),
            lambda model, groups: group_report(Y.to_numpy(), Y, groups=groups),
            lambda model, groups: model.group_report(X, Y, groups),
            lambda model, groups: GroupAudit.from_estimator(model, X, Y, groups=groups),
            lambda model, groups: GroupAudit.from_predictions(Y, Y, groups=groups),
            lambda model, groups: worst_group_accuracy_scorer(model, X, Y, groups=groups),
            lambda model, groups: list(SubgroupStratifiedKFold(2).split(X, Y, groups)),
            lambda model, groups: subgroup_train_test_split(X, Y, groups),
        ],
    )
    def test_groups_in_another_order_are_refused_with_the_cure(self, model, use):
        with pytest.raises(ValueError, match=r"another order.*\.loc\["):
            use(model, SEX[::-1])

    @pytest.mark.parametrize(
        "use",
        [
            lambda model, y: erm().fit(X, y, SEX),
            lambda model, y: GroupAudit.from_estimator(model, X, y, groups=SEX.to_numpy()),
            lambda model, y: model.group_report(X, y, SEX.to_numpy()),
            lambda model, y: worst_group_accuracy_score(y, Y, groups=SEX.to_numpy()),
            lambda model, y: MinimaxClassifier(LogisticRegression()).fit(X, y, SEX.to_numpy()),
        ],
    )
    def test_labels_in_another_order_are_refused_with_the_cure(self, model, use):
        with pytest.raises(ValueError, match=r"another order.*\.loc\["):
            use(model, Y[::-1])

    def test_other_labels_of_rows_say_nothing(self):
        y = Y.set_axis(np.arange(N) + 1000)
        worst_group_accuracy_score(y, Y, groups=SEX)
        worst_group_accuracy_score(Y, Y, groups=SEX[::-1].to_numpy())


class TestNamesOfAttributes:
    @pytest.mark.parametrize(
        ("groups", "names"),
        [
            (pd.MultiIndex.from_frame(BOTH), ["sex", "race"]),
            (pd.MultiIndex.from_arrays([SEX.to_numpy(), RACE.to_numpy()]), ["group_0", "group_1"]),
            (pd.Index(SEX, name="sex"), ["sex"]),
            (pd.Index(SEX), ["sex"]),
            (pd.Index(SEX.to_numpy()), ["group"]),
            (SEX, ["sex"]),
        ],
    )
    def test_those_of_pandas_are_kept(self, groups, names):
        assert list(group_report(Y, Y, groups=groups).index.names) == ["target", *names]

    def test_those_of_tables_of_other_libraries_are_kept(self):
        pyarrow = pytest.importorskip("pyarrow")
        table = pyarrow.table({"sex": SEX.tolist(), "race": RACE.tolist()})
        pd.testing.assert_frame_equal(as_frame(table), BOTH, check_dtype=False)

    @pytest.mark.filterwarnings("ignore::gbmix_sklearn.SmallCellWarning")
    def test_shares_of_training_are_matched_by_name(self, model):
        expected = model.group_report(X, Y, BOTH)
        turned = model.group_report(X, Y, BOTH[["race", "sex"]])
        assert turned.adjusted_average_accuracy == pytest.approx(expected.adjusted_average_accuracy)
        audit = GroupAudit.from_estimator(model, X, Y, groups=BOTH[["race", "sex"]])
        assert audit.adjusted_average_accuracy == pytest.approx(expected.adjusted_average_accuracy)

    def test_weights_of_other_attributes_are_refused(self, model):
        weights = erm().fit(X, Y, SEX).group_table_
        with pytest.raises(GroupsError, match=r"cell_weights has the attributes 'sex'.*'race'"):
            group_report(Y, Y, groups=RACE, cell_weights=weights)
        group_report(Y, Y, groups=RACE.to_numpy(), cell_weights=weights)  # has no name
        audit = GroupAudit.from_estimator(erm().fit(X, Y, SEX), X, Y, groups=RACE)
        assert audit.adjusted_average_accuracy is None

    def test_validation_groups_are_matched_by_name(self):
        with pytest.raises(GroupsError, match="groups_val has the attributes 'race'"):
            erm().fit(X, Y, SEX, X_val=X, y_val=Y, groups_val=RACE)
        with pytest.raises(GroupsError, match="groups_val has the attributes 'race'"):
            encode_together(SEX, RACE)
        one, other = encode_together(BOTH, BOTH[["race", "sex"]])
        np.testing.assert_array_equal(one.codes, other.codes)
        appended = make_cells(Y, BOTH).followed_by(make_cells(Y, BOTH[["race", "sex"]]))
        np.testing.assert_array_equal(appended.s[:N], appended.s[N:])

    def test_swapped_labels_and_groups_are_told_by_their_names(self):
        model = erm().fit(X, Y, SEX)
        with pytest.raises(GroupsError, match="swapped"):
            model.group_report(X, SEX, Y)
        with pytest.raises(GroupsError, match="swapped"):
            GroupAudit.from_estimator(model, X, SEX, groups=Y)


class TestValidationData:
    def test_a_cell_without_a_judge_is_named(self):
        valid = {"X_val": X[:N:4], "y_val": Y[:N:4], "groups_val": SEX[:N:4]}  # all 0, f
        with pytest.warns(SmallCellWarning, match="3 of the 4 cells.*1, sex=f"):
            erm().fit(X, Y, SEX, **valid)

    def test_a_class_without_a_judge_is_named_where_there_are_no_groups(self):
        with pytest.warns(SmallCellWarning, match=r"1 of the 2 cells.*: 1"):
            erm().fit(X, Y, X_val=X[::2], y_val=Y[::2])

    def test_of_a_refit_by_balanced_draws_too(self, model):
        valid = {"X_val": X[:N:4], "y_val": Y[:N:4], "groups_val": SEX[:N:4]}
        with pytest.warns(SmallCellWarning, match="3 of the 4 cells"):
            LastLayerRefit(model, recipe="anchored", random_state=0).fit(X, Y, SEX, **valid)

    def test_all_cells_there_are_no_reason_to_warn(self):
        erm().fit(X, Y, BOTH, X_val=X[:8], y_val=Y[:8], groups_val=BOTH[["race", "sex"]][:8])


class TestLabelsThatNeverMeet:
    truth = np.array([">50K.", "<=50K."])[Y]
    given = np.array([">50K", "<=50K"])[Y]

    @pytest.mark.parametrize(
        "use",
        [
            lambda t, p: worst_group_accuracy_score(t, p, groups=SEX),
            lambda t, p: group_report(t, p, groups=SEX),
            lambda t, p: GroupAudit.from_predictions(t, p, groups=SEX),
        ],
    )
    def test_they_are_refused(self, use):
        with pytest.raises(ValueError, match=r"no predicted label .*'>50K\.'.*'>50K'"):
            use(self.truth, self.given)

    def test_a_single_class_may_be_wrong_throughout_but_is_reported(self):
        with pytest.warns(DisjointLabelsWarning, match="no predicted label"):
            worst_group_accuracy_score(["no."] * N, self.given, groups=SEX)

    def test_groups_given_as_truth_are_told(self):
        with pytest.raises(ValueError, match="are y_true and groups swapped"):
            group_report(SEX, Y, groups=Y.to_numpy())


class TestWhatIsNoAttribute:
    age = np.random.default_rng(1).uniform(18, 90, size=400)

    @pytest.mark.parametrize("repeated", [0, 2])
    @pytest.mark.parametrize(
        "use",
        [
            lambda y, age: worst_group_accuracy_score(y, y, groups=age),
            lambda y, age: GroupAudit.from_predictions(y, y, groups=age),
            lambda y, age: GBMixClassifier().fit(np.zeros((400, 2)), y, age),
            lambda y, age: list(SubgroupStratifiedKFold(2).split(age, y, age)),
        ],
    )
    def test_continuous_numbers_are_to_be_binned(self, use, repeated):
        age = self.age.copy()
        age[:repeated] = 30.5
        with pytest.raises(GroupsError, match="must be binned first"):
            use(np.arange(400) % 2, age)

    def test_fractions_with_many_samples_each_are_values(self):
        assert len(encode_attribute(np.arange(400) % 30 / 2)) == 30

    def test_ages_in_years_are_told_to_be_binned(self):
        age = np.random.default_rng(1).integers(18, 1000, size=400)
        with pytest.warns(GroupsWarning, match="binned"):
            group_report(np.arange(400) % 2, np.arange(400) % 2, groups=age)

    def test_groups_equal_to_the_target_are_told(self):
        with pytest.warns(GroupsWarning, match="the classes themselves"):
            worst_group_accuracy_score(Y, Y, groups=Y)
        with pytest.warns(GroupsWarning, match="another name of the classes"):
            GroupAudit.from_predictions(Y, Y, groups=np.where(Y, "b", "a"))
        with pytest.raises(GroupsError, match="coincide"):
            erm().fit(X, Y, np.where(Y, "water", "land"))


@pytest.mark.parametrize("fit", [False, True])
def test_missing_values_that_numpy_made_text_are_told(fit):
    labels = np.array(["no", "yes"])[Y]
    use = erm().fit if fit else lambda X, y, s: worst_group_accuracy_score(y, labels, groups=s)
    text = np.array([np.nan, *SEX[1:]])
    with pytest.raises(GroupsError, match="missing value"):
        use(X, labels, text)
    with pytest.raises(ValueError, match="missing label"):
        use(X, [np.nan, *labels[1:]], SEX)
    with pytest.raises(ValueError, match="missing label"):
        use(X, np.array([np.nan, *labels[1:]]), SEX)
