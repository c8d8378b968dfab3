"""Small problems with groups, for all tests that fit."""

import numpy as np
import pandas as pd
from torch import nn

from gbmix_sklearn.estimators import METHODS

#: settings that fit in milliseconds
FAST = {"max_epochs": 3, "random_state": 0, "lr": 0.01}
#: parameters of single methods that take time, or that are for larger problems
OF_SINGLE_METHODS = {"first_stage_epochs": 2, "lambda_up": 3}


def supplies_groups(cls):
    """Give a subclass that supplies groups, alternating in each class, where none are given.

    scikit-learn's checks know no groups, and some methods require them.
    """

    def fit(self, X, y, groups=None, **validation):
        if groups is None and y is not None:
            labels = pd.Series(np.asarray(y).ravel())
            groups = labels.groupby(labels, dropna=False).cumcount() % 2
        return cls.fit(self, X, y, groups, **validation)

    name = f"{cls.__name__}WithGroups"
    made = type(name, (cls,), {"fit": fit, "__module__": __name__})
    globals()[name] = made  # where pickle looks for it
    return made


def requires_groups(cls):
    return cls()._groups_policy == "require"


class _OnRows(nn.Module):
    """A criterion for images that takes rows of numbers as images of one row."""

    def __init__(self, criterion):
        super().__init__()
        self.criterion = criterion

    def forward(self, model, x, y, s):
        return self.criterion(lambda images: model(images.flatten(1)), x[:, None, None], y, s)


class CutMixOnRows(METHODS["CutMix"]):
    """CutMix is for images only; all that it shares with others is tested on matrices as well."""

    _images_only = False

    def _make_criterion(self, cells):
        return _OnRows(super()._make_criterion(cells))


#: every method in a form that fits matrices
ON_MATRICES = METHODS | {"CutMix": CutMixOnRows}
#: the same as scikit-learn's checks can fit them, with their default parameters
CHECKED = {
    name: supplies_groups(cls) if requires_groups(cls) else cls for name, cls in ON_MATRICES.items()
}


def method(name, **parameters):
    cls = METHODS[name] if parameters.get("backbone") is not None else ON_MATRICES[name]
    known = cls().get_params(deep=False)
    own = {key: value for key, value in OF_SINGLE_METHODS.items() if key in known}
    if name == "GBMix" and not {"backbone", "hidden_units"} & set(parameters):
        own["refit"] = None  # what it trains is the whole model; its refit is asked for by name
    return cls(**(FAST | own | parameters))


def problem(n=200, n_classes=2, n_values=2, n_features=5, seed=0):
    """Classes that nearly part, an attribute that shifts one feature, samples in every cell."""
    rng = np.random.default_rng(seed)
    y, s = np.divmod(np.arange(n) % (n_classes * n_values), n_values)
    order = rng.permutation(n)
    y, s = y[order], s[order]
    X = rng.normal(size=(n, n_features))
    X[np.arange(n), y] += 3
    X[:, -1] += s
    return X.astype(np.float32), y, s


def frame(n=200, seed=0, **sizes):
    """The same as a DataFrame with the sensitive columns "sex" and "age" in it."""
    X, y, s = problem(n, seed=seed, **sizes)
    table = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    table.insert(1, "sex", np.array(["f", "m"])[s])
    table["age"] = np.random.default_rng(seed).integers(2, size=n) * 30
    return table, y


def images(n=48, seed=0):
    """Tiny colour images whose class is their brightness."""
    rng = np.random.default_rng(seed)
    y, s = np.divmod(np.arange(n) % 4, 2)
    X = rng.normal(size=(n, 3, 8, 8)) + y[:, None, None, None]
    return X.astype(np.float32), y, s
