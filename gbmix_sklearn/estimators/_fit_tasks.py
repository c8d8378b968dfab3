"""scikit-learn's callbacks (from 1.9 on): what they see of a fit are its stages and epochs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sklearn
from skorch.callbacks import Callback

from ..refit import linear_head
from ..training import GroupNet

if TYPE_CHECKING:
    from ._base import GroupClassifier

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support before scikit-learn 1.9."""

else:
    #: what the decorator does after a method: tear down the callbacks that were set up
    _tear_down = with_callbacks(lambda estimator: None)

__all__ = ["CallbackSupportMixin", "FitTasks", "StageTasks", "fit_tasks"]


@contextmanager
def fit_tasks(estimator: GroupClassifier, X: Any, y: Any, groups: Any) -> Iterator[FitTasks | None]:
    """Tell the callbacks that were set with ``set_callbacks`` about a fit; without any, nothing.

    Parameters
    ----------
    estimator : classifier
        What is fitted.
    X, y, groups : object
        The data, as they were given.

    Yields
    ------
    FitTasks or None
    """
    if not getattr(estimator, "_skl_callbacks", None):
        yield None
        return
    tasks = FitTasks(estimator, X, y, groups)
    try:
        tasks.begin_fit()
        yield tasks
        tasks.end_fit()
    finally:
        _tear_down(estimator)
        vars(tasks).clear()  # the net outlives the fit, and must not keep its data


class FitTasks:
    """The tasks of a fit, in scikit-learn's sense.

    The epochs are tasks right under the fit, or, in methods of several stages, under their stage.

    Parameters
    ----------
    estimator : classifier
        What is fitted.
    X, y, groups : object
        The data, as they were given.
    """

    def __init__(self, estimator: GroupClassifier, X: Any, y: Any, groups: Any):
        self.estimator = estimator
        # as everywhere, groups reach scorers with metadata routing on; others refuse them
        routed = groups is not None and sklearn.get_config()["enable_metadata_routing"]
        self.data = {"X": X, "y": y, "metadata": {"groups": groups} if routed else None}

    def begin_fit(self) -> None:
        """Set the callbacks up, and begin the task that holds all others."""
        n_stages = len(self.estimator._stages)
        self.fit = self.estimator._init_callback_context(
            max_subtasks=n_stages if n_stages > 1 else self.estimator.max_epochs
        )
        self._begin(self.fit)

    def end_fit(self) -> None:
        """End that task."""
        self._end(self.fit, dict)  # the estimator is fitted as it is

    def begin_stage(self, stage: str, max_epochs: int) -> None:
        """Begin a stage, which is a task where there are several."""
        self.stage = self.fit
        if len(self.estimator._stages) > 1:
            name = stage if stage == "training" else f"{stage} stage"
            self.stage = self.fit.subcontext(task_name=name, max_subtasks=max_epochs)
            self._begin(self.stage)

    def end_stage(self, net: GroupNet) -> None:
        """End the stage."""
        if self.stage is not self.fit:
            self._end(self.stage, lambda: self._as_if_stopped(net))

    def begin_epoch(self) -> None:
        """Begin an epoch."""
        self.epoch = self.stage.subcontext(task_name="epoch")
        self._begin(self.epoch)

    def end_epoch(self, net: GroupNet) -> bool:
        """End an epoch, and say whether one of the callbacks wants the stage to end."""
        return self._end(self.epoch, lambda: self._as_if_stopped(net))

    def _begin(self, task: Any) -> None:
        task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def _end(self, task: Any, fitted: Callable[[], dict[str, Any]]) -> bool:
        return task.call_on_fit_task_end(
            estimator=self.estimator, **self.data, reconstruction_attributes=fitted
        )

    def _as_if_stopped(self, net: GroupNet) -> dict[str, Any]:
        """What the estimator would have if it had stopped now, with the last layer as trained."""
        module = copy.deepcopy(net.raw_module)
        module.load_state_dict(net.best_state_)
        stopped = object.__new__(type(net))  # skorch's own copy would write all weights out
        stopped.__dict__.update(net.__dict__, module_=module)
        module = self.estimator._folded(module)
        head = linear_head(*module.head_weights, self.estimator.classes_)
        return {
            "net_": stopped,
            "head_": head,
            "best_epoch_": net.best_epoch_,
            "_n_features_out": head.coef_.shape[1],
        }


class StageTasks(Callback):
    """A skorch callback that tells scikit-learn's about every epoch.

    Parameters
    ----------
    tasks : FitTasks
        Those of the fit.
    stage : str
        Name of the training.
    """

    def __init__(self, tasks: FitTasks, stage: str):
        self.tasks = tasks
        self.stage = stage

    def on_train_begin(self, net: GroupNet, **_: Any) -> None:
        """Begin the stage."""
        self.tasks.begin_stage(self.stage, net.max_epochs)

    def on_epoch_begin(self, net: GroupNet, **_: Any) -> None:
        """Begin an epoch."""
        self.tasks.begin_epoch()

    def on_epoch_end(self, net: GroupNet, **_: Any) -> None:
        """End an epoch, and the stage after it where a callback says so."""
        if self.tasks.end_epoch(net):
            net.history.record("stop", True)

    def on_train_end(self, net: GroupNet, **_: Any) -> None:
        """End the stage."""
        self.tasks.end_stage(net)
