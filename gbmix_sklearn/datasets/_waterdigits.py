"""Waterdigits: handwritten digits on photographs that give the class away, except in the test.

The construction follows Waterbirds (https://arxiv.org/abs/1911.08731), from parts that come with
scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image
from sklearn.utils import Bunch, check_random_state

__all__ = ["make_waterdigits"]

#: class 0 belongs on the first, class 1 on the second
PHOTOGRAPHS = ("china", "flower")
#: shares of the digits, and of the photographs' tiles, that train, valid and test get
SHARES = (0.6, 0.2, 0.2)
#: each photograph is cut into so many rows and columns of tiles, of 71 x 71 pixels
GRID = (6, 9)
#: smallest square that is taken out of a tile, in pixels of the photograph
MIN_CROP = 48
BRIGHTNESS = (0.5, 1.3)
#: height of the 8 x 8 digit as a share of the image
DIGIT_SCALE = (0.45, 0.6)
#: degrees
MAX_ROTATION = 12.0
OPACITY = (0.6, 0.95)
#: each channel is drawn from the light range on dark backgrounds and from the dark one on light
#: ones: a digit is always visible, and its colour says nothing about its class
LIGHT_INK, DARK_INK = (195, 255), (0, 60)
MIN_IMAGE_SIZE = 16
#: one sample for each cell of class and background
MIN_PART_SIZE = 4

DESCR = """\
Waterdigits: handwritten digits on patches of two photographs. In the training part the photograph
goes with the class; in the validation and test parts it does not.

