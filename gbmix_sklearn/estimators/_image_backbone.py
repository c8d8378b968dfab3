"""What is before the layers of a classifier that takes images: a model of timm's, by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import cpu_count
from torch import nn

from .._device import resolve_precision
from ..backbones import Backbone, create_embedding, load_backbone
from ..backbones._augment import make_augmentation, whole
from ..backbones._broken import warn_of_skipped_images
from ..backbones._cache import Cache
from ..backbones._embedding import embed, open_cache_of
from ..backbones._images import Images, Picture
from ..backbones._memory import find_batch_size
from ..backbones._memory_cache import memory_cache
from ..backbones._parallel import ordered_map
from ..backbones._pixels import PixelStore, decode
from ..backbones._preprocess import Preprocess
from ..backbones._progress import Progress
from ..backbones._scratch import scratch_array, without_gaps
from ..backbones._stages import split_stages
from ..training import ArrayInputs, ImageInputs, Inputs, Loaded, as_tensor, embed_in_batches

__all__ = ["ImageBackbone"]

_LEFT_OUT = (
    "They were left out, with their labels and groups{where}. Replace the files to train on them."
)


class ImageBackbone:
    """A timm model in a classifier: trained, frozen, or cut in two.

    Parameters
    ----------
    name : str
        Its name.
    model : Module
        The whole model, without its classifier.
    preprocess : Preprocess
        From images to its input.
    trainable : bool, int or str
        The classifier's parameter.
    cut : bool
        Whether stages that are not trained may be cut off, to be run once for each image.
    dtype : torch.dtype
        What it computes in.
    cache_dir : str, Path or None
        Where embeddings and pixels are kept; None keeps embeddings in the memory of the process.
    verbose : int
        Whether to show the progress over images.

    Attributes
    ----------
    frozen : Module or None
        The part that is run once for each image.
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        preprocess: Preprocess,
        *,
        trainable: bool | int | str,
        cut: bool,
        dtype: torch.dtype,
        cache_dir: Any = None,
        verbose: int = 0,
    ):
        self.name = name
        self.preprocess = preprocess
        self.dtype = dtype
        self.cache_dir = None if cache_dir is None else Path(cache_dir).expanduser()
        self.verbose = verbose
        self.runs_once = isinstance(trainable, bool | np.bool_) and not trainable
        self.frozen: nn.Module | None = model if self.runs_once else None
        self._trained: nn.Module | None = None if self.runs_once else model
        if not isinstance(trainable, bool | np.bool_):
            split = split_stages(model, trainable)
            if cut:
                self.frozen, self._trained = split
        self._whole: Backbone | None = None  # from images to embeddings, when first needed

    @classmethod
    def create(
        cls,
        name: str,
        *,
        pretrained: Any,
        image_size: int | None,
        device: torch.device,
        precision: str,
        trainable: bool | int | str,
        **options: Any,
    ) -> ImageBackbone:
        """Take a model from timm; one that is all frozen is shared by this process."""
        if not isinstance(trainable, bool | np.bool_) or trainable:
            model, preprocess = create_embedding(name, pretrained=pretrained, image_size=image_size)
            dtype = resolve_precision(precision, device)
            return cls(name, model, preprocess, trainable=trainable, dtype=dtype, **options)
        shared = load_backbone(
            name, pretrained=pretrained, image_size=image_size, device=device, precision=precision
        )
        backbone = cls(
            name, shared.model, shared.preprocess, trainable=False, dtype=shared.dtype, **options
        )
        backbone._whole = shared
        return backbone

    @classmethod
    def from_description(
        cls, description: dict[str, Any], *, image_size: int | None, **options: Any
    ) -> ImageBackbone:
        """Build what :meth:`describe` described, with weights that are still to be loaded."""
        name = description["name"]
        model, _ = create_embedding(name, pretrained=False, image_size=image_size)
        return cls(
            name,
            model,
            Preprocess.of_config(description["preprocess"]),
            cut=description["is_cut"],
            dtype=getattr(torch, description["dtype"]),
            **options,
        )

    def describe(self) -> dict[str, Any]:
        """Say in JSON all that embeddings depend on besides the weights."""
        return {
            "name": self.name,
            "preprocess": json.loads(self.preprocess.recipe),
            "dtype": str(self.dtype).removeprefix("torch."),
            "is_cut": self.frozen is not None,
        }

    def load(
        self,
        images: Images,
        device: torch.device,
        *,
        varied: np.ndarray,
        augment: Any,
        num_workers: int,
        on_error: str,
        of: str = "X",
    ) -> Loaded:
        """Read images, each once, and run what is frozen.

        Parameters
        ----------
        images : Images
            The images.
        device : torch.device
            Where they are trained on.
        varied : ndarray of int
            The rows that `augment` is for.
        augment, num_workers, on_error
            The classifier's parameters.
        of : str, default="X"
            The argument of fit that has the images.
        """
        if self.frozen is None:
            loaded = self._decode(images, device, varied, augment, num_workers, on_error)
        else:
            loaded = self._run_frozen(images, device, on_error)
        # past load, the classifier's methods, and fit
        images.depth.warn(stacklevel=4)
        cure = _LEFT_OUT.format(where="; skipped_ has their rows" if of == "X" else "")
        what = "images" if of == "X" else f"images of {of}"
        warn_of_skipped_images(loaded.broken, len(images), cure, of=what, stacklevel=4)
        return loaded

    def _decode(
        self,
        images: Images,
        device: torch.device,
        varied: np.ndarray,
        augment: Any,
        num_workers: int,
        on_error: str,
    ) -> Loaded:
        """Decode images to what batches are drawn from."""
        preprocess = self.preprocess
        augmentation = make_augmentation(augment, preprocess, num_workers)
        limit = augmentation.size_limit
        if limit is None and preprocess.passes(images):
            assert images.stack is not None
            store = PixelStore.of_stack(images.stack)
        else:
            is_varied = np.zeros(len(images), dtype=bool)
            is_varied[varied] = limit is not None

            def prepare(row: int, picture: Picture) -> Any:
                if limit is not None and is_varied[row]:
                    return whole(picture, limit, preprocess.resample)
                return preprocess.pixels(picture)

            store = decode(
                images,
                prepare,
                shape=preprocess.size if limit is None else None,
                recipe=f"{preprocess.recipe} {limit} {np.packbits(is_varied).tobytes().hex()}",
                folder=None if self.cache_dir is None else self.cache_dir / "pixels",
                on_error=on_error,
                update=self._progress("reading", images),
            )
        rows_at_once = find_batch_size(self._joined(self._trained, device).image_bytes, device)

        def as_evaluated(positions: np.ndarray) -> torch.Tensor:
            rows = store.rows[positions]
            if not is_varied[rows].any():
                return store.take(positions)
            # what is cropped anew in every epoch is stored whole, and judged as any other image
            pictures = (images[row] for row in rows)
            return torch.stack(list(ordered_map(preprocess.pixels, pictures, 2 * cpu_count())))

        inputs = ImageInputs(
            store,
            preprocess,
            augmentation,
            device,
            rows_at_once,
            None if limit is None else as_evaluated,
        )
        return Loaded(inputs, store.broken, store.rows if store.broken else None)

    def _run_frozen(self, images: Images, device: torch.device, on_error: str) -> Loaded:
        """Compute embeddings, or the feature maps that the trained stages begin with."""
        broken: dict[int, str] = {}
        skip = broken if on_error == "skip" else None
        if self.runs_once:
            values = self._embeddings(images, device, skip)
        else:
            assert self.frozen is not None
            part = self._part(self.frozen, device)
            values = scratch_array((len(images), *part.shape), "feature maps")
            embed(part, images, out=values, broken=skip, update=self._progress("embedding", images))
        rows = np.setdiff1d(np.arange(len(images)), list(broken)) if broken else None
        if rows is not None:
            values = without_gaps(values, rows)
        x = as_tensor(values)
        if device.type != "cuda" or values.nbytes < torch.cuda.mem_get_info(device)[0] // 4:
            x = x.to(device)
        return Loaded(ArrayInputs(x, device), broken, rows)

    def width(self, inputs: Inputs, device: torch.device) -> int:
        """Length of the embeddings that the trained part gives for such inputs."""
        return self._joined(self._trained, device).n_features

    def take_trained(self) -> nn.Module | None:
        """Hand the trained part over to the network."""
        trained, self._trained = self._trained, None
        return trained

    def embed(
        self, images: Images, embedding: nn.Module | None, device: torch.device
    ) -> np.ndarray:
        """Pass images through the frozen part and the trained embedding."""
        if not self.runs_once:
            if self._whole is None or self._whole.device != device:
                self._whole = self._joined(embedding, device)
            return embed(self._whole, images, update=self._progress("predicting", images))
        z = self._embeddings(images, device, None)
        if embedding is None:
            return z
        return embed_in_batches(embedding, ArrayInputs(as_tensor(z), device))

    def _embeddings(
        self, images: Images, device: torch.device, broken: dict[int, str] | None
    ) -> np.ndarray:
        if self._whole is None or self._whole.device != device:
            self._whole = self._joined(None, device)
        backbone = self._whole
        if self.cache_dir is None:
            cache: Cache = memory_cache(backbone.fingerprint, backbone.n_features)
        else:
            cache = open_cache_of(backbone, self.cache_dir)
        return embed(
            backbone,
            images,
            cache=cache,
            broken=broken,
            update=self._progress("embedding", images),
        )

    def _joined(self, rest: nn.Module | None, device: torch.device) -> Backbone:
        """The frozen part, and what follows it."""
        parts = [part for part in (self.frozen, rest) if part is not None]
        return self._part(parts[0] if len(parts) == 1 else nn.Sequential(*parts), device)

    def _part(self, module: nn.Module, device: torch.device) -> Backbone:
        return Backbone.of(self.name, module, self.preprocess, device, self.dtype)

    def _progress(self, doing: str, images: Images) -> Callable[[int], object]:
        return Progress(doing, len(images), self.verbose).update

    def __getstate__(self) -> dict[str, Any]:
        # loadable without the device that it is on; the trained part belongs to the network
        frozen = None if self.frozen is None else deepcopy(self.frozen).cpu()
        return self.__dict__ | {"frozen": frozen, "_trained": None, "_whole": None}
