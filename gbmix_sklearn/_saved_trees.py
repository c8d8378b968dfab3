"""Boosted trees of scikit-learn as arrays of numbers, which can be saved and predict by themselves.

A file of scikit-learn's own trees is a pickle, which runs what is in it. Here each node is a row of
arrays, with its threshold or its categories, and whoever reads them checks that they are a forest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

__all__ = ["MOST_CATEGORIES", "Trees"]

#: of a column, by scikit-learn's trees; codes of categories are smaller
MOST_CATEGORIES = 256
#: how far rounding may lead apart what both predict
_CLOSE = 1e-6


@dataclass(frozen=True)
class Trees:
    """The nodes of all trees, one after another, each before those that it leads to.

    Attributes
    ----------
    roots : ndarray of shape (n_rounds, n_scores), dtype int64
        The first node of each tree.
    baseline : ndarray of shape (n_scores,)
        What the scores are without any tree.
    feature : ndarray of shape (n_nodes,), dtype int64
        Column that a node asks about; -1 for a leaf.
    threshold : ndarray of shape (n_nodes,)
        Numbers up to that go left.
    left, right : ndarray of shape (n_nodes,), dtype int64
        Where the node leads to.
    missing_left : ndarray of shape (n_nodes,), dtype bool
        Whether missing values, and categories that training did not have, go left.
    value : ndarray of shape (n_nodes,)
        What a leaf adds to the score.
    split : ndarray of shape (n_nodes,), dtype int64
        Row of `left_categories` where a node asks about categories; -1 elsewhere.
    left_categories : ndarray of shape (n_splits, 256), dtype bool
        Codes of categories that go left.
    known : ndarray of shape (n_features, 256), dtype bool
        Codes that training had; nothing in columns of numbers.
    """

    roots: np.ndarray
    baseline: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray
    split: np.ndarray
    left_categories: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, model: Any, X: np.ndarray) -> Trees:
        """Take the trees out of a fitted classifier.

        Parameters
        ----------
        model : HistGradientBoostingClassifier
            Fitted on numbers, categories among them as codes.
        X : ndarray of shape (n_samples, n_features)
            Some rows, by which the result is compared with the classifier.

        Raises
        ------
        TypeError
            If the two predict different things: the inside of another version of scikit-learn.
        """
        try:
            trees = _read_trees(model, X.shape[1])
        except (AttributeError, KeyError, IndexError, ValueError) as error:
            raise TypeError(
                f"trees of this version of scikit-learn cannot be read: {error}"
            ) from error
        expected = model.decision_function(X).reshape(len(X), -1)
        if not np.allclose(trees.scores(X), expected, atol=_CLOSE):
            raise TypeError("trees of this version of scikit-learn are read wrongly")
        return trees

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Add up what the leaves say, shape (n_samples, n_scores)."""
        X = np.asarray(X, dtype=np.float64)
        scores = np.tile(self.baseline, (len(X), 1))
        for roots in self.roots:
            for number, root in enumerate(roots):
                scores[:, number] += self.value[self._leaves(X, int(root))]
        return scores

    def _leaves(self, X: np.ndarray, root: int) -> np.ndarray:
        node = np.full(len(X), root)
        rows = np.arange(len(X))
        while len(rows):  # that have not come to a leaf
            here = node[rows]
            on = self.feature[here] >= 0
            rows, here = rows[on], here[on]
            column = self.feature[here]
            x = X[rows, column]
            left = x <= self.threshold[here]
            missing = np.isnan(x)
            by_category = np.flatnonzero(self.split[here] >= 0)
            if len(by_category):
                at = here[by_category]
                code = np.nan_to_num(x[by_category], nan=-1.0)
                inside = (code >= 0) & (code < MOST_CATEGORIES)
                code = np.where(inside, code, 0).astype(np.int64)
                left[by_category] = self.left_categories[self.split[at], code]
                missing[by_category] = ~(inside & self.known[self.feature[at], code])
            left[missing] = self.missing_left[here[missing]]
            node[rows] = np.where(left, self.left[here], self.right[here])
        return node

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], n_features: int, n_scores: int) -> Trees:
        """Check arrays that anybody may have written, and take them.

        Raises
        ------
        ValueError
            If they are no trees for so many features and scores.
        KeyError
            If one is missing.
        """
        kinds = {"threshold": "f", "value": "f", "baseline": "f"}
        kinds |= dict.fromkeys(("missing_left", "left_categories", "known"), "b")
        trees = cls(**{field.name: arrays[field.name] for field in fields(cls)})
        for field in fields(cls):
            _check(getattr(trees, field.name).dtype.kind == kinds.get(field.name, "i"), field.name)
        trees._check_shapes(n_features, n_scores)
        number = np.arange(len(trees.feature))
        inner = trees.feature >= 0
        for name in ("left", "right"):  # later nodes alone: no walk goes round
            to = getattr(trees, name)[inner]
            _check(bool(((to > number[inner]) & (to < len(number))).all()), name)
        _check(bool((trees.feature < n_features).all() and (trees.feature >= -1).all()), "feature")
        splits = len(trees.left_categories)
        _check(bool((trees.split < splits).all() and (trees.split >= -1).all()), "split")
        roots = trees.roots
        _check(bool((roots >= 0).all() and (roots < len(number)).all()), "roots")
        finite = np.isfinite(trees.baseline).all() and np.isfinite(trees.value).all()
        _check(bool(finite and not np.isnan(trees.threshold).any()), "value")
        return trees

    def _check_shapes(self, n_features: int, n_scores: int) -> None:
        n_nodes = len(self.feature) if self.feature.ndim == 1 else -1
        shapes = {
            "roots": (len(self.roots), n_scores),
            "baseline": (n_scores,),
            "left_categories": (len(self.left_categories), MOST_CATEGORIES),
            "known": (n_features, MOST_CATEGORIES),
        }
        for field in fields(self):
            expected = shapes.get(field.name, (n_nodes,))
            _check(getattr(self, field.name).shape == expected, field.name)


