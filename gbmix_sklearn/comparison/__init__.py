"""Which method for my data: many methods on the same folds, judged by their worst group."""

from ._compare import compare
from ._result import MethodComparison

__all__ = ["MethodComparison", "compare"]
