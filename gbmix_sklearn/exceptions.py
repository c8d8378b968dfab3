"""Warnings and errors: a small tree on Python's and scikit-learn's own bases.

Every error can be caught both as :class:`GBMixError` and as the built-in class that scikit-learn
users expect (``ValueError``, ``TypeError``, ``ImportError``).
"""

__all__ = [
    "EmptyErrorSetWarning",
    "GBMixError",
    "GroupsError",
    "MissingGroupsError",
    "MissingGroupsWarning",
    "NonFiniteLossError",
    "NonFiniteLossWarning",
    "OutOfMemoryError",
    "SkippedImagesWarning",
    "SmallCellWarning",
    "WeightsNotFoundError",
]


class GBMixError(Exception):
    """Base class of every error that this package raises itself."""


class GroupsError(GBMixError, ValueError):
    """The groups cannot be used as they are: wrong length, missing values, cell ids."""


class MissingGroupsError(GroupsError, TypeError):
    """Groups are required and none were given."""


class NonFiniteLossError(GBMixError, ValueError):
    """The training loss became NaN or infinite before a single epoch was finished."""


class OutOfMemoryError(GBMixError, MemoryError):
    """A training batch does not fit into the memory of the device."""


class WeightsNotFoundError(GBMixError, OSError):
    """Pretrained weights are neither on this machine nor can they be downloaded."""


class EmptyErrorSetWarning(UserWarning):
    """A first stage made no error that a second one could learn from."""


class MissingGroupsWarning(UserWarning):
    """A method that works on groups was fitted without any."""


class NonFiniteLossWarning(UserWarning):
    """The training loss became NaN or infinite; the best epoch before that is kept."""


class SkippedImagesWarning(UserWarning):
    """Images that cannot be read were skipped."""


class SmallCellWarning(UserWarning):
    """A cell is too small to give samples to every part of a split."""