def _check(good: bool, what: str) -> None:
    if not good:
        raise ValueError(f"{what} of boosted trees cannot be")


def _read_trees(model: Any, n_features: int) -> Trees:
    """Put the nodes of all trees together, with columns and categories as X has them."""
    columns, categories = _order_of_columns(model, n_features)
    parts: dict[str, list[np.ndarray]] = {}
    roots: list[list[int]] = []
    splits: list[np.ndarray] = []
    start = n_splits = 0
    for predictors in model._predictors:
        roots.append([])
        for predictor in predictors:
            nodes = predictor.nodes
            leaf, by_category = nodes["is_leaf"] > 0, nodes["is_categorical"] > 0
            by_category &= ~leaf
            feature = np.where(leaf, -1, columns[nodes["feature_idx"].astype(np.int64)])
            row = np.full(len(nodes), -1, dtype=np.int64)
            row[by_category] = n_splits + np.arange(by_category.sum())
            for node in np.flatnonzero(by_category):
                bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
                splits.append(_as_codes(bits, categories[int(feature[node])]))
            found = {
                "feature": feature,
                "threshold": np.nan_to_num(nodes["num_threshold"], nan=0.0, posinf=np.inf),
                "left": nodes["left"].astype(np.int64) + start,
                "right": nodes["right"].astype(np.int64) + start,
                "missing_left": nodes["missing_go_to_left"] > 0,
                "value": np.where(leaf, nodes["value"], 0.0),
                "split": row,
            }
            for name, values in found.items():
                parts.setdefault(name, []).append(values)
            roots[-1].append(start)
            start, n_splits = start + len(nodes), n_splits + int(by_category.sum())
    known = np.zeros((n_features, MOST_CATEGORIES), dtype=bool)
    for column, codes in categories.items():
        known[column, codes[~np.isnan(codes)].astype(np.int64)] = True
    return Trees(
        roots=np.array(roots, dtype=np.int64),
        baseline=np.ravel(model._baseline_prediction).astype(np.float64),
        left_categories=np.array(splits, dtype=bool).reshape(-1, MOST_CATEGORIES),
        known=known,
        **{name: np.concatenate(values) for name, values in parts.items()},
    )


def _order_of_columns(model: Any, n_features: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Columns of X in the order that the trees count them, and the categories of each that has any.

    Trees of scikit-learn have columns of categories in front, their categories by rank.
    """
    if model.is_categorical_ is None:
        return np.arange(n_features), {}
    is_categorical = np.asarray(model._preprocessor.transformers_[0][2], dtype=bool)
    first = np.flatnonzero(is_categorical)
    encoder = model._preprocessor.named_transformers_["encoder"]
    of_column = dict(zip(first.tolist(), map(np.asarray, encoder.categories_), strict=True))
    return np.r_[first, np.flatnonzero(~is_categorical)], of_column


def _as_codes(bits: np.ndarray, categories: np.ndarray) -> np.ndarray:
    """Which codes of X are in a set of ranks."""
    ranks = np.unpackbits(bits.astype("<u4").view(np.uint8), bitorder="little")
    inside = np.zeros(MOST_CATEGORIES, dtype=bool)
    codes = categories[~np.isnan(categories)].astype(np.int64)
    inside[codes[ranks[: len(codes)] > 0]] = True
    return inside
