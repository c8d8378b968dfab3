"""Images as inputs of a training: decoded once, varied, and normalised on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from ..backbones._augment import Augmentation
from ..backbones._parallel import prefetched
from ..backbones._pixels import PixelStore
from ..backbones._preprocess import Preprocess

__all__ = ["ImageInputs"]


class ImageInputs:
    """Samples that are images.

    Parameters
    ----------
    store : PixelStore
        Their pixels.
    preprocess : Preprocess
        Normalises them.
    augmentation : Augmentation
        What varies those that are trained on.
    device : torch.device
        Where batches come out.
    rows_at_once : int
        Images that are evaluated at once.
    as_evaluated : callable, default=None
        From positions in the store to uint8 pixels as the backbone's own evaluation prepares them;
        None where the store has these.
    """

    def __init__(
        self,
        store: PixelStore,
        preprocess: Preprocess,
        augmentation: Augmentation,
        device: torch.device,
        rows_at_once: int,
        as_evaluated: Callable[[np.ndarray], Tensor] | None = None,
    ):
        self.store = store
        self.preprocess = preprocess
        self.augmentation = augmentation
        self.device = device
        self.rows_at_once = rows_at_once
        self.as_evaluated = as_evaluated or store.take

    def __len__(self) -> int:
        return len(self.store)

    def batches(self, rows: np.ndarray, rng: np.random.Generator) -> Iterator[Tensor]:
        """Vary and normalise the images of each step."""
        pixels = self.augmentation.batches(self.store, rows, rng)
        return self._normalized(pixels, self.augmentation.in_background)

    def chunks(self, rows: np.ndarray) -> Iterator[Tensor]:
        """Prepare and normalise the images as the backbone's own evaluation does."""
        starts = range(0, len(rows), self.rows_at_once)
        pixels = (self.as_evaluated(rows[start : start + self.rows_at_once]) for start in starts)
        return self._normalized(pixels, True)

    def _normalized(self, pixels: Iterable[Tensor], in_background: bool) -> Iterator[Tensor]:
        if self.device.type == "cuda" and in_background:  # the next batches beside its work
            pixels = prefetched((batch.pin_memory() for batch in pixels), ahead=2)
        for batch in pixels:
            yield self.preprocess.normalize(batch, self.device)
