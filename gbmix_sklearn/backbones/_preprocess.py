"""The preprocessing that a backbone was trained with: size, crop, interpolation, mean and std."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config
from torch import nn

from ._images import Images

__all__ = ["Preprocess"]


@dataclass(frozen=True)
class Preprocess:
    """From images to the input of a backbone.

    Attributes
    ----------
    size : tuple of int
        Height and width that the backbone sees.
    keeps_exact : bool
        Whether images that have this size already stay as they are.
    resize : callable
        From a PIL image to uint8 pixels, channels first.
    mean, std : tuple of float
        Of the normalisation, for pixels from 0 to 1.
    """

    size: tuple[int, int]
    keeps_exact: bool
    resize: Callable[[Image.Image], Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, model: nn.Module, image_size: int | None = None) -> Preprocess:
        """Preprocessing of a timm model.

        Parameters
        ----------
        model : nn.Module
            The model.
        image_size : int, default=None
            Resize the short side to this and crop the centre square; None keeps the size and the
            crop margin of the model's own evaluation.

        Returns
        -------
        Preprocess
            The preprocessing.
        """
        config = resolve_model_data_config(model)
        if image_size is not None:
            # all of the image, bar what the square cuts off: a margin only pays for big images
            square = (3, image_size, image_size)
            config |= {"input_size": square, "crop_pct": 1.0, "crop_mode": "center"}
        return cls(
            size=config["input_size"][1:],
            keeps_exact=config["crop_pct"] == 1.0,
            # timm's "prefetcher" form ends in uint8, so that whole batches are normalised at once
            resize=create_transform(**config, is_training=False, use_prefetcher=True),
            mean=config["mean"],
            std=config["std"],
        )

    def start(self, images: Images, rows: range, pool: Executor) -> Callable[[], torch.Tensor]:
        """Begin to prepare a batch in the background.

        Parameters
        ----------
        images : Images
            All images.
        rows : range
            Those of the batch.
        pool : Executor
            Threads that decode and resize.

        Returns
        -------
        callable
            Waits for the batch and returns its uint8 pixels, (n, height, width, 3).
        """
        stack = images.stack
        if stack is not None and self.keeps_exact and stack.shape[1:3] == self.size:
            return lambda: _pixels(stack[rows.start : rows.stop])
        parts: list[Future[torch.Tensor]] = [
            pool.submit(lambda row: self.pixels(images.rgb(row)), row) for row in rows
        ]
        return lambda: torch.stack([part.result() for part in parts])

    def pixels(self, image: Image.Image) -> torch.Tensor:
        """Resize and crop one RGB image to uint8 pixels, (height, width, 3)."""
        return torch.as_tensor(np.asarray(self.resize(image))).permute(1, 2, 0)

    def normalize(self, pixels: torch.Tensor, device: torch.device) -> torch.Tensor:
        """Normalise a batch on the device.

        Parameters
        ----------
        pixels : Tensor of shape (n, height, width, 3), dtype uint8
            The batch.
        device : torch.device
            Where the result shall be.

        Returns
        -------
        Tensor of shape (n, 3, height, width), dtype float32, channels last in memory
            The backbone's input.
        """
        mean, std = (
            torch.tensor(values, dtype=torch.float32, device=device) * 255
            for values in (self.mean, self.std)
        )
        batch = pixels.to(device, non_blocking=True).contiguous()
        return batch.sub(mean).div_(std).permute(0, 3, 1, 2)


def _pixels(batch: np.ndarray) -> torch.Tensor:
    # a copy: torch warns about arrays that it could write through but must not (memory maps)
    pixels = torch.from_numpy(np.array(batch))
    if pixels.ndim == 3:
        pixels = pixels.unsqueeze(3)
    return pixels.expand(-1, -1, -1, 3) if pixels.shape[3] == 1 else pixels[..., :3]
