"""Archives as downloaded, through the loaders that read them."""

import os
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from gbmix_sklearn.datasets import _archives, load_utkface, load_waterbirds

from . import layouts

NAMES = ["birds.tar", "birds.tar.gz", "birds.zip"]


@pytest.fixture
def packed(tmp_path):
    """Pack Waterbirds into an archive of a given name; returns its path."""
    layouts.waterbirds(tmp_path / "content" / "waterbirds_v1.0")

    def pack(name):
        return layouts.pack(tmp_path / "content", tmp_path / name)

    return pack


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "somewhere" / "cache"


@pytest.mark.parametrize("name", NAMES)
def test_archives_give_what_their_folder_gives(packed, cache, tmp_path, name):
    expected = load_waterbirds(tmp_path / "content")
    birds = load_waterbirds(packed(name), cache_dir=cache)
    for field in ("target", "groups", "split"):
        np.testing.assert_array_equal(birds[field], expected[field])
    for path, original in zip(birds.images, expected.images, strict=True):
        assert path.startswith(str(cache))
        assert Path(path).read_bytes() == Path(original).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_archives_are_unpacked_once(packed, cache, name, monkeypatch):
    archive = packed(name)
    first = load_waterbirds(archive, cache_dir=cache)
    monkeypatch.setattr(_archives, "_extract", lambda *_: pytest.fail("unpacked again"))
    again = load_waterbirds(archive, cache_dir=str(cache))
    np.testing.assert_array_equal(again.images, first.images)
    assert len(list(cache.iterdir())) == 1


def test_another_download_of_the_same_name_is_unpacked_anew(packed, cache, tmp_path):
    archive = packed("birds.zip")
    first = load_waterbirds(archive, cache_dir=cache)
    layouts.waterbirds(tmp_path / "content" / "waterbirds_v1.0", n=12)
    packed("birds.zip")
    assert len(load_waterbirds(archive, cache_dir=cache).images) == 12
    time_ns = archive.stat().st_mtime_ns + 10**9
    os.utime(archive, ns=(time_ns, time_ns))
    load_waterbirds(archive, cache_dir=cache)
    assert len(list(cache.iterdir())) == 3
    assert all(map(os.path.exists, first.images))


def test_an_archive_needs_a_folder_to_unpack_to(packed):
    archive = packed("birds.tar.gz")
    with pytest.raises(ValueError, match=r"birds\.tar\.gz is an archive: name a folder in cache_"):
        load_waterbirds(archive)


@pytest.mark.parametrize("size", [5, 20, 60])
def test_a_compressed_archive_that_ends_within_its_first_header_is_refused(packed, cache, size):
    archive = packed("birds.tar.gz")
    archive.write_bytes(archive.read_bytes()[:size])
    with pytest.raises(ValueError, match="a download of one may have failed or ended early"):
        load_waterbirds(archive, cache_dir=cache)


@pytest.mark.parametrize("share", [0.2, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("name", ["birds.tar", "birds.tar.gz"])
def test_cut_off_archives_are_refused_and_leave_nothing(packed, cache, name, share):
    archive = packed(name)
    content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=rf"{name} cannot be unpacked: .*download it again"):
        load_waterbirds(archive, cache_dir=cache)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("surplus", [0, 100])
def test_a_tar_cut_off_between_two_files_is_refused(packed, cache, surplus):
    """Python's reader takes the end of the file, or a part of a header, for the regular end."""
    archive = packed("birds.tar")
    with tarfile.open(archive) as content:
        start = content.getmembers()[10].offset
    archive.write_bytes(archive.read_bytes()[: start + surplus])
    with pytest.raises(ValueError, match=r"cannot be unpacked: unexpected end of data"):
        load_waterbirds(archive, cache_dir=cache)
    assert list(cache.iterdir()) == []


def test_a_tar_with_a_broken_header_is_refused(packed, cache):
    archive = packed("birds.tar")
    with tarfile.open(archive) as content:
        start = content.getmembers()[10].offset
    broken = bytearray(archive.read_bytes())
    broken[start : start + 20] = b"x" * 20
    archive.write_bytes(broken)
    with pytest.raises(ValueError, match=r"cannot be unpacked"):
        load_waterbirds(archive, cache_dir=cache)
    assert list(cache.iterdir()) == []


def test_changed_archives_are_refused_and_leave_nothing(packed, cache):
    archive = packed("birds.zip")
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF  # in the middle of an image: its checksum is wrong
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=r"birds\.zip cannot be unpacked: Bad CRC-32.*group_DRO"):
        load_waterbirds(archive, cache_dir=cache)
    assert list(cache.iterdir()) == []


