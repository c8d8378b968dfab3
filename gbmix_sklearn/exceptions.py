"""Warnings and errors: a small tree on Python's and scikit-learn's own bases.

Every error can be caught both as :class:`GBMixError` and as the built-in class that scikit-learn
users expect (``ValueError``, ``TypeError``, ``ImportError``).
"""

from typing import Any

from ._visible import visible_lines

__all__ = [
    "DisjointLabelsWarning",
    "DuplicateSamplesWarning",
    "EmptyErrorSetWarning",
    "GBMixError",
    "GroupsError",
    "GroupsWarning",
    "LargeStepsWarning",
    "LargeUnitWarning",
    "MissingGroupsError",
    "MissingGroupsWarning",
    "NonFiniteLossError",
    "NonFiniteLossWarning",
    "NonFiniteOutputError",
    "OutOfMemoryError",
    "RefitRuleError",
    "SkippedImagesWarning",
    "SmallCellWarning",
    "WeightsNotFoundError",
]


class _Visible:
    """Messages name groups, columns and files, which may have anything in their names."""

    def __str__(self) -> str:
        return visible_lines(super().__str__())


class GBMixError(_Visible, Exception):
    """Base class of every error that this package raises itself."""


class GroupsError(GBMixError, ValueError):
    """The groups cannot be used as they are: wrong length, missing values, cell ids."""


class MissingGroupsError(GroupsError, TypeError):
    """Groups are required and none were given."""


class NonFiniteLossError(GBMixError, ValueError):
    """The training loss became NaN or infinite before a single epoch was finished."""


class NonFiniteOutputError(GBMixError, ValueError):
    """A network gives NaN or infinite values for samples that have none."""


class OutOfMemoryError(GBMixError, MemoryError):
    """A training batch does not fit into the memory of the device."""


class RefitRuleError(GBMixError, ValueError):
    """A rule cannot choose a candidate of a search; `cv_results` keeps the results of the search.

    Parameters
    ----------
    message : str
        Why not, and what to do.
    cv_results : mapping
        What the search would have stored as `cv_results_`.
    """

    def __init__(self, message: str, cv_results: Any):
        super().__init__(message, cv_results)  # both, so that it can be pickled
        self.cv_results = cv_results

    def __str__(self) -> str:
        return self.args[0]


class WeightsNotFoundError(GBMixError, OSError):
    """Pretrained weights are neither on this machine nor can they be downloaded."""


class DisjointLabelsWarning(_Visible, UserWarning):
    """None of the predicted labels is among the true ones."""


class DuplicateSamplesWarning(_Visible, UserWarning):
    """The same samples are in the training data and in data that judge what was trained."""


class EmptyErrorSetWarning(_Visible, UserWarning):
    """A first stage made no error that a second one could learn from."""


class GroupsWarning(_Visible, UserWarning):
    """The groups look like persons, or like the classes, not like a sensitive attribute."""


class LargeStepsWarning(_Visible, UserWarning):
    """Training became no better after its first epoch, and its loss swings."""


class LargeUnitWarning(_Visible, UserWarning):
    """Samples that belong together are too many for the part of a split that has them."""


class MissingGroupsWarning(_Visible, UserWarning):
    """A method that works on groups was fitted without any."""


class NonFiniteLossWarning(_Visible, UserWarning):
    """The training loss became NaN or infinite; the best epoch before that is kept."""


class SkippedImagesWarning(_Visible, UserWarning):
    """Images that cannot be read were skipped."""


class SmallCellWarning(_Visible, UserWarning):
    """A cell is too small: to give samples to every part of a split, or to say how good it is."""
