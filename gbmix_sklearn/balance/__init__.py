"""How much each cell weighs, and where classes part: learned from errors on held-out samples."""

from ._cell_errors import PRIOR_SAMPLES, shrink, shrunken_errors, start_shares
from ._folds import FEW_SAMPLES
from ._learning import LearnedBalance, learn_balance, next_shares
from ._minimax import MinimaxClassifier
from ._offsets import ChosenOffsets, choose_offsets, cross_fitted_offsets, predict_codes
from ._thresholds import GroupThresholdClassifier

__all__ = [
    "FEW_SAMPLES",
    "PRIOR_SAMPLES",
    "ChosenOffsets",
    "GroupThresholdClassifier",
    "LearnedBalance",
    "MinimaxClassifier",
    "choose_offsets",
    "cross_fitted_offsets",
    "learn_balance",
    "next_shares",
    "predict_codes",
    "shrink",
    "shrunken_errors",
    "start_shares",
]
