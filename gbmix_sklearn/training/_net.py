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
from skorch.callbacks import Callback, EpochTimer
from torch.nn import functional as F

from .._device import forward_what_fits, is_out_of_memory, largest_that_fits
from ..balance import shrink
from ..criteria._modes import evaluating
from ..exceptions import NonFiniteLossError, NonFiniteLossWarning, OutOfMemoryError
from ..groups import Cells
from ._callback_net import CallbackNet
from ._interrupts import deferred_interrupt
from ._progress import with_steps_shown
from ._schedule import make_scheduler, scheduled
from ._source import EvaluationSource, TrainingSource

__all__ = ["GroupNet"]


#: what is said about the validation part of an epoch
_JUDGED = (
    *("valid_loss", "worst_group_accuracy", "robust_gap"),
    *("mean_group_accuracy", "average_accuracy"),
)


class _Judgement(NamedTuple):
    facts: dict[str, Any]
    #: the larger the better
    score: tuple[float, float]


class GroupNet(CallbackNet):
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
        self.parameters_ = [p for group in optimizer.param_groups for p in group["params"]]
        # pickled together, by prefix, and loadable without the device that they were on
        self.cuda_dependent_attributes_ = [
            *("module", "criterion", "optimizer_", "scheduler_", "scaler_", "parameters_"),
            "best_state_",
        ]
        self.best_epoch_ = 0
        self.best_score_ = (-np.inf, -np.inf)
        self.best_state_: dict[str, torch.Tensor] | None = None
        # of others, such as masks of attention, infinity is what they are
        self.finite_buffers_ = [name for name, value in self._buffers() if _is_finite(value)]
        return self

    def _buffers(self) -> list[tuple[str, torch.Tensor]]:
        named = self.raw_module.named_buffers()
        return [(name, value) for name, value in named if value.is_floating_point()]

    def fit_loop(
        self,
        X: TrainingSource,
        y: EvaluationSource | None = None,
        epochs: int | None = None,
        **_: Any,
    ) -> GroupNet:
        """Run the epochs that the history does not hold yet."""
        self.lowest_ = {
            name: min((epoch[name] for epoch in self.history if name in epoch), default=np.inf)
            for name in ("train_loss", "valid_loss")
        }
        stop = self._should_stop()
        if self.start_counts and y is not None and not self.history:
            judgement = self._judge(y)
            if judgement is None:
                raise NonFiniteLossError("The network gives NaN or infinite values as it is given.")
            self._keep_if_better(judgement.score)
        while len(self.history) < (epochs or self.max_epochs) and not stop:
            self.notify("on_epoch_begin", dataset_train=X, dataset_valid=y)
            self._complete_momentum()
            broken = self._train_epoch(X) or self._keep_if_best(y)
            if broken:
                self._tell_broken(broken)
                self._record_nothing(y)
            self.history.record("stop", broken is not None)
            with deferred_interrupt():  # a Ctrl-C is no request of a callback, and tears no file
                try:
                    self.notify("on_epoch_end", dataset_train=X, dataset_valid=y)
                except KeyboardInterrupt:  # how skorch's callbacks ask to stop early
                    self.history.record("stop", True)
            stop = self._should_stop()
        if self.best_state_ is not None and not self._is_left_to_a_callback():
            self.raw_module.load_state_dict(self.best_state_)
        return self

    def _is_left_to_a_callback(self) -> bool:
        """Whether a callback chooses among the epochs, for which the last is where they are now."""
        chooses = any(getattr(callback, "load_best", False) for _, callback in self.callbacks_)
        return chooses and all(_is_finite(weight) for weight in self.raw_module.parameters())

    def _complete_momentum(self) -> None:
        """Give parameters that a callback has released a momentum, without which SGD fails."""
        trained = [p for p in self.parameters_ if p.requires_grad]
        state = self.optimizer_.state
        without = [p for p in trained if state.get(p, {}).get("momentum_buffer") is None]
        if self.optimizer_.param_groups[0].get("momentum") and 0 < len(without) < len(trained):
            for parameter in without:  # the first step then has its gradient
                state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    def train_step(self, batch: Any, **_: Any) -> dict[str, torch.Tensor]:
        """One optimizer step; the loss stays on the device."""
        try:
            loss = self._compute_gradients(*batch)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                f"batch_size={self.batch_size} gives batches of one sample, of which batch "
                "normalization has no statistics: set batch_size to 2 or more"
            ) from error
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

    def _train_epoch(self, source: TrainingSource) -> str | None:
        """Train one epoch; say what has become NaN or infinite in it, if anything."""
        self._set_training(True)
        losses: list[torch.Tensor] = []
        targets: list[torch.Tensor] = []
        batches = source.epoch(self._plan)
        n_batches = math.ceil(len(source) / self.batch_size)
        if self.scheduler_ is not None:
            batches = scheduled(self.scheduler_, batches, len(self.history) - 1, n_batches)
        if self.show_steps:
            batches = with_steps_shown(batches, len(self.history), n_batches)
        step = self._step_with_hooks if self.hooks_ else self._step
        for batch in batches:
            losses.append(step(batch))
            target = getattr(self.criterion_, "target", None)
            if target is not None:
                targets.append(target)
        loss = float(torch.stack(losses).mean())  # the first wait for the device
        if not self.hooks_:  # some callbacks ask for a batch
            self.history.new_batch()
            self.history.record_batch("train_loss", loss)
            self.history.record_batch("train_batch_size", len(source))
        self.history.record("train_loss", loss)
        self._record_best("train_loss")
        self.history.record("train_batch_count", len(losses))
        self.history.record("lr", self.optimizer_.param_groups[-1]["lr"])
        if targets:
            counts = torch.bincount(torch.cat(targets).cpu())
            self.history.record("event_target_counts", counts.tolist())
        if not math.isfinite(loss):
            return f"training loss became {loss}"
        # the loss was computed before the last step, which only the weights have seen
        trained = [weight for weight in self.raw_module.parameters() if weight.requires_grad]
        weights = torch.stack([weight.detach().sum().float() for weight in trained])
        if not bool(weights.isfinite().all()):
            return "weights became infinite"
        changed = dict(self._buffers())
        if not all(_is_finite(changed[name]) for name in self.finite_buffers_ if name in changed):
            return "statistics of batches, or other buffers, became NaN or infinite"
        return None

    def _step(self, batch: Any) -> torch.Tensor:
        return self.train_step(batch)["loss"]

    def _step_with_hooks(self, batch: Any) -> torch.Tensor:
        """A step that callbacks watch: of samples and their labels, as everywhere in skorch."""
        batch = [batch[0].clone(), *batch[1:]]  # they may keep it
        shown = batch[:2]
        self.notify("on_batch_begin", batch=shown, training=True)
        batch[:2] = shown  # or change it
        found = {}
        if self.shows_predictions_:
            with torch.no_grad(), evaluating(self.module_), self._autocast():
                found["y_pred"] = self.module_(batch[0].clone()).float()
        self._set_training(True)  # a callback may have predicted
        step = self.train_step(batch) | found
        self.history.record_batch("train_loss", step["loss"].item())
        self.history.record_batch("train_batch_size", len(batch[0]))
        self.notify("on_batch_end", batch=shown, training=True, **step)
        return step["loss"]

    def _show_validation(self, x: torch.Tensor, y: torch.Tensor, logits: torch.Tensor) -> None:
        """Notify callbacks of validation batches, which are not larger than those of training."""
        parts = (values.split(self.batch_size) for values in (x, y, logits))
        for x_part, y_part, y_pred in zip(*parts, strict=True):
            batch = [x_part, y_part]
            self.notify("on_batch_begin", batch=batch, training=False)
            loss = F.cross_entropy(y_pred, y_part)
            self.history.record_batch("valid_loss", loss.item())
            self.history.record_batch("valid_batch_size", len(y_part))
            self.notify("on_batch_end", batch=batch, training=False, loss=loss, y_pred=y_pred)

    def _tell_broken(self, what: str) -> None:
        """Warn that an epoch ends the training; raise where there is none before it."""
        cure = "Lower lr, or scale the features (for example with StandardScaler)."
        if len(self.history) == 1:
            raise NonFiniteLossError(f"The {what} in the first epoch. {cure}")
        warnings.warn(
            f"The {what} in epoch {len(self.history)}: training stops and "
            f"epoch {self.best_epoch_}, the best before it, is kept. {cure}",
            NonFiniteLossWarning,
            stacklevel=2,
        )

    def _record_nothing(self, valid: EvaluationSource | None) -> None:
        """Record of an epoch that cannot be judged what callbacks would look for."""
        self.history.record("best", False)
        if valid is not None:
            for name in _JUDGED:
                self.history.record(name, math.nan)
            self.history.record("valid_loss_best", False)

    def _record_best(self, name: str) -> None:
        """Record whether a loss is the lowest so far: skorch's callbacks ask for it."""
        value = self.history[-1][name]
        self.history.record(f"{name}_best", value < self.lowest_[name])
        self.lowest_[name] = min(value, self.lowest_[name])

    def _plan(self, y: torch.Tensor, s: torch.Tensor) -> list[Any] | None:
        plan = getattr(self.criterion_, "plan", None)
        return None if plan is None else plan(y, s, self.n_classes)

    def _keep_if_best(self, valid: EvaluationSource | None) -> str | None:
        """Record the judgement of the epoch, and keep its weights if it is the best.

        Without validation the last one is. Returned is what is NaN or infinite, if anything.
        """
        score = (float(len(self.history)), 0.0)
        if valid is not None:
            judgement = self._judge(valid, show=bool(self.hooks_))
            if judgement is None:
                return "outputs on the validation part became NaN or infinite"
            score = judgement.score
            for name, value in judgement.facts.items():
                self.history.record(name, value)
            self._record_best("valid_loss")  # the epoch that is kept is "best"
        self.history.record("best", self._keep_if_better(score))
        return None

    def _keep_if_better(self, score: tuple[float, float]) -> bool:
        better = score > self.best_score_
        if better:
            self.best_score_, self.best_epoch_ = score, len(self.history)
            self.best_state_ = {
                name: value.detach().clone() for name, value in self.raw_module.state_dict().items()
            }
        return better

    def _judge(self, source: EvaluationSource, *, show: bool = False) -> _Judgement | None:
        """The loss and the accuracy of every cell of the validation part; None where some are NaN.

        The best epoch has the best worst cell, small ones drawn towards their class: a cell of two
        samples chooses nothing.
        """
        self._set_training(False)
        device = source.device
        loss = torch.zeros((), device=device)
        correct = torch.zeros(len(source.counts), device=device)
        finite = torch.ones((), dtype=torch.bool, device=device)
        limit = 0  # as large as the batches
        embed = None if self.repaired_error is None else self.raw_module.embed
        embeddings = []
        with torch.no_grad(), self._autocast():
            for x, y, cells in source:
                outputs, limit = forward_what_fits(embed or self.module_, x, limit or len(x))
                output = torch.cat(outputs)
                if embed is not None:
                    embeddings.append(output.float().cpu().numpy())
                    output = self.raw_module.head(output)
                logits = output.float()
                finite &= logits.isfinite().all()
                if show:
                    self._show_validation(x, y, logits)
                loss += F.cross_entropy(logits, y, reduction="sum")
                correct.index_add_(0, cells, (logits.argmax(1) == y).float())
        if show:
            self.history.record("valid_batch_count", math.ceil(len(source) / self.batch_size))
        if not (bool(finite) and bool(loss.isfinite())):
            return None
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
        return self.history[-1].get("stop", False) or (
            self.patience is not None and waited >= self.patience
        )


def _is_finite(values: torch.Tensor) -> bool:
    return bool(values.isfinite().all())
