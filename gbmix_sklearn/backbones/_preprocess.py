"""The preprocessing that a backbone was trained with: size, crop, interpolation, mean and std."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config
from timm.data.transforms import str_to_pil_interp
from torch import nn

from ._images import Images, Picture

__all__ = ["Preprocess"]

#: pixels that an image may have on the way to the square that is cut out of it
_MOST_ENLARGED = 64_000_000


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
    recipe : str
        All of this in words: equal where the same images give the same input.
    """

    size: tuple[int, int]
    keeps_exact: bool
    resize: Callable[[Image.Image], Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    recipe: str

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
        return cls.of_config(config)

    @classmethod
    def of_config(cls, config: dict[str, Any]) -> Preprocess:
        """Preprocessing by timm's data config, such as a recipe holds."""
        return cls(
            size=tuple(config["input_size"][1:]),
            keeps_exact=config["crop_pct"] == 1.0,
            # timm's "prefetcher" form ends in uint8, so that whole batches are normalised at once
            resize=create_transform(**config, is_training=False, use_prefetcher=True),
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
            recipe=json.dumps(config, sort_keys=True),
        )

    @property
    def resample(self) -> Image.Resampling:
        """The interpolation of `resize`, as Pillow names it."""
        return str_to_pil_interp(json.loads(self.recipe)["interpolation"])

    def load(self, images: Images, rows: Sequence[int]) -> torch.Tensor:
        """Read and prepare some images.

        Parameters
        ----------
        images : Images
            All images.
        rows : sequence of int
            The positions of those to prepare, in any order.

        Returns
        -------
        Tensor of shape (n_rows, height, width, 3), dtype uint8
            Their pixels.
        """
        stack = images.stack
        if stack is not None and self.passes(images):
            if isinstance(rows, range) and rows.step == 1:
                return _pixels(stack[rows.start : rows.stop])
            return _pixels(stack[np.asarray(rows)])
        return torch.stack([self.pixels(images[row]) for row in rows])

    def pixels(self, picture: Picture) -> torch.Tensor:
        """Decode, resize and crop one image to uint8 pixels, (height, width, 3)."""
        if isinstance(picture.data, np.ndarray) and self._keeps(picture.data):
            return _pixels(picture.data[np.newaxis])[0]
        image = picture.rgb()
        short, long = sorted(image.size)
        if long / short * self._square > _MOST_ENLARGED:
            raise ValueError(
                f"{picture.name}: of {image.width:,} x {image.height:,} pixels it is too long and "
                f"thin to be enlarged to {min(self.size)} pixels; replace it or leave its row out"
            )
        return torch.as_tensor(np.asarray(self.resize(image))).permute(1, 2, 0)

    @cached_property
    def _square(self) -> float:
        """Pixels of a square image before its margin is cut off."""
        return (max(self.size) / json.loads(self.recipe)["crop_pct"]) ** 2

    def passes(self, images: Images) -> bool:
        """Tell whether the images are one array whose pixels stay as they are."""
        return images.stack is not None and self._keeps(images.stack[0])

    def _keeps(self, pixels: np.ndarray) -> bool:
        return self.keeps_exact and pixels.shape[:2] == self.size

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
        mean, std = _on(device, self.mean), _on(device, self.std)
        batch = pixels.to(device, non_blocking=True).contiguous()
        return batch.sub(mean).div_(std).permute(0, 3, 1, 2)


@lru_cache(maxsize=16)
def _on(device: torch.device, values: tuple[float, ...]) -> torch.Tensor:
    # once: a tensor made from numbers makes the device wait
    return torch.tensor(values, dtype=torch.float32, device=device) * 255


def _pixels(batch: np.ndarray) -> torch.Tensor:
    # a copy: torch warns about arrays that it could write through but must not (memory maps)
    pixels = torch.from_numpy(np.array(batch))
    if pixels.ndim == 3:
        pixels = pixels.unsqueeze(3)
    return pixels.expand(-1, -1, -1, 3) if pixels.shape[3] == 1 else pixels[..., :3]
