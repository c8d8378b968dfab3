"""The skorch net that trains every method."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from traceback import clear_frames
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer
from torch.nn import functional as F

from .._device import forward_what_fits, is_out_of_memory, largest_that_fits
from ..balance import shrink
from ..exceptions import NonFiniteLossError, NonFiniteLossWarning, OutOfMemoryError
from ..groups import Cells
from ._interrupts import deferred_interrupt
from ._progress import with_steps_shown
from ._schedule import make_scheduler, scheduled
from ._source import EvaluationSource, TrainingSource

__all__ = ["GroupNet"]


class _Judgement(NamedTuple):
    facts: dict[str, Any]
    #: the larger the better
    score: tuple[float, float]


class GroupNet(NeuralNet):
    """A skorch net whose criterion sees the model and the groups.

    It differs from :class:`skorch.NeuralNet` in what a method on groups needs: the criterion is
    called as ``criterion(module, x, y, s)``; batches come from a :class:`TrainingSource`; the
    validation part is judged by its worst cell; the best epoch is kept; nothing waits for the
    device within an epoch. Callbacks, history, devices and pickling are skorch's.

    Parameters
    ----------
    module, criterion : Module
        Instances.
    dtype : torch.dtype
        What training steps compute in.
    lr_schedule : {"constant", "cosine", "step"}
        Cosine to 0 over `max_epochs`, or a tenth after each third of them; it scales the learning
        rate of each parameter group. The history has that of the last group at the epoch's end.
    warmup_epochs : float
        Epochs in which the learning rate rises, step by step, before the schedule begins.
    max_grad_norm : float or None
        Longer gradients are shortened to this Euclidean norm.
    show_steps : bool
        Whether to tell on stderr how far a long epoch is.
    patience : int or None
        Stop after this many epochs without a better one.
    repaired_error : callable or None
        From embeddings of the validation part and their cells to the error that chooses the epoch,
        where the last layer is to be refitted; None takes the error of the layer as it is.
    start_counts : bool
        Whether the network before its first epoch may be the best, which is then epoch 0.
    **kwargs
        Those of :class:`skorch.NeuralNet`.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        criterion: torch.nn.Module,
        n_classes: int,
        dtype: torch.dtype = torch.float32,
        lr_schedule: str = "constant",
        warmup_epochs: float = 0,
        max_grad_norm: float | None = None,
        patience: int | None = None,
        show_steps: bool = False,
        repaired_error: Callable[[np.ndarray, Cells], float] | None = None,
        start_counts: bool = False,
        **kwargs: Any,
    ):
        super().__init__(module, criterion=criterion, train_split=None, **kwargs)
        self.n_classes = n_classes
        self.dtype = dtype
        self.lr_schedule = lr_schedule
        self.warmup_epochs = warmup_epochs
        self.max_grad_norm = max_grad_norm
        self.patience = patience
        self.show_steps = show_steps
        self.repaired_error = repaired_error
        self.start_counts = start_counts

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [("epoch_timer", EpochTimer())]

    @property
    def raw_module(self) -> Any:
        """The module without the wrapper that torch.compile puts around it."""
        return getattr(self.module_, "_orig_mod", self.module_)

    def get_all_learnable_params(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """Yield parameters by the names that they have without torch.compile.

        Frozen ones too, which get no gradient and do not move: a callback may release them.
        """
        for name, parameter in super().get_all_learnable_params():
            yield name.removeprefix("_orig_mod."), parameter

    def torch_compile(self, module: torch.nn.Module, name: str) -> torch.nn.Module:
        """Compile the module only: criteria are small and change shape."""
        return super().torch_compile(module, name) if name == "module" else module

    def initialize(self) -> GroupNet:
        """Initialize everything for a new training."""
        super().initialize()
        optimizer = self.optimizer_
        for group in optimizer.param_groups:  # numbers of numpy's cannot be read from a checkpoint
            group.update({k: v.item() for k, v in group.items() if isinstance(v, np.generic)})
        self.scheduler_ = make_scheduler(
            optimizer, self.lr_schedule, self.max_epochs, self.warmup_epochs
        )
        device_type = torch.device(self.device).type
        self.scaler_ = torch.amp.GradScaler(device_type, enabled=self.dtype == torch.float16)
        self.hooks_ = {
            hook
            for hook in ("on_batch_begin", "on_batch_end", "on_grad_computed")
            for _, callback in self.callbacks_
            if getattr(type(callback), hook) is not getattr(Callback, hook)
        }
        self.parameters_ = [p for group in optimizer.param_groups for p in group["params"]]
        # pickled together, by prefix, and loadable without the device that they were on
        self.cuda_dependent_attributes_ = [
            *("module", "criterion", "optimizer_", "scheduler_", "scaler_", "parameters_"),
            "best_state_",
        ]
        self.best_epoch_ = 0
        self.best_score_ = (-np.inf, -np.inf)
        self.best_state_: dict[str, torch.Tensor] | None = None
        return self

    def partial_fit(
        self, X: TrainingSource, y: EvaluationSource | None = None, classes: Any = None, **_: Any
    ) -> GroupNet:
        """Train up to `max_epochs` and restore the best epoch.

        Parameters
        ----------
        X : TrainingSource
        y : EvaluationSource or None
            The validation part; None keeps the last epoch.
        classes : object
            Ignored, as skorch does.
        """
        if not self.initialized_:
            self.initialize()
        self.notify("on_train_begin", X=X, y=y)
        self.fit_loop(X, y)
        self.notify("on_train_end", X=X, y=y)
        return self

    def fit_loop(
        self,
        X: TrainingSource,
        y: EvaluationSource | None = None,
        epochs: int | None = None,
        **_: Any,
    ) -> GroupNet:
        """Run the epochs that the history does not hold yet."""
        validated = [epoch for epoch in self.history if "valid_loss" in epoch]
        self.lowest_loss_ = min((epoch["valid_loss"] for epoch in validated), default=np.inf)
        stop = self._should_stop()
        if self.start_counts and y is not None and not self.history:
            self._keep_if_better(self._judge(y).score)
        while len(self.history) < (epochs or self.max_epochs) and not stop:
            self.notify("on_epoch_begin", dataset_train=X, dataset_valid=y)
            finite = self._train_epoch(X)
            if finite:
                self._keep_if_best(y)
            self.history.record("stop", not finite)
            with deferred_interrupt():  # a Ctrl-C is no request of a callback, and tears no file
                try:
                    self.notify("on_epoch_end", dataset_train=X, dataset_valid=y)
                except KeyboardInterrupt:  # how skorch's callbacks ask to stop early
                    self.history.record("stop", True)
            stop = self._should_stop()
        self.raw_module.load_state_dict(self.best_state_)
        return self

    def train_step(self, batch: Any, **_: Any) -> dict[str, torch.Tensor]:
        """One optimizer step; the loss stays on the device."""
        try:
            loss = self._compute_gradients(*batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            clear_frames(error.__traceback__)  # they hold what the step had computed
            raise self._out_of_memory(*batch) from error
        hooked = "on_grad_computed" in self.hooks_
        if self.scaler_.is_enabled() and (hooked or self.max_grad_norm is not None):
            self.scaler_.unscale_(self.optimizer_)
        if hooked:
            parameters = list(self.module_.named_parameters())
            self.notify("on_grad_computed", named_parameters=parameters, batch=batch, training=True)
        if self.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters_, self.max_grad_norm)
        self.scaler_.step(self.optimizer_)
        self.scaler_.update()
        return {"loss": loss}

    def _compute_gradients(self, *batch: Any) -> torch.Tensor:
        """Forward and backward; the loss."""
        for parameter in self.parameters_:  # zero_grad takes ten times as long to say so
            parameter.grad = None
        with self._autocast():
            loss = self.criterion_(self.module_, *batch)
        self.scaler_.scale(loss).backward()
        return loss.detach()

    def _out_of_memory(self, x: torch.Tensor, *others: Any) -> OutOfMemoryError:
        """Try smaller batches, without the plan for the whole one, and say what fits."""
        of_samples = [x, *(part for part in others if isinstance(part, torch.Tensor))]
        fits = largest_that_fits(
            lambda size: self._compute_gradients(*(part[:size] for part in of_samples)),
            len(x) // 2,
        )
        in_a_place = max(1, len(x) // self.batch_size)  # samples, of which a method may mix two
        fits //= in_a_place
        self.optimizer_.zero_grad()
        less = "smaller images (image_size), a smaller backbone or precision='bf16'"
        return OutOfMemoryError(
            f"a training batch of {len(x) // in_a_place} does not fit into the memory of "
            f"{x.device}; "
            + (
                f"{fits} fit: set batch_size={fits}, or take {less}"
                if fits
                else f"not even a single sample does: take {less}"
            )
        )

    def _autocast(self) -> Any:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, self.dtype)

    def _train_epoch(self, source: TrainingSource) -> bool:
        """Train one epoch; say whether its loss is finite."""
        self._set_training(True)
        notify = bool(self.hooks_)
        losses: list[torch.Tensor] = []
        targets: list[torch.Tensor] = []
        batches = source.epoch(self._plan)
        n_batches = math.ceil(len(source) / self.batch_size)
        if self.scheduler_ is not None:
            batches = scheduled(self.scheduler_, batches, len(self.history) - 1, n_batches)
        if self.show_steps:
            batches = with_steps_shown(batches, len(self.history), n_batches)
        for batch in batches:
            if notify:
                self.notify("on_batch_begin", batch=batch, training=True)
            step = self.train_step(batch)
            losses.append(step["loss"])
            target = getattr(self.criterion_, "target", None)
            if target is not None:
                targets.append(target)
            if notify:
                self.history.record_batch("train_loss", step["loss"].item())
                self.notify("on_batch_end", batch=batch, training=True, **step)
        loss = float(torch.stack(losses).mean())  # the first wait for the device
        self.history.record("train_loss", loss)
        self.history.record("lr", self.optimizer_.param_groups[-1]["lr"])
        if targets:
            counts = torch.bincount(torch.cat(targets).cpu())
            self.history.record("event_target_counts", counts.tolist())
        # the loss was computed before the last step, which only the weights have seen
        trained = [weight for weight in self.raw_module.parameters() if weight.requires_grad]
        weights = torch.stack([weight.detach().sum() for weight in trained])
        if math.isfinite(loss) and bool(weights.isfinite().all()):
            return True
        what = "weights became infinite" if math.isfinite(loss) else f"training loss became {loss}"
        cure = "Lower lr, or scale the features (for example with StandardScaler)."
        if len(self.history) == 1:
            raise NonFiniteLossError(f"The {what} in the first epoch. {cure}")
        warnings.warn(
            f"The {what} in epoch {len(self.history)}: training stops and "
            f"epoch {self.best_epoch_}, the best before it, is kept. {cure}",
            NonFiniteLossWarning,
            stacklevel=2,
        )
        return False

    def _plan(self, y: torch.Tensor, s: torch.Tensor) -> list[Any] | None:
        plan = getattr(self.criterion_, "plan", None)
        return None if plan is None else plan(y, s, self.n_classes)

    def _keep_if_best(self, valid: EvaluationSource | None) -> None:
        """Record the judgement of the epoch, and keep its weights if it is the best.

        Without validation the last one is.
        """
        score = (float(len(self.history)), 0.0)
        if valid is not None:
            judgement = self._judge(valid)
            score = judgement.score
            for name, value in judgement.facts.items():
                self.history.record(name, value)
            # skorch's nets have it, and some of its callbacks ask for it; the epoch kept is "best"
            loss = judgement.facts["valid_loss"]
            self.history.record("valid_loss_best", loss < self.lowest_loss_)
            self.lowest_loss_ = min(loss, self.lowest_loss_)
        self.history.record("best", self._keep_if_better(score))

    def _keep_if_better(self, score: tuple[float, float]) -> bool:
        better = score > self.best_score_
        if better:
            self.best_score_, self.best_epoch_ = score, len(self.history)
            self.best_state_ = {
                name: value.detach().clone() for name, value in self.raw_module.state_dict().items()
            }
        return better

    def _judge(self, source: EvaluationSource) -> _Judgement:
        """The loss and the accuracy of every cell of the validation part.

        The best epoch has the best worst cell, small ones drawn towards their class: a cell of two
        samples chooses nothing.
        """
        self._set_training(False)
        device = source.device
        loss = torch.zeros((), device=device)
        correct = torch.zeros(len(source.counts), device=device)
        limit = 0  # as large as the batches
        embed = None if self.repaired_error is None else self.raw_module.embed
        embeddings = []
        with torch.inference_mode(), self._autocast():
            for x, y, cells in source:
                outputs, limit = forward_what_fits(embed or self.module_, x, limit or len(x))
                output = torch.cat(outputs)
                if embed is not None:
                    embeddings.append(output.float().cpu().numpy())
                    output = self.raw_module.head(output)
                logits = output.float()
                loss += F.cross_entropy(logits, y, reduction="sum")
                correct.index_add_(0, cells, (logits.argmax(1) == y).float())
        hits = correct.cpu().numpy()
        present = source.counts > 0
        accuracy = hits[present] / source.counts[present]
        facts = {
            "valid_loss": float(loss) / len(source),
            # as an event it is skipped by skorch's loggers, most of which take numbers only
            "event_cell_accuracy": (hits / np.where(present, source.counts, np.nan)).tolist(),
            "worst_group_accuracy": float(accuracy.min()),
            "robust_gap": float(accuracy.max() - accuracy.min()),
            "mean_group_accuracy": float(accuracy.mean()),
            "average_accuracy": float(hits.sum() / len(source)),
        }
        if self.repaired_error is None:
            worst = float(np.nanmax(shrink(source.counts - hits, source.samples)))
        else:
            worst = self.repaired_error(np.concatenate(embeddings), source.samples)
            facts["refitted_worst_group_accuracy"] = 1 - worst
        return _Judgement(facts, (1 - worst, facts["mean_group_accuracy"]))

    def _should_stop(self) -> bool:
        if not self.history:
            return False
        waited = len(self.history) - self.best_epoch_
        return self.history[-1]["stop"] or (self.patience is not None and waited >= self.patience)
