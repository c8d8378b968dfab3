"""Automatic feature reweighting, against its descent written out sample by sample."""

import numpy as np
import pytest
import torch

from gbmix_sklearn.refit import linear_head
from gbmix_sklearn.refit._afr import AFR_GAMMA, afr_head, afr_weights
from gbmix_sklearn.refit._balanced import halves

CLASSES = np.array(["x", "y", "z"])


def problem(n=40, n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=n - n_classes)])
    s = rng.integers(2, size=n)
    z = rng.normal(size=(n, 3)) + 2 * y[:, None] * [1, 0, 0] + 3 * s[:, None] * [0, 1, 0]
    layer = rng.normal(size=(n_classes, 3)), rng.normal(size=n_classes)
    return z, y, 2 * y + s, linear_head(*layer, CLASSES[:n_classes]), layer


def generator():
    return np.random.default_rng(0)


def softmax_of(logits):
    exponentials = np.exp(logits - max(logits))
    return exponentials / exponentials.sum()


def slow_descent(z, y, weight, bias, gamma, reg, n_steps, lr):
    """What the paper's code does, starting at the trained layer."""
    weights = []
    for sample, label in zip(z, y, strict=True):
        true = softmax_of(weight @ sample + bias)[label]
        weights.append(np.exp(-gamma * true) / sum(y == label))
    weights = np.array(weights) / sum(weights)
    start = np.column_stack([weight, bias])
    layer = start.copy()
    for _ in range(n_steps):
        slope = 2 * reg * (layer - start)
        for sample, label, w in zip(z, y, weights, strict=True):
            extended = np.append(sample, 1)
            for k, probability in enumerate(softmax_of(layer @ extended)):
                slope[k] += w * (probability - (k == label)) * extended
        length = np.linalg.norm(slope)
        layer = layer - lr * slope * min(1, 1 / length)
    return layer[:, :-1], layer[:, -1]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(("gamma", "reg", "lr"), [(0, 0, 0.1), (4, 0.3, 0.1), (20, 0.01, 2)])
def test_the_descent_is_that_of_the_paper(n_classes, gamma, reg, lr):
    z, y, cells, trained, layer = problem(n_classes=n_classes)
    head, *chosen = afr_head(
        z, y, cells, trained=trained, gamma=gamma, reg_coeff=reg, n_steps=30, lr=lr, rng=generator()
    )
    weight, bias = slow_descent(z, y, *layer, gamma, reg, 30, lr)
    expected = linear_head(weight, bias, CLASSES[:n_classes])
    assert chosen == [gamma, reg]
    assert head.coef_ == pytest.approx(expected.coef_)
    assert head.intercept_ == pytest.approx(expected.intercept_)
    assert head.classes_.tolist() == CLASSES[:n_classes].tolist()
    assert abs(head.coef_ - trained.coef_).max() > 0.05


def test_the_slope_is_that_of_the_weighted_cross_entropy():
    """As PyTorch has it; and a tenth of a step moves a tenth as far."""
    z, y, cells, trained, (weight, bias) = problem(n_classes=3)
    z = z / 20  # so short a slope is not cut
    layer = torch.tensor(weight, requires_grad=True)
    logits = torch.tensor(z) @ layer.T + torch.tensor(bias)
    probability = logits.softmax(1)[torch.arange(len(y)), torch.tensor(y)]
    weights = torch.tensor(afr_weights(probability.detach().numpy(), y, 4))
    loss = weights @ torch.nn.functional.cross_entropy(logits, torch.tensor(y), reduction="none")
    loss.backward()
    head, *_ = afr_head(z, y, cells, trained=trained, gamma=4, n_steps=1, lr=0.1, rng=generator())
    assert trained.coef_ - head.coef_ == pytest.approx(0.1 * layer.grad.numpy())


def test_weights_by_hand():
    weights = afr_weights(np.array([0.0, 0.5, 1.0]), np.array([0, 0, 1]), np.log(4))
    assert weights == pytest.approx(np.array([1 / 2, 1 / 4, 1 / 4]))  # (1, 1/2)/2 and (1/4)/1
    balanced = afr_weights(np.array([0.1, 0.9, 0.4, 0.2]), np.array([0, 0, 0, 1]), 0)
    assert balanced == pytest.approx(np.array([1, 1, 1, 3]) / 6)


@pytest.mark.parametrize("gammas", ["auto", [1, 5, 25]])
@pytest.mark.parametrize("reg_coeff", [0.0, [0.0, 0.5]])
def test_validation_chooses_by_the_worst_group(gammas, reg_coeff):
    z, y, cells, trained, _ = problem(60)
    z_val, y_val, cells_val, *_ = problem(90, seed=1)
    options = {"trained": trained, "n_steps": 50, "lr": 0.1, "rng": generator()}
    head, gamma, reg = afr_head(
        z,
        y,
        cells,
        validation=(z_val, y_val, cells_val),
        gamma=gammas,
        reg_coeff=reg_coeff,
        **options,
    )
    scores = {}
    for g in AFR_GAMMA if gammas == "auto" else gammas:
        for r in np.atleast_1d(reg_coeff):
            one, *_ = afr_head(z, y, cells, gamma=g, reg_coeff=r, **options)
            hits = one.predict(z_val) == CLASSES[y_val]
            scores[g, r] = min(hits[cells_val == cell].mean() for cell in set(cells_val))
            if (g, r) == (gamma, reg):
                assert head.coef_ == pytest.approx(one.coef_)
    assert (gamma, reg) == max(scores, key=scores.get)  # the first of equals
    assert len(set(scores.values())) > 1


def test_without_validation_halves_choose_and_all_samples_fit():
    z, y, cells, trained, _ = problem(60)
    options = {"trained": trained, "n_steps": 50, "lr": 0.1}
    head, gamma, reg = afr_head(z, y, cells, reg_coeff=[0, 0.1], rng=generator(), **options)
    fit, other = halves(cells, generator())
    chosen_on = {"validation": (z[other], y[other], cells[other]), "rng": generator()}
    half = (z[fit], y[fit], cells[fit])
    assert afr_head(*half, reg_coeff=[0, 0.1], **chosen_on, **options)[1:] == (gamma, reg)
    expected, *_ = afr_head(z, y, cells, gamma=gamma, reg_coeff=reg, rng=generator(), **options)
    assert head.coef_ == pytest.approx(expected.coef_)
    again, *_ = afr_head(z, y, cells, reg_coeff=[0, 0.1], rng=generator(), **options)
    assert np.array_equal(head.coef_, again.coef_)


def test_a_class_without_samples_loses_weight_and_all_stays_finite():
    z, y, cells, trained, _ = problem(n_classes=3)
    z, cells, y = z[y > 0], cells[y > 0], y[y > 0]
    head, *_ = afr_head(z.astype(np.float32), y, cells, trained=trained, rng=generator())
    assert np.isfinite(head.coef_).all()
    drop = trained.predict_proba(z)[:, 0].mean() - head.predict_proba(z)[:, 0].mean()
    assert drop > 0
