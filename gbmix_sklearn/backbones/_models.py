"""Backbones: timm's models without their classifier, ready to embed images."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, lru_cache
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import timm
import torch
from torch import nn

from .._device import resolve_device, resolve_precision
from .._random_state import borrowed_random_state
from ._efficientnet_lite import find_lite_weights, is_lite, rename_lite_keys
from ._memory import measure_image_bytes
from ._preprocess import Preprocess
from ._weights import check_hub, load_weights, read_weights, weights_not_found

__all__ = ["Backbone", "create_embedding", "create_model", "load_backbone"]

# one model for all threads that ask at once; also, weights are drawn from a seed of the process
_LOADING = RLock()


@dataclass(frozen=True)
class Backbone:
    """A backbone in evaluation mode on its device, with its preprocessing.

    Attributes
    ----------
    name : str
        The architecture: timm's name without a tag.
    model : nn.Module
        From normalised images to embeddings.
    preprocess : Preprocess
        From images to the model's input.
    shape : tuple of int
        Of an embedding: a vector's, or that of feature maps (channels, height, width).
    device : torch.device
        Where the model is.
    dtype : torch.dtype
        The type that it computes in.
    image_bytes : int
        Estimate of the memory that one more image takes.
    """

    name: str
    model: nn.Module
    preprocess: Preprocess
    shape: tuple[int, ...]
    device: torch.device
    dtype: torch.dtype
    image_bytes: int

    @classmethod
    def of(
        cls,
        name: str,
        model: nn.Module,
        preprocess: Preprocess,
        device: torch.device,
        dtype: torch.dtype,
    ) -> Backbone:
        """Make a backbone of any module, and try it on one image.

        Parameters
        ----------
        name : str
            What it is, for errors and for the fingerprint.
        model : nn.Module
            From normalised images (n, 3, height, width) to a tensor (n, ...). It is put into
            evaluation mode and moved to the device, both in place.
        preprocess : Preprocess
            From images to the model's input.
        device : torch.device
            Where to put the model.
        dtype : torch.dtype
            The type to compute in.

        Returns
        -------
        Backbone
            The backbone.

        Raises
        ------
        ValueError
            If the model cannot take images of this size, or yields no tensor.

        Examples
        --------
        >>> model = create_model("resnet10t", pretrained=False)
        >>> stem = nn.Sequential(model.conv1, model.bn1, model.act1)
        >>> preprocess = Preprocess.of(model, image_size=32)
        >>> Backbone.of("stem", stem, preprocess, torch.device("cpu"), torch.float32).shape
        (64, 16, 16)
        """
        model.eval()
        with _naming(name, preprocess):
            model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            image = torch.zeros(1, 3, *preprocess.size, device=device)
            output = _forward(model, image, dtype)
            if not isinstance(output, torch.Tensor):
                raise TypeError(f"it yields no tensor but {type(output).__name__}")
            image_bytes = measure_image_bytes(model, image)
        return cls(name, model, preprocess, tuple(output.shape[1:]), device, dtype, image_bytes)

    @property
    def n_features(self) -> int:
        """Numbers that an embedding has."""
        return math.prod(self.shape)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that an embedding depends on besides the image: equal means equal.

        The device is not part of it, nor the classifier, nor where the weights came from.
        """
        model: tuple = (timm.__version__, self.name, self.preprocess.recipe, str(self.dtype))
        if len(self.shape) != 1:  # the same weights may yield maps and, pooled, vectors
            model += self.shape
        content = hashlib.sha256(repr(model).encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            content.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            content.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return content.hexdigest()[:32]

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed prepared images.

        Parameters
        ----------
        pixels : Tensor of shape (n, height, width, 3), dtype uint8
            The images, as :meth:`Preprocess.load` gives them.

        Returns
        -------
        Tensor of shape (n, *shape)
            The embeddings, on the device and in the type that it computes in.
        """
        return _forward(self.model, self.preprocess.normalize(pixels, self.device), self.dtype)


@contextmanager
def _naming(name: str, preprocess: Preprocess) -> Iterator[None]:
    try:
        yield
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"the backbone {name!r} cannot embed images of size {preprocess.size}: {error}"
        ) from error


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
        with _LOADING:
            return _load(backbone, bool(pretrained), None, image_size, place, dtype)
    if not isinstance(pretrained, str | os.PathLike):
        raise TypeError(f"pretrained must be True, False or a path; got {pretrained!r}")
    path = Path(pretrained).absolute()
    # the stamp notices when the file at a path is replaced
    stamp = (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else None
    with _LOADING:
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
    model, preprocess = create_embedding(backbone, pretrained=pretrained, image_size=image_size)
    name = backbone.partition(".")[0]
    loaded = Backbone.of(name, model.requires_grad_(False), preprocess, device, dtype)
    if len(loaded.shape) != 1:
        raise ValueError(
            f"the backbone {name!r} yields no vector for an image, but an array of shape "
            f"{loaded.shape}"
        )
    return loaded


def _resize_input(model: Any, size: tuple[int, int]) -> None:
    own = tuple(model.pretrained_cfg["input_size"][1:])
    if size == own:
        return
    if not hasattr(model, "set_input_size"):
        raise ValueError(f"it takes no other size than {own}")
    model.set_input_size(img_size=size)  # interpolates the position embeddings


def create_embedding(
    backbone: str,
    *,
    pretrained: bool | str | os.PathLike[str] = True,
    image_size: int | None = None,
) -> tuple[nn.Module, Preprocess]:
    """Create a timm model without its classifier, for images of some size.

    Parameters
    ----------
    backbone, pretrained
        See :func:`create_model`.
    image_size : int, default=None
        See :meth:`Preprocess.of`.

    Returns
    -------
    nn.Module
        From normalised images to embeddings, on the CPU.
    Preprocess
        From images to its input.

    Raises
    ------
    ValueError
        If the model takes no images of this size, or as :func:`create_model`.
    """
    # timm's methods are untyped
    model: Any = create_model(backbone, pretrained=pretrained, image_size=image_size)
    model.reset_classifier(0)
    preprocess = Preprocess.of(model, image_size)
    if model.pretrained_cfg["fixed_input_size"]:
        with _naming(backbone, preprocess):
            _resize_input(model, preprocess.size)
    return model, preprocess


def create_model(
    backbone: str,
    *,
    pretrained: bool | str | os.PathLike[str] = True,
    image_size: int | None = None,
) -> nn.Module:
    """Create a timm model, classifier included.

    Parameters
    ----------
    backbone : str
        A name of timm's, such as ``"resnet50"`` or ``"resnet50.a1_in1k"``.
    pretrained : bool, str or path-like, default=True
        True takes the weights from an installed package (``tf_efficientnet_lite*``) or from the
        model hub; a path reads a ``.safetensors`` or ``.pth`` file; False draws weights, always
        the same ones.
    image_size : int, default=None
        A size that the weights of a file may be of, instead of the model's own.

    Returns
    -------
    nn.Module
        The model, on the CPU; of the given size only where weights of a file are.

    Raises
    ------
    ValueError
        If timm has no such model, or a file does not fit it.
    WeightsNotFoundError
        If pretrained weights are neither on this machine nor to be downloaded.
    """
    _check_name(backbone)
    # weights of its own seed: unpickled or in another process the model must be the same
    with borrowed_random_state(0):
        model = timm.create_model(backbone)
    if pretrained is False:
        return model
    file = find_lite_weights(backbone) if pretrained is True else Path(pretrained)
    if file is not None:
        state = read_weights(file)
        if "_conv_stem.weight" in state and is_lite(backbone):  # as the packages name them
            state = rename_lite_keys(state, model.state_dict())
        return _with_weights_of(file, state, backbone, model, image_size)
    check_hub(backbone)
    try:
        return timm.create_model(backbone, pretrained=True)
    except Exception as error:
        reason = f"the download failed ({type(error).__name__}: {error})"
        raise weights_not_found(backbone, reason) from error


def _with_weights_of(
    file: Path,
    state: dict[str, torch.Tensor],
    backbone: str,
    model: nn.Module,
    image_size: int | None,
) -> nn.Module:
    """Load the weights of a file, which are of the model's own size or of that asked for."""
    try:
        load_weights(model, state, source=str(file))
    except ValueError:
        config: Any = model.pretrained_cfg
        if image_size is None or not config["fixed_input_size"]:
            raise
        try:
            with borrowed_random_state(0):
                resized = timm.create_model(backbone, img_size=image_size)
            load_weights(resized, state, source=str(file))
        except (AssertionError, RuntimeError, TypeError, ValueError):
            pass  # the error of the model's own size says more
        else:
            return resized
        raise
    return model


def _check_name(backbone: str) -> None:
    if not isinstance(backbone, str):
        raise TypeError(f"backbone must be a name of timm's, such as 'resnet50'; got {backbone!r}")
    if "/" in backbone or ":" in backbone:  # as model cards have it
        name = re.split("[/:]", backbone.partition("@")[0])[-1]
        if re.match(r"(hf[-_]hub:)?timm/", backbone) and timm.is_model(name.partition(".")[0]):
            raise ValueError(f"timm has no model {backbone!r}; give its name alone, {name!r}")
        raise ValueError(
            f"{backbone!r} is no name of timm's. Give the name of its architecture as backbone, "
            "and a file of its weights: pretrained='path/to/model.safetensors'"
        )
    architecture, _, tag = backbone.partition(".")
    if not timm.is_model(architecture):
        near = get_close_matches(backbone, timm.list_models(), n=5)
    elif tag and backbone not in (near := timm.list_models(f"{architecture}.*", pretrained=True)):
        pass
    else:
        return
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "see timm.list_models()"
    raise ValueError(f"timm has no model {backbone!r}; {hint}")
