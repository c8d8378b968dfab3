"""The comparison of methods as one function."""

from __future__ import annotations

import inspect
import os
from typing import Any

import numpy as np
import pandas as pd

from .._log import tell
from ..balance._fitting import generator, seeds_for
from ..balance._folds import held_out_splits
from ..metrics._scores import adjusted_average
from ._inputs import Samples, prepare, prepares_itself, read_samples
from ._methods import make_methods
from ._result import MethodComparison
from ._run import run

__all__ = ["compare"]


def compare(
    X: Any,
    y: Any,
    groups: Any = None,
    *,
    methods: Any = None,
    cv: Any = 5,
    keep_together: Any = None,
    group_columns: Any = None,
    cell_weights: Any = None,
    embedder: Any = None,
    folder: str | os.PathLike[str] | None = None,
    refit: bool = False,
    confidence: float = 0.95,
    n_jobs: int | None = None,
    random_state: Any = 0,
    verbose: int = 1,
) -> MethodComparison:
    """Compare methods on the same folds, by their worst group.

    Every method is fitted on every fold and predicts the samples that were held out, so that each
    sample is predicted by a model that has not seen it.

    Parameters
    ----------
    X : DataFrame, array-like of shape (n_samples, n_features), or images
        A table with columns of any kind, a matrix of numbers such as embeddings, or images in any
        of the forms that :class:`TimmEmbedder` takes. Tables are encoded within each fold: for
        trees categories are codes, for all others they are one-hot and numbers are standardised; a
        missing number is the mean, and marked. Images are embedded once for all methods and folds.
    y : array-like of shape (n_samples,)
        Class labels of any kind.
    groups : array-like of shape (n_samples,) or (n_samples, n_attributes), default=None
        The sensitive attribute, or several, whose combinations count; needed unless
        `group_columns` is set.
    methods : list of str, or dict, default=None
        Names of methods: those of this package (``"GBMix"``, ``"GroupDRO"``, ...), ``"logistic"``
        and ``"boosting"`` (scikit-learn's logistic regression and boosted trees, with equal weight
        for each cell), ``"logistic, learned"`` and ``"boosting, learned"`` (the weights learned by
        :class:`MinimaxClassifier`), ``"class-scaled ERM"`` (plain logistic regression with
        thresholds for the worst group by :class:`GroupThresholdClassifier`). A dict has
        classifiers of your own, or such names, under names of your choice. None is logistic and
        boosting, both as they are and learned, ERM and GBMix; without boosting for images and
        where there are more than 200 columns.
    cv : int, splitter or iterable of splits, default=5
        The number of folds, stratified by cell, or other splits; a splitter gets the groups. No
        sample may be held out twice.
    keep_together : array-like of shape (n_samples,), default=None
        Samples with the same value, such as photographs of one person, are held out together, and
        intervals and tests count them as units.
    group_columns : column name or list of them, default=None
        Columns of the DataFrame `X` that hold the sensitive attributes. They are not predicted
        from; give `groups` and leave them in X where they should be.
    cell_weights : mapping, Series or DataFrame, default=None
        How frequent each cell is where the model will be used: adds the adjusted average accuracy,
        see :func:`adjusted_average_accuracy_score`.
    embedder : transformer, default=None
        What embeds images; None is ``TimmEmbedder()`` for what looks like images. Giving one says
        that X has images.
    folder : str or path-like, default=None
        Folder where the result of each fit is kept as it ends, and embeddings: the same comparison,
        called again, goes on where it was stopped. Other methods may be added.
    refit : bool, default=False
        Whether to fit the best method on all samples then, see `best_estimator_`.
    confidence : float in (0, 1), default=0.95
        Confidence of intervals; one minus it is the level of the tests.
    n_jobs : int, default=None
        Fits at the same time, as in joblib.
    random_state : int, RandomState or None, default=0
        Seed of folds, methods and resamples.
    verbose : int, default=1
        1 prints how long it will take, and a line for each fit. The logger "gbmix_sklearn" gets the
        same lines at level INFO.

    Returns
    -------
    MethodComparison
        The table (``to_frame()``, or print it), what cannot be told from the best, a picture, a
        page, all predictions.

    Raises
    ------
    MissingGroupsError
        If there are no groups.
    ValueError
        If there is no method of that name, there are too few samples for the folds, or data or
        parameters cannot be used.
    TypeError
        If something in `methods` is neither a name nor a classifier.

    See Also
    --------
    MethodComparison : What is returned, and how methods are told apart.
    GroupAudit : One model in detail.

    Notes
    -----
    A fit that fails does not end the comparison: the method is the last in the table, with its
    error. How long everything takes is guessed from fits of 500 and of 2,000 samples where folds
    are large, and otherwise known as soon as each method has been fitted once.

    A Pipeline of your own gets X as it is (images embedded, `group_columns` left out). Any other
    classifier of your own gets a table encoded as numbers. One that has `group_columns`, or a
    backbone for images, itself gets X as it was given.

    Examples
    --------
    >>> import numpy as np
    >>> from gbmix_sklearn import compare
    >>> rng = np.random.default_rng(0)
    >>> y, place = rng.integers(2, size=(2, 400))
    >>> X = rng.normal(size=(400, 3)) + y[:, None] * (2 - place[:, None]) + place[:, None]
    >>> found = compare(X, y, place, methods=["logistic", "logistic, learned"], cv=3, verbose=0)
    >>> found.to_frame()[["worst_group_accuracy", "average_accuracy"]].shape
    (2, 2)
    >>> model = found.fit_best(X, y, place)
    >>> model.predict(X[:3])
    array([1, 1, 1])
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence!r}")
    if folder is not None and not isinstance(random_state, int | np.integer):
        raise ValueError(
            "folder needs an integer random_state: with any other, a comparison that is started "
            "again could not tell that it is the same"
        )
    samples = read_samples(
        X,
        y,
        groups,
        keep_together=keep_together,
        group_columns=group_columns,
        embedder=embedder,
        folder=folder,
    )
    if cell_weights is not None:  # before hours of fits, not after
        present = samples.cells.index[samples.cells.present]
        adjusted_average(pd.DataFrame({"accuracy": 1.0}, index=present), cell_weights)
    seed = random_state  # that of a number is the methods' own, so that each can be fitted alone
    if not isinstance(random_state, int | np.integer):
        seed = int(generator(random_state).integers(2**31 - 1))
    estimators = make_methods(methods, samples.kind, samples.n_features, seed)
    splits = _splits(cv, samples, seed)
    if not all(prepares_itself(estimator) for estimator in estimators.values()):
        if samples.has_images:
            tell(f"embedding {len(samples):,} images, once for all", {}, verbose)
        samples = prepare(samples)
    seeds = {
        name: seeds_for(estimator, np.random.default_rng(seed))
        for name, estimator in estimators.items()
    }
    parts = run(
        estimators, seeds, samples, splits, folder=folder, n_jobs=n_jobs, seed=seed, verbose=verbose
    )
    found = MethodComparison(
        samples,
        splits,
        estimators,
        parts,
        seeds,
        cell_weights=cell_weights,
        confidence=confidence,
        seed=seed,
    )
    if refit and not found.predictions_.empty:
        tell(f"fitting {found.best_} on all {len(samples):,} samples", {}, verbose)
        found._fit_best(samples, found.best_)
    return found


def _splits(cv: Any, samples: Samples, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split the samples; each is held out once at most, with all of its unit."""
    knows_units = cv is None or isinstance(cv, int | np.integer)
    if hasattr(cv, "split"):
        knows_units = "keep_together" in inspect.signature(cv.split).parameters
    splits = held_out_splits(
        cv,
        samples.given,
        samples.y,
        samples.groups,
        samples.cells,
        keep_together=samples.keep_together if knows_units else None,
        seed=seed,
    )
    times = np.bincount(np.concatenate([test for _, test in splits]), minlength=len(samples))
    if times.max() > 1:
        raise ValueError(
            f"cv holds sample {times.argmax()} out {times.max()} times, and here each sample is "
            "predicted once: give folds that do not overlap, such as cv=5"
        )
    for number, (train, test) in enumerate(splits):
        units = samples.units
        if units is not None and np.isin(units[test], units[train]).any():
            raise ValueError(
                f"fold {number + 1} of cv has samples of the same keep_together on both sides: "
                "give a number of folds, or splits that keep them together"
            )
    return splits
