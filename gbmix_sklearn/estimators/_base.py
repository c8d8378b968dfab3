"""The contract of all classifiers, once."""

from __future__ import annotations

import warnings
from copy import deepcopy
from dataclasses import KW_ONLY, dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    is_classifier,
)
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from .._device import resolve_device, resolve_precision
from ..exceptions import GroupsError, MissingGroupsWarning
from ..groups import Attribute, Cells, no_attribute, take_groups
from ..refit import (
    check_refit_classes,
    linear_head,
    refit_head,
)
from ..sampling import ShuffledSampler
from ..training import (
    Checkpoint,
    EvaluationSource,
    GroupNet,
    Network,
    Progress,
    Sampler,
    TrainingSource,
    as_tensor,
    embed_in_batches,
    fingerprint,
    hidden_layers,
)
from ._history import history_frame
from ._parts import set_aside
from ._prediction import Prediction

__all__ = ["GroupClassifier"]

_OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}

#: parameters that change how a fit runs but not what it gives
_RUN_PARAMETERS = {"checkpoint_dir", "callbacks", "verbose"}


@dataclass(eq=False, repr=False)
class GroupClassifier(Prediction, ClassifierMixin, BaseEstimator):
    """Base of all classifiers: everything but the criterion and the sampler.

    The fields of these dataclasses are the estimators' parameters: a subclass declares its own and
    new defaults, and the constructor with its signature follows.
    """

    backbone: torch.nn.Module | None = None
    _: KW_ONLY
    hidden_units: tuple[int, ...] = ()
    trainable: bool = True
    max_epochs: int = 50
    batch_size: int = 64
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    lr_schedule: Literal["constant", "cosine", "step"] = "constant"
    refit: Any = None
    refit_fraction: float = 0.2
    validation_fraction: float | None = 0.2
    patience: int | None = 10
    group_columns: Any = None
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    compile: bool = False
    checkpoint_dir: Any = None
    callbacks: Any = None
    random_state: Any = None
    verbose: int = 0

    #: what fit does without groups
    _groups_policy: ClassVar[Literal["require", "warn", "optional"]] = "optional"

    # routes groups to fit without asking the user to request them
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"groups": True}

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "backbone": [torch.nn.Module, str, None],
        "hidden_units": ["array-like"],
        "trainable": ["boolean"],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions(set(_OPTIMIZERS))],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "lr_schedule": [StrOptions({"constant", "cosine", "step"})],
        "refit": [StrOptions({"auto", "logistic"}), HasMethods("fit"), None],
        "refit_fraction": [Interval(Real, 0, 1, closed="neither")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "group_columns": "no_validation",
        "device": [str],
        "precision": [StrOptions({"auto", "fp32", "bf16", "fp16"})],
        "compile": ["boolean"],
        "checkpoint_dir": [str, Path, None],
        "callbacks": [list, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # ------------------------------------------------------------------ what a method defines

    def _make_criterion(self, cells: Cells) -> torch.nn.Module:
        """Build the training criterion for the cells of the training part."""
        raise TypeError(f"{type(self).__name__} defines no criterion")

    def _make_sampler(self, cells: Cells) -> Sampler:
        """Build the sampler of batches for the cells of the training part."""
        return ShuffledSampler(cells.codes, self.batch_size)

    # ------------------------------------------------------------------ fit

    def fit(
        self,
        X: Any,
        y: Any,
        groups: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        groups_val: Any = None,
    ) -> GroupClassifier:
        """Fit the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_samples, ...) with a backbone
            Embeddings or a table of numbers; with a module as `backbone`, numbers in whatever shape
            it takes. All of them are used as float32.
        y : array-like of shape (n_samples,)
            Class labels of any kind.
        groups : array-like of shape (n_samples,) or (n_samples, n_attributes), default=None
            The sensitive attribute (never the cell): values of any type, without missing ones.
            Several columns are several attributes, whose combinations count.
        X_val, y_val : array-like, default=None
            Validation data that choose the epoch, for direct fits; None sets
            `validation_fraction` of the training data aside.
        groups_val : array-like, default=None
            Their sensitive attribute. Without it the worst class chooses.

        Returns
        -------
        self
            The fitted classifier.

        Raises
        ------
        ValueError
            If data, groups or parameters cannot be used; the message says which and how to mend it.
        TypeError
            If `groups` is no array-like, or X no DataFrame where `group_columns` is set.
        """
        self._validate_params()
        self._check_parameters()
        groups = take_groups(X, groups, self.group_columns)
        X, y, attribute = self._check_training_data(X, y, groups)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has one class, {self.classes_[0]}: a classifier needs at least two"
            )
        cells = Cells(codes.astype(np.int64), list(self.classes_), attribute)
        if cells.group_determines_class:
            raise GroupsError(
                f"each of the {len(attribute)} values of groups has samples of one class only. "
                "Give the sensitive attribute itself (such as 'sex'), not the combination of class "
                "and attribute: the cells are made here. A continuous attribute (such as age) must "
                "be binned first"
            )
        validation = self._check_validation_data(X_val, y_val, groups_val)
        if groups is not None and validation is not None and validation[2] is None:
            warnings.warn(
                "X_val came without groups_val: the worst class, not the worst group, chooses the "
                "epoch. Give groups_val as well",
                MissingGroupsWarning,
                stacklevel=2,
            )

        seeds = self._seeds()
        fractions = {}
        if validation is None and self.validation_fraction is not None:
            fractions["validation_fraction"] = self.validation_fraction
        if self._refit is not None:
            fractions["refit_fraction"] = self.refit_fraction
        parts = set_aside(cells, fractions, seeds["parts"])
        if self._refit is not None:  # before hours of training, not after
            check_refit_classes(cells.y[parts["refit_fraction"]], self.classes_)
        train = cells.take(parts["train"])
        self.group_table_ = train.table

        device = resolve_device(self.device)
        forked = [device.index or 0] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=forked):
            torch.manual_seed(seeds["torch"])
            self.backbone_ = self._frozen_backbone(device)
            x = self._features(X, device)
            network = self._make_network(x)
            source = TrainingSource(
                x, parts["train"], train.y, train.s, self._make_sampler(train), seeds["sampler"]
            )
            valid = self._evaluation_source(x, cells, parts, validation, device)
            checkpoint = self._make_checkpoint(X, cells, validation, seeds["sampler"])
            self.net_ = self._make_net(network, train, valid, checkpoint, device)
            if checkpoint is not None:
                checkpoint.restore(self.net_)
            self.net_.partial_fit(source, valid)
        self.best_epoch_ = self.net_.best_epoch_
        self.history_ = history_frame(
            self.net_.history, train.labels, None if valid is None else valid.labels
        )
        self._set_head(x, cells, parts, valid, seeds["refit"])
        self._n_features_out = self.head_.coef_.shape[1]
        return self

    @property
    def _refit(self) -> Any:
        """What refits the last layer; "auto" does not where that layer is the whole model."""
        if not isinstance(self.refit, str) or self.refit != "auto":
            return self.refit
        return "logistic" if self.backbone is not None or len(self.hidden_units) else None

    def _check_parameters(self) -> None:
        """Check what the constraints of single parameters cannot tell."""
        if isinstance(self.backbone, str):
            raise ValueError(
                f"backbone={self.backbone!r}: give a module, or embed the images first, with "
                f"make_pipeline(TimmEmbedder({self.backbone!r}), {type(self).__name__}())"
            )
        if not all(isinstance(units, Integral) and units > 0 for units in self.hidden_units):
            raise ValueError(
                f"hidden_units must be positive integers such as (128,), got {self.hidden_units!r}"
            )
        if (self.validation_fraction or 0) + (
            self.refit_fraction if self._refit is not None else 0
        ) >= 1:
            raise ValueError(
                "validation_fraction and refit_fraction leave nothing to train on: their sum is "
                f"{self.validation_fraction} + {self.refit_fraction}"
            )
        if not (self._refit is None or isinstance(self._refit, str)) and (
            isinstance(self._refit, type) or not is_classifier(self._refit)
        ):
            raise TypeError(
                "refit must be 'auto', 'logistic', None or a linear scikit-learn classifier, such "
                f"as RidgeClassifier(), got {self._refit!r}"
            )
        if self.checkpoint_dir is not None and not isinstance(self.random_state, Integral):
            raise ValueError(
                "checkpoint_dir needs an integer random_state: with any other, a restarted fit "
                "could not tell that it is the same run"
            )

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

    def _frozen_backbone(self, device: torch.device) -> torch.nn.Module | None:
        if self.backbone is None or self.trainable:
            return None
        return deepcopy(self.backbone).to(device)

    def _features(self, X: np.ndarray, device: torch.device) -> torch.Tensor:
        """What the network trains on: X, or its embeddings where the backbone is frozen."""
        x = as_tensor(X)
        if self.backbone_ is not None:
            x = as_tensor(embed_in_batches(self.backbone_, x, device))
        return x.to(device)

    def _make_network(self, x: torch.Tensor) -> Network:
        """Build the network for inputs like x, in the order that the seed decides."""
        backbone = self._trained_backbone()
        n_features = x.shape[1]
        if backbone is not None:
            try:
                n_features = embed_in_batches(backbone, x[:1].cpu(), torch.device("cpu")).shape[1]
            except RuntimeError as error:
                raise ValueError(
                    f"the backbone cannot process samples of shape {tuple(x.shape[1:])}: {error}"
                ) from error
        return self._assemble(backbone, n_features)

    def _trained_backbone(self) -> torch.nn.Module | None:
        if self.backbone is None or not self.trainable:
            return None
        return deepcopy(self.backbone).cpu()

    def _assemble(self, backbone: torch.nn.Module | None, n_features: int) -> Network:
        """Put hidden layers and a head behind embeddings of length n_features."""
        self._n_hidden_inputs = n_features
        units = tuple(self.hidden_units)
        parts: list[torch.nn.Module] = []
        if backbone is not None:
            parts += [backbone, torch.nn.Flatten()]
        if units:
            parts.append(hidden_layers(n_features, units))
        embedding = torch.nn.Sequential(*parts) if parts else None
        return Network(embedding, (n_features, *units)[-1], len(self.classes_))

    def _evaluation_source(
        self,
        x: torch.Tensor,
        cells: Cells,
        parts: dict[str, np.ndarray],
        validation: tuple[np.ndarray, np.ndarray, Attribute | None] | None,
        device: torch.device,
    ) -> EvaluationSource | None:
        if validation is not None:
            X_val, codes, attribute = validation
            attribute = attribute or no_attribute(len(codes))
            cells = Cells(codes, list(self.classes_), attribute)
            x, rows = self._features(X_val, device), np.arange(len(codes))
        else:
            rows = parts.get("validation_fraction", np.empty(0, dtype=np.int64))
            if not len(rows):  # none asked for, or every cell too small to give
                return None
            cells = cells.take(rows)
        return EvaluationSource(x, rows, cells)

    def _make_checkpoint(
        self,
        X: np.ndarray,
        cells: Cells,
        validation: tuple[np.ndarray, np.ndarray, Attribute | None] | None,
        rng: np.random.Generator,
    ) -> Checkpoint | None:
        if self.checkpoint_dir is None:
            return None
        parameters = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in _RUN_PARAMETERS
        }
        data: list[Any] = [X, cells.y, cells.s]
        if validation is not None:
            X_val, y_val, attribute = validation
            data += [X_val, y_val, None if attribute is None else attribute.codes]
        run = fingerprint(type(self).__name__, parameters, *data)
        return Checkpoint(Path(self.checkpoint_dir) / run, rng)

    def _make_net(
        self,
        network: Network,
        train: Cells,
        valid: EvaluationSource | None,
        checkpoint: Checkpoint | None,
        device: torch.device,
    ) -> GroupNet:
        dtype = resolve_precision(self.precision, device)
        if self.precision == "auto" and network.is_affine:
            dtype = torch.float32  # a single product gains nothing from less
        options: dict[str, Any] = {"optimizer__weight_decay": self.weight_decay}
        # one operation for all parameters; but torch's fused SGD starts from momentum that was
        # never written where the gradient scaling of fp16 skips its first step
        if device.type in ("cpu", "cuda") and dtype != torch.float16:
            options["optimizer__fused"] = True
        if self.optimizer == "sgd":
            options["optimizer__momentum"] = self.momentum
        valid_labels = [] if valid is None else valid.labels
        callbacks = [("progress", Progress(train.labels, valid_labels, bool(self.verbose)))]
        callbacks += self.callbacks or []
        if checkpoint is not None:  # the last, so that it sees what the others did
            callbacks.append(("checkpoint", checkpoint))
        return GroupNet(
            network,
            criterion=self._make_criterion(train),
            n_classes=len(self.classes_),
            dtype=dtype,
            lr_schedule=self.lr_schedule,
            patience=None if valid is None else self.patience,
            optimizer=_OPTIMIZERS[self.optimizer],
            lr=self.lr,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            callbacks=callbacks,
            device=str(device),
            verbose=0,
            compile=self.compile,
            **options,
        ).initialize()

    def _set_head(
        self,
        x: torch.Tensor,
        cells: Cells,
        parts: dict[str, np.ndarray],
        valid: EvaluationSource | None,
        rng: np.random.Generator,
    ) -> None:
        """Refit the last layer, or take it from the net."""
        network = self.net_.raw_module
        if self._refit is None:
            layer = network.head
            weight, bias = (value.detach().float().cpu().numpy() for value in layer.parameters())
            self.head_ = linear_head(weight, bias, self.classes_)
            return
        rows = parts["refit_fraction"]
        held_out = cells.take(rows)
        self.head_ = refit_head(
            self._embed_rows(network, x, torch.from_numpy(rows)),
            held_out.y,
            held_out.codes,
            self.classes_,
            estimator=self._refit,
            validation=None
            if valid is None
            else (
                self._embed_rows(network, valid.x, valid.rows.cpu()),
                valid.y.cpu().numpy(),
                valid.cells.cpu().numpy(),
            ),
            rng=rng,
        )

    def _embed_rows(self, network: Network, x: torch.Tensor, rows: torch.Tensor) -> np.ndarray:
        part = x.index_select(0, rows.to(x.device))
        if network.embedding is None:
            return part.float().cpu().numpy()
        return embed_in_batches(network.embedding, part, x.device)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if state.get("backbone_") is not None:  # loadable without the device that it is on
            state["backbone_"] = deepcopy(state["backbone_"]).cpu()
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
