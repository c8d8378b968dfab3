"""Which method for my data: many methods on the same folds, judged by their worst group."""

from ._compare import compare
from ._methods import METHOD_NAMES
from ._result import MethodComparison

__all__ = ["METHOD_NAMES", "MethodComparison", "compare"]
