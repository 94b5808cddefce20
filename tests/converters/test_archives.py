"""Archives that strangers send: whole and harmless ones are unpacked, of the others nothing is written."""

import gzip
import os
import shutil
import stat
import tarfile
import zipfile
from collections import namedtuple

import pytest
from contents import tree
from made_archives import entry, member, untouched, write_tar, write_zip

from converters.archives import Limits, unpack
from converters.errors import BenchError, EnvironmentFault

NAMES = [
    ("../x", "leads out"),
    ("a/../../x", "leads out"),
    ("a//x", "leads out"),
    ("/etc/x", "no relative path"),
    ("c:x", "no relative path"),
    ("a\\x", "no relative path"),
    ("a\x1bx", "no relative path"),
    ("a/NUL.txt", "Windows cannot hold"),
    ("a/x.", "Windows cannot hold"),
    ("a/x?", "Windows cannot hold"),
    ("\u00e9" * 128, "more than 255 bytes"),
    ("FIRST", "twice, but for case"),
    ("first", "twice"),
    ("first/x", "twice"),
]


@pytest.mark.fault(80)
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("name", "said"), NAMES)
def test_a_zip_with_a_strange_name_writes_nothing(tmp_path, name, said):
    path = write_zip(tmp_path / "bad.zip", [entry("first"), entry(name)])
    with pytest.raises(BenchError, match=said):
        unpack(path, tmp_path / "in" / "into")
    assert untouched(tmp_path, "bad.zip")


@pytest.mark.fault(80)
@pytest.mark.parametrize(("name", "said"), NAMES)
def test_a_tar_with_a_strange_name_writes_nothing(tmp_path, name, said):
    path = write_tar(tmp_path / "bad.tar", [member("first"), member(name)])
    with pytest.raises(BenchError, match=said):
        unpack(path, tmp_path / "in" / "into")
    assert untouched(tmp_path, "bad.tar")


@pytest.mark.fault(80)
@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([entry("link", stat.S_IFLNK | 0o777)], "no plain file"),
        ([entry("device", stat.S_IFCHR | 0o666)], "no plain file"),
        ([entry("pipe", stat.S_IFIFO | 0o666)], "no plain file"),
        ([entry("../", stat.S_IFDIR | 0o777)], "leads out"),
        ([entry("a/x"), entry("A/y")], "twice, but for case: 'a'"),
        ([entry("A/\u00e9"), entry("A/e\u0301")], "twice, but for case"),
        ([entry("a", compress_type=zipfile.ZIP_LZMA)], "packed in a way"),
    ],
)
def test_a_zip_with_a_strange_entry_writes_nothing(tmp_path, entries, said):
    path = write_zip(tmp_path / "bad.zip", [entry("first"), *entries])
    with pytest.raises(BenchError, match=said):
        unpack(path, tmp_path / "into")
    assert untouched(tmp_path, "bad.zip")


@pytest.mark.fault(80)
@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([member("link", tarfile.SYMTYPE, linkname="/etc"), member("link/x")], "'link' is no plain file"),
        ([member("link", tarfile.SYMTYPE, linkname="first")], "no plain file"),
        ([member("link", tarfile.LNKTYPE, linkname="../../x")], "no plain file"),
        ([member("device", tarfile.CHRTYPE)], "no plain file"),
        ([member("disk", tarfile.BLKTYPE)], "no plain file"),
        ([member("pipe", tarfile.FIFOTYPE)], "no plain file"),
        ([member("..", tarfile.DIRTYPE)], "leads out"),
        ([member("a/x"), member("A/y")], "twice, but for case"),
    ],
)
def test_a_tar_with_a_strange_entry_writes_nothing(tmp_path, members, said):
    path = write_tar(tmp_path / "bad.tgz", [member("first"), *members], "w:gz")
    with pytest.raises(BenchError, match=said):
        unpack(path, tmp_path / "into")
    assert untouched(tmp_path, "bad.tgz")


def test_an_encrypted_zip_is_refused(tmp_path):
    path = write_zip(tmp_path / "bad.zip", [entry("first")])
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(BenchError, match="is encrypted"):
        unpack(path, tmp_path / "into")
    assert untouched(tmp_path, "bad.zip")


