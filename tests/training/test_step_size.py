"""Standardised inputs, and steps that fit them."""

import numpy as np
import pytest
import torch
from torch import nn

from gbmix_sklearn.training import (
    ArrayInputs,
    InputScaling,
    largest_eigenvalue,
    steps_for_features,
    steps_for_network,
)


def matrix(n=500, d=8, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 1))
    return (rng.normal(size=(n, d)) + 2 * shared).astype(np.float32)


def inputs_of(x):
    return ArrayInputs(torch.from_numpy(np.ascontiguousarray(x)))


def everyone(x):
    return np.arange(len(x))


class TestScaling:
    def test_it_is_that_of_the_rows_it_was_measured_on(self):
        x = matrix() * 3 + 100
        scaling = InputScaling.of(inputs_of(x), np.arange(200))
        assert scaling.mean == pytest.approx(x[:200].mean(0, dtype=np.float64))
        assert scaling.scale == pytest.approx(x[:200].std(0, dtype=np.float64), rel=1e-5)
        scaled = scaling.apply(inputs_of(x)).x.numpy()
        assert scaled[:200].mean(0) == pytest.approx(0, abs=1e-4)
        assert scaled[:200].std(0) == pytest.approx(1, rel=1e-4)

    @pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3, -7e-20])
    def test_a_column_that_is_constant_but_for_rounding_is_left_alone(self, value):
        x = matrix()
        x[:, 3] = np.float32(value)
        x[::2, 3] = np.nextafter(np.float32(value), np.float32(np.inf)) if value > 1 else value
        assert InputScaling.of(inputs_of(x), everyone(x)).scale[3] == 1

    def test_a_column_that_varies_little_beside_a_large_mean_is_none_of_those(self):
        x = matrix()
        x[:, 3] = 2000 + np.arange(len(x)) % 20  # years
        assert InputScaling.of(inputs_of(x), everyone(x)).scale[3] == pytest.approx(5.77, abs=0.01)

    def test_the_data_of_the_user_are_left_as_they_are(self):
        x = matrix()
        before = x.copy()
        InputScaling.of(inputs_of(x), everyone(x)).apply(inputs_of(x))
        assert np.array_equal(x, before)

    def test_a_folded_layer_gives_the_same_for_inputs_as_they_come(self):
        x = matrix() * 40 - 7
        scaling = InputScaling.of(inputs_of(x), everyone(x))
        layer = nn.Linear(8, 3)
        expected = layer(scaling.apply(inputs_of(x)).x)
        scaling.fold_into(layer)
        torch.testing.assert_close(layer(torch.from_numpy(x)), expected, rtol=1e-3, atol=1e-3)


class TestEigenvalue:
    @pytest.mark.parametrize("n", [5, 500, 20_000])
    def test_it_is_numpys(self, n):
        x = matrix(n)
        expected = np.linalg.eigvalsh(x.T.astype(float) @ x / n).max()
        assert largest_eigenvalue(inputs_of(x), everyone(x)) == pytest.approx(expected, rel=0.05)

    def test_nothing_varies(self):
        x = np.zeros((10, 3), dtype=np.float32)
        assert largest_eigenvalue(inputs_of(x), everyone(x)) == 0


class TestSteps:
    def test_sgd_goes_by_the_largest_eigenvalue_the_momentum_and_the_scale_of_the_loss(self):
        # the figures of Waterbirds' frozen features, where this rate was measured to be good
        inputs = inputs_of(np.random.default_rng(0).normal(size=(50, 1280)).astype(np.float32))
        steps = steps_for_features("sgd", 0.9, 4.0, 82.0, inputs)
        assert steps.lr == pytest.approx(3e-4, rel=0.02)
        assert steps.weight_decay == pytest.approx(1, rel=0.03)
        assert steps_for_features("sgd", 0.0, 1.0, 82.0, inputs).lr == pytest.approx(1 / 82)

    def test_repeated_and_constant_columns_change_nothing_but_what_they_must(self):
        x = matrix()
        x = (x - x.mean(0)) / x.std(0)
        one, two = (
            steps_for_features("sgd", 0.9, 1.0, largest_eigenvalue(inputs, everyone(x)), inputs)
            for inputs in (inputs_of(x), inputs_of(np.c_[x, x, np.zeros(len(x), "f4")]))
        )
        assert two.lr == pytest.approx(one.lr / 2, rel=1e-3)
        assert two.weight_decay == pytest.approx(2 * one.weight_decay)

    def test_adams_steps_are_short_where_features_are_many(self):
        many, few = (
            steps_for_features("adamw", 0.9, 1.0, 5.0, inputs_of(matrix(50, d))).lr
            for d in (1000, 10)
        )
        assert many == pytest.approx(few / 10)

    def test_networks_have_steps_of_their_own(self):
        assert steps_for_network("sgd", 4.0, 1e-4, is_pretrained=False) == (0.0025, 1e-4)
        assert steps_for_network("sgd", 1.0, 1e-4, is_pretrained=True).lr == 0.003
        assert steps_for_network("adamw", 1.0, 0.1, is_pretrained=True) == (1e-4, 0.1)
        assert steps_for_network("adamw", 1.0, 0.1, is_pretrained=False).lr == 1e-3
