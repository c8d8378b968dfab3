"""Data sets: Adult comes with the package, Waterdigits is generated, the others are read from disk.

Every loader returns a :class:`~sklearn.utils.Bunch` with the features (``data`` or ``images``),
``target``, ``groups`` and ``split`` (0 train, 1 valid, 2 test) of all rows.
"""

from ._adult import load_adult
from ._celeba import load_celeba
from ._compas import load_compas
from ._fairface import load_fairface
from ._utkface import load_utkface
from ._waterbirds import load_waterbirds
from ._waterdigits import make_waterdigits

__all__ = [
    "load_adult",
    "load_celeba",
    "load_compas",
    "load_fairface",
    "load_utkface",
    "load_waterbirds",
    "make_waterdigits",
]