Digits: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine
Learning Repository, https://doi.org/10.24432/C50P49, CC BY 4.0.
Photographs: scikit-learn's sample images, CC BY 2.0, attributed there to danielbuechele: china.jpg,
https://www.flickr.com/photos/danielbuechele/6061409035/, and flower.jpg,
https://www.flickr.com/photos/vultilion/6056698931/.
"""


def make_waterdigits(
    n_train: int = 2000,
    n_valid: int = 500,
    n_test: int = 1000,
    *,
    correlation: float = 0.95,
    classes: Sequence[int | Sequence[int]] = (3, 8),
    image_size: int = 64,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Make images of digits whose background gives the class away, except in the test.

    A stand-in for Waterbirds [1]_ that needs no download: scikit-learn's handwritten digits are
    written on patches of its two photographs, class 0 mostly on the temple and class 1 mostly on
    the flower. In the validation and test parts each class is on both in equal numbers, so that
    who has learned the background fails on half of them.

    Parameters
    ----------
    n_train, n_valid, n_test : int, default=2000, 500, 1000
        Samples of each part, half of each class; at least 4, or 0 for no validation or test part.
    correlation : float, default=0.95
        Share of each class in the training part that is on the photograph of that class, between
        0.5 (the background says nothing) and 1. Cells have exactly this share, rounded, but never
        less than one sample; with 1 the two cells against the correlation are empty.
    classes : sequence of two digits, or of two sequences of digits, default=(3, 8)
        The digits of the two classes. ``((0, 6, 8, 9), (1, 4, 7))`` makes classes of several.
    image_size : int, default=64
        Height and width of the images, at least 16.
    random_state : int, RandomState instance or None, default=None
        The same int gives the same images, byte for byte, with the same versions of NumPy, Pillow
        and scikit-learn.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the fields, where n is ``n_train + n_valid + n_test``:

        images : ndarray of shape (n, image_size, image_size, 3), dtype uint8
            The images, in RGB; train, valid and test in this order, each shuffled.
        target : ndarray of shape (n,), dtype int64
            The class, 0 or 1.
        groups : ndarray of shape (n,), dtype int64
            The photograph of the background, 0 or 1.
        split : ndarray of shape (n,), dtype int64
            0 train, 1 valid, 2 test.
        foreground : ndarray of shape (n,), dtype int64
            The digit's row in :func:`sklearn.datasets.load_digits`.
        background : ndarray of shape (n, 4), dtype int64
            The patch of the photograph: left, top, right and bottom, in pixels.
        target_names : list of str
            The digits of the two classes, such as ``["3", "8"]``.
        group_names : list of str
            The names of the two photographs, ``["china", "flower"]``.
        DESCR : str
            What the data are, their sources and licences.

    Raises
    ------
    ValueError
        If a parameter has a value that is not allowed.

    See Also
    --------
    load_adult : A table that comes with the package.

    Notes
    -----
    The parts share no digit and no pixel of a photograph. The about 180 handwritten copies of each
    digit are dealt to the parts (60, 20 and 20 per cent), and so are the 54 tiles into which each
    photograph is cut. Within a part copies and tiles come again, each time with another size,
    place, rotation, ink and opacity of the digit, and another crop, flip and brightness of the
    background. The ink is light on dark and dark on light backgrounds.

    Licences: the digits are CC BY 4.0 [2]_, the photographs CC BY 2.0; `DESCR` has the names.

    References
    ----------
    .. [1] S. Sagawa, P. W. Koh, T. B. Hashimoto and P. Liang (2020). Distributionally robust
       neural networks for group shifts. ICLR. https://arxiv.org/abs/1911.08731
    .. [2] E. Alpaydin and C. Kaynak (1998). Optical Recognition of Handwritten Digits. UCI Machine
       Learning Repository. https://doi.org/10.24432/C50P49

    Examples
    --------
    >>> import pandas as pd
    >>> from gbmix_sklearn import make_waterdigits
    >>> bunch = make_waterdigits(200, 40, 40, random_state=0)
    >>> bunch.images.shape
    (280, 64, 64, 3)
    >>> train = bunch.split == 0
    >>> pd.crosstab(bunch.target[train], bunch.groups[train], rownames=["y"], colnames=["s"])
    s   0   1
    y
    0  95   5
    1   5  95
    """
    sizes = _check_sizes(n_train=n_train, n_valid=n_valid, n_test=n_test)
    digits_of_class = _check_classes(classes)
    if not _is_number(correlation, Real) or not 0.5 <= correlation <= 1:
        raise ValueError(f"correlation must be a number in [0.5, 1], got {correlation!r}")
    if not _is_number(image_size, Integral) or image_size < MIN_IMAGE_SIZE:
        raise ValueError(
            f"image_size must be a whole number of at least {MIN_IMAGE_SIZE}, got {image_size!r}"
        )
    rng = check_random_state(random_state)

    source = load_digits()
    photographs = [Image.fromarray(load_sample_image(f"{name}.jpg")) for name in PHOTOGRAPHS]
    # what each part may use: copies[digit][part] are rows of load_digits, tiles[s][part] boxes
    copies = {
        digit: _deal(np.flatnonzero(source.target == digit), rng)
        for class_digits in digits_of_class
        for digit in class_digits
    }
    tiles = [_deal(_tiles(photograph), rng) for photograph in photographs]

    n = sum(sizes)
    split = np.repeat(np.arange(3, dtype=np.int64), sizes)
    target, groups, foreground = np.empty((3, n), dtype=np.int64)
    background = np.empty((n, 4), dtype=np.int64)
    for part, size in enumerate(sizes):
        rows = rng.permutation(np.flatnonzero(split == part))
        counts = _cell_counts(size, correlation if part == 0 else 0.5)
        target[rows], groups[rows] = np.divmod(np.repeat(np.arange(4), counts.ravel()), 2)
        for code in (0, 1):
            members = rows[target[rows] == code]
            pool = np.concatenate([copies[digit][part] for digit in digits_of_class[code]])
            foreground[members] = _draw(pool, len(members), rng)
            members = rows[groups[rows] == code]
            background[members] = _random_crops(_draw(tiles[code][part], len(members), rng), rng)

    images = np.empty((n, image_size, image_size, 3), dtype=np.uint8)
    for row in range(n):
        patch = _patch(photographs[groups[row]], background[row], image_size, rng)
        images[row] = _write(source.images[foreground[row]], patch, rng)
    return Bunch(
        images=images,
        target=target,
        groups=groups,
        split=split,
        foreground=foreground,
        background=background,
        target_names=["/".join(map(str, class_digits)) for class_digits in digits_of_class],
        group_names=list(PHOTOGRAPHS),
        DESCR=DESCR,
    )


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _check_sizes(**sizes: Any) -> list[int]:
    for name, size in sizes.items():
        may_be_empty = name != "n_train"
        if not _is_number(size, Integral) or not (
            size >= MIN_PART_SIZE or (size == 0 and may_be_empty)
        ):
            raise ValueError(
                f"{name} must be a whole number of at least {MIN_PART_SIZE}"
                f"{', or 0' if may_be_empty else ''}; got {size!r}"
            )
    return [int(size) for size in sizes.values()]


