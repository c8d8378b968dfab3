"""What varies the images of training: flips, crops, or transforms of the user's own."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any, Protocol

import numpy as np
import torch
from joblib import cpu_count
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from ._images import Picture
from ._pixels import PixelStore
from ._preprocess import Preprocess
from ._rgb import check_pixels, from_pixels, pixels_of_tensor, to_rgb

__all__ = ["Augmentation", "draw_boxes", "make_augmentation", "whole"]

Batches = Generator[torch.Tensor, None, None]
Task = tuple[np.ndarray, np.ndarray]  # positions of a batch, and a seed for each

# as in the training of GroupDRO and DFR on Waterbirds and CelebA
_SCALE = (0.7, 1.0)
_RATIO = (3 / 4, 4 / 3)
_TRIES = 10


class Augmentation(Protocol):
    """Makes batches of varied images."""

    @property
    def size_limit(self) -> int | None:
        """Short side that whole images are reduced to before they are stored, see `whole`.

        None wants them stored as the backbone sees them.
        """

    @property
    def in_background(self) -> bool:
        """Whether batches may be made in a thread beside a loop that uses global generators."""

    def batches(
        self, store: PixelStore, positions: Iterable[np.ndarray], rng: np.random.Generator
    ) -> Batches:
        """Make batches; closing the generator early ends what works for it.

        Parameters
        ----------
        store : PixelStore
            The images.
        positions : iterable of ndarray of int
            Positions in the store, for each batch.
        rng : numpy.random.Generator
            Is drawn from batch by batch, perhaps some batches ahead: nobody else should use it
            meanwhile.

        Yields
        ------
        Tensor of shape (n, height, width, 3), dtype uint8
            The batches, in order.
        """


def make_augmentation(
    augment: str | Callable[[Image.Image], Any] | None, preprocess: Preprocess, num_workers: int = 0
) -> Augmentation:
    """Make what varies training images.

    Parameters
    ----------
    augment : None, "flip", "standard" or callable
        Nothing; mirroring left-right at random; a random part of the image and mirroring; or a
        function of one's own from a PIL image to a PIL image, a uint8 array (height, width, 3) or
        a uint8 tensor (3, height, width), for instance transforms of torchvision.
    preprocess : Preprocess
        Of the backbone.
    num_workers : int, default=0
        Processes that a callable runs in; 0 is this one.

    Returns
    -------
    Augmentation
        The augmentation.

    Raises
    ------
    TypeError, ValueError
        If `augment` is nothing of that.
    """
    if augment is None:
        return _Unchanged()
    if augment == "flip":
        return _Flip()
    if augment == "standard":
        return _Standard(preprocess.size, preprocess.resample)
    if callable(augment):
        return _Own(augment, preprocess, num_workers)
    kind = ValueError if isinstance(augment, str) else TypeError
    raise kind(
        f"augment must be None, 'flip', 'standard' or a callable that takes a PIL image; "
        f"got {augment!r}"
    )


def whole(picture: Picture, size_limit: int, resample: Image.Resampling) -> np.ndarray:
    """Decode all of an image, upright and as RGB, and reduce it where it is large.

    Parameters
    ----------
    picture : Picture
        The image.
    size_limit : int
        What the short side is reduced to; images that are smaller stay as they are.
    resample : PIL.Image.Resampling
        The interpolation.

    Returns
    -------
    ndarray of shape (height, width, 3), dtype uint8
        Its pixels.

    Examples
    --------
    >>> picture = Picture(np.zeros((300, 400), dtype=np.uint8), "a photograph")
    >>> whole(picture, 150, Image.Resampling.BICUBIC).shape
    (150, 200, 3)
    """
    image = picture.rgb()
    short = min(image.size)
    if short > size_limit:
        width, height = (round(side * size_limit / short) for side in image.size)
        # large photographs are halved first where that cannot be seen: several times as fast
        image = image.resize((width, height), resample, reducing_gap=3.0)
    return np.asarray(image)


@dataclass(frozen=True)
class _Unchanged:
    size_limit: None = None
    in_background: bool = True

    def batches(
        self, store: PixelStore, positions: Iterable[np.ndarray], rng: np.random.Generator
    ) -> Batches:
        for batch in positions:
            yield store.take(batch)


@dataclass(frozen=True)
class _Flip:
    size_limit: None = None
    in_background: bool = True

    def batches(
        self, store: PixelStore, positions: Iterable[np.ndarray], rng: np.random.Generator
    ) -> Batches:
        for batch in positions:
            images = store.take(batch)
            mirrored = torch.from_numpy(rng.random(len(batch)) < 0.5)
            images[mirrored] = images[mirrored].flip(2)
            yield images


@dataclass(frozen=True)
class _Standard:
    """Random resized crop and flip."""

    size: tuple[int, int]
    resample: Image.Resampling
    in_background: bool = True

    @property
    def size_limit(self) -> int:
        return ceil(max(self.size) / sqrt(_SCALE[0]))  # the smallest crop is hardly enlarged

    def batches(
        self, store: PixelStore, positions: Iterable[np.ndarray], rng: np.random.Generator
    ) -> Batches:
        # threads: Pillow leaves the interpreter to others while it resizes
        with ThreadPoolExecutor(cpu_count(), thread_name_prefix="gbmix-augment") as pool:
            for batch in positions:
                boxes = draw_boxes(store.sizes[batch], rng).tolist()
                mirrored = (rng.random(len(batch)) < 0.5).tolist()
                images = map(store.__getitem__, batch)
                yield torch.from_numpy(
                    np.stack(list(pool.map(self._cropped, images, boxes, mirrored)))
                )

    def _cropped(self, pixels: np.ndarray, box: list[int], mirrored: bool) -> np.ndarray:
        height, width = self.size
        crop = from_pixels(pixels).crop((box[0], box[1], box[2], box[3]))
        crop = crop.resize((width, height), self.resample)
        return np.asarray(crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else crop)


def draw_boxes(sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a part of each image, as torchvision's ``RandomResizedCrop`` does, for all at once.

    A part has 70 % to 100 % of the image's area and a ratio of width to height from 3:4 to 4:3,
    both drawn at most ten times until it fits; else it is the largest central part of such ratio.

    Parameters
    ----------
    sizes : ndarray of shape (n, 2), dtype int
        Height and width of the images.
    rng : numpy.random.Generator
        Is drawn from.

    Returns
    -------
    ndarray of shape (n, 4), dtype int
        Left, upper, right and lower edge.

    Examples
    --------
    >>> draw_boxes(np.array([[100, 1000]]), np.random.default_rng(0))  # nothing fits
    array([[433,   0, 566, 100]])
    """
    height, width = sizes.T[..., np.newaxis]
    tries = len(sizes), _TRIES
    areas = height * width * rng.uniform(*_SCALE, tries)
    narrow, wide = _RATIO
    ratios = np.exp(rng.uniform(np.log(narrow), np.log(wide), tries))
    # the last column is for images that no try fits into
    widths = np.hstack([np.sqrt(areas * ratios), np.minimum(width, height * wide)])
    heights = np.hstack([np.sqrt(areas / ratios), np.minimum(height, width / narrow)])
    widths, heights = np.rint(widths).astype(int), np.rint(heights).astype(int)
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    fits[:, _TRIES] = True
    chosen = fits.argmax(axis=1)[:, np.newaxis]
    size = np.hstack([np.take_along_axis(each, chosen, axis=1) for each in (widths, heights)])
    room = np.hstack([width, height]) - size
    start = np.where(chosen < _TRIES, rng.integers(0, room + 1), room // 2)
    return np.hstack([start, start + size])


class _Own:
    """A transform of the user's own, which draws from the global generators if from any."""

    def __init__(
        self, transform: Callable[[Image.Image], Any], preprocess: Preprocess, num_workers: int
    ):
        self.size_limit = 2 * max(preprocess.size)
        self.in_background = num_workers > 0
        self.transform = transform
        self.preprocess = preprocess
        self.num_workers = num_workers
        self._workers: _Workers | None = None  # those of the last store, for the next epoch

    def batches(
        self, store: PixelStore, positions: Iterable[np.ndarray], rng: np.random.Generator
    ) -> Batches:
        # with a seed of its own for each image, it does not matter which process varies it
        tasks = ((batch, rng.integers(1 << 32, size=len(batch))) for batch in positions)
        if self.num_workers == 0:
            yield from map(torch.from_numpy, map(self._transformed(store).__getitem__, tasks))
            return
        workers, self._workers = self._workers, None
        if workers is None or workers.store is not store:
            workers = _Workers(self._transformed(store), self.num_workers)
        try:
            yield from map(torch.from_numpy, workers.run(tasks))
        except BaseException:
            workers.stop()
            raise
        self._workers = workers

    def _transformed(self, store: PixelStore) -> _Transformed:
        return _Transformed(store, self.transform, self.preprocess)


class _Workers:
    """Processes that transform batches; they end when this is stopped or deleted."""

    def __init__(self, images: _Transformed, num_workers: int):
        self.store = images.store
        self._tasks = _Tasks()
        self._loader = DataLoader(
            images,
            batch_size=None,  # a task is a whole batch
            sampler=self._tasks,
            collate_fn=_as_it_is,
            num_workers=num_workers,
            persistent_workers=True,
            # forked, they share the store's memory
            multiprocessing_context="fork" if sys.platform == "linux" else None,
            generator=torch.Generator(),  # else it draws from the global one
        )

    def run(self, tasks: Iterator[Task]) -> Iterator[np.ndarray]:
        self._tasks.tasks = tasks
        return iter(self._loader)

    def stop(self) -> None:
        # torch does so when nothing refers to the loader any more, but tracebacks do
        running: Any = self._loader._iterator
        if running is not None:
            running._shutdown_workers()


class _Tasks:
    """What the workers do next, in the form of a sampler."""

    tasks: Iterator[Task] = iter(())

    def __iter__(self) -> Iterator[Task]:
        return self.tasks


def _as_it_is(batch: Any) -> Any:
    # arrays come through a pipe: tensors want shared memory, of which containers have little
    return batch


@dataclass(frozen=True)
class _Transformed(Dataset):
    """Batches of transformed images."""

    store: PixelStore
    transform: Callable[[Image.Image], Any]
    preprocess: Preprocess

    def __getitem__(self, task: Task) -> np.ndarray:
        with _global_states_kept():
            return np.stack(list(map(self._one, *task)))

    def _one(self, position: int, seed: int) -> np.ndarray:
        row = self.store.rows[position]
        image = from_pixels(self.store[position])
        _seed_globally(int(seed))
        try:
            result = self.transform(image)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise RuntimeError(
                f"row {row}: the transform given in augment raised {what}"
            ) from error
        try:
            pixels = _as_pixels(result)
        except (TypeError, ValueError) as error:
            raise type(error)(f"row {row}, after augment: {error}") from error
        if pixels.shape[:2] == self.preprocess.size:
            return pixels
        return self.preprocess.pixels(Picture(pixels, f"row {row}: augment")).numpy()


def _as_pixels(result: Any) -> np.ndarray:
    if isinstance(result, Image.Image):
        return np.asarray(to_rgb(result))
    if not isinstance(result, np.ndarray | torch.Tensor):
        raise TypeError(
            "an image is a PIL image, a uint8 array (height, width, 3) or a uint8 tensor "
            f"(3, height, width); got {type(result).__name__}"
        )
    if "float" in str(result.dtype):
        raise TypeError(
            f"the image is of {result.dtype}; the transform must end before ToTensor and "
            "Normalize, because the preprocessing of the backbone normalises"
        )
    pixels = pixels_of_tensor(result) if isinstance(result, torch.Tensor) else result
    return np.asarray(to_rgb(from_pixels(check_pixels(pixels))))


@contextmanager
def _global_states_kept() -> Iterator[None]:
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])


def _seed_globally(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU too
