"""Ctrl-C at the end of an epoch."""

import os
import signal
import threading

import pytest
from skorch.callbacks import Callback

from gbmix_sklearn.training import GroupNet
from gbmix_sklearn.training._interrupts import deferred_interrupt

from ..estimators.problems import method, problem


@pytest.fixture(autouse=True)
def ctrl_c_counts():
    """A shell starts what it runs in the background, such as all of these tests, deaf to Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


class AtEpoch(Callback):
    """Does something after an epoch."""

    def __init__(self, epoch, *actions):
        self.epoch = epoch
        self.actions = actions

    def on_epoch_end(self, net, **_):
        if len(net.history) == self.epoch:
            for action in self.actions:
                action()


def stop():
    raise KeyboardInterrupt


def deferred(*actions):
    with deferred_interrupt():
        for action in actions:
            action()


def test_the_block_is_finished_before_the_interrupt():
    done = []
    with pytest.raises(KeyboardInterrupt):
        deferred(press_ctrl_c, lambda: done.append(True))
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_acts_at_once():
    done = []
    with pytest.raises(KeyboardInterrupt):
        deferred(press_ctrl_c, press_ctrl_c, lambda: done.append(True))
    assert not done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_errors_of_the_block_pass():
    with pytest.raises(ZeroDivisionError):
        deferred(press_ctrl_c, lambda: 1 / 0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c()


def test_a_programs_own_handler_stays():
    received = []
    before = signal.signal(signal.SIGINT, lambda *_: received.append(True))
    try:
        with deferred_interrupt():
            press_ctrl_c()
            assert received
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_are_left_alone():
    errors = []

    def work():
        try:
            with deferred_interrupt():
                errors.append(signal.getsignal(signal.SIGINT) is not signal.default_int_handler)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == [False]


def coefficients(model):
    return model.head_.coef_.tolist(), model.history_.drop(columns="dur").to_dict("list")


@pytest.mark.parametrize("actions", [(press_ctrl_c,), (press_ctrl_c, press_ctrl_c)])
def test_ctrl_c_in_a_callback_ends_the_fit(actions):
    X, y, s = problem()
    model = method("GBMix", callbacks=[AtEpoch(1, *actions)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y, s)
    assert len(model.net_.history) == 1


def test_the_checkpoint_is_whole_and_the_next_fit_goes_on_from_there(tmp_path, monkeypatch):
    X, y, s = problem()
    options = {"max_epochs": 5, "lr_schedule": "cosine", "lr": 0.1}
    model = method(
        "GBMix", **options, checkpoint_dir=tmp_path, callbacks=[AtEpoch(2, press_ctrl_c)]
    )
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y, s)
    trained = []
    real = GroupNet._train_epoch
    monkeypatch.setattr(
        GroupNet,
        "_train_epoch",
        lambda net, source: (trained.append(len(net.history)), real(net, source))[1],
    )
    model.fit(X, y, s)
    assert trained == [3, 4, 5]
    assert coefficients(model) == coefficients(method("GBMix", **options).fit(X, y, s))


def test_a_callbacks_own_interrupt_still_stops_early():
    X, y, s = problem()
    model = method("GBMix", callbacks=[AtEpoch(2, stop)]).fit(X, y, s)
    assert len(model.history_) == 2
    model = method("GBMix", callbacks=[AtEpoch(2, press_ctrl_c, stop)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y, s)
