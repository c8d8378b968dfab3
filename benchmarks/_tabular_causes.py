"""Why methods are where they are in the tabular study: one thing varied at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gbmix_sklearn import subgroup_train_test_split

from ._tabular_data import Part

__all__ = ["VARIATIONS", "Variation", "thinned"]


@dataclass(frozen=True)
class Variation:
    """A method with a setting; the first of a method is what its others are held against."""

    method: str
    #: what differs from the first of the method
    what: str
    setting: dict[str, Any]
    #: share of each cell of the training part that is used
    share: float = field(default=1.0)


def _variations(
    method: str, base: dict[str, Any], others: Iterable[tuple[str, dict[str, Any]]]
) -> Iterator[Variation]:
    yield Variation(method, "", base)
    for what, difference in others:
        yield Variation(method, what, base | difference)


def _on_less(method: str, setting: dict[str, Any], share: float) -> Iterator[Variation]:
    yield Variation(method, "", setting)
    yield Variation(method, f"{share:.0%} of the training part", setting, share)


WITHOUT_MIXING = {"mix": False, "categorize": False}
#: share that trains GBMix's network where a fifth chooses epochs, and a fifth of the rest refits
TRAINED_ON = 0.64
VARIATIONS = (
    *_variations(
        "GBMix",
        {"lr": 0.015, "hidden_units": (64,)},
        [
            ("without the refit", {"refit": None}),
            ("without mixing", {"mix": False}),
            ("without categories", {"categorize": False}),
            ("without mixing and categories", WITHOUT_MIXING),
            ("without mixing, categories and refit", {**WITHOUT_MIXING, "refit": None}),
            ("without the hidden layer", {"hidden_units": ()}),
            ("alpha of 0.2", {"alpha": 0.2}),
            ("a fifth of the learning rate", {"lr": 0.003}),
            ("at most 50 epochs, patience 10", {"max_epochs": 50, "patience": 10}),
            ("half the part that chooses epochs", {"validation_fraction": 0.1}),
        ],
    ),
    *_variations(
        "RWG",
        {"lr": 0.05, "hidden_units": (64,)},
        [
            ("without the hidden layer", {"hidden_units": ()}),
            ("half the part that chooses epochs", {"validation_fraction": 0.1}),
        ],
    ),
    *_variations(
        "JTT",
        {"lr": 0.05, "hidden_units": (64,)},
        [
            (f"lambda_up of {value}, first stage of {epochs}", settings)
            for value, epochs in ((5, 1), (2, 1), (2, 10), (1, 10))
            for settings in [{"lambda_up": value, "first_stage_epochs": epochs}]
        ],
    ),
    *_on_less("LogisticRegression, cell-weighted", {"C": 1.0}, TRAINED_ON),
    *_on_less(
        "HistGradientBoosting, cell-weighted",
        {"learning_rate": 0.1, "max_leaf_nodes": 31},
        TRAINED_ON,
    ),
)


def thinned(train: Part, share: float, seed: int) -> Part:
    """So much of each cell."""
    if share == 1:
        return train
    parts = subgroup_train_test_split(*train, test_size=1 - share, random_state=seed)
    return Part(*parts[0::2])
