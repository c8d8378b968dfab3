import hashlib
import lzma
import subprocess
import sys
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from gbmix_sklearn import load_adult
from gbmix_sklearn.groups import make_cells


@pytest.fixture(scope="module")
def adult():
    return load_adult()


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("adult.data", "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d"),
        ("adult.test", "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05"),
    ],
)
def test_the_package_carries_the_original_files_and_says_so(name, sha256):
    folder = files("gbmix_sklearn.datasets") / "data"
    content = lzma.decompress((folder / f"{name}.xz").read_bytes())
    assert hashlib.sha256(content).hexdigest() == sha256
    notice = (folder / "NOTICE").read_text(encoding="utf-8")
    assert sha256 in notice
    assert "CC BY 4.0" in notice
    assert "Becker, B. and Kohavi, R." in notice


def test_counts_are_the_published_ones(adult):
    # adult.names: 48842 instances, 32561 and 16281, 45222 without unknowns, 23.93 % above 50K
    assert adult.data.shape == (48842, 14)
    assert np.bincount(adult.split).tolist() == [32561, 0, 16281]
    known = adult.data.notna().all(axis=1)
    assert known.sum() == 45222
    assert known[adult.split == 0].sum() == 30162
    assert round((adult.target == ">50K").mean(), 4) == 0.2393
    assert (adult.target == ">50K").sum() == 11687
    assert (adult.data["sex"] == "Female").sum() == 16192
    assert adult.data["race"].value_counts().to_dict() == {
        "White": 41762,
        "Black": 4685,
        "Asian-Pac-Islander": 1519,
        "Amer-Indian-Eskimo": 470,
        "Other": 406,
    }


def test_unknown_values_are_missing_in_three_columns_only(adult):
    missing = adult.data.isna().sum()
    assert missing[missing > 0].to_dict() == {
        "workclass": 2799,
        "occupation": 2809,
        "native-country": 857,
    }
    assert not (adult.data.astype(object) == "?").any(axis=None)


def test_labels_of_both_files_are_the_same_two_words(adult):
    assert adult.target_names == ["<=50K", ">50K"]
    for part in (0, 2):
        assert set(adult.target[adult.split == part]) == set(adult.target_names)


def test_first_rows_of_both_files(adult):
    first, first_of_test = adult.frame.iloc[0], adult.frame.iloc[32561]
    assert first.tolist()[:6] == [39, "State-gov", 77516, "Bachelors", 13, "Never-married"]
    assert first["native-country"] == "United-States"
    assert first_of_test.tolist()[:4] == [25, "Private", 226802, "11th"]
    assert first_of_test["income"] == "<=50K"


def test_columns_have_dtypes_that_selectors_find(adult):
    assert adult.feature_names == list(adult.data.columns)
    assert list(adult.frame.columns) == [*adult.feature_names, "income"]
    dtypes = adult.data.dtypes
    numeric = ["age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
    assert [name for name in dtypes.index if dtypes[name] == "int64"] == numeric
    assert (dtypes.drop(numeric) == "category").all()


def test_one_hot_encoding_takes_missing_values(adult):
    rows = np.flatnonzero(adult.split == 0)[:3000]
    model = make_pipeline(
        make_column_transformer(
            (
                OneHotEncoder(handle_unknown="ignore"),
                make_column_selector(dtype_include="category"),
            ),
            (StandardScaler(), make_column_selector(dtype_include="number")),
        ),
        LogisticRegression(max_iter=500),
    )
    model.fit(adult.data.iloc[rows], adult.target.iloc[rows])
    test = adult.split == 2
    assert model.score(adult.data[test], adult.target[test]) > 0.82


@pytest.mark.parametrize(
    ("groups", "values"),
    [("sex", 2), ("race", 5), ("age", 3), (["sex", "race"], 10), (("age", "sex"), 6)],
)
def test_groups_are_the_named_attributes(groups, values):
    adult = load_adult(groups=groups)
    if isinstance(groups, str):
        assert isinstance(adult.groups, pd.Series)
        assert adult.groups.name == groups
    else:
        assert list(adult.groups.columns) == list(groups)
    cells = make_cells(adult.target, adult.groups)
    assert len(cells.attribute) == values
    assert (cells.counts > 0).all()


def test_age_groups_start_at_the_given_ages(adult):
    groups = load_adult(groups="age", age_bins=[30, 45]).groups
    ages = adult.data["age"].groupby(groups)
    assert ages.min().to_dict() == {"<30": 17, "30-44": 30, "45+": 45}
    assert ages.max().to_dict() == {"<30": 29, "30-44": 44, "45+": 90}
    young = load_adult(groups="age").groups == "<25"
    assert (adult.target[young] == ">50K").sum() == 93
    assert young.sum() == 8432


def test_validation_part_is_a_stratified_share_of_the_training_rows(adult):
    bunch = load_adult(groups="race", validation_fraction=0.25, random_state=3)
    assert (bunch.split[adult.split == 2] == 2).all()
    assert set(bunch.split[adult.split == 0]) == {0, 1}
    cells = make_cells(bunch.target, bunch.groups).codes
    train = np.bincount(cells[adult.split == 0])
    valid = np.bincount(cells[bunch.split == 1])
    assert (np.abs(valid - 0.25 * train) < 1).all()
    assert bunch.split.dtype == np.int64


def test_validation_part_follows_the_seed_and_leaves_the_global_state_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (
        load_adult(validation_fraction=0.2, random_state=seed).split for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"groups": "gender"}, r"groups must be one of \['sex', 'race', 'age'\].*got 'gender'"),
        ({"groups": []}, "groups must be one of"),
        ({"groups": None}, "groups must be one of"),
        ({"groups": [["sex"]]}, "groups must be one of"),
        ({"groups": ["sex", "sex"]}, "a list of different ones"),
        ({"age_bins": ()}, "age_bins must be increasing whole numbers between 18 and 90"),
        ({"age_bins": (40, 30)}, "age_bins must be increasing"),
        ({"age_bins": (17,)}, "age_bins must be increasing"),
        ({"age_bins": (30.5,)}, "age_bins must be increasing"),
        ({"age_bins": 30}, "age_bins must be increasing"),
        ({"validation_fraction": 1}, r"validation_fraction must be a number in \[0, 1\), got 1"),
        ({"validation_fraction": -0.1}, "validation_fraction must be"),
        ({"validation_fraction": "0.1"}, "validation_fraction must be"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        load_adult(**parameters)


def test_loaders_do_not_import_torch():
    code = "import sys, gbmix_sklearn.datasets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