def test_a_zip_within_a_tar_does_not_stand_for_it(packed, cache, tmp_path):
    packed("inner.zip").rename(tmp_path / "content" / "zz.zip")
    birds = load_waterbirds(packed("birds.tar"), cache_dir=cache)
    assert birds.images[0].startswith(str(cache / "birds.tar-"))
    assert len(list(cache.rglob("zz.zip"))) == 1


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>\n<title>Quota exceeded</title>"])
@pytest.mark.parametrize("name", NAMES)
def test_files_that_are_no_archives_say_what_to_download(tmp_path, cache, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"neither a folder nor a tar or zip archive.*group_DRO"):
        load_waterbirds(tmp_path / name, cache_dir=cache)


def test_a_zip_that_lost_its_end_is_refused(packed, cache):
    archive = packed("birds.zip")
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(ValueError, match="neither a folder nor a tar or zip archive"):
        load_waterbirds(archive, cache_dir=cache)


def test_an_interrupt_leaves_nothing_and_the_next_call_unpacks(packed, cache, monkeypatch):
    archive = packed("birds.zip")

    def interrupted(archive, folder):
        (folder / "half").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_archives, "_extract", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_waterbirds(archive, cache_dir=cache)
    assert list(cache.iterdir()) == []
    assert len(load_waterbirds(archive, cache_dir=cache).images) == 24


def test_what_a_killed_process_left_behind_is_not_read(packed, cache):
    archive = packed("birds.zip")
    (cache / ".birds.zip-abcdef" / "content" / "waterbirds_v1.0").mkdir(parents=True)
    assert len(load_waterbirds(archive, cache_dir=cache).images) == 24


def test_many_may_unpack_at_once(packed, cache, monkeypatch):
    archive, all_there, extract = packed("birds.tar"), Barrier(4), _archives._extract

    def together(archive, folder):
        extract(archive, folder)
        all_there.wait(timeout=30)  # nobody has a result before all have unpacked

    monkeypatch.setattr(_archives, "_extract", together)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: load_waterbirds(archive, cache_dir=cache).images, range(4)))
    for images in found[1:]:
        np.testing.assert_array_equal(images, found[0])
    assert len(list(cache.iterdir())) == 1
    assert all(map(os.path.exists, found[0]))


def test_a_full_disk_is_an_error_of_its_own_and_leaves_nothing(packed, cache, monkeypatch):
    def full(archive, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_archives, "_extract", full)
    with pytest.raises(OSError, match="No space left"):
        load_waterbirds(packed("birds.zip"), cache_dir=cache)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("name", ["outside.tar", "outside.zip"])
def test_members_cannot_leave_their_folder(tmp_path, cache, name):
    (tmp_path / "content").mkdir()
    (tmp_path / "content" / "a.txt").write_text("a")
    if name.endswith("tar"):
        with tarfile.open(tmp_path / name, "w") as packed:
            packed.add(tmp_path / "content" / "a.txt", "../../../outside.txt")
    else:
        with zipfile.ZipFile(tmp_path / name, "w") as packed:
            packed.write(tmp_path / "content" / "a.txt", "../../../outside.txt")
    with pytest.raises((ValueError, FileNotFoundError)):
        load_utkface(tmp_path / name, cache_dir=cache)
    assert all(cache in file.parents for file in tmp_path.parent.rglob("outside.txt"))


def test_a_folder_with_the_archive_alone_names_it(packed, tmp_path):
    folder = tmp_path / "downloads"
    folder.mkdir()
    packed("birds.tar.gz").rename(folder / "birds.tar.gz")
    with pytest.raises(FileNotFoundError, match=r"Archives can be given as path: .*birds.tar.gz"):
        load_waterbirds(folder)
    (folder / "birds.tar.gz").rename(folder / "birds.zip")
    with pytest.raises(FileNotFoundError, match=r"no images in .*given as path: .*birds.zip"):
        load_utkface(folder)
