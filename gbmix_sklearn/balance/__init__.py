"""How much each cell weighs, and where classes part: learned from errors on held-out samples."""

from ._cell_errors import PRIOR_SAMPLES, shrunken_errors
from ._learning import LearnedBalance, learn_balance

__all__ = ["PRIOR_SAMPLES", "LearnedBalance", "learn_balance", "shrunken_errors"]
