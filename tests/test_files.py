"""Files that are whole or not there at all, and that are read only where they are plain files."""

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from time import time

import pytest

from gbmix_sklearn._files import (
    TEMPORARY,
    open_plain,
    read_plain,
    replace_file,
    sweep,
    temporary_beside,
    umask,
)

posix = pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")


@posix
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_have_the_permissions_of_any_other_new_file(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        replace_file(tmp_path / "report.html", lambda file: file.write(b"page"))
        now = os.umask(mask)
    finally:
        os.umask(before)
    assert now == mask
    assert stat.S_IMODE((tmp_path / "report.html").stat().st_mode) == mode


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o027])
def test_the_mask_is_told_and_never_set(mask, monkeypatch):
    before = os.umask(mask)
    try:
        monkeypatch.setattr(os, "umask", lambda _: pytest.fail("the mask is the whole process's"))
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda _: umask(), range(50))) == {mask}
    finally:
        monkeypatch.undo()
        os.umask(before)


@posix
def test_without_proc_the_mask_is_told_by_a_new_file(monkeypatch):
    expected, real = umask(), os.open

    def no_proc(name, *arguments, **options):
        if str(name).startswith("/proc"):
            raise FileNotFoundError(errno.ENOENT, "no such file", name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(os, "open", no_proc)
    assert umask() == expected & 0o666


@posix
def test_half_a_file_is_its_owners_alone(tmp_path):
    def look(file):
        modes.append(stat.S_IMODE(os.fstat(file.fileno()).st_mode))

    modes = []
    replace_file(tmp_path / "model", look)
    assert modes == [0o600]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_file(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "match"),
    [(errno.ENOSPC, r"no space left.*MiB free.*new\.json"), (errno.EROFS, r"Read-only.*new\.json")],
)
def test_what_is_wrong_with_the_disk_is_said_of_the_file(tmp_path, number, match):
    def fail(file):
        raise OSError(number, os.strerror(number))

    with pytest.raises(OSError, match=match) as error:
        replace_file(tmp_path / "new.json", fail)
    assert error.value.errno == number


def test_what_a_killed_process_left_is_swept_a_day_later_and_nothing_else(tmp_path):
    old, new = (temporary_beside(tmp_path / name) for name in ("old.json", "new.json"))
    others = [tmp_path / f".settings{TEMPORARY}.bak", tmp_path / ".settings.tmp"]
    for path in (old, new, *others):
        path.write_bytes(b"half")
    folder = temporary_beside(tmp_path / "unpacked")
    (folder / "content").mkdir(parents=True)
    for path in (old, folder, *others):
        os.utime(path, (time() - 100_000,) * 2)
    replace_file(tmp_path / "now.json", lambda file: file.write(b"whole"))
    assert not old.exists()
    assert not folder.exists()
    assert new.exists()
    assert all(path.exists() for path in others)
    sweep(tmp_path / "nowhere")


def test_long_names_leave_room_for_those_of_halves(tmp_path):
    path = tmp_path / ("ö" * 120 + ".json")
    replace_file(path, lambda file: file.write(b"{}"))
    assert path.read_bytes() == b"{}"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", os.devnull):
        with pytest.raises(OSError, match="no plain file"):
            open_plain(path)
    with pytest.raises(IsADirectoryError):
        read_plain(tmp_path)


def test_files_beyond_a_size_are_not_read(tmp_path):
    (tmp_path / "large").write_bytes(bytes(2 << 20))
    assert len(read_plain(tmp_path / "large", 2 << 20)) == 2 << 20
    with pytest.raises(ValueError, match="has 2 MiB, and more than 1 are not read"):
        read_plain(tmp_path / "large", 1 << 20)
