"""How much each cell weighs, and where classes part: learned from errors on held-out samples."""

from ._cell_errors import PRIOR_SAMPLES, shrunken_errors, start_shares
from ._learning import LearnedBalance, learn_balance
from ._minimax import MinimaxClassifier

__all__ = [
    "PRIOR_SAMPLES",
    "LearnedBalance",
    "MinimaxClassifier",
    "learn_balance",
    "shrunken_errors",
    "start_shares",
]
