"""A small NIfTI file, and what can be wrong with one: `from broken_nifti import FAULTS, GOOD`."""

import gzip
import io
import struct
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (5, 4, 3)
AFFINE = np.array([[-1.5, 0, 0, 20], [0, -1.5, 0, 30], [0, 0, 8.0, -7], [0, 0, 0, 1]])


def nifti_bytes(array: np.ndarray | None = None, affine: np.ndarray = AFFINE) -> bytes:
    """An uncompressed file as nibabel writes it."""
    array = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE) if array is None else array
    image = nib.Nifti1Image(array, affine)
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    buffer = io.BytesIO()
    image.to_file_map({"header": nib.FileHolder(fileobj=buffer), "image": nib.FileHolder(fileobj=buffer)})
    return buffer.getvalue()


def patched(offset: int, layout: str, *values: float) -> bytes:
    """The good file with a part of its header replaced, gzipped."""
    data = bytearray(nifti_bytes())
    struct.pack_into(f"<{layout}", data, offset, *values)
    return gzip.compress(bytes(data))


def floats(index: tuple[int, int, int], value: float) -> bytes:
    array = np.ones(SHAPE, np.float32)
    array[index] = value
    array[4, 3, 2] = value
    return gzip.compress(nifti_bytes(array))


def sheared() -> np.ndarray:
    affine = AFFINE.copy()
    affine[0, 2] = 1.0
    return affine


def sform_only(affine: np.ndarray) -> bytes:
    data = bytearray(nifti_bytes())
    struct.pack_into("<2h", data, 252, 0, 1)
    struct.pack_into("<12f", data, 280, *affine[:3].ravel())
    return gzip.compress(bytes(data))


def flipped(data: bytes, index: int) -> bytes:
    broken = bytearray(data)
    broken[index] ^= 0xFF
    return bytes(broken)


GOOD = gzip.compress(nifti_bytes(), mtime=0)
FAULTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "cut in half": (GOOD[: len(GOOD) // 2], "cut off"),
    "crc flipped": (flipped(GOOD, -6), "damaged gzip data"),
    "length flipped": (flipped(GOOD, -1), "damaged gzip data"),
    "byte flipped in the voxels": (flipped(GOOD, -20), "damaged gzip data|cut off|more than"),
    "last 8 bytes missing": (GOOD[:-8], "cut off"),
    "bytes after the end": (GOOD + b"\0\0", "2 bytes after the end of the gzip data"),
    "voxels after the end": (gzip.compress(nifti_bytes() + b"\0"), "more than 472 bytes"),
    "html": (b"\n <!DOCTYPE html><html><body>sign in</body></html>", "is HTML, the download failed"),
    "not gzipped": (nifti_bytes(), "is not gzipped"),
    "voxels short": (gzip.compress(nifti_bytes()[:-100]), "372 of 472 bytes"),
    "header short": (gzip.compress(nifti_bytes()[:200]), "200 bytes; a NIfTI header has 348"),
    "not nifti": (gzip.compress(b"x" * 500), "no NIfTI-1 header"),
    "magic": (patched(344, "4s", b"ni1\0"), "magic"),
    "metres": (patched(123, "B", 1), "millimetres"),
    "datatype": (patched(70, "h", 128), "datatype 128"),
    "bitpix": (patched(72, "h", 8), "bitpix 8"),
    "vox_offset": (patched(108, "f", 100.0), "voxels start at byte 100"),
    "vox_offset nan": (patched(108, "f", float("nan")), "voxels start at byte nan"),
    "dim negative": (patched(42, "h", -5), "not all positive"),
    "dim zero": (patched(44, "h", 0), "not all positive"),
    "dim huge": (patched(42, "3h", 32767, 32767, 32767), "the limit is"),
    "dim more than the file": (patched(42, "3h", 2000, 1000, 1000), "cannot hold"),
    "ndim 99": (patched(40, "h", 99), "99 dimensions"),
    "ndim 1": (patched(40, "h", 1), "1 dimensions"),
    "4-D": (gzip.compress(nifti_bytes(np.zeros((*SHAPE, 2), np.int16))), "4-D, 5x4x3x2"),
    "pixdim nan": (patched(80, "f", float("nan")), "pixdim"),
    "pixdim zero": (patched(84, "f", 0.0), "pixdim"),
    "pixdim negative": (patched(88, "f", -8.0), "pixdim"),
    "pixdim of other spacing": (patched(80, "f", 2.0), "spacing|disagree"),
    "sform singular": (sform_only(np.diag([1.5, 1.5, 0, 1])), "sform is singular"),
    "sform nan": (sform_only(np.full((4, 4), np.nan)), "sform is not finite"),
    "sform sheared": (sform_only(sheared()), "sform is sheared"),
    "sform signalling nan": (patched(280, "I", 0x7F800001), "sform is not finite"),
    "qform nan": (patched(256, "f", float("nan")), "qform is not finite"),
    "sform and qform disagree": (patched(268, "f", 22.0), r"disagree \(origins 2 mm apart\)"),
    "codes both 0": (patched(252, "2h", 0, 0), "both 0"),
    "sform code of no meaning": (patched(254, "h", 129), "codes are 129 and 1"),
    "qform code below 0": (patched(252, "h", -1), "codes are 1 and -1; 0 to 5"),
    "nan voxels": (floats((1, 2, 0), np.nan), r"2 voxels are NaN or infinite, the first at \(1, 2, 0\)"),
    "infinite voxels": (floats((0, 0, 1), -np.inf), r"2 voxels are NaN or infinite, the first at \(0, 0, 1\)"),
    "slope infinite": (patched(112, "2f", float("inf"), 0.0), "slope inf"),
    "intercept nan": (patched(112, "2f", 2.0, float("nan")), "intercept nan"),
    "slope beyond whole numbers": (patched(112, "2f", 1e15, 0.0), "more than 53 bits"),
    "slope beyond 64 bits": (patched(112, "2f", 1e30, 0.0), "more than 53 bits"),
    "slope beyond float32": (patched(112, "2f", 1e38, 0.5), "56 voxels are NaN or infinite"),
    "complex": (gzip.compress(nifti_bytes(np.ones(SHAPE, np.complex64))), "no scalar number"),
}


def write_bomb(path: Path, size: tuple[int, int, int]) -> None:
    """10 GB of zeros in about 10 MB: a header, then gzip members of 64 MB each."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    member = packer.compress(bytes(64 << 20)) + packer.flush()
    head = gzip.compress(nifti_bytes()[:42] + struct.pack("<3h", *size) + nifti_bytes()[48:352])
    path.write_bytes(head + member * 160)
