"""gbmix_sklearn: classifiers that aim at the same accuracy for every group of people.

Names are imported on first use (PEP 562), so that metrics and scorers load without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0.dev0"

#: public name -> module that defines it
_PUBLIC = {
    # classifiers
    "GBMixClassifier": "estimators",
    "ERMClassifier": "estimators",
    "RWGClassifier": "estimators",
    "SUBGClassifier": "estimators",
    "MixupClassifier": "estimators",
    "ManifoldMixupClassifier": "estimators",
    "CutMixClassifier": "estimators",
    "ReMixClassifier": "estimators",
    "BalancedMixUpClassifier": "estimators",
    "RegMixupClassifier": "estimators",
    "OBMixClassifier": "estimators",
    "UniMixClassifier": "estimators",
    "FairMixClassifier": "estimators",
    "GroupDROClassifier": "estimators",
    "JTTClassifier": "estimators",
    "LISAClassifier": "estimators",
    "UMIXClassifier": "estimators",
    "AFRClassifier": "estimators",
    "DFRClassifier": "estimators",
    "paper_params": "estimators",
    # criteria for plain PyTorch loops
    "GBMixCriterion": "criteria",
    "CrossEntropyCriterion": "criteria",
    "MixupCriterion": "criteria",
    "ManifoldMixupCriterion": "criteria",
    "CutMixCriterion": "criteria",
    "ReMixCriterion": "criteria",
    "BalancedMixUpCriterion": "criteria",
    "RegMixupCriterion": "criteria",
    "OBMixCriterion": "criteria",
    "UniMixCriterion": "criteria",
    "FairMixCriterion": "criteria",
    "GroupDROCriterion": "criteria",
    "LISACriterion": "criteria",
    "UMIXCriterion": "criteria",
    # refit of the last layer
    "LastLayerRefit": "refit",
    # any classifier with sample weights, any classifier with scores
    "MinimaxClassifier": "balance",
    "GroupThresholdClassifier": "balance",
    # tables as numbers
    "TableEncoder": "tables",
    # which method for my data
    "compare": "comparison",
    "MethodComparison": "comparison",
    # embedding
    "TimmEmbedder": "backbones",
    # metrics and scorers
    "worst_group_accuracy_score": "metrics",
    "robust_gap_score": "metrics",
    "mean_group_accuracy_score": "metrics",
    "adjusted_average_accuracy_score": "metrics",
    "group_report": "metrics",
    "worst_group_accuracy_scorer": "metrics",
    "robust_gap_scorer": "metrics",
    "mean_group_accuracy_scorer": "metrics",
    "demographic_parity_scorer": "metrics",
    "equalized_odds_scorer": "metrics",
    "make_group_scorer": "metrics",
    # displays
    "GroupAccuracyDisplay": "plotting",
    "TradeoffDisplay": "plotting",
    "TrainingDisplay": "plotting",
    "BalanceDisplay": "plotting",
    "AblationDisplay": "plotting",
    # reports
    "GroupAudit": "report",
    "model_card": "report",
    # splitting
    "SubgroupStratifiedKFold": "model_selection",
    "subgroup_train_test_split": "model_selection",
    # choosing among the candidates of a search
    "BestWorstGroup": "model_selection",
    # datasets
    "load_waterbirds": "datasets",
    "load_celeba": "datasets",
    "load_utkface": "datasets",
    "load_fairface": "datasets",
    "load_adult": "datasets",
    "load_compas": "datasets",
    "make_waterdigits": "datasets",
    # saving
    "load_model": "persistence",
    # warnings and errors
    "DuplicateSamplesWarning": "exceptions",
    "EmptyErrorSetWarning": "exceptions",
    "GBMixError": "exceptions",
    "GroupsError": "exceptions",
    "GroupsWarning": "exceptions",
    "LargeStepsWarning": "exceptions",
    "DisjointLabelsWarning": "exceptions",
    "LargeUnitWarning": "exceptions",
    "MissingGroupsError": "exceptions",
    "MissingGroupsWarning": "exceptions",
    "NonFiniteLossError": "exceptions",
    "NonFiniteLossWarning": "exceptions",
    "NonFiniteOutputError": "exceptions",
    "OutOfMemoryError": "exceptions",
    "RefitRuleError": "exceptions",
    "SkippedImagesWarning": "exceptions",
    "SmallCellWarning": "exceptions",
    "WeightsNotFoundError": "exceptions",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
