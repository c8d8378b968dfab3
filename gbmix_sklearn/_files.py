"""Files that are whole or not there at all, and that are read only where they are plain files."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from typing import IO, Any
from uuid import uuid4

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "TEMPORARY",
    "disk_named",
    "locked",
    "open_plain",
    "read_plain",
    "replace_file",
    "sweep",
    "temporary_beside",
    "umask",
]

#: ends the names of files that are being written, or that a killed process left behind
TEMPORARY = ".gbmix.tmp"
#: seconds after which nobody writes to such a file any more
_DEAD = 86400
_FULL = (errno.ENOSPC, errno.EDQUOT)
_UMASK = re.compile(rb"^Umask:\s*([0-7]+)", re.M)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


def replace_file(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file under another name, then give it its own: never half of it is seen.

    Raises
    ------
    OSError
        If it cannot be written; the message names it, and of a full disk what is free.
    """
    with disk_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        temporary = temporary_beside(path)
        try:
            # until it is whole, it is its owner's alone
            with open(
                temporary, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)
            ) as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~umask())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):  # what is wrong with the disk has been raised already
                temporary.unlink()
            raise


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Have a folder to oneself among all who ask, until the end or the death of the process.

    Yields
    ------
    bool
        False where the system, or the file system, has no such locks.
    """
    if fcntl is None:
        yield False
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            alone = True
        except OSError:
            alone = False
        yield alone
    finally:
        os.close(handle)


def umask() -> int:
    """Permissions that new files of this process lack, found without setting them."""
    with suppress(OSError):
        status = os.open("/proc/self/status", os.O_RDONLY)
        try:
            found = _UMASK.search(os.read(status, 4096))
        finally:
            os.close(status)
        if found:
            return int(found[1], 8)
    with TemporaryDirectory() as folder:  # not Linux: see what a new file gets
        new = Path(folder) / "new"
        new.touch(0o666)
        return 0o666 & ~stat.S_IMODE(new.stat().st_mode)


def temporary_beside(path: Path) -> Path:
    """Make up a name for what will get the name `path` when it is whole."""
    return path.with_name(f".{path.name[:40]}.{uuid4().hex[:12]}{TEMPORARY}")


def sweep(folder: Path) -> None:
    """Remove what processes left behind that were killed while they wrote, a day later."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.name.startswith(".") and entry.name.endswith(TEMPORARY)):
                continue
            with suppress(OSError):  # another process is about it
                if entry.stat(follow_symlinks=False).st_mtime > time() - _DEAD:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)


@contextmanager
def disk_named(path: Path) -> Iterator[None]:
    """Say of a full disk, or one that may not be written to, for which file it is.

    Raises
    ------
    OSError
        Of the same kind, with `path` in its message.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise OSError(error.errno, f"no space left on the disk{_free(path)}", str(path)) from (
                error
            )
        if error.errno in _FORBIDDEN and error.filename != str(path):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _free(path: Path) -> str:
    for folder in path.parents:
        with suppress(OSError):
            return f", which has {shutil.disk_usage(folder).free / 2**20:,.1f} MiB free"
    return ""


def open_plain(path: str | os.PathLike[str]) -> IO[bytes]:
    """Open a file to read from it; pipes and devices, which may never end, are refused.

    Raises
    ------
    OSError
        If it is no plain file, or cannot be opened.
    """
    # a pipe is not waited for
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no plain file", os.fspath(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_plain(path: str | os.PathLike[str], most: int | None = None) -> bytes:
    """Read a plain file whole.

    Parameters
    ----------
    path : str or path-like
        The file.
    most : int, default=None
        Bytes that it may have; None is any number.

    Raises
    ------
    OSError
        If it is no plain file, or cannot be read.
    ValueError
        If it is larger.
    """
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise ValueError(
                f"it has {size / 2**20:,.0f} MiB, and more than {most / 2**20:,.0f} are not read"
            )
        return file.read()
