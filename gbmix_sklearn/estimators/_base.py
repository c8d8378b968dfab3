"""The contract of all classifiers, once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin

from .._device import resolve_device, resolve_precision
from .._frames import as_pandas
from .._random_state import borrowed_random_state
from .._sparse import content_of, is_csr
from .._visible import visible_lines
from ..backbones._images import Images
from ..exceptions import GroupsError, MissingGroupsWarning
from ..groups import (
    Cells,
    check_same_order,
    no_attribute,
    one_class_in_each_group,
    plan_cells,
    take_groups,
)
from ..model_selection._units import (
    Units,
    encode_units,
    refuse_single_unit,
    warn_of_units_as_groups,
)
from ..refit import LearnedRecipe, find_recipe, repaired_error
from ..sampling import ShuffledSampler
from ..training import (
    AdoptLoaded,
    Checkpoint,
    EvaluationSource,
    Features,
    GroupNet,
    Inputs,
    Loaded,
    Network,
    Progress,
    Sampler,
    embed_in_batches,
    fingerprint,
    hidden_layers,
    identity_of_callbacks,
)
from ._array_backbone import ArrayBackbone
from ._docs import named_method
from ._duplicates import (
    SeenSamples,
    content_keys,
    copies_are_suspicious,
    warn_of_duplicates,
)
from ._fit_tasks import CallbackSupportMixin, FitTasks, StageTasks, fit_tasks
from ._history import history_frame
from ._image_backbone import ImageBackbone
from ._inputs import Validation
from ._last_layer import LastLayer
from ._parameters import OPTIMIZERS
from ._parts import check_what_is_left, keep, set_aside
from ._pretrained import Start, fit_head, state_of
from ._steps import StepSizes, warn_of_large_steps
from ._training import Training

__all__ = ["GroupClassifier"]


@dataclass(eq=False, repr=False)
class GroupClassifier(LastLayer, StepSizes, CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Base of all classifiers: everything but the criterion and the sampler."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "fit" not in vars(cls):  # whose errors about arguments name the class that is used
            cls.fit = named_method(cls.fit, f"{cls.__qualname__}.fit")  # type: ignore[method-assign]

    # routes these to fit without asking the user to request them
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"groups": True, "keep_together": True}

    # ------------------------------------------------------------------ what a method defines

    #: fitted attributes of the method's own, each a number, which are saved with a model
    _own_results: ClassVar[tuple[str, ...]] = ()
    #: the trainings of a fit, in order
    _stages: ClassVar[tuple[str, ...]] = ("training",)

    def _make_criterion(self, cells: Cells) -> torch.nn.Module:
        """Build the training criterion for the cells of the training part."""
        raise TypeError(f"{type(self).__name__} defines no criterion")

    def _make_sampler(self, cells: Cells, rng: np.random.Generator) -> Sampler:
        """Build the sampler of batches for the cells of the training part."""
        return ShuffledSampler(cells.codes, self.batch_size)

    def _train(self, training: Training) -> GroupNet:
        """Train; methods of several stages have more to do here."""
        criterion = self._make_criterion(training.cells)
        return training.run(criterion, self._make_sampler(training.cells, training.rng))

    # ------------------------------------------------------------------ fit

    def fit(
        self,
        X: Any,
        y: Any,
        groups: Any = None,
        *,
        keep_together: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        groups_val: Any = None,
    ) -> GroupClassifier:
        """Fit the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_samples, ...), or images
            Embeddings or a table of numbers, which may be a sparse matrix, such as that of a
            TfidfVectorizer; with a module as `backbone`, numbers in whatever shape it takes. All of
            them are used as float32. With the name of a timm model as `backbone`, images in any of
            the forms that :class:`gbmix_sklearn.TimmEmbedder` takes.
        y : array-like of shape (n_samples,)
            Class labels of any kind.
        groups : array-like of shape (n_samples,) or (n_samples, n_attributes), default=None
            The sensitive attribute (never the cell): values of any type, without missing ones.
            Several columns are several attributes, whose combinations count.
        keep_together : array-like of shape (n_samples,), default=None
            What samples belong to, such as the person or the lesion that a photograph shows: those
            of equal values are trained on together, or set aside together.
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
        FileNotFoundError
            If the file of an image is missing.
        WeightsNotFoundError
            If pretrained weights are neither on this machine nor to be downloaded.
        OutOfMemoryError
            If a training batch does not fit on the device; the message says which would.
        """
        self._validate_params()
        self._check_parameters()
        given = X, y, groups
        if self.group_columns is not None:
            X = as_pandas(X)
        groups = take_groups(X, groups, self.group_columns)
        check_same_order(X=X, y=y, groups=groups)
        # of an earlier fit: its last layer knows other classes, should this one fail
        for name in ("net_", "head_"):
            self.__dict__.pop(name, None)
        X, y, attribute = self._check_training_data(X, y, groups)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has one class, {self.classes_[0]}: a classifier needs at least two"
            )
        cells = Cells(codes.astype(np.int64), list(self.classes_), attribute)
        units = None
        if keep_together is not None:
            units = encode_units(keep_together, len(codes), beside={"X": given[0], "y": given[1]})
            refuse_single_unit(units)
        if cells.group_determines_class:
            raise GroupsError(one_class_in_each_group(cells))
        warn_of_units_as_groups(cells, stacklevel=2)
        validation = self._check_validation_data(X_val, y_val, groups_val, cells, sparse=is_csr(X))
        if groups is not None and validation is not None and validation.attribute is None:
            warnings.warn(
                "X_val came without groups_val: the worst class, not the worst group, chooses the "
                "epoch. Give groups_val as well",
                MissingGroupsWarning,
                stacklevel=2,
            )

        self._check_refit(self.classes_)
        seeds = self._seeds()
        parts = self._divide(cells, validation, seeds["parts"], units)
        self._check_parts(cells, parts, validation)  # before hours of training, not after
        with self._acting_callbacks() as acting, fit_tasks(self, *given) as tasks:
            device = resolve_device(self.device)
            with borrowed_random_state(seeds["torch"], device):
                self._backbone = self._make_backbone(device)
                loaded = self._load(X, device, varied=parts["train"])
                self.skipped_ = loaded.broken
                if loaded.broken:
                    assert loaded.rows is not None
                    given_to_train = cells.take(parts["train"])
                    cells, parts = keep(loaded.rows, cells, parts)
                    left = cells.take(parts["train"])
                    check_what_is_left(given_to_train, left, of="X", stacklevel=2)
                    self._check_parts(cells, parts, validation)
                    units = None if units is None else units.take(loaded.rows)
                train = cells.take(parts["train"])
                self.group_table_ = train.table
                inputs = self._standardise(loaded.inputs, parts["train"])
                self.lr_, self.weight_decay_ = self._find_steps(inputs, parts["train"])
                network = self._make_network(inputs, device)
                valid = self._evaluation_source(inputs, cells, parts, validation, device)
                refitted = self._refitted_cells(train, valid, cells, parts)
                self.cell_table_ = plan_cells(
                    train, None if valid is None else valid.samples, refitted
                )
                if self.verbose:
                    print(visible_lines(self.cell_table_.to_string()), flush=True)  # noqa: T201
                self._seen = self._seen_samples(X, loaded, parts, validation)

                def make_net(*args: Any, **options: Any) -> GroupNet:
                    # kept at once: an interrupted fit leaves it behind
                    self.net_ = self._make_net(*args, device=device, tasks=tasks, **options)
                    self.net_.input_scaling_ = self._input_scaling
                    return self.net_

                run_folder = self._run_folder(X, cells, validation, network, units, acting)
                trained_on = EvaluationSource(inputs, parts["train"], train)
                start = self._start_from(network, trained_on) if self._is_pretrained else None
                training = Training(
                    network,
                    inputs,
                    parts["train"],
                    train.without_small(),
                    valid,
                    seeds["sampler"],
                    make_net,
                    run_folder,
                    getattr(self, "_skl_callbacks", ()),
                )
                self.net_ = self._train(training)
            self.net_.raw_module.eval()  # predictions, from several threads too, change no mode
            self.history_ = history_frame(
                self.net_.history, train.labels, None if valid is None else valid.labels
            )
            warn_of_large_steps(self.history_)
            part = None
            if self._refit is not None:
                part = {"train": trained_on, "validation": valid}.get(self._refit_source)
                if self._refit_source == "held_out":
                    rows = parts["refit_fraction"]
                    part = EvaluationSource(inputs, rows, cells.take(rows))
            self._set_head(trained_on, part, valid, seeds["refit"], units, start)
            self.best_epoch_ = self.net_.best_epoch_
            if self.best_epoch_ == 0:  # the pretrained embedding has stayed
                self.history_["best"] = False
                if self._is_repaired and self._refit_source == "held_out":
                    assert refitted is not None
                    self.cell_table_ = plan_cells(
                        train,
                        None if valid is None else valid.samples,
                        train.followed_by(refitted),
                    )
            self._in_given_units()
            self._n_features_out = self.head_.coef_.shape[1]
        return self

    def _divide(
        self,
        cells: Cells,
        validation: Validation | None,
        rng: np.random.Generator,
        units: Units | None,
    ) -> dict[str, np.ndarray]:
        """Set parts of the training data aside for selection and refit."""
        fractions = {}
        if validation is None and self.validation_fraction is not None:
            fractions["validation_fraction"] = self.validation_fraction
        if self._holds_out:
            fractions["refit_fraction"] = self.refit_fraction
        return set_aside(cells, fractions, rng, units)

    def _refitted_cells(
        self,
        train: Cells,
        valid: EvaluationSource | None,
        cells: Cells,
        parts: dict[str, np.ndarray],
    ) -> Cells | None:
        """The cells that the last layer is refitted on."""
        if self._refit is None:
            return None
        if self._refit_source == "validation":
            return None if valid is None else valid.samples
        rows = parts["train"] if self._refit_source == "train" else parts["refit_fraction"]
        refitted = cells.take(rows)
        learns = isinstance(find_recipe(self._refit), LearnedRecipe)
        if learns and valid is not None and self._knows_groups_of(valid, train):
            return refitted.followed_by(valid.samples)
        return refitted

    def _seen_samples(
        self,
        X: np.ndarray | Images,
        loaded: Loaded,
        parts: dict[str, np.ndarray],
        validation: Validation | None,
    ) -> SeenSamples | None:
        """Warn of samples in the training part that were set aside, or given, to judge it."""
        if not copies_are_suspicious(X):
            return None
        keys = content_keys(X, loaded.rows)
        trained_on = keys[parts["train"]]
        for name, rows in parts.items():
            if name != "train":
                of = f"samples set aside by {name}"
                warn_of_duplicates(trained_on, keys[rows], of=of, stacklevel=3)
        if validation is not None:
            others = content_keys(validation.X)
            warn_of_duplicates(trained_on, others, of="samples of X_val", stacklevel=3)
            keys = np.concatenate([keys, others])
        return SeenSamples(keys)

    def _make_backbone(self, device: torch.device) -> ArrayBackbone | ImageBackbone:
        if not isinstance(self.backbone, str):
            return ArrayBackbone(self.backbone, bool(self.trainable))
        return ImageBackbone.create(
            self.backbone,
            pretrained=self.pretrained,
            image_size=self.image_size,
            trainable=self.trainable,
            cut=self.augment is None and not self._images_only,
            device=device,
            precision=self.precision,
            cache_dir=self.cache_dir,
            verbose=self.verbose,
        )

    def _backbone_from(self, description: Any) -> ArrayBackbone | ImageBackbone:
        """Build the backbone of a saved classifier; its weights are to be loaded."""
        if not isinstance(self.backbone, str):
            return ArrayBackbone(self.backbone, bool(self.trainable))
        return ImageBackbone.from_description(
            description,
            trainable=self.trainable,
            image_size=self.image_size,
            cache_dir=self.cache_dir,
            verbose=self.verbose,
        )

    def _load(
        self,
        X: np.ndarray | Images,
        device: torch.device,
        varied: np.ndarray,
        of: str = "X",
    ) -> Loaded:
        """Bring samples to where they are trained on, each through the frozen part once."""
        if not isinstance(X, Images):
            assert isinstance(self._backbone, ArrayBackbone)
            return self._backbone.load(X, device)
        assert isinstance(self._backbone, ImageBackbone)
        return self._backbone.load(
            X,
            device,
            varied=varied,
            augment=self.augment,
            num_workers=self.num_workers,
            on_error=self.on_error,
            of=of,
        )

    def _make_network(self, inputs: Inputs, device: torch.device) -> Network:
        """Build the network for such inputs, in the order that the seed decides."""
        n_features = self._backbone.width(inputs, device)
        return self._assemble(self._backbone.take_trained(), n_features)

    def _start_from(self, network: Network, train: EvaluationSource) -> Start:
        """Fit the last layer of a pretrained network first, and keep it as it is then."""
        z = embed_in_batches(network.embedding, train.inputs, train.rows, self._backbone.dtype)
        fit_head(network, z, train.samples, balanced=self._groups_policy != "optional")
        return Start(state_of(network), z)

    def _assemble(self, backbone: torch.nn.Module | None, n_features: int) -> Network:
        """Put hidden layers and a head behind embeddings of length n_features."""
        self._n_hidden_inputs = n_features
        units = tuple(self.hidden_units)
        layers: list[torch.nn.Module] = []
        if backbone is not None:
            layers += [backbone, Features(n_features)]
        if units:
            layers.append(hidden_layers(n_features, units))
        embedding = torch.nn.Sequential(*layers) if layers else None
        network = Network(
            embedding,
            (n_features, *units)[-1],
            len(self.classes_),
            is_pretrained=self._is_pretrained,
        )
        if embedding is None:  # a convex problem has nothing to gain from chance
            for parameter in network.head.parameters():
                torch.nn.init.zeros_(parameter)
        if self._takes_images:  # the layout that convolutions are fastest in
            network.to(memory_format=torch.channels_last)
        return network

    def _evaluation_source(
        self,
        inputs: Inputs,
        cells: Cells,
        parts: dict[str, np.ndarray],
        validation: Validation | None,
        device: torch.device,
    ) -> EvaluationSource | None:
        if validation is None:
            rows = parts.get("validation_fraction", np.empty(0, dtype=np.int64))
            if not len(rows):  # none asked for, or every cell too small to give
                return None
            return EvaluationSource(inputs, rows, cells.take(rows))
        attribute = validation.attribute or no_attribute(len(validation.codes))
        cells = Cells(validation.codes, list(self.classes_), attribute)
        nothing = np.empty(0, dtype=np.int64)
        loaded = self._load(validation.X, device, varied=nothing, of="X_val")
        given = cells
        cells, _ = keep(loaded.rows, cells, {})
        check_what_is_left(given, cells, of="X_val", stacklevel=3)
        inputs = self._scaled(loaded.inputs)
        return EvaluationSource(inputs, np.arange(len(cells.y)), cells)

    def _run_folder(
        self,
        X: np.ndarray | Images,
        cells: Cells,
        validation: Validation | None,
        network: Network,
        units: Units | None,
        acting: Any,
    ) -> Path | None:
        """Where the state of this fit is kept, if anywhere."""
        if self.checkpoint_dir is None:
            return None
        parameters = self._of_training() | {"callbacks": acting}
        if validation is not None:
            del parameters["validation_fraction"]
        data: list[Any] = [_content(X), cells.y, cells.s]
        if validation is not None:
            codes = None if validation.attribute is None else validation.attribute.codes
            data += [_content(validation.X), validation.codes, codes]
        if units is not None:
            data.append(units.codes)
        if self._takes_images:  # the name does not tell the weights
            data += [self.backbone_, network]
        try:
            name = fingerprint(type(self), parameters, *data)
        except TypeError as error:
            raise TypeError(
                f"checkpoint_dir: {error}. Leave that out, or checkpoint_dir"
            ) from error
        return Path(self.checkpoint_dir) / name

    def _acting_callbacks(self) -> AbstractContextManager[Any]:
        """Callbacks that a run is told apart by."""
        if self.checkpoint_dir is None:
            return nullcontext()
        return identity_of_callbacks(
            [*(self.callbacks or []), *getattr(self, "_skl_callbacks", ())]
        )

    def _make_net(
        self,
        network: Network,
        criterion: torch.nn.Module,
        *,
        device: torch.device,
        stage: str = "training",
        max_epochs: int | None = None,
        train_labels: Sequence[str] = (),
        valid_labels: Sequence[str] | None = None,
        callbacks: Sequence[tuple[str, Any]] = (),
        checkpoint: Checkpoint | None = None,
        tasks: FitTasks | None = None,
    ) -> GroupNet:
        """Build an initialized net; without labels of a validation part it has none."""
        dtype = resolve_precision(self.precision, device)
        if self.precision == "auto" and network.is_affine:
            dtype = torch.float32  # a single product gains nothing from less
        options: dict[str, Any] = {"optimizer__weight_decay": self.weight_decay_}
        # one operation for all parameters; but torch's fused SGD starts from momentum that was
        # never written where the gradient scaling of fp16 skips its first step
        if device.type in ("cpu", "cuda") and dtype != torch.float16:
            options["optimizer__fused"] = True
        if self.optimizer == "sgd":
            options["optimizer__momentum"] = self.momentum
        if self.head_lr is not None:
            options["optimizer__param_groups"] = [("head.*", {"lr": self.head_lr})]
        progress = Progress(train_labels, valid_labels or [], bool(self.verbose), stage)
        # names that leave those of skorch's examples to users
        all_callbacks = [("own_progress", progress), *callbacks]
        if stage == "training" and self.callbacks:  # what users watch is the model that they get
            all_callbacks += [*self.callbacks, ("own_adopt", AdoptLoaded())]
        if tasks is not None:
            all_callbacks.append(("own_tasks", StageTasks(tasks, stage)))
        if checkpoint is not None:  # the last, so that it sees what the others did
            all_callbacks.append(("own_checkpoint", checkpoint))
        return GroupNet(
            network,
            criterion=criterion,
            n_classes=len(self.classes_),
            dtype=dtype,
            lr_schedule=self.lr_schedule,
            warmup_epochs=self.warmup_epochs,
            max_grad_norm=self.max_grad_norm,
            patience=None if valid_labels is None else self.patience,
            optimizer=OPTIMIZERS[self.optimizer],
            lr=self.lr_,
            max_epochs=self.max_epochs if max_epochs is None else max_epochs,
            repaired_error=repaired_error if self._is_repaired else None,
            start_counts=self._is_pretrained and not self._is_repaired,
            batch_size=self.batch_size,
            callbacks=all_callbacks,
            device=str(device),
            show_steps=bool(self.verbose),
            verbose=0,
            compile=self.compile,
            **options,
        ).initialize()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        tags.input_tags.sparse = self.backbone is None
        if self._takes_images:
            tags.input_tags.two_d_array = False
            tags.input_tags.three_d_array = True
            tags.input_tags.string = True
        return tags


def _content(X: Any) -> Any:
    if isinstance(X, Images):
        return X.fingerprint()
    return content_of(X) if is_csr(X) else X
