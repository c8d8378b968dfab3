"""UCI Adult, carried by the package in its original form."""

from __future__ import annotations

import lzma
from collections.abc import Iterable
from importlib.resources import files
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from ._common import check_fractions, select_groups, stratified_parts

__all__ = ["load_adult"]

#: the columns of the files, in their order
COLUMNS = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income",
]
TARGET_NAMES = ("<=50K", ">50K")

DESCR = """\
Adult, also known as Census Income: 48,842 people of the 1994 database of the United States Census
Bureau, of age 17 or more and with an income. The task is to say who earns more than 50,000 dollars
a year.

Source: Becker, B. and Kohavi, R. (1996). Adult [Dataset]. UCI Machine Learning Repository.
https://doi.org/10.24432/C5XW20
Licence: CC BY 4.0, https://creativecommons.org/licenses/by/4.0/
"""


def load_adult(
    *,
    groups: str | Iterable[str] = "sex",
    age_bins: Iterable[int] = (25, 60),
    validation_fraction: float = 0.0,
    random_state: int | np.random.RandomState | None = 0,
) -> Bunch:
    """Load UCI Adult: who earns more than 50,000 dollars a year.

    The data come with the package; nothing is downloaded.

    =================   ======================================
    Samples             48,842, of which 16,281 are the test
    Features            14, 6 numeric and 8 categorical
    Classes             2, ``">50K"`` has 11,687 samples
    Attributes          sex, race, age
    =================   ======================================

    Parameters
    ----------
    groups : {"sex", "race", "age"} or a list of them, default="sex"
        The sensitive attribute, or several, whose intersections are then the groups.
    age_bins : iterable of int, default=(25, 60)
        First ages of all age groups but the youngest, increasing, between 18 and 90. The default
        makes the groups ``"<25"``, ``"25-59"`` and ``"60+"``. Few people below 25 earn more than
        50,000 (93 of 8,432), which makes theirs the small cell; below 20 only 3 do.
    validation_fraction : float, default=0.0
        Share of the official training rows that becomes the validation part, drawn with the same
        share from each cell of class and group. There is no official validation part: with 0 the
        split has the values 0 and 2 only.
    random_state : int, RandomState instance or None, default=0
        Draws the validation part. The default gives everyone the same one.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the fields:

        data : DataFrame of shape (48842, 14)
            The features, rows in the order of the files, training rows first. Numbers are int64,
            the others of pandas' category dtype. The sensitive attributes are among them: drop
            their columns, or name them as `group_columns` of a classifier, to predict without.
        target : Series of shape (48842,), text
            The income, ``"<=50K"`` or ``">50K"``, of pandas' own dtype for text: ``str``, or
            ``object`` before pandas 3.
        groups : Series of shape (48842,) or DataFrame of shape (48842, n_attributes), text
            The sensitive attributes: a Series for a single name, a DataFrame for a list.
        split : ndarray of shape (48842,), dtype int64
            0 train (32,561 rows less the validation part), 1 valid, 2 test (16,281 rows).
        frame : DataFrame of shape (48842, 15)
            `data` and `target` side by side.
        feature_names : list of str
            Names of the columns of `data`.
        target_names : list of str
            The two classes.
        DESCR : str
            What the data are, their source and licence.

    Raises
    ------
    ValueError
        If a parameter has a value that is not allowed.

    See Also
    --------
    load_compas : Another table, about recidivism.
    make_waterdigits : Images whose background gives the class away, except in the test.

    Notes
    -----
    The files of the repository write unknown values as ``?``. They are missing values here (NaN),
    and occur in ``workclass`` (2,799), ``occupation`` (2,809) and ``native-country`` (857);
    scikit-learn's ``OneHotEncoder`` and gradient boosting take them as they are. ``fnlwgt`` is a
    weight of the census, not a property of the person, and is best left out of the features.
    ``education-num`` numbers the values of ``education``.

    Licence: CC BY 4.0, by Barry Becker and Ronny Kohavi. The package carries the two original
    files, compressed; the file ``NOTICE`` next to them has the attribution.

    References
    ----------
    .. [1] B. Becker and R. Kohavi (1996). Adult [Dataset]. UCI Machine Learning Repository.
       https://doi.org/10.24432/C5XW20
    .. [2] R. Kohavi (1996). Scaling up the accuracy of naive-Bayes classifiers: a decision-tree
       hybrid. Proceedings of the Second International Conference on Knowledge Discovery and Data
       Mining.

    Examples
    --------
    >>> import pandas as pd
    >>> from gbmix_sklearn import load_adult
    >>> adult = load_adult()
    >>> adult.data.shape
    (48842, 14)
    >>> pd.crosstab(adult.target, adult.groups)
    sex     Female   Male
    income
    <=50K    14423  22732
    >50K      1769   9918

    Several attributes are a DataFrame:

    >>> adult = load_adult(groups=["sex", "age"], validation_fraction=0.2)
    >>> adult.groups.head(2)
        sex    age
    0  Male  25-59
    1  Male  25-59
    >>> [int((adult.split == part).sum()) for part in (0, 1, 2)]
    [26048, 6513, 16281]
    """
    check_fractions(validation_fraction=validation_fraction)
    edges = _check_age_bins(age_bins)
    parts = [_read("adult.data.xz", skiprows=0), _read("adult.test.xz", skiprows=1)]
    frame = pd.concat(parts, ignore_index=True)
    frame["income"] = frame["income"].str.rstrip(".")
    attributes = pd.DataFrame(
        {"sex": frame["sex"], "race": frame["race"], "age": age_groups(frame["age"], edges)}
    )
    selected = select_groups(attributes, groups)
    target = frame["income"]

    split = np.repeat([0, 2], [len(part) for part in parts]).astype(np.int64)
    train = split == 0
    split[train] = stratified_parts(
        target[train], selected[train], (1 - validation_fraction, validation_fraction), random_state
    )
    features = COLUMNS[:-1]
    text = [name for name in features if not pd.api.types.is_numeric_dtype(frame[name])]
    data = frame[features].astype(dict.fromkeys(text, "category"))
    return Bunch(
        data=data,
        target=target,
        groups=selected,
        split=split,
        frame=data.assign(income=target),
        feature_names=features,
        target_names=list(TARGET_NAMES),
        DESCR=DESCR,
    )


