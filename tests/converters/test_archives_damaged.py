"""Archives that are cut, damaged or lie about themselves, and large ones that are none of that."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile

import pytest
from contents import tree
from made_archives import entry, member, untouched, write_tar, write_zip

from converters.archives import is_archive, stem, unpack
from converters.errors import BenchError


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
