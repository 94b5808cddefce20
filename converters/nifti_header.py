"""The header of NIfTI-1, read strictly: what it says of type, sizes and place, or why it is refused.

Its layout and the rules for qform and sform are those of the NIfTI-1 standard (nifti1.h).
"""

from pathlib import Path
from typing import Any

import numpy as np

from converters.errors import refuse_file
from converters.orientation import Matrix, agree, fault, rotation

LIMIT = 4 << 30  # bytes of one decoded file; a larger one is a gzip bomb or a damaged header
SIZE = 348  # bytes

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
LAYOUT = np.dtype(
    {
        "names": list(_FIELDS),
        "formats": [kind for kind, _ in _FIELDS.values()],
        "offsets": [offset for _, offset in _FIELDS.values()],
        "itemsize": SIZE,
    }
)
_CODES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8",
    256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_LAST_CODE = 5  # of sform and qform: what the numbers above it mean, nobody knows

Header = Any  # one record of LAYOUT


def parsed(path: Path, head: bytes) -> Header:
    """The header, in whichever byte order it is; it is a NIfTI-1 file of one part, in millimetres.

    Raises:
        BenchError: it is not.
    """
    if len(head) < SIZE:
        refuse_file(path, f"{len(head)} bytes; a NIfTI header has {SIZE}")
    header: Header = np.frombuffer(head, LAYOUT)[0]
    if header["sizeof_hdr"] != SIZE:
        header = np.frombuffer(head, LAYOUT.newbyteorder())[0]
    if header["sizeof_hdr"] != SIZE:
        refuse_file(path, "no NIfTI-1 header", "save it as NIfTI-1 (.nii.gz)")
    if header["magic"] != b"n+1":
        refuse_file(path, f"magic is {bytes(header['magic'])!r}, not b'n+1'", "save it as one NIfTI-1 file (.nii.gz)")
    if header["xyzt_units"] & 7 not in (0, 2):
        refuse_file(path, "lengths are not in millimetres", "save it in millimetres")
    codes = int(header["sform_code"]), int(header["qform_code"])
    if not all(0 <= code <= _LAST_CODE for code in codes):
        refuse_file(path, f"sform and qform codes are {codes[0]} and {codes[1]}; 0 to {_LAST_CODE} are known")
    return header


def kind_of(path: Path, header: Header) -> np.dtype[np.generic]:
    """The type of a voxel as stored.

    Raises:
        BenchError: no scalar number, or another width than the header says.
    """
    code = int(header["datatype"])
    if code not in _CODES:
        refuse_file(path, f"datatype {code} is no scalar number", "save it as int16, uint16 or float32")
    kind: np.dtype[Any] = np.dtype(_CODES[code]).newbyteorder(header.dtype["dim"].base.byteorder)
    if header["bitpix"] != kind.itemsize * 8:
        refuse_file(path, f"bitpix {header['bitpix']} does not fit datatype {code}")
    return kind


def sizes_of(path: Path, header: Header, axes: int) -> tuple[int, ...]:
    """The first three sizes; with a fourth where `axes` is 4 and the file has more than one channel.

    Raises:
        BenchError: there are more axes, or an axis without a voxel.
    """
    ndim, *sizes = map(int, header["dim"])
    if not 2 <= ndim <= 7:
        refuse_file(path, f"{ndim} dimensions; 2 or 3 are read")
    if min(sizes[:ndim]) < 1:
        refuse_file(path, f"dimensions {sizes[:ndim]} are not all positive")
    if any(size != 1 for size in sizes[axes:ndim]):
        refuse_file(path, f"{ndim}-D, {'x'.join(map(str, sizes[:ndim]))}", "save each 3-D volume as a file of its own")
    x, y, z, channels = [*sizes[:ndim], 1, 1][:4]
    return (x, y, z, channels) if channels > 1 else (x, y, z)


def offset_of(path: Path, header: Header) -> int:
    """The byte at which the voxels start.

    Raises:
        BenchError: no file starts there.
    """
    offset = float(header["vox_offset"])
    if not np.isfinite(offset) or offset != int(offset) or not SIZE + 4 <= offset <= LIMIT:
        refuse_file(path, f"voxels start at byte {offset:g}; {SIZE + 4} or later is possible")
    return int(offset)


def affine_of(path: Path, header: Header) -> Matrix:
    """The affine (4, 4) in mm: the sform, or else the qform.

    Raises:
        BenchError: neither is there, one is no rigid motion with spacing, or the two disagree.
    """
    spacing = header["pixdim"][1:4].astype(float)
    if header["dim"][0] == 2 and spacing[2] == 0:
        spacing[2] = 1.0
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        refuse_file(path, f"pixdim {spacing.tolist()} is not finite and positive")
    forms = _forms(header, spacing)
    if not forms:
        refuse_file(
            path, "sform and qform codes are both 0: nobody knows where it lies", "set the affine in its source"
        )
    for name, form in forms.items():
        if what := fault(form):
            refuse_file(path, f"{name} {what}")
    affine = next(iter(forms.values()))  # sform first: a float32 quaternion is the coarser of the two
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.allclose(sizes, spacing, rtol=1e-2, atol=0):
        refuse_file(path, f"sform has spacing {sizes.tolist()}, pixdim {spacing.tolist()}")
    if len(forms) == 2 and not agree(forms["sform"], forms["qform"]):
        off = float(np.abs(forms["sform"] - forms["qform"])[:3, 3].max())
        refuse_file(path, f"sform and qform disagree (origins {off:g} mm apart)", "set the code of the wrong one to 0")
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
