"""Archives as downloaded: unpacked once to a folder that the user names, whole or not at all.

Members are read one after another and written by this file alone: plain files and folders, below
the folder and nowhere else. Links and devices, which no data set needs, are left out, which a
warning says. What comes out is counted, since a megabyte may unpack to gigabytes.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import shutil
import stat
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import BadGzipFile
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO, Any

from .._files import disk_named, open_plain, sweep, temporary_beside

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

#: bytes that an archive may unpack to: so many times its own, and some more; images hardly shrink
_RATIO, _MORE = 20, 256 << 20
_MOST_MEMBERS = 1_000_000
#: bytes that are copied at once, and that a header may have
_CHUNK = 1 << 20
_LONGEST_HEADER = 16 << 20
#: members that are left out and named in a warning
_NAMED = 3


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
    if not path.is_file() or not (_is_tar(path) or zipfile.is_zipfile(path)):
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
    except ValueError as error:
        raise ValueError(f"{path} cannot be unpacked: {error}. {get}") from error


def unpack(archive: Path, cache_dir: Path) -> Path:
    """Unpack an archive once, below a folder.

    The files come into a folder of their own, which gets its name when all of them are there. Many
    processes may do so at once: each writes elsewhere, and the first one to finish wins. A killed
    process leaves a folder behind whose name begins with a point; nothing reads it, and the next
    call of another day removes it.

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
    with disk_named(target):
        cache_dir.mkdir(parents=True, exist_ok=True)
        sweep(cache_dir)
        content = temporary_beside(target)
        content.mkdir()
        try:
            _extract(archive, content)
            try:
                content.rename(target)
            except OSError:
                if not target.is_dir():  # another process was faster
                    raise
        finally:
            shutil.rmtree(content, ignore_errors=True)
    return target


def _is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, as far as its begin is there."""
    try:
        with _opened_tar(path):
            return True
    except (*BROKEN, OSError):  # a compressed one that ends within its first header
        return False


def _extract(archive: Path, folder: Path) -> None:
    """Write all members below a folder."""
    most = _RATIO * archive.stat().st_size + _MORE
    writer = _Writer(folder, most)
    if _is_tar(archive):  # asked first: a zip may lie at the end of a tar
        with _opened_tar(archive, most) as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # of which there may be a million
                if member.isdir():
                    writer.add_folder(member.name)
                elif member.isreg():
                    writer.add(member.name, tar.extractfile(member))
                elif member.islnk():
                    writer.add_copy(member.name, member.linkname)
                else:
                    writer.leave_out(member.name)
            # the reader stops without a word where a header is cut off or broken
            source: Any = tar.fileobj
            source.seek(tar.offset)
            if source.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("unexpected end of data")
    else:
        with _Zip(archive) as packed:
            for info in packed.infolist():
                if info.is_dir():
                    writer.add_folder(info.filename)
                elif stat.S_ISLNK(info.external_attr >> 16):
                    writer.leave_out(info.filename)
                else:
                    with packed.open(info) as content:
                        writer.add(info.filename, content)
    if writer.n_left_out:
        warnings.warn(
            f"{archive}: {writer.n_left_out:,} members are links or devices and are left out, such "
            f"as {', '.join(map(repr, writer.left_out))}",
            stacklevel=2,
        )


class _Zip(zipfile.ZipFile):
    """A zip archive whose directory is read no further than an honest one has members."""

    @property
    def filelist(self) -> list[Any]:  # zipfile appends each member to it
        return self._members

    @filelist.setter
    def filelist(self, members: list[Any]) -> None:
        self._members = _Members(members)


class _Members(list):
    def append(self, member: Any) -> None:
        if len(self) >= _MOST_MEMBERS:
            raise ValueError(f"it has more than {_MOST_MEMBERS:,} files")
        super().append(member)


class _Writer:
    """Writes files below a folder, as many and as large as an honest archive has.

    Since no links are made, a path that does not climb cannot leave the folder.
    """

    def __init__(self, folder: Path, most: int):
        self.folder = folder
        self.most = most
        self.left_out: list[str] = []
        self.n_left_out = 0
        self._bytes = 0
        self._members = 0

    def count(self) -> None:
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise ValueError(f"it has more than {_MOST_MEMBERS:,} files")

    def add_folder(self, name: str) -> None:
        self.count()
        self._make(self._place(name))

    def add(self, name: str, content: Any) -> None:
        self.count()
        place = self._place(name)
        self._make(place.parent)
        if place.is_dir():
            raise ValueError(f"{name!r} is a folder and a file")
        with open(place, "wb") as file:
            while chunk := content.read(_CHUNK):
                self._bytes += len(chunk)
                _check_bytes(self._bytes, self.most)
                file.write(chunk)

    def add_copy(self, name: str, of: str) -> None:
        """Write once more what a file of the archive has, of which this is another name."""
        original = self._place(of)
        if not original.is_file():
            raise ValueError(f"{name!r} stands for {of!r}, which is no file before it")
        with open_plain(original) as content:
            self.add(name, content)

    def leave_out(self, name: str) -> None:
        self.count()
        self.left_out.append(name)
        del self.left_out[_NAMED:]
        self.n_left_out += 1

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise ValueError(f"{folder.name!r} is a file and a folder") from error

    def _place(self, name: str) -> Path:
        path = PurePosixPath(name)
        climbs = path.is_absolute() or ".." in path.parts
        # on Windows, a backslash separates folders and a colon follows a drive
        if climbs or "\0" in name or (os.name == "nt" and set(name) & {*"\\:"}):
            raise ValueError(f"the name {name[:100]!r} leads out of the folder")
        return self.folder / path


def _check_bytes(count: int, most: int) -> None:
    """Refuse an archive that unpacks to more than an honest one would.

    Raises
    ------
    ValueError
        If `count` is more than `most`.
    """
    if count > most:
        raise ValueError(
            f"it unpacks to more than {most / 2**20:,.0f} MiB, {_RATIO} times its size: unpack it "
            "yourself if you trust it"
        )


@contextmanager
def _opened_tar(path: Path, most: int | None = None) -> Iterator[tarfile.TarFile]:
    """Open a tar archive, compressed or not, whose headers and whole have a limit."""
    with open_plain(path) as file:
        begin = file.read(6)
        file.seek(0)
        packed: Any = file
        openers: dict[bytes, Any] = {
            b"\x1f\x8b": gzip.open,
            b"BZh": bz2.open,
            b"\xfd7zXZ": lzma.open,
        }
        for magic, opener in openers.items():
            if begin.startswith(magic):
                packed = opener(file)
        limited: Any = _Limited(packed, most)
        with tarfile.open(fileobj=limited, mode="r:") as tar:
            yield tar


class _Limited:
    """What tarfile reads from: no more at once than a header has, and no more in all."""

    def __init__(self, source: IO[bytes], most: int | None):
        self._source = source
        # headers, and what fills the last block of a member up
        self._most = None if most is None else 2 * most

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LONGEST_HEADER:
            raise tarfile.ReadError("a header is too long")
        self._check(self._source.tell() + size)
        return self._source.read(size)

    def seek(self, place: int) -> int:
        self._check(place)
        return self._source.seek(place)

    def tell(self) -> int:
        return self._source.tell()

    def close(self) -> None:
        self._source.close()

    def _check(self, place: int) -> None:
        if self._most is not None:
            _check_bytes(place, self._most)
