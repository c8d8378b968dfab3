"""Small data that the tests compare on."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from gbmix_sklearn import compare


def places(n=240, seed=0):
    """Classes and places; dogs outdoors are few, and their features are as those of cats."""
    rng = np.random.default_rng(seed)
    y, s = np.divmod(rng.choice(4, n, p=[0.3, 0.3, 0.3, 0.1]), 2)
    X = rng.normal(size=(n, 4))
    X[:, 0] += 2 * y - 1.6 * (y * s)
    X[:, 1] += 2 * s
    return X, np.array(["cat", "dog"])[y], np.array(["indoor", "outdoor"])[s]


def table(n=240, seed=0):
    """The same with a sensitive column, categories and missing values."""
    X, y, place = places(n, seed)
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    frame["colour"] = np.where(X[:, 0] > 1, "red", "blue")
    frame["place"] = place
    frame.loc[::9, "a"] = np.nan
    frame.loc[::7, "colour"] = None
    return frame, y


class Constant(LogisticRegression):
    """Predicts one class only."""

    def __init__(self, label="cat"):
        super().__init__()
        self.label = label

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.label)


class Failing(Constant):
    """Fails where it sees a row that is marked."""

    def fit(self, X, y):
        raise RuntimeError("no <b>convergence</b>")


def quick(X, y, groups=None, **options):
    """Compare two fast methods without a word."""
    options = {
        "methods": {"plain": LogisticRegression(), "constant": Constant()},
        "cv": 3,
        "verbose": 0,
        **options,
    }
    return compare(X, y, groups, **options)