def age_groups(age: pd.Series, edges: list[int]) -> pd.Series:
    """Name of each person's age group, such as ``"25-59"``."""
    names = [
        f"<{edges[0]}",
        *(f"{low}-{high - 1}" for low, high in pairwise(edges)),
        f"{edges[-1]}+",
    ]
    group = np.searchsorted(edges, age.to_numpy(), side="right")
    return pd.Series(np.array(names, dtype=object)[group], index=age.index)


def _check_age_bins(age_bins: Any) -> list[int]:
    edges = list(age_bins) if np.ndim(age_bins) == 1 else []
    rising = all(low < high for low, high in pairwise(edges))
    whole = all(isinstance(edge, int | np.integer) for edge in edges)
    if not edges or not whole or not rising or edges[0] < 18 or edges[-1] > 90:
        raise ValueError(
            f"age_bins must be increasing whole numbers between 18 and 90, got {age_bins!r}"
        )
    return [int(edge) for edge in edges]


def _read(name: str, skiprows: int) -> pd.DataFrame:
    """Rows of one of the two files; the test file starts with a line of comment."""
    packed = files(__package__) / "data" / name
    with packed.open("rb") as stream, lzma.open(stream) as content:
        return pd.read_csv(
            content,
            names=COLUMNS,
            skiprows=skiprows,
            skipinitialspace=True,
            na_values=["?"],
            keep_default_na=False,
        )
