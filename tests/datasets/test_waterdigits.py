import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_image
from sklearn.ensemble import RandomForestClassifier

from gbmix_sklearn import make_waterdigits


@pytest.fixture(scope="module")
def bunch():
    return make_waterdigits(400, 80, 160, random_state=0)


def counts(bunch, part):
    rows = bunch.split == part
    return np.bincount(2 * bunch.target[rows] + bunch.groups[rows], minlength=4).tolist()


def test_fields_have_the_documented_shapes_and_types(bunch):
    assert bunch.images.shape == (640, 64, 64, 3)
    assert bunch.images.dtype == np.uint8
    for name in ("target", "groups", "split", "foreground"):
        assert bunch[name].shape == (640,)
        assert bunch[name].dtype == np.int64
    assert bunch.background.shape == (640, 4)
    assert bunch.split.tolist() == [0] * 400 + [1] * 80 + [2] * 160
    assert bunch.target_names == ["3", "8"]
    assert bunch.group_names == ["china", "flower"]
    assert "CC BY" in bunch.DESCR


def test_cells_have_exact_counts(bunch):
    assert counts(bunch, 0) == [190, 10, 10, 190]
    assert counts(bunch, 1) == [20, 20, 20, 20]
    assert counts(bunch, 2) == [40, 40, 40, 40]


@pytest.mark.parametrize(
    ("sizes", "correlation", "train"),
    [
        ((100, 0, 0), 0.5, [25, 25, 25, 25]),
        ((100, 0, 0), 0.9, [45, 5, 5, 45]),
        ((100, 0, 0), 0.999, [49, 1, 1, 49]),
        ((100, 0, 0), 1.0, [50, 0, 0, 50]),
        ((5, 0, 0), 0.95, [2, 1, 1, 1]),
        ((4, 0, 4), 0.5, [1, 1, 1, 1]),
    ],
)
def test_small_cells_are_empty_only_at_correlation_one(sizes, correlation, train):
    bunch = make_waterdigits(*sizes, correlation=correlation, image_size=16, random_state=0)
    assert counts(bunch, 0) == train
    assert np.bincount(bunch.split, minlength=3).tolist() == list(sizes)


def test_parts_share_no_digit(bunch):
    parts = [set(bunch.foreground[bunch.split == part]) for part in range(3)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_parts_share_no_pixel_of_a_photograph(seed):
    bunch = make_waterdigits(400, 80, 160, image_size=16, random_state=seed)
    for photograph in (0, 1):
        owner = np.full((427, 640), -1)
        rows = np.flatnonzero(bunch.groups == photograph)
        for (left, top, right, bottom), part in zip(
            bunch.background[rows], bunch.split[rows], strict=True
        ):
            patch = owner[top:bottom, left:right]
            assert patch.size == (right - left) ** 2  # within the photograph, and square
            assert np.isin(patch, [-1, part]).all()
            patch[:] = part


def test_digits_are_of_their_class(bunch):
    digits = load_digits().target[bunch.foreground]
    np.testing.assert_array_equal(digits, np.array([3, 8])[bunch.target])


def test_classes_may_have_several_digits():
    bunch = make_waterdigits(200, 0, 0, classes=[(0, 6, 9), (1, 7)], image_size=16, random_state=0)
    digits = load_digits().target[bunch.foreground]
    assert set(digits[bunch.target == 0]) == {0, 6, 9}
    assert set(digits[bunch.target == 1]) == {1, 7}
    assert bunch.target_names == ["0/6/9", "1/7"]


def test_digits_come_again_as_evenly_as_they_can(bunch):
    train = bunch.split == 0
    for code in (0, 1):
        times = np.unique(bunch.foreground[train & (bunch.target == code)], return_counts=True)[1]
        assert len(times) > 100
        assert set(times) <= {1, 2}


def test_rows_of_a_part_are_shuffled(bunch):
    first = slice(0, 100)
    assert 30 < bunch.target[first].sum() < 70
    assert len(set(bunch.background[first, 0])) > 10


def test_borders_are_as_bright_as_the_patch_and_the_digit_stands_out(bunch):
    for row in range(0, 640, 16):
        name = bunch.group_names[bunch.groups[row]]
        left, top, right, bottom = bunch.background[row]
        patch = load_sample_image(f"{name}.jpg")[top:bottom, left:right].astype(float)
        border = np.concatenate([bunch.images[row][:2], bunch.images[row][-2:]]).astype(float)
        assert 0.5 < (border.mean() + 10) / (patch.mean() + 10) < 2
        assert bunch.images[row].std() > 8


def test_background_seduces_a_model_that_sees_colours():
    bunch = make_waterdigits(600, 0, 200, image_size=16, random_state=0)
    pixels = bunch.images.reshape(len(bunch.images), -1, 3) + 1.0
    hue = pixels / pixels.sum(axis=2, keepdims=True)
    colours = np.hstack([np.quantile(hue, q, axis=1) for q in (0.1, 0.5, 0.9)])
    train, test = bunch.split == 0, bunch.split == 2
    model = RandomForestClassifier(30, max_depth=6, random_state=0)
    model.fit(colours[train], bunch.target[train])
    right = model.predict(colours[test]) == bunch.target[test]
    with_the_background = bunch.target[test] == bunch.groups[test]
    assert right[with_the_background].mean() > 0.8
    assert right[~with_the_background].mean() < 0.3


def test_same_seed_gives_the_same_bytes():
    first, again, other = (
        make_waterdigits(60, 20, 20, random_state=seed) for seed in (7, np.random.RandomState(7), 8)
    )
    for name in ("images", "target", "groups", "split", "foreground", "background"):
        np.testing.assert_array_equal(first[name], again[name])
    assert (first.images != other.images).any()


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make_waterdigits(20, 4, 4, image_size=16, random_state=0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("size", [16, 33, 96])
def test_images_have_the_given_size(size):
    assert make_waterdigits(4, 0, 0, image_size=size).images.shape == (4, size, size, 3)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_train": 3}, "n_train must be a whole number of at least 4; got 3"),
        ({"n_train": 0}, "n_train must be a whole number of at least 4; got 0"),
        ({"n_train": 100.0}, "n_train must be"),
        ({"n_valid": 2}, "n_valid must be a whole number of at least 4, or 0; got 2"),
        ({"n_test": -1}, "n_test must be"),
        ({"n_test": True}, "n_test must be"),
        ({"correlation": 0.4}, r"correlation must be a number in \[0.5, 1\], got 0.4"),
        ({"correlation": 1.01}, "correlation must be"),
        ({"correlation": float("nan")}, "correlation must be"),
        ({"correlation": None}, "correlation must be"),
        ({"image_size": 15}, "image_size must be a whole number of at least 16, got 15"),
        ({"image_size": 64.0}, "image_size must be"),
        ({"classes": 3}, "classes must be two digits"),
        ({"classes": (3,)}, "classes must be two digits"),
        ({"classes": (3, 3)}, "classes must be two digits, .*all different; got"),
        ({"classes": (3, 10)}, "classes must be two digits"),
        ({"classes": ((1, 2), ())}, "classes must be two digits"),
        ({"classes": "38"}, "classes must be two digits"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_waterdigits(**parameters)
