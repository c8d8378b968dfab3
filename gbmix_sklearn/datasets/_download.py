"""Files from the network: whole and verified, or not there at all."""

from __future__ import annotations

import hashlib
import os
import shutil
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from .._files import disk_named, sweep, temporary_beside

__all__ = ["download", "sha256_of"]

#: seconds without an answer after which a download is given up
TIMEOUT = 30


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def download(url: str, target: Path, sha256: str) -> None:
    """Download a file, verify it, and only then give it its name.

    Several processes may do so at once: each writes to a file of its own beside `target`, and
    the last one to finish wins with the same content.

    Parameters
    ----------
    url : str
        What to download.
    target : Path
        The file to write; its folder must exist.
    sha256 : str
        Hexadecimal SHA-256 that the content must have.

    Raises
    ------
    OSError
        If the download fails, ends early or has other content. Nothing is left behind.
    """
    sweep(target.parent)
    part = temporary_beside(target)
    try:
        try:
            with (
                disk_named(target),
                urlopen(url, timeout=TIMEOUT) as answer,
                part.open("wb") as stream,
            ):
                shutil.copyfileobj(answer, stream)
        except (OSError, HTTPException) as error:  # a broken transfer is no OSError in http.client
            if isinstance(error, HTTPError):  # it is the open answer as well
                error.close()
            raise OSError(f"could not download {url}: {error or type(error).__name__}") from error
        found = sha256_of(part)
        if found != sha256:
            raise OSError(
                f"the download of {url} is not the expected file: {part.stat().st_size} bytes with "
                f"SHA-256 {found} instead of {sha256}; it may have ended early"
            )
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
