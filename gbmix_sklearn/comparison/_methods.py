"""Methods by their names, each a Pipeline for the kind of data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Literal

from sklearn.base import clone, is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from ..balance import GroupThresholdClassifier
from ..estimators import METHODS
from ..tables import TableEncoder
from ._cell_weighted import CellWeightedClassifier
from ._encoding import CategoryColumns
from ._inputs import prepares_itself

__all__ = ["METHOD_NAMES", "default_methods", "find_method", "make_methods"]

Kind = Literal["table", "matrix", "sparse"]

#: from strong to weak penalties
_GRID = {"C": (0.001, 0.01, 0.1, 1.0)}
#: a matrix with more columns is taken for embeddings, which trees are slow and weak on
_MOST_COLUMNS = 200

_ANY = ("logistic", "boosting", "logistic, learned", "boosting, learned", "class-scaled ERM")
#: all that can be named
METHOD_NAMES = (*_ANY, *METHODS)


def default_methods(n_features: int | None, kind: Kind = "matrix") -> list[str]:
    """Return a sensible few; without trees where there are many features (None: images).

    Those of scikit-learn take no sparse matrix.
    """
    names = ["logistic", "boosting", "logistic, learned", "boosting, learned", "ERM", "GBMix"]
    if n_features is None or n_features > _MOST_COLUMNS or kind == "sparse":
        names = [name for name in names if not name.startswith("boosting")]
    return names


def find_method(name: Any) -> str:
    """Name of a method, which may be written in any case and with any signs between its words.

    Raises
    ------
    ValueError
        If there is no such method; the message has the nearest and all names.
    TypeError
        If it is no name.

    Examples
    --------
    >>> find_method("gbmix"), find_method("logistic-learned")
    ('GBMix', 'logistic, learned')
    """
    if not isinstance(name, str):
        raise TypeError(
            f"a method is given by its name, got {name!r}; estimators of your own need names: "
            "methods={'mine': estimator}"
        )
    known = {_folded(method): method for method in METHOD_NAMES}
    folded = _folded(name.removesuffix("Classifier"))
    if folded not in known:
        near = get_close_matches(folded, known, n=1)
        hint = f"; did you mean {known[near[0]]!r}?" if near else "."
        raise ValueError(f"there is no method {name!r}{hint} Methods are {'; '.join(METHOD_NAMES)}")
    return known[folded]


def make_methods(methods: Any, kind: Kind, n_features: int | None, seed: int) -> dict[str, Any]:
    """Make the estimators that are compared, unfitted.

    Parameters
    ----------
    methods : None, name, iterable of names, or mapping
        What the user asked for; a mapping has estimators, or names, under names of its own.
    kind : {"table", "matrix", "sparse"}
        Whether the samples are rows of a DataFrame, numbers such as embeddings, or a sparse matrix
        such as that of a TfidfVectorizer.
    n_features : int or None
        Columns; None for embeddings.
    seed : int
        For all that have none of their own.

    Raises
    ------
    ValueError, TypeError
        If there is no such method, there are none, or two with the same name.
    """
    if methods is None:
        methods = default_methods(n_features, kind)
    if isinstance(methods, str):
        methods = [methods]
    if isinstance(methods, Mapping):
        made = {str(name): _own(name, value, kind, seed) for name, value in methods.items()}
    elif isinstance(methods, Iterable):
        names = [find_method(name) for name in methods]
        made = {name: _named(name, kind, seed) for name in names}
        if len(made) < len(names):
            raise ValueError(f"methods has a name twice: {', '.join(names)}")
    else:
        raise TypeError(f"methods must be names or a dict of estimators, got {methods!r}")
    if not made:
        raise ValueError("methods is empty: name one or more, or leave it out")
    return made


def _own(name: Any, value: Any, kind: Kind, seed: int) -> Any:
    if isinstance(value, str):
        return _named(find_method(value), kind, seed)
    if isinstance(value, type) or not is_classifier(value):
        raise TypeError(
            f"methods[{name!r}] must be a classifier, such as RandomForestClassifier(), a Pipeline "
            f"that ends in one, or the name of a method; got {value!r}"
        )
    # a Pipeline of the user's, or what takes the columns of groups from X, knows its columns
    if kind != "table" or isinstance(value, Pipeline) or prepares_itself(value):
        return clone(value)
    return _encoded(TableEncoder(), clone(value))


def _named(name: str, kind: Kind, seed: int) -> Any:
    if name in METHODS:
        method = METHODS[name](random_state=seed)  # these scale by themselves
        return _encoded(TableEncoder(), method) if kind == "table" else method
    if name.startswith("boosting"):
        trees = CellWeightedClassifier(
            HistGradientBoostingClassifier(random_state=seed),
            learn=name.endswith("learned"),
            random_state=seed,
        )
        return _encoded(CategoryColumns(), trees) if kind == "table" else trees
    scale = _scaler(kind)
    logistic = LogisticRegression(max_iter=1000)
    if name == "class-scaled ERM":
        # Class offsets for the worst cell, https://arxiv.org/abs/2412.15311
        return _encoded(scale, GroupThresholdClassifier(logistic, random_state=seed))
    weighted = CellWeightedClassifier(
        logistic, param_grid=_GRID, learn=name.endswith("learned"), random_state=seed
    )
    return _encoded(scale, weighted)


def _scaler(kind: Kind) -> Any:
    if kind == "table":
        return TableEncoder()
    # without a mean to subtract, a standard deviation would make rare words the largest numbers
    return MaxAbsScaler() if kind == "sparse" else StandardScaler()


def _encoded(encoder: Any, classifier: Any) -> Pipeline:
    return Pipeline([("encode", encoder), ("classify", classifier)])


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