def _check_classes(classes: Any) -> list[tuple[int, ...]]:
    """Digits of the two classes."""
    try:
        found = [(c,) if _is_number(c, Integral) else tuple(c) for c in classes]
    except TypeError:
        found = []
    digits = [digit for class_digits in found for digit in class_digits]
    if (
        len(found) != 2
        or not all(found)
        or not all(_is_number(digit, Integral) and 0 <= digit <= 9 for digit in digits)
        or len(set(digits)) < len(digits)
    ):
        raise ValueError(
            "classes must be two digits, or two sequences of digits, all different; "
            f"got {classes!r}"
        )
    return [tuple(int(digit) for digit in class_digits) for class_digits in found]


def _cell_counts(n: int, correlation: float) -> np.ndarray:
    """Count the samples of each class (rows) on each photograph (columns)."""
    counts = np.empty((2, 2), dtype=np.int64)
    for code, n_class in enumerate((n - n // 2, n // 2)):
        matching = round(correlation * n_class)
        if correlation < 1 and n_class > 1:  # an empty part has no cell to keep alive
            matching = min(matching, n_class - 1)
        counts[code, code], counts[code, 1 - code] = matching, n_class - matching
    return counts


def _deal(items: np.ndarray, rng: np.random.RandomState) -> list[np.ndarray]:
    """Deal items to train, valid and test."""
    cuts = np.rint(np.cumsum(SHARES)[:-1] * len(items)).astype(int)
    return np.split(rng.permutation(items), cuts)


def _draw(items: np.ndarray, n: int, rng: np.random.RandomState) -> np.ndarray:
    """Draw n items, each as often as the others, give or take one."""
    rows = np.resize(rng.permutation(len(items)), n)
    return items[rng.permutation(rows)]


def _tiles(photograph: Image.Image) -> np.ndarray:
    """Boxes of a photograph's tiles; no two share a pixel."""
    shape = np.array([photograph.width // GRID[1], photograph.height // GRID[0]])
    row, column = np.divmod(np.arange(GRID[0] * GRID[1]), GRID[1])
    corner = np.column_stack([column, row]) * shape
    return np.hstack([corner, corner + shape])


def _random_crops(boxes: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Take a square of random size and place out of each box."""
    shape = boxes[:, 2:] - boxes[:, :2]
    side = rng.randint(MIN_CROP, shape.min(axis=1) + 1)[:, None]
    corner = boxes[:, :2] + rng.randint(0, shape - side + 1)
    return np.hstack([corner, corner + side])


def _patch(
    photograph: Image.Image, box: np.ndarray, size: int, rng: np.random.RandomState
) -> np.ndarray:
    """One background, float32 of shape (size, size, 3), in 0 to 255."""
    # cut first: a resampled box also looks at the pixels around it, which are another part's
    patch = photograph.crop(tuple(box.tolist())).resize((size, size), Image.Resampling.BILINEAR)
    image = np.asarray(patch, dtype=np.float32) * rng.uniform(*BRIGHTNESS)
    return np.clip(image[:, ::-1] if rng.rand() < 0.5 else image, 0, 255)


def _write(digit: np.ndarray, patch: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Write an 8 x 8 digit of values 0 to 16 on a background, turned and anywhere on it."""
    size = len(patch)
    height = size * rng.uniform(*DIGIT_SCALE)
    angle = np.deg2rad(rng.uniform(-MAX_ROTATION, MAX_ROTATION))
    play = (size - height) / 2
    x, y = size / 2 + rng.uniform(-play, play, size=2)
    # the margin lets strokes at the border of the digit end softly
    margin = 1
    small = Image.fromarray(np.rint(np.pad(digit, margin) * (255 / 16)).astype(np.uint8))
    # Pillow wants the map from a pixel of the image to its place in the digit
    cos, sin, centre = 8 / height * np.cos(angle), 8 / height * np.sin(angle), 4 + margin
    place = (cos, sin, centre - cos * x - sin * y, -sin, cos, centre + sin * x - cos * y)
    large = small.transform((size, size), Image.Transform.AFFINE, place, Image.Resampling.BICUBIC)
    # the steep ramp makes pen strokes of the smooth enlargement
    stroke = np.clip((np.asarray(large, dtype=np.float32)[:, :, None] / 255 - 0.3) / 0.4, 0, 1)
    stroke *= rng.uniform(*OPACITY)
    ink = rng.uniform(*(LIGHT_INK if patch.mean() < 128 else DARK_INK), size=3)
    return np.rint(patch * (1 - stroke) + ink * stroke).astype(np.uint8)
