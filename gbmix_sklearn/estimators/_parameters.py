"""The parameters that all classifiers share, and what they may be."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, fields
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.base import clone, is_classifier
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from ..refit import RECIPES, LearnedRecipe, Recipe, find_recipe

__all__ = ["OPTIMIZERS", "Parameters"]

OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}

#: parameters that change how a training runs, and when it ends, but not its steps; or that say how
#: to find data, which are compared themselves
_NOT_OF_STEPS = {
    *("checkpoint_dir", "cache_dir", "callbacks", "num_workers", "verbose", "device", "compile"),
    *("patience", "on_error", "image_root", "image_column", "group_columns", "pretrained"),
}

#: parameters that say how images are read
_IMAGE_PARAMETERS = (
    "pretrained",
    "image_size",
    "augment",
    "image_root",
    "image_column",
    "value_range",
    "on_error",
    "cache_dir",
    "num_workers",
)


@dataclass(eq=False, repr=False)
class Parameters:
    """The fields of these dataclasses are the estimators' parameters.

    A subclass declares its own and new defaults, and the constructor with its signature follows.
    """

    backbone: torch.nn.Module | str | None = None
    _: KW_ONLY
    hidden_units: tuple[int, ...] = ()
    trainable: bool | int | str = True
    pretrained: bool | str | os.PathLike[str] = True
    image_size: int | None = None
    augment: Literal["flip", "standard"] | Callable[..., Any] | None = None
    max_epochs: int = 50
    batch_size: int = 64
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float | Literal["auto"] = "auto"
    head_lr: float | None = None
    momentum: float = 0.9
    weight_decay: float | Literal["auto"] = "auto"
    lr_schedule: Literal["constant", "cosine", "step"] = "constant"
    warmup_epochs: float = 0
    max_grad_norm: float | None = None
    refit: Any = None
    refit_on: Literal["auto", "held_out", "validation", "train"] = "auto"
    refit_fraction: float = 0.2
    validation_fraction: float | None = 0.2
    patience: int | None = 10
    group_columns: Any = None
    image_root: str | os.PathLike[str] | None = None
    image_column: str | None = None
    value_range: tuple[float, float] | None = None
    on_error: Literal["raise", "skip"] = "raise"
    cache_dir: str | os.PathLike[str] | None = None
    num_workers: int = 0
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    compile: bool = False
    checkpoint_dir: str | os.PathLike[str] | None = None
    callbacks: list[Any] | None = None
    random_state: Any = None
    verbose: int = 0

    #: how many mean losses the training loss is the sum of
    _loss_scale: ClassVar[float] = 1.0
    #: weight decay of a network that is trained as a whole, where it is "auto"
    _network_weight_decay: ClassVar[float] = 1e-4
    #: values of `refit` that are names
    _refits: ClassVar[tuple[str, ...]] = ("auto", *RECIPES)
    #: parameters of what comes after the training
    _refit_parameters: ClassVar[tuple[str, ...]] = ("refit", "refit_on", "refit_fraction")
    #: whether the method makes no sense for matrices
    _images_only: ClassVar[bool] = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "backbone": [torch.nn.Module, str, None],
        "hidden_units": ["array-like"],
        "trainable": ["boolean", Interval(Integral, 1, None, closed="left"), str],
        "pretrained": ["boolean", str, os.PathLike],
        "image_size": [Interval(Integral, 1, None, closed="left"), None],
        "augment": [StrOptions({"flip", "standard"}), callable, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "lr": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "head_lr": [Interval(Real, 0, None, closed="neither"), None],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "lr_schedule": [StrOptions({"constant", "cosine", "step"})],
        "warmup_epochs": [Interval(Real, 0, None, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "refit": [StrOptions(set(_refits)), Recipe, LearnedRecipe, HasMethods("fit"), None],
        "refit_on": [StrOptions({"auto", "held_out", "validation", "train"})],
        "refit_fraction": [Interval(Real, 0, 1, closed="neither")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "group_columns": "no_validation",
        "image_root": [str, os.PathLike, None],
        "image_column": "no_validation",
        "value_range": ["array-like", None],
        "on_error": [StrOptions({"raise", "skip"})],
        "cache_dir": [str, os.PathLike, None],
        "num_workers": [Interval(Integral, 0, None, closed="left")],
        "device": [str],
        "precision": [StrOptions({"auto", "fp32", "bf16", "fp16"})],
        "compile": ["boolean"],
        "checkpoint_dir": [str, os.PathLike, None],
        "callbacks": [list, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @property
    def _refit(self) -> Any:
        """What refits the last layer, if anything."""
        return "learned" if isinstance(self.refit, str) and self.refit == "auto" else self.refit

    @property
    def _is_repaired(self) -> bool:
        """Whether embeddings that are trained get a last layer by learned weights in the end."""
        learns = self._refit is not None and isinstance(find_recipe(self._refit), LearnedRecipe)
        return learns and self._has_layers_before_the_head

    @property
    def _holds_out(self) -> bool:
        """Whether samples are set aside for the refit."""
        return self._refit is not None and self._refit_source == "held_out"

    def _of_training(self) -> dict[str, Any]:
        """Everything about the parameters that the steps of a training depend on."""
        parameters: Any = self
        return {
            **{
                name: value
                for name, value in parameters.get_params(deep=False).items()
                if name not in _NOT_OF_STEPS and name not in self._refit_parameters
            },
            "held out": self.refit_fraction if self._holds_out else None,
            "is repaired": self._is_repaired,
            "is pretrained": self._is_pretrained,
        }

    @property
    def _refit_source(self) -> str:
        """Which samples the last layer is refitted on.

        Where no layer before it has been trained on labels, all embeddings are as those of new
        samples, and none has to be set aside.
        """
        if self.refit_on != "auto":
            return self.refit_on
        return "held_out" if self._has_layers_before_the_head else "train"

    def _check_parameters(self) -> None:
        """Check what the constraints of single parameters cannot tell."""
        if isinstance(self.refit, Recipe):
            self.refit.check()
        self._check_backbone_parameters()
        if not all(isinstance(units, Integral) and units > 0 for units in self.hidden_units):
            raise ValueError(
                f"hidden_units must be positive integers such as (128,), got {self.hidden_units!r}"
            )
        if (self.validation_fraction or 0) + (self.refit_fraction if self._holds_out else 0) >= 1:
            raise ValueError(
                "validation_fraction and refit_fraction leave nothing to train on: their sum is "
                f"{self.validation_fraction} + {self.refit_fraction}"
            )
        if not (self._refit is None or isinstance(self._refit, str | Recipe | LearnedRecipe)) and (
            isinstance(self._refit, type) or not is_classifier(self._refit)
        ):
            names = ", ".join(map(repr, self._refits))
            raise TypeError(
                f"refit must be {names}, a Recipe, None or a linear scikit-learn classifier, such "
                f"as RidgeClassifier(), got {self._refit!r}"
            )
        if self.checkpoint_dir is not None and not isinstance(self.random_state, Integral):
            raise ValueError(
                "checkpoint_dir needs an integer random_state: with any other, a restarted fit "
                "could not tell that it is the same run"
            )

    def _check_refit(self, classes: np.ndarray) -> None:
        """Try a classifier that is given as `refit` on a few numbers, before hours of training."""
        if self._refit is None or isinstance(self._refit, str | Recipe | LearnedRecipe):
            return
        trial = clone(self._refit)
        if trial.get_params().get("random_state", 0) is None:
            trial.set_params(random_state=0)  # or it would draw from NumPy's global state
        y = np.repeat(classes, 20)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial.fit(np.random.default_rng(0).normal(size=(len(y), 3)), y)
        if not (hasattr(trial, "coef_") and hasattr(trial, "intercept_")):
            raise TypeError(
                "refit must be a linear classifier, which has coef_ and intercept_ once it is "
                f"fitted, such as RidgeClassifier(), got {self._refit!r}"
            )

    def _check_backbone_parameters(self) -> None:
        if self._images_only and self.backbone is None:
            raise ValueError(
                f"{type(self).__name__} is for images only, and with backbone=None X is a matrix: "
                "give the name of a timm model as backbone, such as 'resnet50', or a module that "
                "takes images"
            )
        if self._images_only and self._runs_once:
            raise ValueError(
                f"{type(self).__name__} cuts images, and with trainable=False it would see their "
                "embeddings only: train the backbone, or its last stages with trainable=1"
            )
        if not isinstance(self.backbone, str):
            default: dict[str, Any] = {field.name: field.default for field in fields(Parameters)}
            for name in _IMAGE_PARAMETERS:
                if not np.array_equal(getattr(self, name), default[name]):
                    raise ValueError(
                        f"{name}={getattr(self, name)!r} is about images, and with "
                        f"backbone={self._backbone_text} X is an array of numbers: leave it out, "
                        "or give the name of a timm model as backbone, such as 'resnet50'"
                    )
            if not isinstance(self.trainable, bool | np.bool_):
                raise ValueError(
                    f"trainable={self.trainable!r} names stages, which only timm models given by "
                    "name have: set requires_grad of the parameters of a module of your own"
                )
        elif self.augment is not None and self._runs_once:
            raise ValueError(
                f"augment={self.augment!r} varies the images from epoch to epoch, and with "
                "trainable=False each goes through the backbone once: choose one of them"
            )
        if self.head_lr is not None and not self._has_layers_before_the_head:
            raise ValueError(
                "head_lr is for layers before the head to have another rate; here the head is all "
                "that is trained: set lr"
            )

    @property
    def _runs_once(self) -> bool:
        return isinstance(self.trainable, bool | np.bool_) and not self.trainable

    @property
    def _has_layers_before_the_head(self) -> bool:
        trained = self.backbone is not None and not self._runs_once
        return trained or len(self.hidden_units) > 0

    @property
    def _is_pretrained(self) -> bool:
        """Whether what is trained begins with weights of timm's, and nothing else before the head.

        Those of a module of one's own may be anything.
        """
        named = isinstance(self.backbone, str) and not self._runs_once
        return named and self.pretrained is not False and not len(self.hidden_units)

    @property
    def _backbone_text(self) -> str:
        return "None" if self.backbone is None else f"a {type(self.backbone).__name__}"

    def _seeds(self) -> dict[str, Any]:
        """Independent generators for everything that is drawn, none of them global."""
        entropy = self.random_state
        if isinstance(entropy, np.random.RandomState):
            entropy = entropy.randint(2**31 - 1)
        parts, sampler, refit, network = np.random.SeedSequence(
            None if entropy is None else int(entropy)
        ).spawn(4)
        return {
            "parts": np.random.default_rng(parts),
            "sampler": np.random.default_rng(sampler),
            "refit": np.random.default_rng(refit),
            "torch": int(network.generate_state(1)[0]),
        }
