"""Pictures of groups, models and trainings; matplotlib is loaded when something is drawn."""

from ._ablation import AblationDisplay
from ._balance import BalanceDisplay
from ._group_accuracy import GroupAccuracyDisplay
from ._tradeoff import TradeoffDisplay
from ._training import TrainingDisplay

__all__ = [
    "GroupAccuracyDisplay",
    "TradeoffDisplay",
    "TrainingDisplay",
    "BalanceDisplay",
    "AblationDisplay",
]
