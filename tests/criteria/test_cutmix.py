"""CutMix: what is cut, and how much of the label goes with it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gbmix_sklearn import CutMixCriterion
from gbmix_sklearn.criteria import _cutmix

from . import oracle


class Recorder(nn.Module):
    """A linear model that keeps its inputs."""

    def __init__(self, n_pixels, n_classes=3):
        super().__init__()
        self.linear = nn.Linear(n_pixels, n_classes)

    def forward(self, x):
        self.seen = x
        return self.linear(x.flatten(1))


def centred_at(monkeypatch, *places):
    """Put centres of boxes at given places: row, column, row, ..."""
    places = iter(places)
    monkeypatch.setattr(_cutmix.torch, "randint", lambda *_: torch.tensor(next(places)))


@pytest.mark.parametrize(
    ("lam", "centre", "rows", "columns"),
    [
        (0.75, (4, 6), (2, 6), (3, 9)),  # half of each side
        (0.75, (0, 11), (0, 2), (8, 12)),  # of which a corner sticks out
        (0.75, (7, 0), (5, 8), (0, 3)),
        (0.0, (4, 6), (0, 8), (0, 12)),  # all of the image
        (0.0, (0, 0), (0, 4), (0, 6)),
        (0.36, (4, 6), (1, 7), (2, 11)),  # sides of 6.4 and 9.6
    ],
)
def test_boxes_by_hand(monkeypatch, lam, centre, rows, columns):
    centred_at(monkeypatch, *centre)
    assert _cutmix.draw_box(8, 12, lam) == (slice(*rows), slice(*columns))


def test_an_image_that_stays_whole_loses_nothing(monkeypatch):
    centred_at(monkeypatch, 4, 6)
    rows, columns = _cutmix.draw_box(8, 12, 1.0)
    assert rows.start == rows.stop
    assert columns.start == columns.stop


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 9), st.integers(1, 9), st.sampled_from([0.3, 1.0, 3.0]), st.integers(0, 10**6)
)
def test_loss_is_that_of_loops(height, width, alpha, seed):
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.normal(size=(6, 2, height, width)).astype(np.float32))
    y = torch.from_numpy(rng.integers(3, size=6))
    model = Recorder(2 * height * width)
    before = x.clone()
    torch.manual_seed(seed)
    loss = CutMixCriterion(alpha)(model, x, y)
    assert torch.equal(x, before)  # the data are not painted over
    losses, boxes = [], set()
    for i, image in enumerate(model.seen):
        foreign = [
            (row, column)
            for row in range(height)
            for column in range(width)
            if not torch.equal(image[:, row, column], x[i, :, row, column])
        ]
        partners = [
            j
            for j in range(6)
            if all(torch.equal(image[:, r, c], x[j, :, r, c]) for r, c in foreign)
        ]
        assert len(partners) == (1 if foreign else 6)
        j = partners[0] if foreign else i
        if foreign:  # a full rectangle, the same for all that are not their own partners
            rows, columns = ({place[axis] for place in foreign} for axis in (0, 1))
            assert len(foreign) == len(rows) * len(columns)
            boxes.add((min(rows), max(rows), min(columns), max(columns)))
        lam = 1 - len(foreign) / (height * width)
        label = lam * np.eye(3)[y[i]] + (1 - lam) * np.eye(3)[y[j]]
        losses.append(oracle.cross_entropy(model(image[None])[0].detach().numpy(), label))
    assert len(boxes) <= 1
    assert loss.item() == pytest.approx(np.mean(losses), rel=1e-4)


def test_partners_are_a_permutation_of_the_batch(monkeypatch):
    centred_at(monkeypatch, 1, 1)
    monkeypatch.setattr(_cutmix, "sample_beta", lambda *_: torch.tensor(0.75))
    x = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 1, 2, 2)
    model = Recorder(4)
    CutMixCriterion()(model, x, torch.arange(8) % 3)
    assert sorted(model.seen[:, 0, 1, 1].tolist()) == list(range(8))
    assert model.seen[:, 0, 0, 0].tolist() == list(range(8))


def test_a_box_over_the_edge_takes_less_of_the_label(monkeypatch):
    """A box of half the sides around a corner: 1/16 of the image instead of 1/4."""
    centred_at(monkeypatch, 0, 0)
    monkeypatch.setattr(_cutmix, "sample_beta", lambda *_: torch.tensor(0.75))
    monkeypatch.setattr(_cutmix.torch, "randperm", lambda *_, **__: torch.tensor([1, 0]))
    logits = torch.tensor([[0.25, 0.75]]).log().expand(2, 2)
    loss = CutMixCriterion()(lambda _: logits, torch.randn(2, 3, 8, 8), torch.tensor([0, 0]))
    assert loss.item() == pytest.approx(np.log(4))
    loss = pytest.approx((15 * np.log(4) + np.log(4 / 3)) / 16)
    centred_at(monkeypatch, 0, 0)
    y = torch.tensor([0, 1])
    one_sided = torch.tensor([[0.25, 0.75], [0.75, 0.25]]).log()
    assert CutMixCriterion()(lambda _: one_sided, torch.randn(2, 3, 8, 8), y).item() == loss


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_batches_are_mixed_with_probability_p(p):
    torch.manual_seed(0)
    model = Recorder(64)
    criterion, x, y = CutMixCriterion(50.0, p=p), torch.randn(4, 1, 8, 8), torch.arange(4) % 3
    mixed = []
    for _ in range(300):
        loss = criterion(model, x, y)
        mixed.append(model.seen is not x)
        if not mixed[-1]:
            clean = nn.functional.cross_entropy(model(x), y)
            assert loss.item() == pytest.approx(clean.item(), rel=1e-6)
    assert np.mean(mixed) == pytest.approx(p, abs=0.08 if 0 < p < 1 else 0)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 6), (4, 1, 2, 3, 4)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(ValueError, match=r"x must have 4 dimensions.*got a tensor of shape \(4, "):
        CutMixCriterion()(nn.Flatten(), torch.zeros(shape), torch.zeros(4, dtype=torch.long))


def test_half_precision_gives_losses_in_full():
    x, y, model = torch.randn(16, 3, 8, 8), torch.arange(16) % 3, Recorder(192)
    for p in (0, 1):
        losses = []
        for enabled in (False, True):
            torch.manual_seed(0)
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                losses.append(CutMixCriterion(p=p)(model, x, y))
        assert losses[1].dtype == torch.float32
        assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.02)


def test_the_layout_that_convolutions_like_is_kept():
    x = torch.randn(4, 3, 8, 8).to(memory_format=torch.channels_last)
    model = Recorder(192)
    CutMixCriterion()(model, x, torch.arange(4) % 3)
    assert model.seen.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_nothing_waits_for_the_device(p):
    """Meta tensors have no values: whatever asks for one, as a wait for a GPU does, raises."""
    model = Recorder(192).to("meta")
    x, y = torch.empty(16, 3, 8, 8, device="meta"), torch.zeros(16, dtype=torch.long, device="meta")
    for _ in range(4):
        CutMixCriterion(0.5, p=p)(model, x, y, y).backward()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": 0}, "alpha must be a positive number"),
        ({"p": 1.5}, "p must be a number from 0 to 1, got 1.5"),
        ({"p": None}, "p must be"),
    ],
)
def test_unknown_values_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        CutMixCriterion(**parameters)
