"""What skorch's callbacks expect of a net, whoever trains it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from skorch import NeuralNet
from skorch import callbacks as of_skorch
from skorch.callbacks import Callback

from ._features import in_precision_of
from ._scaling import InputScaling
from ._source import EvaluationSource, TrainingSource

__all__ = ["AdoptLoaded", "CallbackNet"]

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class CallbackNet(ClassifierMixin, NeuralNet):
    """A skorch net that keeps its callbacks' begins and ends in pairs, and that they can score.

    It predicts class codes. What it is given as an array is in the units of X, also while it is
    trained on standardised features.
    """

    n_classes: int
    #: set while a training sees standardised features
    input_scaling_: InputScaling | None = None

    @property
    def raw_module(self) -> Any:
        """The module without the wrapper that torch.compile puts around it."""
        return getattr(self.module_, "_orig_mod", self.module_)

    def initialize(self) -> CallbackNet:
        """Initialize everything for a new training."""
        super().initialize()
        callbacks = [callback for _, callback in self.callbacks_]
        self.hooks_ = {
            hook
            for hook in _BATCH_HOOKS
            for callback in callbacks
            if getattr(type(callback), hook) is not getattr(Callback, hook)
        }
        self.shows_predictions_ = any(_asks_for_predictions(callback) for callback in callbacks)
        self.begun_: list[Callback] = []
        self.failed_ = False
        self.input_scaling_ = None
        return self

    # ------------------------------------------------------------------ in pairs

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Tell all callbacks; of an end also those after one that raises.

        Raises
        ------
        BaseException
            What the first of them has raised; a KeyboardInterrupt, which asks for an early stop,
            only where it is all that was raised.
        """
        getattr(self, method_name)(self, **cb_kwargs)
        ends = method_name.endswith("_end")
        raised: list[BaseException] = []
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except BaseException as error:
                if not ends:
                    raise
                raised.append(error)
            else:
                if method_name == "on_train_begin":
                    self.begun_.append(callback)
        if raised:
            errors = [error for error in raised if not isinstance(error, KeyboardInterrupt)]
            raise (errors or raised)[0]

    def partial_fit(
        self, X: TrainingSource, y: EvaluationSource | None = None, classes: Any = None, **_: Any
    ) -> CallbackNet:
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
        self.begun_, self.failed_ = [], False
        try:
            self.notify("on_train_begin", X=X, y=y)
            self.fit_loop(X, y)
        except BaseException:
            self.failed_ = True
            for callback in self.begun_:  # what was raised counts, and not what they find after it
                with suppress(Exception, KeyboardInterrupt):
                    callback.on_train_end(self, X=X, y=y)
            raise
        finally:
            self.begun_ = []
        self.notify("on_train_end", X=X, y=y)
        return self

    # ------------------------------------------------------------------ predictions

    @property
    def classes_(self) -> np.ndarray:
        """Class codes."""
        return np.arange(self.n_classes)

    def predict(self, X: Any) -> np.ndarray:
        """Predict class codes."""
        return self.predict_proba(X).argmax(axis=1)

    def forward_iter(
        self, X: Any, training: bool = False, device: str = "cpu"
    ) -> Iterator[torch.Tensor]:
        """Yield logits, of arrays as of the sources of a training."""
        if not isinstance(X, TrainingSource | EvaluationSource):
            yield from super().forward_iter(X, training, device)
            return
        self._set_training(training)
        with torch.no_grad():
            for x in X.inputs.chunks(X.rows):
                yield self.module_(x).float().to(device)

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Compute the logits of samples as they were given."""
        x = torch.as_tensor(x, device=self.device)
        if self.input_scaling_ is not None:
            x = self.input_scaling_.apply_to(x)
        return super().infer(in_precision_of(self.raw_module, x), **fit_params)

    def _get_predict_nonlinearity(self) -> Any:
        return lambda logits: logits.softmax(-1)

    # ------------------------------------------------------------------ files of weights

    def save_params(self, *args: Any, **kwargs: Any) -> None:
        """Save parameters, in the units of X."""
        with self._in_given_units():
            super().save_params(*args, **kwargs)

    def load_params(self, *args: Any, **kwargs: Any) -> None:
        """Load parameters, in the units of X."""
        first = self._standardised_layer()
        if first is None:
            super().load_params(*args, **kwargs)
            return
        assert self.input_scaling_ is not None
        before = first.weight.detach().clone()
        super().load_params(*args, **kwargs)
        if not torch.equal(first.weight, before):
            self.input_scaling_.unfold_from(first)

    @contextmanager
    def _in_given_units(self) -> Iterator[None]:
        first = self._standardised_layer()
        if first is None:
            yield
            return
        assert self.input_scaling_ is not None
        before = [values.detach().clone() for values in (first.weight, first.bias)]
        self.input_scaling_.fold_into(first)
        try:
            yield
        finally:
            with torch.no_grad():
                first.weight.copy_(before[0])
                first.bias.copy_(before[1])

    def _standardised_layer(self) -> torch.nn.Linear | None:
        """The layer that takes standardised features, while there is a training."""
        return None if self.input_scaling_ is None else self.raw_module.first_linear


def _asks_for_predictions(callback: Callback) -> bool:
    """Whether a callback may look at the logits of batches; skorch's own loggers do not."""
    kind = type(callback)
    hook = kind.on_batch_end
    if hook is Callback.on_batch_end:
        return False
    if kind.__module__.startswith("skorch."):
        return isinstance(callback, of_skorch.EpochScoring | of_skorch.BatchScoring)
    named = inspect.signature(hook).parameters.values()
    return any(each.name == "y_pred" or each.kind == each.VAR_KEYWORD for each in named)


class AdoptLoaded(Callback):
    """Keep as the model what another callback has loaded at the end, if one has.

    Such as ``EarlyStopping(load_best=True)``. It comes after all that may.
    """

    def on_train_end(self, net: Any, **_: Any) -> None:
        """Compare the weights with those of the best epoch."""
        if net.failed_ or net.best_state_ is None:
            return
        loaded = net.raw_module.state_dict()
        if all(_same(value, net.best_state_[name]) for name, value in loaded.items()):
            return
        net.best_state_ = {name: _copy(value) for name, value in loaded.items()}
        for _, callback in net.callbacks_:
            if isinstance(callback, of_skorch.EarlyStopping) and callback.load_best:
                net.best_epoch_ = callback.best_epoch_
            elif isinstance(callback, of_skorch.Checkpoint) and callback.load_best:
                event = callback.event_name
                saved = [epoch["epoch"] for epoch in net.history if epoch.get(event)]
                net.best_epoch_ = saved[-1] if saved else net.best_epoch_


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    return first is second  # what is no tensor a training does not change


def _copy(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, torch.Tensor) else value
