"""GBMix written from the paper, one sample at a time, in NumPy: slow and obvious."""

import numpy as np

PAIRS = [(0, 1), (0, 2), (1, 3), (2, 3)]


def coarse_group(y, s, y_target, s_target):
    """Section V-B, for one sample."""
    if y == y_target and s == s_target:
        return 0
    if y == y_target:
        return 1
    if s == s_target:
        return 2
    return 3


def log_softmax(row):
    shifted = row - row.max()
    return shifted - np.log(np.exp(shifted).sum())


def cross_entropy(row, soft_label):
    return -(soft_label * log_softmax(row)).sum()


def worst_cell(logits, y, s):
    """Eq. 7: the cell with the largest mean loss."""
    losses = {}
    for row, y_i, s_i in zip(logits, y, s, strict=True):
        loss = cross_entropy(row, np.eye(len(row))[y_i])
        losses.setdefault((int(y_i), int(s_i)), []).append(loss)
    means = {cell: np.mean(values) for cell, values in losses.items()}
    return max(means, key=means.get), means


def pair_importance(shares, target):
    """How much each pair counts by the shares of the cells, a dictionary: two mean shares."""
    of_group = {group: [] for group in range(4)}
    for (y, s), share in shares.items():
        of_group[coarse_group(y, s, *target)].append(share)
    mean = [np.mean(of_group[group]) if of_group[group] else 0.0 for group in range(4)]
    return [mean[i] + mean[j] for i, j in PAIRS]


def gbmix_loss(f, x, y, s, target, first, second, lam, k, n_classes, importance=(1, 1, 1, 1)):
    """Eqs. 8 and 10 for given pairs of samples; absent pairs left out, the sum rescaled."""
    groups = [coarse_group(y_i, s_i, *target) for y_i, s_i in zip(y, s, strict=True)]
    risks, weights = [], []
    for number, (i, j) in enumerate(PAIRS):
        if i not in groups or j not in groups:
            continue
        losses = []
        for place in range(number * k, (number + 1) * k):
            a, b = first[place], second[place]
            assert (groups[a], groups[b]) == (i, j)
            x_mixed = lam[place] * x[a] + (1 - lam[place]) * x[b]
            label = np.zeros(n_classes)
            label[y[a]] += lam[place]
            label[y[b]] += 1 - lam[place]
            losses.append(cross_entropy(f(x_mixed), label))
        risks.append(np.mean(losses))
        weights.append(importance[number])
    if not risks:
        labels = np.eye(n_classes)[y]
        losses = [cross_entropy(f(x_i), label) for x_i, label in zip(x, labels, strict=True)]
        return 4 * np.mean(losses)
    return 4 * np.average(risks, weights=weights)
