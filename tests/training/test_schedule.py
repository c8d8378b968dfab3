"""Learning rates: torch's own schedules, and a warm-up before them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from gbmix_sklearn.training._schedule import make_scheduler, scheduled

BASE = (0.3, 0.02)  # of two parameter groups


def optimizer():
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in BASE]
    return torch.optim.SGD(groups, lr=1.0)


def rates(decay, max_epochs, warmup_epochs=0, n_batches=3):
    """The rate of each group in every step, shape (epochs, batches, groups)."""
    made = optimizer()
    scheduler = make_scheduler(made, decay, max_epochs, warmup_epochs)
    return [
        [
            [group["lr"] for group in made.param_groups]
            for _ in scheduled(scheduler, range(n_batches), epoch, n_batches)
        ]
        for epoch in range(max_epochs)
    ]


@settings(deadline=None)
@given(st.sampled_from(["cosine", "step"]), st.integers(2, 60))
def test_without_a_warm_up_the_rates_are_torchs(decay, max_epochs):
    theirs = optimizer()
    reference = (
        lr_scheduler.CosineAnnealingLR(theirs, max_epochs)
        if decay == "cosine"
        else lr_scheduler.StepLR(theirs, math.ceil(max_epochs / 3))
    )
    for epoch in rates(decay, max_epochs):
        expected = [group["lr"] for group in theirs.param_groups]
        for step in epoch:
            assert step == pytest.approx(expected, rel=1e-9, abs=1e-12)
        theirs.step()
        reference.step()


def test_the_first_rate_is_the_groups_own_to_the_bit():
    for decay in ("cosine", "step"):
        assert rates(decay, 5)[0] == [list(BASE)] * 3


@pytest.mark.parametrize("decay", ["constant", "cosine", "step"])
def test_rates_that_never_change_need_no_scheduler(decay, caplog):
    assert make_scheduler(optimizer(), "constant", 9) is None
    assert make_scheduler(optimizer(), decay, 1) is None
    assert make_scheduler(optimizer(), decay, 3, 2) is not None
    assert not caplog.records  # timm warns of schedules without effect


def decayed(decay, t, length):
    """Share of the rate at time t after the warm-up."""
    if decay == "cosine":
        return (1 + math.cos(math.pi * t / length)) / 2
    return 0.1 ** (t // max(1, math.ceil(length / 3))) if decay == "step" else 1.0


@settings(deadline=None)
@given(
    st.sampled_from(["constant", "cosine", "step"]),
    st.integers(1, 12),
    st.floats(0.1, 15),
    st.integers(1, 7),
)
def test_the_rates_rise_step_by_step_and_then_follow_the_schedule(
    decay, max_epochs, warmup_epochs, n_batches
):
    length = max_epochs - warmup_epochs
    decay = decay if length > 1 else "constant"
    for epoch, steps in enumerate(rates(decay, max_epochs, warmup_epochs, n_batches)):
        for number, step in enumerate(steps, 1):
            if epoch < warmup_epochs:
                share = min(1, (epoch * n_batches + number) / (warmup_epochs * n_batches))
            else:
                share = decayed(decay, epoch - warmup_epochs, length)
            assert step == pytest.approx([share * lr for lr in BASE], abs=1e-12)


def test_a_warm_up_reaches_the_rate_with_its_last_step():
    first, second, third, *_ = rates("cosine", 6, 2, n_batches=4)
    assert [step[0] / BASE[0] for step in first + second] == pytest.approx(
        [number / 8 for number in range(1, 9)]
    )
    assert second[-1] == third[0] == list(BASE)


def test_a_warm_up_may_end_within_an_epoch():
    first, second, third = rates("constant", 3, 0.5, n_batches=4)
    assert [step[1] / BASE[1] for step in first] == pytest.approx([0.5, 1, 1, 1])
    assert second == third == [list(BASE)] * 4
