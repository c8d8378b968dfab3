"""scikit-learn's callbacks (from 1.9 on): what they see of a fit are its stages and epochs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

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
        try:
            tasks.begin_fit()
            yield tasks
        except BaseException:
            tasks.close()
            raise
        tasks.end_fit()
    finally:
        _tear_down(estimator)
        vars(tasks).clear()  # the net outlives the fit, and must not keep its data


class _Open(NamedTuple):
    task: Any
    #: the callbacks that were told of its begin
    told: list[Any]


class FitTasks:
    """The tasks of a fit, in scikit-learn's sense.

    The epochs are tasks right under the fit, or, in methods of several stages, under their stage.
    Whatever a callback raises, each that was told of a begin is told of the end.

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

        self.open: list[_Open] = []
        self.net: GroupNet | None = None

    def begin_fit(self) -> None:
        """Set the callbacks up, and begin the task that holds all others."""
        n_stages = len(self.estimator._stages)
        self.fit = self.estimator._init_callback_context(
            max_subtasks=n_stages if n_stages > 1 else self.estimator.max_epochs
        )
        self._begin(self.fit)

    def end_fit(self) -> None:
        """End that task."""
        self._end(dict)  # the estimator is fitted as it is

    def begin_stage(self, stage: str, net: GroupNet) -> None:
        """Begin a stage, which is a task where there are several."""
        self.stage, self.net = self.fit, net
        if len(self.estimator._stages) > 1:
            name = stage if stage == "training" else f"{stage} stage"
            self.stage = self.fit.subcontext(task_name=name, max_subtasks=net.max_epochs)
            self._begin(self.stage)

    def end_stage(self) -> None:
        """End the stage."""
        if self.stage is not self.fit:
            self._end(self._as_if_stopped)

    def begin_epoch(self) -> None:
        """Begin an epoch."""
        self._begin(self.stage.subcontext(task_name="epoch"))

    def end_epoch(self) -> bool:
        """End an epoch, and say whether one of the callbacks wants the stage to end."""
        return self._end(self._as_if_stopped)

    def close(self) -> None:
        """End what a fit that fails leaves open, innermost first; the failure is what is raised."""
        while self.open:
            with suppress(Exception):
                self._end(self._as_if_stopped)

    def _begin(self, task: Any) -> None:
        told: list[Any] = []
        self.open.append(_Open(task, told))
        for callback in _callbacks_of(task):
            told.append(callback)
            with _only(task, callback):
                task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def _end(self, fitted: Callable[[], dict[str, Any] | None]) -> bool:
        task, told = self.open.pop()
        attributes, stop, raised = cache(fitted), False, None
        for callback in told:
            with _only(task, callback):
                try:
                    stop |= task.call_on_fit_task_end(
                        estimator=self.estimator, **self.data, reconstruction_attributes=attributes
                    )
                except Exception as error:
                    raised = raised or error
        if raised is not None:
            raise raised
        return stop

    def _as_if_stopped(self) -> dict[str, Any] | None:
        """What the estimator would have if it had stopped now, with the last layer as trained."""
        net = self.net
        if net is None or net.best_state_ is None:
            return None
        module = copy.deepcopy(net.raw_module)
        module.load_state_dict(net.best_state_)
        stopped = object.__new__(type(net))  # skorch's own copy would write all weights out
        stopped.__dict__.update(net.__dict__, module_=module, input_scaling_=None)
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
        self.tasks.begin_stage(self.stage, net)

    def on_epoch_begin(self, net: GroupNet, **_: Any) -> None:
        """Begin an epoch."""
        self.tasks.begin_epoch()

    def on_epoch_end(self, net: GroupNet, **_: Any) -> None:
        """End an epoch, and the stage after it where a callback says so."""
        if self.tasks.end_epoch():
            net.history.record("stop", True)

    def on_train_end(self, net: GroupNet, **_: Any) -> None:
        """End the stage; where the training has failed, the fit ends what is open."""
        if not net.failed_:
            self.tasks.end_stage()


def _callbacks_of(task: Any) -> list[Any]:
    return list(task._callbacks)


@contextmanager
def _only(task: Any, callback: Any) -> Iterator[None]:
    """Let a task tell one of its callbacks: scikit-learn's own loop ends with one that raises."""
    callbacks, task._callbacks = task._callbacks, [callback]
    try:
        yield
    finally:
        task._callbacks = callbacks
