"""Pixels of any kind as 8-bit RGB."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageOps

from .._tensors import as_readable
from ._depth import Depth, ValueRange, name_range, to_8_bits

__all__ = ["pixels_of_tensor", "check_pixels", "from_pixels", "to_rgb"]

#: the tag of EXIF that says how a camera was held
_ORIENTATION = 0x0112


def to_rgb(
    image: Image.Image,
    *,
    own: bool = False,
    value_range: ValueRange | None = None,
    depth: Depth | None = None,
) -> Image.Image:
    """Turn a PIL image of any mode upright and into 8-bit RGB.

    Transparency is dropped, as ``image.convert("RGB")`` does. 16-bit grey keeps its upper 8 bits,
    where ``convert`` may clip everything from 255 on to white, depending on Pillow's version.

    Parameters
    ----------
    image : PIL.Image.Image
        The image, left as it is.
    own : bool, default=False
        Whether nobody else has it, so that it is returned itself where nothing is to be done: a
        copy of a large photograph takes as much memory as itself.
    value_range : (float, float), default=None
        The values that become black and white; None takes all that 8 or 16 bits can have.
    depth : Depth, default=None
        Takes note of the values of images with more than 8 bits where no range is given.

    Returns
    -------
    PIL.Image.Image
        An image of mode RGB.

    Raises
    ------
    ValueError
        If without a range the image is of a float mode, or has values beyond 16 bits.

    Examples
    --------
    >>> from PIL import Image
    >>> to_rgb(Image.new("I;16", (1, 1), 0x80FF)).getpixel((0, 0))
    (128, 128, 128)
    >>> to_rgb(Image.new("I;16", (1, 1), 2048), value_range=(0, 4095)).getpixel((0, 0))
    (128, 128, 128)
    """
    given = None if own else image
    if image.getexif().get(_ORIENTATION, 1) != 1:  # without one, it would be copied for nothing
        image = ImageOps.exif_transpose(image)
    if image.mode == "F" or image.mode.startswith("I"):  # I;16 and its byte orders; 32 bits
        values = np.asarray(image)
        if value_range is None:
            values = _upper_bits(values, image, depth)
        else:
            values = to_8_bits(values, value_range)
        return Image.fromarray(values).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # the way that Pillow asks for, else it warns
    if value_range is not None:
        return Image.fromarray(to_8_bits(np.asarray(image.convert("RGB")), value_range))
    return image if image.mode == "RGB" and image is not given else image.convert("RGB")


def _upper_bits(values: np.ndarray, image: Image.Image, depth: Depth | None) -> np.ndarray:
    if image.mode == "F":
        raise ValueError(f"a float image (mode F) has no fixed range. It has {name_range(values)}")
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 0xFFFF:
        raise ValueError(f"mode {image.mode} has no fixed range. It has {name_range(values)}")
    if depth is not None:
        # older Pillow has 16-bit PNG as "I", as all have those of 32 bits
        has_16_bits = image.mode != "I" or image.format in ("PNG", "PPM")
        depth.note(low, high, is_guess=not has_16_bits)
    return (values >> 8).astype(np.uint8)


def check_pixels(pixels: np.ndarray, value_range: ValueRange | None = None) -> np.ndarray:
    """Refuse arrays that are no image; scale those of a range of values to 8 bits.

    Parameters
    ----------
    pixels : ndarray
        What came as an image.
    value_range : (float, float), default=None
        The values that become black and white.

    Returns
    -------
    ndarray of shape (height, width) or (height, width, channels), dtype uint8
        The same array, or a scaled one.

    Raises
    ------
    ValueError
        If it has another shape or dtype.
    """
    grey_or_colour = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))
    if grey_or_colour and value_range is not None and pixels.dtype.kind in "iuf":
        return to_8_bits(pixels, value_range)
    if pixels.dtype != np.uint8 or not grey_or_colour:
        raise ValueError(
            "an image is a uint8 array (height, width) or (height, width, 3); "
            f"got {pixels.dtype} of shape {pixels.shape}{_of_range(pixels)}"
        )
    return pixels


def _of_range(pixels: np.ndarray) -> str:
    wide = pixels.size > 0 and pixels.dtype.kind in "iuf" and pixels.dtype != np.uint8
    return f", with {name_range(pixels)}" if wide else ""


def pixels_of_tensor(tensor: torch.Tensor, value_range: ValueRange | None = None) -> np.ndarray:
    """Turn an image as torch has it, channels first, into an array with channels last.

    Parameters
    ----------
    tensor : Tensor of shape (channels, height, width) or (height, width), dtype uint8
        The image; of any other numbers where their range is given.
    value_range : (float, float), default=None
        The values that become black and white.

    Returns
    -------
    ndarray of shape (height, width, channels) or (height, width), dtype uint8
        Its pixels.

    Raises
    ------
    ValueError
        If it has another shape or dtype.

    Examples
    --------
    >>> import torch
    >>> pixels_of_tensor(torch.zeros(3, 4, 5, dtype=torch.uint8)).shape
    (4, 5, 3)
    """
    grey_or_colour = tensor.ndim == 2 or (tensor.ndim == 3 and tensor.shape[0] in (1, 3, 4))
    pixels = as_readable(tensor).numpy()
    if not grey_or_colour or (value_range is None and pixels.dtype != np.uint8):
        raise ValueError(
            "an image is a uint8 tensor (3, height, width) or (height, width), not converted to "
            f"float nor normalised; got {tensor.dtype} of shape {tuple(tensor.shape)}"
            f"{_of_range(pixels)}"
        )
    return check_pixels(pixels if pixels.ndim == 2 else np.moveaxis(pixels, 0, -1), value_range)


def from_pixels(pixels: np.ndarray) -> Image.Image:
    """Make a PIL image of a checked array.

    Parameters
    ----------
    pixels : ndarray of shape (height, width) or (height, width, channels), dtype uint8
        The pixels.

    Returns
    -------
    PIL.Image.Image
        The image, of mode L, RGB or RGBA.
    """
    grey = pixels.ndim == 3 and pixels.shape[2] == 1
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if grey else pixels))
