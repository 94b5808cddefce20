"""Archives that strangers send: whole and harmless ones are unpacked, of the others nothing is written."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
from collections import namedtuple

import pytest
from contents import tree

from converters.archives import Limits, is_archive, stem, unpack
from converters.errors import BenchError, EnvironmentFault


def entry(name, mode=0o100644, **fields):
    made = zipfile.ZipInfo(name)
    made.external_attr = mode << 16
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def member(name, kind=tarfile.REGTYPE, **fields):
    made = tarfile.TarInfo(name)
    made.type, made.size = kind, 1 if kind == tarfile.REGTYPE else 0
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def write_zip(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for number, one in enumerate(entries):
            archive.writestr(one, str(number % 10))
    return path


def write_tar(path, members, mode="w"):
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as archive:
        for one in members:
            archive.addfile(one, io.BytesIO(b"x" * one.size) if one.isreg() else None)
    return path


def untouched(folder, name):
    """Nothing but the archive lies there."""
    return [path.name for path in folder.rglob("*")] == [name]


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


@pytest.mark.fault(80)
def test_a_zip_that_lies_about_its_size_gives_no_byte_more(tmp_path):
    path = tmp_path / "liar.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(50_000))
    data = bytearray(path.read_bytes())
    size = (50_000).to_bytes(4, "little")
    while size in data:  # in the local header and in the directory
        data[data.index(size) : data.index(size) + 4] = (10).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(BenchError, match="no whole archive"):
        unpack(path, tmp_path / "into")
    assert untouched(tmp_path, "liar.zip")


def test_a_zip_with_a_name_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("é", "x")
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xff"))
    with pytest.raises(BenchError, match="no whole archive"):
        unpack(path, tmp_path / "into")


@pytest.mark.parametrize(
    ("name", "pack"),
    [("a.tar", bytes), ("a.tgz", gzip.compress), ("a.tar.bz2", bz2.compress), ("a.tar.xz", lzma.compress)],
)
def test_tars_of_every_packing_are_unpacked_and_cut_ones_are_not(tmp_path, name, pack):
    assert is_archive(name) and stem(name) == "a"
    plain = write_tar(
        tmp_path / "plain",
        [
            member("./"[:1], tarfile.DIRTYPE),
            member("sub", tarfile.DIRTYPE, mode=0),
            member("./sub/x", size=70_000, mode=0o4777),
            member("y" * 150),
        ],
    ).read_bytes()
    path = tmp_path / name
    path.write_bytes(pack(plain))
    assert unpack(path, tmp_path / "into") == 2
    assert tree(tmp_path / "into") == {"sub/x": b"x" * 70_000, "y" * 150: b"x"}
    assert (tmp_path / "into" / "sub" / "x").stat().st_mode & 0o7111 == 0
    path.write_bytes(pack(plain)[: len(pack(plain)) // 3])
    with pytest.raises(BenchError, match="no whole archive"):
        unpack(path, tmp_path / "again")
    assert not (tmp_path / "again").exists() and not list(tmp_path.glob(".*"))


@pytest.mark.fault(80)
def test_a_tar_that_ends_before_its_end_is_refused(tmp_path):
    good = write_tar(tmp_path / "good", [member("a", size=600), member("b", size=600)]).read_bytes()
    b = 512 + 1024
    for number, bad in enumerate(
        [
            good[:b],  # cut between two entries
            good[:b] + b"\xff" * 512 + good[b + 512 :],  # a header overwritten: tarfile takes it for the end
            good + write_tar(tmp_path / "more", [member("../c")]).read_bytes(),
            good + bytes(1 << 25),
        ]
    ):
        path = tmp_path / f"{number}.tar.gz"
        path.write_bytes(gzip.compress(bad))
        with pytest.raises(BenchError, match=r"cut off at byte 1536|no entry at byte \d+"):
            unpack(path, tmp_path / "into")
    assert not (tmp_path / "into").exists()


@pytest.mark.fault(80)
def test_a_flipped_byte_in_a_packed_tar_is_found(tmp_path):
    path = tmp_path / "a.tgz"
    packed = bytearray(gzip.compress(write_tar(tmp_path / "a", [member("a", size=70_000)]).read_bytes(), 0))
    packed[40_000] ^= 1
    path.write_bytes(packed)
    with pytest.raises(BenchError, match="CRC"):
        unpack(path, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def zip64(directory):
    """A zip with the end of large archives, which claims that many bytes of directory."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a", "x")
    body = made.getvalue()
    at, start = body.rfind(b"PK\5\6"), body.rfind(b"PK\1\2")
    large = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, directory or at - start, start)
    return body[:at] + large + struct.pack("<4sIQI", b"PK\6\7", 0, at, 1) + body[at:]


@pytest.mark.fault(80)
def test_the_directory_of_a_large_zip_is_measured_where_zipfile_reads_it(tmp_path):
    path = tmp_path / "a.zip"
    lies = zip64(0)
    path.write_bytes(lies[:-22] + lies[-22:-14] + b"\xff" * 12 + lies[-2:])
    assert unpack(path, tmp_path / "into") == 1
    path.write_bytes(zip64(1 << 40))
    with pytest.raises(BenchError, match="more than 100000 entries"):
        unpack(path, tmp_path / "again")


@pytest.mark.fault(80)
def test_numbers_that_fit_nowhere_are_no_fault_of_ours(tmp_path):
    body = bytearray(write_zip(tmp_path / "good.zip", [entry("a")]).read_bytes())
    at, end = body.rfind(b"PK\1\2"), body.rfind(b"PK\5\6")
    extra = struct.pack("<HHQ", 1, 8, 1 << 63)
    body[at + 30 : at + 32], body[at + 42 : at + 46] = struct.pack("<H", len(extra)), b"\xff" * 4
    body[end + 12 : end + 16] = struct.pack("<I", end - at + len(extra))
    (tmp_path / "bad.zip").write_bytes(bytes(body[:end]) + extra + bytes(body[end:]))
    sparse = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5"}
    write_tar(tmp_path / "bad.tar", [member("a", size=512, pax_headers=sparse)])
    data = (tmp_path / "bad.tar").read_bytes()
    (tmp_path / "bad.tar").write_bytes(data.replace(b"x" * 512, b"9" * 20 + b"\n" + b"0" * 491))
    for name in ("bad.zip", "bad.tar"):
        with pytest.raises(BenchError, match="no whole archive"):
            unpack(tmp_path / name, tmp_path / "into")


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
