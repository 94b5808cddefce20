"""NIfTI-1 as bytes: strict decoding, plain encoding. What the libraries let pass in silence is refused here.

The header layout and the rules for scaling and for qform/sform are those of the NIfTI-1 standard (nifti1.h).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from converters.errors import BenchError
from converters.files import read
from converters.orientation import Matrix, agree, fault, quaternion, rotation

LIMIT = 4 << 30  # bytes of one decoded file; a larger one is a gzip bomb or a damaged header
_HEADER = 348
_DEFLATE_MOST = 1040  # no deflate stream expands further, so a small file cannot hold a large image
_PIECE = 1 << 20  # bytes: what fits into a cache
_GZIP = b"\x1f\x8b"

_FIELDS = {
    "sizeof_hdr": ("i4", 0),
    "dim": ("8i2", 40),
    "datatype": ("i2", 70),
    "bitpix": ("i2", 72),
    "pixdim": ("8f4", 76),
    "vox_offset": ("f4", 108),
    "scl_slope": ("f4", 112),
    "scl_inter": ("f4", 116),
    "xyzt_units": ("u1", 123),
    "descrip": ("S80", 148),
    "qform_code": ("i2", 252),
    "sform_code": ("i2", 254),
    "quatern": ("3f4", 256),
    "qoffset": ("3f4", 268),
    "srow": ("(3,4)f4", 280),
    "magic": ("S4", 344),
}
_LAYOUT = np.dtype(
    {
        "names": list(_FIELDS),
        "formats": [kind for kind, _ in _FIELDS.values()],
        "offsets": [offset for _, offset in _FIELDS.values()],
        "itemsize": _HEADER,
    }
)
_CODES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8",
    256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_LAST_CODE = 5  # of sform and qform: what the numbers above it mean, nobody knows
_WHOLE = 1 << 53  # whole numbers up to here are the same in every type
_WRITTEN = {"uint8": 2, "int16": 4, "uint16": 512, "float32": 16}

Header = Any  # one record of _LAYOUT
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
    head = _inflate(path, raw, _HEADER) if _is_packed(path, raw) else raw[:_HEADER]
    return _shape(path, _header(path, head), 4)


def _decode(path: Path, axes: int) -> tuple[Voxels, Matrix]:
    if path.stat().st_size > LIMIT:
        _refuse(path, f"{path.stat().st_size} bytes; the limit is {LIMIT}")
    raw = read(path)
    packed = _is_packed(path, raw)
    head = _inflate(path, raw, _HEADER) if packed else raw[:_HEADER]
    header = _header(path, head)
    kind, sizes, offset = _kind(path, header), _shape(path, header, axes), _offset(path, header)
    size = offset + int(np.prod(sizes, dtype=object)) * kind.itemsize
    if size > LIMIT:
        _refuse(path, f"the header claims {'x'.join(map(str, sizes))} voxels, {size} bytes; the limit is {LIMIT}")
    if packed and size > _DEFLATE_MOST * len(raw):
        _refuse(path, f"{len(raw)} bytes cannot hold the {size} that the header claims", "copy the file again")
    with np.errstate(invalid="ignore"):  # a signalling NaN warns when it is widened; it is refused all the same
        affine = _affine(path, header)
    data = _inflate(path, raw, size + 1) if packed else raw
    if len(data) != size:
        more = "more than" if len(data) > size else f"{len(data)} of"
        _refuse(path, f"{more} {size} bytes for {'x'.join(map(str, sizes))} voxels", "copy the file again")
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
    header = np.zeros((), _LAYOUT)
    header["sizeof_hdr"], header["magic"], header["vox_offset"] = _HEADER, b"n+1", _HEADER + 4
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


def _refuse(path: Path, what: str, mend: str = "get the file again from its source") -> NoReturn:
    raise BenchError(f"{path.name}: {what}", where=path, mend=mend)


def _is_packed(path: Path, raw: bytes) -> bool:
    if not raw:
        _refuse(path, "the file is empty")
    if raw[:512].lstrip().lower().startswith((b"<!doctype", b"<html")):
        _refuse(path, "is HTML, the download failed", "download it again, signed in where the site asks for it")
    packed, named = raw.startswith(_GZIP), path.name.lower().endswith(".gz")
    if packed != named:
        right = f"{path.name}.gz" if packed else path.name[:-3]
        _refuse(path, "is gzipped" if packed else "is not gzipped", f"rename it to {right}")
    return packed


def _inflate(path: Path, raw: bytes, most: int) -> bytes:
    """All gzip members one after the other, `most` bytes of them; CRC and length are checked where a member ends."""
    parts: list[bytes] = []
    while most > 0 and raw:
        if not raw.startswith(_GZIP):
            _refuse(path, f"{len(raw)} bytes after the end of the gzip data")
        member = isal_zlib.decompressobj(wbits=31)
        try:
            parts.append(member.decompress(raw, most))
        except isal_zlib.error as error:  # type: ignore[misc]  # its stub gives an instance for the class
            _refuse(path, f"damaged gzip data ({error})", "copy the file again")
        most -= len(parts[-1])
        if most > 0 and not member.eof:
            _refuse(path, "the gzip data is cut off", "copy the file again")
        raw = member.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _header(path: Path, head: bytes) -> Header:
    if len(head) < _HEADER:
        _refuse(path, f"{len(head)} bytes; a NIfTI header has {_HEADER}")
    header: Header = np.frombuffer(head, _LAYOUT)[0]
    if header["sizeof_hdr"] != _HEADER:
        header = np.frombuffer(head, _LAYOUT.newbyteorder())[0]
    if header["sizeof_hdr"] != _HEADER:
        _refuse(path, "no NIfTI-1 header", "save it as NIfTI-1 (.nii.gz)")
    if header["magic"] != b"n+1":
        _refuse(path, f"magic is {bytes(header['magic'])!r}, not b'n+1'", "save it as one NIfTI-1 file (.nii.gz)")
    if header["xyzt_units"] & 7 not in (0, 2):
        _refuse(path, "lengths are not in millimetres", "save it in millimetres")
    codes = int(header["sform_code"]), int(header["qform_code"])
    if not all(0 <= code <= _LAST_CODE for code in codes):
        _refuse(path, f"sform and qform codes are {codes[0]} and {codes[1]}; 0 to {_LAST_CODE} are known")
    return header


def _kind(path: Path, header: Header) -> np.dtype[np.generic]:
    code = int(header["datatype"])
    if code not in _CODES:
        _refuse(path, f"datatype {code} is no scalar number", "save it as int16, uint16 or float32")
    kind: np.dtype[Any] = np.dtype(_CODES[code]).newbyteorder(header.dtype["dim"].base.byteorder)
    if header["bitpix"] != kind.itemsize * 8:
        _refuse(path, f"bitpix {header['bitpix']} does not fit datatype {code}")
    return kind


def _shape(path: Path, header: Header, axes: int) -> tuple[int, ...]:
    """The first three sizes; with a fourth where `axes` is 4 and the file has more than one channel."""
    ndim, *sizes = map(int, header["dim"])
    if not 2 <= ndim <= 7:
        _refuse(path, f"{ndim} dimensions; 2 or 3 are read")
    if min(sizes[:ndim]) < 1:
        _refuse(path, f"dimensions {sizes[:ndim]} are not all positive")
    if any(size != 1 for size in sizes[axes:ndim]):
        _refuse(path, f"{ndim}-D, {'x'.join(map(str, sizes[:ndim]))}", "save each 3-D volume as a file of its own")
    x, y, z, channels = [*sizes[:ndim], 1, 1][:4]
    return (x, y, z, channels) if channels > 1 else (x, y, z)


def _offset(path: Path, header: Header) -> int:
    offset = float(header["vox_offset"])
    if not np.isfinite(offset) or offset != int(offset) or not _HEADER + 4 <= offset <= LIMIT:
        _refuse(path, f"voxels start at byte {offset:g}; {_HEADER + 4} or later is possible")
    return int(offset)


def _affine(path: Path, header: Header) -> Matrix:
    spacing = header["pixdim"][1:4].astype(float)
    if header["dim"][0] == 2 and spacing[2] == 0:
        spacing[2] = 1.0
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        _refuse(path, f"pixdim {spacing.tolist()} is not finite and positive")
    forms = _forms(header, spacing)
    if not forms:
        _refuse(path, "sform and qform codes are both 0: nobody knows where it lies", "set the affine in its source")
    for name, form in forms.items():
        if what := fault(form):
            _refuse(path, f"{name} {what}")
    affine = next(iter(forms.values()))  # sform first: a float32 quaternion is the coarser of the two
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.allclose(sizes, spacing, rtol=1e-2, atol=0):
        _refuse(path, f"sform has spacing {sizes.tolist()}, pixdim {spacing.tolist()}")
    if len(forms) == 2 and not agree(forms["sform"], forms["qform"]):
        off = float(np.abs(forms["sform"] - forms["qform"])[:3, 3].max())
        _refuse(path, f"sform and qform disagree (origins {off:g} mm apart)", "set the code of the wrong one to 0")
    return affine


def _forms(header: Header, spacing: Matrix) -> dict[str, Matrix]:
    forms = {}
    if header["sform_code"]:
        forms["sform"] = np.vstack([header["srow"].astype(float), [0.0, 0.0, 0.0, 1.0]])
    if header["qform_code"]:
        forms["qform"] = _qform(header, spacing)
    return forms


def _qform(header: Header, spacing: Matrix) -> Matrix:
    affine = np.eye(4)
    affine[:3, :3] = rotation(header["quatern"].astype(float)) * spacing
    if header["pixdim"][0] < 0:
        affine[:3, 2] *= -1
    affine[:3, 3] = header["qoffset"]
    return affine


def _scaled(path: Path, header: Header, array: Voxels) -> Voxels:
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    # The standard: slope 0 means no scaling; NaN is what nibabel writes for it.
    if slope != 0 and not np.isnan(slope) and (slope, inter) != (1.0, 0.0):
        if not (np.isfinite(slope) and np.isfinite(inter)):
            _refuse(path, f"slope {slope} with intercept {inter}")
        if array.dtype.kind in "iu" and slope.is_integer() and inter.is_integer():
            if max(-int(array.min()), int(array.max())) * abs(int(slope)) + abs(int(inter)) > _WHOLE:
                _refuse(path, f"slope {slope:g} with intercept {inter:g} gives whole numbers of more than 53 bits")
            return array.astype(np.int64) * int(slope) + int(inter)
        with np.errstate(over="ignore"):  # what becomes infinite is refused below
            array = (array.astype(np.float64) * slope + inter).astype(np.float32)
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        first = tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), finite.shape))
        _refuse(path, f"{int((~finite).sum())} voxels are NaN or infinite, the first at {first}", "repair its source")
    return array
