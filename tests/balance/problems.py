"""Small problems whose cells are not equally hard."""

import numpy as np


def uneven(n=600, n_classes=2, seed=0, share=(0.3, 0.7)):
    """Classes whose last is near the first for one value of the attribute.

    The attribute is no feature; `share` is that of its value 1 in the first and the last class.
    """
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    s = (rng.random(n) < np.linspace(*share, n_classes)[y]).astype(int)
    X = rng.normal(size=(n, n_classes + 1))
    place = 2.5 * np.eye(n_classes + 1)[y]
    place[(y == n_classes - 1) & (s == 1)] = np.eye(n_classes + 1)[0]
    return X + place, y, s


def rare_positives(n=1000, seed=0):
    """One sample in ten is of the second class, so that the usual threshold misses many."""
    rng = np.random.default_rng(seed)
    y, s = (rng.random(n) < 0.1).astype(int), rng.integers(2, size=n)
    X = rng.normal(size=(n, 2))
    X[:, 0] += 2 * y
    X[:, 1] += s
    return X, y, s
