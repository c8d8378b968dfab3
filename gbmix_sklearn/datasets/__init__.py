"""Data sets: Adult comes with the package, Waterdigits is generated, COMPAS is read or downloaded.

Every loader returns a :class:`~sklearn.utils.Bunch` with the features (``data`` or ``images``),
``target``, ``groups`` and ``split`` (0 train, 1 valid, 2 test) of all rows.
"""

from ._adult import load_adult
from ._compas import load_compas
from ._waterdigits import make_waterdigits

__all__ = ["load_adult", "load_compas", "make_waterdigits"]
