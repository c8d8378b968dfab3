"""Backbones: timm's models without their classifier, ready to embed images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch import nn

from .._device import resolve_device, resolve_precision
from ._efficientnet_lite import find_lite_weights, is_lite, rename_lite_keys
from ._images import Images
from ._preprocess import Preprocess
from ._weights import check_hub, load_weights, read_weights, weights_not_found

__all__ = ["Backbone", "create_model", "load_backbone"]


@dataclass(frozen=True)
class Backbone:
    """A backbone in evaluation mode on its device, with its preprocessing.

    Attributes
    ----------
    model : nn.Module
        From normalised images to embeddings.
    preprocess : Preprocess
        From images to the model's input.
    n_features : int
        Length of an embedding.
    device : torch.device
        Where the model is.
    dtype : torch.dtype
        The type that it computes in.
    """

    model: nn.Module
    preprocess: Preprocess
    n_features: int
    device: torch.device
    dtype: torch.dtype

    def embed(self, images: Images, batch_size: int) -> Iterator[np.ndarray]:
        """Embed images, a batch at a time; threads prepare the next while the model works.

        Parameters
        ----------
        images : Images
            The images.
        batch_size : int
            How many to embed at once.

        Yields
        ------
        ndarray of shape (n_samples_in_batch, n_features), dtype float32
            The embeddings, in order.
        """
        starts = range(0, len(images), batch_size)
        batches = [range(start, min(start + batch_size, len(images))) for start in starts]
        pool = ThreadPoolExecutor(thread_name_prefix="gbmix-images")
        try:
            ahead = self.preprocess.start(images, batches[0], pool)
            for following in [*batches[1:], None]:
                pixels = ahead()
                if following is not None:
                    ahead = self.preprocess.start(images, following, pool)
                yield self._forward(self.preprocess.normalize(pixels, self.device))
        finally:  # after a broken image the rest need not be read
            pool.shutdown(cancel_futures=True)

    def _forward(self, batch: torch.Tensor) -> np.ndarray:
        return _forward(self.model, batch, self.dtype).float().cpu().numpy()


@torch.inference_mode()
def _forward(model: nn.Module, batch: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    with torch.autocast(batch.device.type, dtype=dtype, enabled=dtype != torch.float32):
        return model(batch)


def load_backbone(
    backbone: str,
    *,
    pretrained: bool | str | os.PathLike[str] = True,
    image_size: int | None = None,
    device: str | torch.device = "auto",
    precision: str = "auto",
) -> Backbone:
    """Load a backbone, or take it from the few that this process keeps.

    Clones in a search and objects that come out of a pickle thus share one model.

    Parameters
    ----------
    backbone : str
        A name of timm's.
    pretrained : bool, str or path-like, default=True
        See :func:`create_model`.
    image_size : int, default=None
        See :meth:`Preprocess.of`.
    device : str or torch.device, default="auto"
        Where to put it.
    precision : {"auto", "fp32", "bf16", "fp16"}, default="auto"
        How precisely to compute.

    Returns
    -------
    Backbone
        The backbone; do not change its model.

    Raises
    ------
    ValueError
        If the backbone cannot take images of this size, or as :func:`create_model`.
    """
    place = resolve_device(device)
    dtype = resolve_precision(precision, place)
    if isinstance(pretrained, bool | np.bool_):
        return _load(backbone, bool(pretrained), None, image_size, place, dtype)
    if not isinstance(pretrained, str | os.PathLike):
        raise TypeError(f"pretrained must be True, False or a path; got {pretrained!r}")
    path = Path(pretrained).absolute()
    # the stamp notices when the file at a path is replaced
    stamp = (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else None
    return _load(backbone, str(path), stamp, image_size, place, dtype)


@lru_cache(maxsize=4)
def _load(
    backbone: str,
    pretrained: bool | str,
    stamp: tuple[int, int] | None,
    image_size: int | None,
    device: torch.device,
    dtype: torch.dtype,
) -> Backbone:
    model: Any = create_model(backbone, pretrained=pretrained)  # timm's methods are untyped
    model.reset_classifier(0)
    model.eval().requires_grad_(False)
    preprocess = Preprocess.of(model, image_size)
    try:
        if model.pretrained_cfg["fixed_input_size"]:
            _resize_input(model, preprocess.size)
        model.to(device, memory_format=torch.channels_last)
        features = _forward(model, torch.zeros(1, 3, *preprocess.size, device=device), dtype)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"the backbone {backbone!r} cannot embed images of size {preprocess.size}: {error}"
        ) from error
    if features.ndim != 2:
        raise ValueError(
            f"the backbone {backbone!r} yields no vector for an image, but an array of shape "
            f"{tuple(features.shape[1:])}"
        )
    return Backbone(model, preprocess, features.shape[1], device, dtype)


def _resize_input(model: Any, size: tuple[int, int]) -> None:
    own = tuple(model.pretrained_cfg["input_size"][1:])
    if size == own:
        return
    if not hasattr(model, "set_input_size"):
        raise ValueError(f"it takes no other size than {own}")
    model.set_input_size(img_size=size)  # interpolates the position embeddings


def create_model(backbone: str, *, pretrained: bool | str | os.PathLike[str] = True) -> nn.Module:
    """Create a timm model, classifier included.

    Parameters
    ----------
    backbone : str
        A name of timm's, such as ``"resnet50"`` or ``"resnet50.a1_in1k"``.
    pretrained : bool, str or path-like, default=True
        True takes the weights from an installed package (``tf_efficientnet_lite*``) or from the
        model hub; a path reads a ``.safetensors`` or ``.pth`` file; False draws weights, always
        the same ones.

    Returns
    -------
    nn.Module
        The model, on the CPU.

    Raises
    ------
    ValueError
        If timm has no such model, or a file does not fit it.
    WeightsNotFoundError
        If pretrained weights are neither on this machine nor to be downloaded.
    """
    _check_name(backbone)
    # weights of its own seed: unpickled or in another process the model must be the same
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = timm.create_model(backbone)
    if pretrained is False:
        return model
    file = find_lite_weights(backbone) if pretrained is True else Path(pretrained)
    if file is not None:
        state = read_weights(file)
        if "_conv_stem.weight" in state and is_lite(backbone):  # as the packages name them
            state = rename_lite_keys(state, model.state_dict())
        load_weights(model, state, source=str(file))
        return model
    check_hub(backbone)
    try:
        return timm.create_model(backbone, pretrained=True)
    except Exception as error:
        reason = f"the download failed ({type(error).__name__}: {error})"
        raise weights_not_found(backbone, reason) from error


def _check_name(backbone: str) -> None:
    if not isinstance(backbone, str):
        raise TypeError(f"backbone must be a name of timm's, such as 'resnet50'; got {backbone!r}")
    architecture, _, tag = backbone.partition(".")
    if not timm.is_model(architecture):
        near = get_close_matches(backbone, timm.list_models(), n=5)
    elif tag and backbone not in (near := timm.list_models(f"{architecture}.*", pretrained=True)):
        pass
    else:
        return
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "see timm.list_models()"
    raise ValueError(f"timm has no model {backbone!r}; {hint}")
