"""How good embeddings are for the worst cell once a last layer is fitted on them."""

import numpy as np
import pytest
from scipy.special import expit

from gbmix_sklearn.groups import Cells, make_cells
from gbmix_sklearn.refit import repaired_error


def embeddings(shift, seed=0, n=900):
    """Two classes a distance apart, which is smaller in one cell."""
    rng = np.random.default_rng(seed)
    y, s = rng.integers(2, size=(2, n))
    z = rng.normal(size=(n, 6))
    z[:, 0] += shift * (2 * y - 1) * np.where(y * s, 0.5, 1)
    return z, make_cells(y, s)


def test_better_embeddings_have_a_smaller_error():
    errors = [repaired_error(*embeddings(shift)) for shift in (0.3, 1.0, 3.0)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.3
    assert errors[2] < 0.1


def test_it_is_near_the_error_of_the_best_threshold_for_the_worst_cell():
    z, cells = embeddings(1.5, n=4000)
    thresholds = np.linspace(-2, 2, 401)
    wrong = (z[:, :1] > thresholds) != cells.y[:, None]
    of_cells = [wrong[cells.codes == cell].mean(0) for cell in range(4)]
    assert repaired_error(z, cells) == pytest.approx(np.max(of_cells, axis=0).min(), abs=0.03)


def test_units_and_the_trained_layer_do_not_matter():
    z, cells = embeddings(1.0)
    assert repaired_error(1000 * z + 5, cells) == pytest.approx(repaired_error(z, cells), abs=0.01)


def test_three_classes_of_which_one_is_absent():
    z, cells = embeddings(3.0)
    three = Cells(np.array([0, 2])[cells.y], [0, 1, 2], cells.attribute)
    assert repaired_error(z, three) == pytest.approx(repaired_error(z, cells))


@pytest.mark.parametrize("y", [[0] * 20, [0, 1], [0, 0, 1]])
def test_too_little_to_refit_on_says_nothing(y):
    z = expit(np.arange(3.0 * len(y)).reshape(-1, 3))
    assert repaired_error(z, make_cells(y, np.zeros(len(y)))) == 0
