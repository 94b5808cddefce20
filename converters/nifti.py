"""NIfTI-1 as bytes: strict decoding, plain encoding. What the libraries let pass in silence is refused here.

The rules for scaling are those of the NIfTI-1 standard (nifti1.h); `nifti_header.py` reads the header.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from converters.errors import refuse_file
from converters.files import read
from converters.nifti_header import LAYOUT, LIMIT, SIZE, Header, affine_of, kind_of, offset_of, parsed, sizes_of
from converters.orientation import Matrix, quaternion

_DEFLATE_MOST = 1040  # no deflate stream expands further, so a small file cannot hold a large image
_PIECE = 1 << 20  # bytes: what fits into a cache
_GZIP = b"\x1f\x8b"
_WHOLE = 1 << 53  # whole numbers up to here are the same in every type
_WRITTEN = {"uint8": 2, "int16": 4, "uint16": 512, "float32": 16}

Voxels = npt.NDArray[Any]


def decode(path: Path) -> tuple[Voxels, Matrix]:
    """Voxels (X, Y, Z), scaled by slope and intercept, and the affine (4, 4) in mm, orientation as stored.

    Raises:
        BenchError: the file is not one whole, finite, unsheared 3-D scalar NIfTI-1 image.
    """
    return _decode(path, 3)


def decode_channels(path: Path) -> tuple[Voxels, Matrix]:
    """As `decode`, of a file whose fourth axis, if it has one, is the channel: voxels (X, Y, Z, C).

    Raises:
        BenchError: see `decode`.
    """
    array, affine = _decode(path, 4)
    return array.reshape((*array.shape, 1)[:4], order="F"), affine


def shape(path: Path) -> tuple[int, ...]:
    """The sizes of the first axes, four where there are channels; the voxels are not read.

    Raises:
        BenchError: the head of the file is no NIfTI-1 header.
    """
    with path.open("rb") as handle:
        raw = handle.read(1 << 16)
    head = _inflate(path, raw, SIZE) if _is_packed(path, raw) else raw[:SIZE]
    return sizes_of(path, parsed(path, head), 4)


def _decode(path: Path, axes: int) -> tuple[Voxels, Matrix]:
    if path.stat().st_size > LIMIT:
        refuse_file(path, f"{path.stat().st_size} bytes; the limit is {LIMIT}")
    raw = read(path)
    packed = _is_packed(path, raw)
    head = _inflate(path, raw, SIZE) if packed else raw[:SIZE]
    header = parsed(path, head)
    kind, sizes, offset = kind_of(path, header), sizes_of(path, header, axes), offset_of(path, header)
    size = offset + int(np.prod(sizes, dtype=object)) * kind.itemsize
    if size > LIMIT:
        refuse_file(path, f"the header claims {'x'.join(map(str, sizes))} voxels, {size} bytes; the limit is {LIMIT}")
    if packed and size > _DEFLATE_MOST * len(raw):
        refuse_file(path, f"{len(raw)} bytes cannot hold the {size} that the header claims", "copy the file again")
    with np.errstate(invalid="ignore"):  # a signalling NaN warns when it is widened; it is refused all the same
        affine = affine_of(path, header)
    data = _inflate(path, raw, size + 1) if packed else raw
    if len(data) != size:
        more = "more than" if len(data) > size else f"{len(data)} of"
        refuse_file(path, f"{more} {size} bytes for {'x'.join(map(str, sizes))} voxels", "copy the file again")
    array = np.frombuffer(data, kind, offset=offset).reshape(sizes, order="F")
    return _scaled(path, header, array.astype(kind.newbyteorder("="), copy=False)), affine


def encode(array: Voxels, affine: Matrix, *, description: str = "") -> bytes:
    """A gzipped NIfTI-1 file: sform = qform, codes 1, mm, no time stamp; same input, same bytes.

    Raises:
        ValueError: another dtype than uint8, int16, uint16, float32, or neither three axes nor a fourth of channels.
    """
    if array.dtype.name not in _WRITTEN or array.ndim not in (3, 4):
        raise ValueError(f"cannot write {array.ndim}-D {array.dtype}; 3-D and 4-D {', '.join(_WRITTEN)} only")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    turn, handed = quaternion(affine[:3, :3] / spacing)
    header = np.zeros((), LAYOUT)
    header["sizeof_hdr"], header["magic"], header["vox_offset"] = SIZE, b"n+1", SIZE + 4
    header["dim"] = [array.ndim, *array.shape, 1, 1, 1, 1][:8]
    header["datatype"], header["bitpix"] = _WRITTEN[array.dtype.name], array.dtype.itemsize * 8
    header["pixdim"] = [handed, *spacing, 1, 1, 1, 1]
    header["scl_slope"], header["xyzt_units"] = 1, 2  # millimetres
    header["descrip"] = description.encode("ascii")[:79]
    header["qform_code"] = header["sform_code"] = 1
    header["quatern"], header["qoffset"], header["srow"] = turn, affine[:3, 3], affine[:3]
    packer = isal_zlib.compressobj(1, wbits=31)  # a gzip stream without name or time
    parts = [packer.compress(header.tobytes() + bytes(4))]
    parts += [packer.compress(piece) for piece in pieces(array)]
    return b"".join((*parts, packer.flush()))


def pieces(array: Voxels) -> Iterator[memoryview]:
    """The voxels as NIfTI stores them, little-endian and first axis fastest, a few slices at a time.

    A whole copy of the volume is never made: the pieces are views where it lies in that order already.
    """
    slices = max(1, _PIECE // max(1, array[..., 0].nbytes))
    for start in range(0, array.shape[-1], slices):
        part = np.asfortranarray(array[..., start : start + slices], array.dtype.newbyteorder("<"))
        yield part.T.data.cast("B")


def _is_packed(path: Path, raw: bytes) -> bool:
    if not raw:
        refuse_file(path, "the file is empty")
    if raw[:512].lstrip().lower().startswith((b"<!doctype", b"<html")):
        refuse_file(path, "is HTML, the download failed", "download it again, signed in where the site asks for it")
    packed, named = raw.startswith(_GZIP), path.name.lower().endswith(".gz")
    if packed != named:
        right = f"{path.name}.gz" if packed else path.name[:-3]
        refuse_file(path, "is gzipped" if packed else "is not gzipped", f"rename it to {right}")
    return packed


def _inflate(path: Path, raw: bytes, most: int) -> bytes:
    """All gzip members one after the other, `most` bytes of them; CRC and length are checked where a member ends."""
    parts: list[bytes] = []
    while most > 0 and raw:
        if not raw.startswith(_GZIP):
            refuse_file(path, f"{len(raw)} bytes after the end of the gzip data")
        member = isal_zlib.decompressobj(wbits=31)
        try:
            parts.append(member.decompress(raw, most))
        except isal_zlib.error as error:  # type: ignore[misc]  # its stub gives an instance for the class
            refuse_file(path, f"damaged gzip data ({error})", "copy the file again")
        most -= len(parts[-1])
        if most > 0 and not member.eof:
            refuse_file(path, "the gzip data is cut off", "copy the file again")
        raw = member.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _scaled(path: Path, header: Header, array: Voxels) -> Voxels:
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    # The standard: slope 0 means no scaling; NaN is what nibabel writes for it.
    if slope != 0 and not np.isnan(slope) and (slope, inter) != (1.0, 0.0):
        if not (np.isfinite(slope) and np.isfinite(inter)):
            refuse_file(path, f"slope {slope} with intercept {inter}")
        if array.dtype.kind in "iu" and slope.is_integer() and inter.is_integer():
            if max(-int(array.min()), int(array.max())) * abs(int(slope)) + abs(int(inter)) > _WHOLE:
                refuse_file(path, f"slope {slope:g} with intercept {inter:g} gives whole numbers of more than 53 bits")
            return array.astype(np.int64) * int(slope) + int(inter)
        with np.errstate(over="ignore"):  # what becomes infinite is refused below
            array = (array.astype(np.float64) * slope + inter).astype(np.float32)
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        first = tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), finite.shape))
        refuse_file(
            path, f"{int((~finite).sum())} voxels are NaN or infinite, the first at {first}", "repair its source"
        )
    return array