@pytest.mark.fault(80)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_too_many_entries_are_refused(tmp_path, kind):
    path = tmp_path / f"many.{kind}"
    names = [f"f{number}" for number in range(60)]
    write_zip(path, map(entry, names)) if kind == "zip" else write_tar(path, map(member, names))
    for most in (59, 3):
        with pytest.raises(BenchError, match=f"more than {most} entries"):
            unpack(path, tmp_path / "into", Limits(entries=most))
    assert untouched(tmp_path, path.name)
    assert unpack(path, tmp_path / "into", Limits(entries=60)) == 60


@pytest.mark.fault(80)
def test_a_bomb_and_a_damaged_zip_are_refused(bench, tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(1_000_000))
    with pytest.raises(BenchError, match="1000000 bytes when unpacked; the limit is 999999"):
        unpack(tmp_path / "bomb.zip", tmp_path / "into", Limits(size=999_999))
    with pytest.raises(BenchError, match=r"1000000 bytes when unpacked, from \d+: a bomb"):
        unpack(tmp_path / "bomb.zip", tmp_path / "into", Limits(small=999_999))
    data = (tmp_path / "bomb.zip").read_bytes()
    for name, broken in (
        ("cut.zip", data[:-30]),
        ("flipped.zip", data[:200] + b"\xff" + data[201:]),
        ("no.zip", b"hi"),
        ("empty.zip", b""),
    ):
        (tmp_path / name).write_bytes(broken)
        with pytest.raises(BenchError, match="no whole archive"):
            unpack(tmp_path / name, tmp_path / "into")
        assert not (tmp_path / "into").exists()
    assert bench("verify", tmp_path / "bomb.zip").code == 3


@pytest.mark.fault(80)
def test_a_tar_that_claims_a_terabyte_is_refused_without_being_read(tmp_path):
    with gzip.open(tmp_path / "bomb.tar.gz", "wb") as packed:
        packed.write(member("zeros", size=1 << 40).tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(BenchError, match="1099511627776 bytes when unpacked"):
        unpack(tmp_path / "bomb.tar.gz", tmp_path / "into")
    assert untouched(tmp_path, "bomb.tar.gz")


def test_a_tar_header_as_long_as_a_bomb_is_refused_without_being_read(tmp_path):
    long_name = member("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=1 << 30)
    with gzip.open(tmp_path / "bomb.tar.gz", "wb") as packed:
        packed.write(long_name.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises(BenchError, match="a header of 1073741824 bytes"):
        unpack(tmp_path / "bomb.tar.gz", tmp_path / "into")


def test_a_folder_of_the_archives_own_name_is_not_put_into_itself(tmp_path):
    write_zip(tmp_path / "set.zip", [entry("set/a"), entry("__MACOSX/set/._a")])
    write_zip(tmp_path / "flat.zip", [entry("a"), entry("flat/b")])
    unpack(tmp_path / "set.zip", tmp_path / "set")
    unpack(tmp_path / "flat.zip", tmp_path / "flat")
    assert list(tree(tmp_path / "set")) == ["a"]
    assert list(tree(tmp_path / "flat")) == ["a", "flat/b"]


def test_what_lies_there_is_not_touched_and_a_killed_unpacking_leaves_nothing(tmp_path):
    path = write_zip(tmp_path / "set.zip", [entry("a")])
    (tmp_path / ".into.d.tmp" / "half").mkdir(parents=True)
    unpack(path, tmp_path / "into")
    assert list(tree(tmp_path)) == ["into/a", "set.zip"]
    (tmp_path / "into" / "a").write_text("mine")
    with pytest.raises(BenchError, match="there is something already"):
        unpack(path, tmp_path / "into")
    assert (tmp_path / "into" / "a").read_text() == "mine"


def test_a_full_disk_is_told_before_a_byte_is_written_and_after(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "set.zip", [entry("a"), entry("b")])
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage(9, 8, 1))
        with pytest.raises(EnvironmentFault, match="needs 2 bytes; 1 are free"):
            unpack(path, tmp_path / "into")

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(path, tmp_path / "into")
    assert untouched(tmp_path, "set.zip")
