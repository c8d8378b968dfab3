"""ProPublica's COMPAS two-year recidivism data, from a local copy or downloaded once."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch

from ._common import check_fractions, select_groups, stratified_parts
from ._download import download, sha256_of

__all__ = ["load_compas"]

FILE_NAME = "compas-scores-two-years.csv"
URL = f"https://raw.githubusercontent.com/propublica/compas-analysis/master/{FILE_NAME}"
SHA256 = "c451db85908b2f7fef1d83203bedf6b71ecda0d5af468d82ae62178f91d0cc7d"

NUMERIC_FEATURES = [
    "age",
    "juv_fel_count",
    "juv_misd_count",
    "juv_other_count",
    "priors_count",
]
TEXT_FEATURES = ["c_charge_degree", "sex", "race"]
ATTRIBUTES = ["race", "sex", "age_cat"]
TARGET = "two_year_recid"
TARGET_NAMES = ("no recidivism", "recidivism within two years")
#: read for the filter alone; the outcome and the score are no features
FILTER_NUMBERS = ["days_b_screening_arrest", "is_recid"]
FILTER_TEXT = ["score_text"]
#: races with fewer people than this are the ones that can be merged: Asian and Native American
RARE = 100

DESCR = """\
COMPAS: people of Broward County, Florida, who were scored for their risk of recidivism in 2013 and
2014, collected by ProPublica. The task is to say who was charged with a new crime within two years.

