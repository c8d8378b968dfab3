"""Pixels of any kind as 8-bit RGB."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageOps

__all__ = ["pixels_of_tensor", "check_pixels", "from_pixels", "to_rgb"]

#: the tag of EXIF that says how a camera was held
_ORIENTATION = 0x0112


def to_rgb(image: Image.Image, *, own: bool = False) -> Image.Image:
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

    Returns
    -------
    PIL.Image.Image
        An image of mode RGB.

    Raises
    ------
    ValueError
        If the image is of a float mode, or of an integer mode with values beyond 16 bits.

    Examples
    --------
    >>> from PIL import Image
    >>> to_rgb(Image.new("I;16", (1, 1), 0x80FF)).getpixel((0, 0))
    (128, 128, 128)
    """
    given = None if own else image
    if image.getexif().get(_ORIENTATION, 1) != 1:  # without one, it would be copied for nothing
        image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("a float image (mode F) has no fixed range; convert it to 8 bits first")
    if image.mode.startswith("I"):  # I;16 and its byte orders; 16-bit PNG of older Pillow is "I"
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError(f"mode {image.mode} with values beyond 16 bits; convert it first")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # the way that Pillow asks for, else it warns
    return image if image.mode == "RGB" and image is not given else image.convert("RGB")


def check_pixels(pixels: np.ndarray) -> np.ndarray:
    """Refuse arrays that are no image.

    Parameters
    ----------
    pixels : ndarray
        What came as an image.

    Returns
    -------
    ndarray of shape (height, width) or (height, width, channels), dtype uint8
        The same array.

    Raises
    ------
    ValueError
        If it has another shape or dtype.
    """
    grey_or_colour = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))
    if pixels.dtype != np.uint8 or not grey_or_colour:
        raise ValueError(
            "an image is a uint8 array (height, width) or (height, width, 3); "
            f"got {pixels.dtype} of shape {pixels.shape}"
        )
    return pixels


def pixels_of_tensor(tensor: torch.Tensor) -> np.ndarray:
    """Turn an image as torch has it, channels first, into an array with channels last.

    Parameters
    ----------
    tensor : Tensor of shape (channels, height, width) or (height, width), dtype uint8
        The image.

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
    if tensor.dtype != torch.uint8 or not grey_or_colour:
        raise ValueError(
            "an image is a uint8 tensor (3, height, width) or (height, width), not converted to "
            f"float nor normalised; got {tensor.dtype} of shape {tuple(tensor.shape)}"
        )
    pixels = tensor.detach().cpu().numpy()
    return pixels if pixels.ndim == 2 else np.moveaxis(pixels, 0, -1)


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
