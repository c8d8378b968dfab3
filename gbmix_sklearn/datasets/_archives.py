"""Archives as downloaded: unpacked once to a folder that the user names, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tarfile
import zipfile
import zlib
from gzip import BadGzipFile
from lzma import LZMAError
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["open_folder", "unpack"]

#: what readers of archives raise on broken ones
BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    BadGzipFile,
    LZMAError,
    EOFError,
    RuntimeError,  # a zip with a password, or packed in an unknown way
)


def open_folder(
    path: str | os.PathLike[str], cache_dir: str | os.PathLike[str] | None, get: str
) -> list[Path]:
    """Folders in which to look for a data set that was given as a folder or as an archive.

    Parameters
    ----------
    path : str or path-like
        A folder, or a tar or zip archive.
    cache_dir : str or path-like, default=None
        Folder below which an archive is unpacked.
    get : str
        Where the data set is found and how to lay it out, for messages.

    Returns
    -------
    list of Path
        The folder; or the unpacked archive and then the folder beside which it lies, where the
        labels of some data sets are downloaded to.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If the file is no archive or a broken one, or `cache_dir` is missing.
    """
    path = Path(path).expanduser().absolute()
    if path.is_dir():
        return [path]
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. {get}")
    if not (_is_tar(path) or zipfile.is_zipfile(path)):
        raise ValueError(
            f"{path} is neither a folder nor a tar or zip archive; a download of one may have "
            f"failed or ended early. {get}"
        )
    if cache_dir is None:
        raise ValueError(
            f"{path} is an archive: name a folder in cache_dir=... below which it is unpacked, "
            "once; or unpack it yourself and give its folder as path"
        )
    try:
        return [unpack(path, Path(cache_dir).expanduser().absolute()), path.parent]
    except BROKEN as error:
        raise ValueError(
            f"{path} cannot be unpacked: {error or type(error).__name__}. It may have been cut off "
            f"or changed on its way: download it again. {get}"
        ) from error


def unpack(archive: Path, cache_dir: Path) -> Path:
    """Unpack an archive once, below a folder.

    The files come into a folder of their own, which gets its name when all of them are there. Many
    processes may do so at once: each writes elsewhere, and the first one to finish wins. A killed
    process leaves a folder behind whose name begins with a point; nothing reads it.

    Parameters
    ----------
    archive : Path
        A tar archive, compressed or not, or a zip archive.
    cache_dir : Path
        Is made where it is missing.

    Returns
    -------
    Path
        The folder with the content. Its name tells archives apart by name, size and time, so that
        another download is unpacked anew.
    """
    state = archive.stat()
    key = hashlib.sha256(f"{state.st_size} {state.st_mtime_ns}".encode()).hexdigest()[:12]
    target = cache_dir / f"{archive.name}-{key}"
    if target.is_dir():
        return target
    cache_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache_dir, prefix=f".{archive.name}-") as folder:
        content = Path(folder) / "content"
        content.mkdir()
        _extract(archive, content)
        try:
            content.rename(target)
        except OSError:
            if not target.is_dir():  # another process was faster
                raise
    return target


def _is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, as far as its begin is there."""
    try:
        return tarfile.is_tarfile(path)
    except BROKEN:  # a compressed one that ends within its first header
        return False


def _extract(archive: Path, folder: Path) -> None:
    """Write all members; both readers keep them within the folder."""
    if _is_tar(archive):  # asked first: a zip may lie at the end of a tar
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
            # the reader stops without a word where a header is cut off or broken
            tar.fileobj.seek(tar.offset)
            if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("unexpected end of data")
    else:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