Source: https://github.com/propublica/compas-analysis, compas-scores-two-years.csv
"""


def load_compas(
    path: str | os.PathLike[str] | None = None,
    *,
    groups: str | Iterable[str] = "race",
    merge_rare_races: bool = False,
    filtered: bool = True,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
    random_state: int | np.random.RandomState | None = 0,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
) -> Bunch:
    """Load ProPublica's COMPAS data: who is charged again within two years.

    The data do not come with the package. They are read from `path`, or else from scikit-learn's
    data folder, to which they are downloaded once (2.5 MB) and verified.

    =================   ==============================================
    Samples             6,172 (7,214 without the filter)
    Features            8, 5 numeric and 3 categorical
    Classes             2, class 1 has 2,809 samples (3,251)
    Attributes          race, sex, age_cat
    =================   ==============================================

    Parameters
    ----------
    path : str or path-like, default=None
        The file ``compas-scores-two-years.csv``, or the folder that has it. It is read as it is,
        without a check of its checksum.
    groups : {"race", "sex", "age_cat"} or a list of them, default="race"
        The sensitive attribute, or several, whose intersections are then the groups.
    merge_rare_races : bool, default=False
        Whether the groups count Asian (31 people) and Native American (11) as ``"Other"``: an
        accuracy over so few says little. The feature ``race`` stays as it is.
    filtered : bool, default=True
        Whether to keep only the rows that ProPublica's analysis keeps: charge and screening at
        most 30 days apart, a known outcome, no ordinary traffic offence, and a score.
    validation_fraction, test_fraction : float, default=0.2
        Shares of the validation and test parts, in each cell of class and group alike. There is no
        official split.
    random_state : int, RandomState instance or None, default=0
        Draws the split. The default gives everyone the same one, for the same `groups`.
    data_home : str or path-like, default=None
        Folder for the downloaded file; None is scikit-learn's, ``~/scikit_learn_data``.
    download_if_missing : bool, default=True
        Whether to download the file if `data_home` does not have it.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the fields:

        data : DataFrame of shape (6172, 8)
            The features, in the order of the file: age at the time of the screening in years,
            numbers of juvenile felonies, misdemeanours and other offences, number of prior
            offences (all int64), degree of the present charge (``"F"`` felony, ``"M"``
            misdemeanour), sex and race (all of pandas' category dtype). To predict without a
            sensitive attribute drop its column, or name it as `group_columns` of a classifier.
        target : Series of shape (6172,), dtype int64
            1 for a new charge within two years, else 0.
        groups : Series of shape (6172,) or DataFrame of shape (6172, n_attributes), text
            The sensitive attributes: a Series for a single name, a DataFrame for a list.
        split : ndarray of shape (6172,), dtype int64
            0 train, 1 valid, 2 test.
        frame : DataFrame of shape (6172, 9)
            `data` and `target` side by side.
        feature_names : list of str
            Names of the columns of `data`.
        target_names : list of str
            What the classes 0 and 1 mean.
        DESCR : str
            What the data are, and their source.

    Raises
    ------
    FileNotFoundError
        If `path` has no such file, or the file is missing and must not be downloaded.
    OSError
        If the download fails, or the file in `data_home` is not the one that was published.
    ValueError
        If a parameter has a value that is not allowed, or the file is malformed; the message names
        the file and the line.

    See Also
    --------
    load_adult : A larger table, which comes with the package.

    Notes
    -----
    What would give the outcome away is no feature: the COMPAS scores, all that is known of later
    charges (``is_recid``, ``r_*``, ``vr_*``, ``event``, ``end``) and the times in jail, which may
    lie after the screening. Names, dates of birth and case numbers are not read either.

    Of the people screened after 1 April 2014 the file has only those who were charged again, since
    the others could not be followed for two years. Their share of recidivists is therefore too
    high [2]_. More on what these data can and cannot show is in [3]_.

    Licence: none is stated by the source, which is why the package does not carry the file.
    Attribution: Jeff Larson, Surya Mattu, Lauren Kirchner and Julia Angwin, ProPublica.

    References
    ----------
    .. [1] J. Larson, S. Mattu, L. Kirchner and J. Angwin (2016). How we analyzed the COMPAS
       recidivism algorithm. ProPublica.
       https://www.propublica.org/article/how-we-analyzed-the-compas-recidivism-algorithm
    .. [2] M. Barenstein (2019). ProPublica's COMPAS data revisited.
       https://arxiv.org/abs/1906.04711
    .. [3] M. Bao et al. (2021). It's COMPASlicated: the messy relationship between RAI datasets
       and algorithmic fairness benchmarks. https://arxiv.org/abs/2106.05498

    Examples
    --------
    >>> from gbmix_sklearn import load_compas
    >>> compas = load_compas(groups=["race", "sex"])  # doctest: +SKIP
    >>> compas.data.shape  # doctest: +SKIP
    (6172, 8)
    """
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    select_groups(pd.DataFrame(columns=ATTRIBUTES), groups)  # before any download
    if path is None:
        file = _from_data_home(data_home, download_if_missing)
    else:
        file = _local_file(Path(path).expanduser())
    frame = _read(file)
    if filtered:
        frame = frame[
            frame["days_b_screening_arrest"].between(-30, 30)
            & (frame["is_recid"] != -1)
            & (frame["c_charge_degree"] != "O")
            & (frame["score_text"] != "N/A")
        ].reset_index(drop=True)

    attributes = frame[ATTRIBUTES].copy()
    if merge_rare_races:
        rare = attributes["race"].map(attributes["race"].value_counts()) < RARE
        attributes.loc[rare, "race"] = "Other"
    selected = select_groups(attributes, groups)
    fractions = (1 - validation_fraction - test_fraction, validation_fraction, test_fraction)
    features = NUMERIC_FEATURES + TEXT_FEATURES
    data = frame[features].astype(dict.fromkeys(TEXT_FEATURES, "category"))
    return Bunch(
        data=data,
        target=frame[TARGET],
        groups=selected,
        split=stratified_parts(frame[TARGET], selected, fractions, random_state),
        frame=data.assign(**{TARGET: frame[TARGET]}),
        feature_names=features,
        target_names=list(TARGET_NAMES),
        DESCR=DESCR,
    )


def _local_file(path: Path) -> Path:
    file = path / FILE_NAME if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} does not exist; path must be {FILE_NAME} or the folder that has it. "
            f"It can be downloaded from {URL}"
        )
    return file


def _from_data_home(data_home: str | os.PathLike[str] | None, may_download: bool) -> Path:
    file = Path(get_data_home(data_home)) / FILE_NAME
    by_hand = f"Download {URL} by hand and save it as {file}, or give its place as path=..."
    if not file.is_file():
        if not may_download:
            raise FileNotFoundError(
                f"{file} does not exist and download_if_missing is False. {by_hand}"
            )
        try:
            download(URL, file, SHA256)
        except OSError as error:
            raise OSError(f"{error}. {by_hand}") from error
    elif (found := sha256_of(file)) != SHA256:
        raise OSError(
            f"{file} is not the file that was published: its SHA-256 is {found} instead of "
            f"{SHA256}. Delete it to have it downloaded again, or give it as path=... to use it "
            "as it is"
        )
    return file


def _read(file: Path) -> pd.DataFrame:
    """Read the columns that are used, as numbers and text; errors name the file and the line."""
    lines, table = _read_text(file)
    optional = "days_b_screening_arrest"
    for name in table:
        text = table[name]
        if name in (*NUMERIC_FEATURES, *FILTER_NUMBERS, TARGET):
            values = _as_numbers(text)
            # beyond 64 bits they would come out as others
            good = ((values % 1 == 0) & (values.abs() < 2**63)) | (
                (name == optional) & (text == "")
            )
            if name == TARGET:
                good &= values.isin([0, 1])
            wanted = "0 or 1" if name == TARGET else "a whole number"
        else:
            values, good, wanted = text, text != "", "some text"
        if not good.all():
            row = int((~good).to_numpy().argmax())
            raise ValueError(
                f"{file}, line {lines[row]}: {name} is {text[row]!r}, expected {wanted}"
            )
        whole = name != optional and values is not text
        table[name] = values.astype("int64") if whole else values
    return table


def _as_numbers(text: pd.Series) -> pd.Series:
    try:
        return pd.to_numeric(text, errors="coerce")
    except OverflowError:  # hundreds of digits, which no float holds
        return pd.to_numeric(text.where(text.str.len() < 300), errors="coerce")


def _read_text(file: Path) -> tuple[list[int], pd.DataFrame]:
    """Read line numbers and cells; the csv module counts lines even past line breaks in cells."""
    # race and sex are features and attributes, but one column
    wanted = list(
        dict.fromkeys(
            [*NUMERIC_FEATURES, *TEXT_FEATURES, *ATTRIBUTES, TARGET, *FILTER_NUMBERS, *FILTER_TEXT]
        )
    )
    with file.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            header = next(reader, [])
            missing = [name for name in wanted if name not in header]
            if missing:
                raise ValueError(f"{file} has no column {', '.join(missing)}; is it {FILE_NAME}?")
            # some names occur twice, with the same values: the first is taken
            places = [header.index(name) for name in wanted]
            lines, rows = [], []
            for row in reader:
                if len(row) != len(header):
                    raise ValueError(
                        f"{file}, line {reader.line_num}: {len(row)} fields, "
                        f"the header has {len(header)}"
                    )
                lines.append(reader.line_num)
                rows.append([row[place] for place in places])
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{file}, line {reader.line_num}: {error}") from error
    if not rows:
        raise ValueError(f"{file} has a header and no rows")
    return lines, pd.DataFrame(rows, columns=wanted)
