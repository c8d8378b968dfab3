"""What to say about images that cannot be read."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from ..exceptions import SkippedImagesWarning

__all__ = ["MISSING", "skipped_images_message", "warn_of_skipped_images"]

#: what the error about a missing file says
MISSING = "there is no image file"
_LISTED = 10
# how the errors end that stop everything: each time the same, and here another way is open
_CURE = "; replace it or leave its row out"


def skipped_images_message(broken: Mapping[int, str], n: int, cure: str, of: str = "images") -> str:
    """List broken images, the first ten by name.

    Parameters
    ----------
    broken : mapping of int to str
        Rows, and what is wrong with their images; the messages name the row.
    n : int
        Number of all images.
    cure : str
        How to go on.
    of : str, default="images"
        What the images are.

    Returns
    -------
    str
        A text of several lines.

    Examples
    --------
    >>> print(skipped_images_message({2: "row 2: no image"}, 5, "Replace them."))
    1 of 5 images cannot be read:
      row 2: no image
    Replace them.
    """
    rows = sorted(broken)
    lines = [f"{len(rows)} of {n} {of} cannot be read:"]
    lines += [f"  {broken[row].removesuffix(_CURE)}" for row in rows[:_LISTED]]
    if len(rows) > _LISTED:
        lines.append(f"  and {len(rows) - _LISTED} more")
    return "\n".join([*lines, cure])


def warn_of_skipped_images(
    broken: Mapping[int, str], n: int, cure: str, *, of: str = "images", stacklevel: int = 2
) -> None:
    """Warn of images that were skipped; refuse to go on without any.

    Parameters
    ----------
    broken : mapping of int to str
        Rows and messages, see :func:`skipped_images_message`. Nothing happens if it is empty.
    n : int
        Number of all images.
    cure : str
        How to go on.
    of : str, default="images"
        What the images are.
    stacklevel : int, default=2
        Whose line the warning shows, counted from here.

    Raises
    ------
    ValueError
        If all images are broken.

    Warns
    -----
    SkippedImagesWarning
        If some are.
    """
    if len(broken) == n:
        missing = any(MISSING in message for message in broken.values())
        advice = "; check the paths, or image_root=" if missing else ""
        raise ValueError(skipped_images_message(broken, n, f"None is left{advice}.", of))
    if broken:
        message = skipped_images_message(broken, n, cure, of)
        warnings.warn(message, SkippedImagesWarning, stacklevel=stacklevel + 1)
