"""Archives as downloaded, through the loaders that read them."""

import io
import os
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
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
    with pytest.raises(OSError, match=r"no space left on the disk.*birds"):
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


def member(name, kind=tarfile.REGTYPE, link="", content=b""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return info, io.BytesIO(content)


def tar_of(path, *members):
    with tarfile.open(path, "w") as packed:
        for info, content in members:
            packed.addfile(info, content)
    return path


def faces(n=12):
    return [
        member(f"UTKFace/{10 + k}_{k % 2}_{k % 3}_2017{k:08}.jpg", content=b"%d" % k)
        for k in range(n)
    ]


@pytest.mark.parametrize(
    "strange",
    [
        [member("up", tarfile.SYMTYPE, ".."), member("up/out.txt", content=b"x")],
        [member("up", tarfile.SYMTYPE, "/tmp"), member("up/out.txt", content=b"x")],
        [member("out.txt", tarfile.LNKTYPE, "../../out.txt"), member("out.txt", content=b"x")],
        [member("out.txt", tarfile.LNKTYPE, "/etc/hostname")],
        [member("a/../../out.txt", content=b"x")],
        [member("/out.txt", content=b"x")],
        [member("a", content=b"x"), member("a/b", content=b"x")],
        [member("a/b", content=b"x"), member("a", content=b"x")],
        [member("pipe", tarfile.FIFOTYPE), member("disk", tarfile.BLKTYPE)],
    ],
    ids=lambda members: " ".join(info.name for info, _ in members),
)
@pytest.mark.filterwarnings("ignore:.*links or devices")
def test_nothing_of_a_tar_lands_outside_or_is_no_plain_file(tmp_path, cache, strange):
    archive = tar_of(tmp_path / "faces.tar", *strange, *faces())
    before = set(tmp_path.rglob("*"))
    with suppress(ValueError):
        load_utkface(archive, cache_dir=cache, races=None)
    new = set(tmp_path.rglob("*")) - before
    assert all(
        cache in (path, *path.parents, *cache.parents) or path == cache.parent for path in new
    )
    assert all(path.is_dir() or (path.is_file() and not path.is_symlink()) for path in new)
    assert not [path for path in cache.iterdir() if path.name.startswith(".")]


def test_links_are_left_out_with_a_warning(tmp_path, cache):
    links = [member(f"UTKFace/{n}", tarfile.SYMTYPE, "elsewhere") for n in range(5)]
    archive = tar_of(tmp_path / "faces.tar", *links, *faces())
    with pytest.warns(UserWarning, match=r"faces\.tar: 5 members are links.*'UTKFace/0'"):
        assert len(load_utkface(archive, cache_dir=cache, races=None).images) == 12


def test_links_of_a_zip_are_left_out_too(tmp_path, cache):
    link = zipfile.ZipInfo("UTKFace/link.jpg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as packed:
        packed.writestr(link, "/etc/hostname")
        for info, content in faces():
            packed.writestr(info.name, content.getvalue())
    with pytest.warns(UserWarning, match="1 members are links"):
        assert len(load_utkface(tmp_path / "faces.zip", cache_dir=cache, races=None).images) == 12


def test_a_second_name_of_a_file_is_a_copy(tmp_path, cache):
    first = faces()[0][0].name
    again = member("UTKFace/99_1_1_20170101.jpg", tarfile.LNKTYPE, first)
    archive = tar_of(tmp_path / "faces.tar", *faces(), again)
    images = load_utkface(archive, cache_dir=cache, races=None).images
    assert len(images) == 13
    assert all(Path(image).stat().st_nlink == 1 for image in images)


def test_modes_of_an_archive_are_not_taken_over(tmp_path, cache):
    members = faces()
    for info, _ in members:
        info.mode = 0o6777
    images = load_utkface(
        tar_of(tmp_path / "faces.tar", *members), cache_dir=cache, races=None
    ).images
    assert not any(Path(image).stat().st_mode & 0o6111 for image in images)


@pytest.mark.parametrize("name", ["faces.tar.gz", "faces.tar.bz2", "faces.tar.xz", "faces.zip"])
def test_what_unpacks_to_far_more_than_it_has_is_refused(tmp_path, cache, monkeypatch, name):
    monkeypatch.setattr(_archives, "_MORE", 1 << 20)
    folder = tmp_path / "content" / "UTKFace"
    folder.mkdir(parents=True)
    for info, content in faces():
        (folder.parent / info.name).write_bytes(content.getvalue())
    (folder / "99_1_1_20170101.jpg").write_bytes(bytes(8 << 20))
    if name.endswith("zip"):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in folder.iterdir():
                packed.write(path, f"UTKFace/{path.name}")
    else:
        with tarfile.open(tmp_path / name, f"w:{name.rpartition('.')[2]}") as packed:
            packed.add(folder, "UTKFace")
    with pytest.raises(ValueError, match=r"unpacks to more than [12] MiB, 20 times its size"):
        load_utkface(tmp_path / name, cache_dir=cache, races=None)
    assert list(cache.iterdir()) == []


def test_a_member_that_claims_a_sparse_terabyte_is_refused(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(_archives, "_MORE", 1 << 20)
    info, content = member("UTKFace/99_1_1_20170101.jpg")
    info.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.map": "0,0",
        "GNU.sparse.size": str(1 << 40),
    }
    archive = tar_of(tmp_path / "faces.tar", *faces(), (info, content))
    with pytest.raises(ValueError, match="unpacks to more than"):
        load_utkface(archive, cache_dir=cache, races=None)


def test_many_members_and_long_headers_are_refused(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(_archives, "_MOST_MEMBERS", 5)
    with pytest.raises(ValueError, match="more than 5 files"):
        load_utkface(tar_of(tmp_path / "many.tar", *faces()), cache_dir=cache, races=None)
    monkeypatch.setattr(_archives, "_MOST_MEMBERS", 100)
    monkeypatch.setattr(_archives, "_LONGEST_HEADER", 2000)
    archive = tar_of(tmp_path / "long.tar", member("a/" * 3000 + "b", content=b"x"), *faces())
    with pytest.raises(ValueError, match=r"a header is too long|neither a folder nor"):
        load_utkface(archive, cache_dir=cache, races=None)


def test_the_directory_of_a_zip_is_read_no_further_than_its_limit(packed, cache, monkeypatch):
    archive = packed("birds.zip")
    seen = []
    real = zipfile.ZipInfo.__init__
    monkeypatch.setattr(
        zipfile.ZipInfo, "__init__", lambda self, *args: (seen.append(1), real(self, *args))[1]
    )
    monkeypatch.setattr(_archives, "_MOST_MEMBERS", 5)
    with pytest.raises(ValueError, match="cannot be unpacked: it has more than 5 files"):
        load_waterbirds(archive, cache_dir=cache)
    assert 5 < len(seen) < 24
    assert list(cache.iterdir()) == []


def test_a_pipe_is_no_archive(tmp_path, cache):
    os.mkfifo(tmp_path / "faces.tar")
    with pytest.raises((ValueError, OSError), match=r"neither a folder nor"):
        load_utkface(tmp_path / "faces.tar", cache_dir=cache)


def test_what_killed_processes_left_is_swept_a_day_later(packed, cache):
    half = _archives.temporary_beside(cache / "birds.zip")
    (half / "deep").mkdir(parents=True)
    os.utime(half, (0, 0))
    load_waterbirds(packed("birds.zip"), cache_dir=cache)
    assert len(list(cache.iterdir())) == 1


def test_a_folder_with_the_archive_alone_names_it(packed, tmp_path):
    folder = tmp_path / "downloads"
    folder.mkdir()
    packed("birds.tar.gz").rename(folder / "birds.tar.gz")
    with pytest.raises(FileNotFoundError, match=r"Archives can be given as path: .*birds.tar.gz"):
        load_waterbirds(folder)
    (folder / "birds.tar.gz").rename(folder / "birds.zip")
    with pytest.raises(FileNotFoundError, match=r"no images in .*given as path: .*birds.zip"):
        load_utkface(folder)
