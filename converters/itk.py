"""MHA, MHD and NRRD through SimpleITK, with the checks that it does not make: sizes, units, orientation, NaN.

SimpleITK fills what a cut file lacks with zeros and takes 1.0 for a spacing that is not there.
"""

import re
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from converters.errors import refuse_file
from converters.files import inside, read
from converters.nifti_header import LIMIT
from converters.orientation import fault
from converters.volume import Volume

_META = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4,
    "LONG_LONG": 8, "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip
_NRRD = {
    "signed char": 1, "int8": 1, "int8_t": 1, "uchar": 1, "unsigned char": 1, "uint8": 1, "uint8_t": 1,
    "short": 2, "int16": 2, "int16_t": 2, "ushort": 2, "unsigned short": 2, "uint16": 2, "uint16_t": 2,
    "int": 4, "int32": 4, "int32_t": 4, "uint": 4, "unsigned int": 4, "uint32": 4, "uint32_t": 4,
    "longlong": 8, "long long": 8, "int64": 8, "int64_t": 8, "ulonglong": 8, "uint64": 8, "uint64_t": 8,
    "float": 4, "double": 8,
}  # fmt: skip
# What SimpleITK turns into its own LPS; of any other space it would keep the numbers and lose the meaning.
_SPACES = ("left-posterior-superior", "lps", "right-anterior-superior", "ras", "left-anterior-superior", "las")
_HEAD = 1 << 16
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


def read_itk(path: Path) -> Volume:
    """The image, orientation as stored; of two axes the third is one slice of 1 mm.

    Raises:
        BenchError: the file is cut or damaged, holds vectors or NaN, or says too little of its geometry.
    """
    _check_file(path)
    import SimpleITK as sitk  # noqa: N813

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        refuse_file(path, "SimpleITK cannot read it", "write it again with ITK or Slicer")
    if image.GetNumberOfComponentsPerPixel() != 1 or image.GetDimension() not in (2, 3):
        refuse_file(path, f"{image.GetDimension()} axes, {image.GetNumberOfComponentsPerPixel()} values per voxel")
    array = sitk.GetArrayFromImage(image).T
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        refuse_file(path, f"{int((~finite).sum())} voxels are NaN or infinite", "repair its source")
    axes = image.GetDimension()
    affine = np.eye(4)
    turn = np.array(image.GetDirection()).reshape(axes, axes) * image.GetSpacing()
    affine[:axes, :axes] = turn
    affine[:axes, 3] = image.GetOrigin()
    affine[:3] = _LPS_TO_RAS @ affine[:3] + 0.0
    if what := fault(affine):
        refuse_file(path, f"its direction {what}")
    return Volume(array.reshape(*array.shape, *([1] * (3 - axes))), affine)


def files_of(path: Path) -> tuple[Path, ...]:
    """The file, and beside an MHD the one that holds its voxels."""
    if path.suffix.lower() != ".mhd":
        return (path,)
    named = _meta_fields(path.read_bytes()[:_HEAD])[0].get("ElementDataFile", "")
    voxels = path.parent / named
    return (path, voxels) if named and voxels.is_file() and voxels.parent == path.parent else (path,)


def _check_file(path: Path) -> None:
    data = read(path)
    if path.suffix.lower() == ".nrrd":
        _check_nrrd(path, data)
    else:
        _check_meta(path, data)


def _check_meta(path: Path, data: bytes) -> None:
    fields, start = _meta_fields(data[:_HEAD])
    needed = ("NDims", "DimSize", "ElementType", "ElementSpacing", "TransformMatrix", "ElementDataFile")
    _check_fields(path, fields, needed)
    if fields.get("ElementNumberOfChannels", "1") != "1":
        refuse_file(path, f"{fields['ElementNumberOfChannels']} values per voxel")
    where = fields["ElementDataFile"]
    if (where == "LOCAL") != (path.suffix.lower() == ".mha"):
        refuse_file(path, f"its voxels are said to lie in {'itself' if where == 'LOCAL' else 'another file'}")
    if where != "LOCAL":
        voxels = inside(path.parent, where)
        if voxels.parent != path.parent or not voxels.is_file():
            refuse_file(path, "the file that holds its voxels is not beside it", "copy both")
        data, start = read(voxels), 0
    if fields.get("HeaderSize", "0") not in ("0", "-1"):
        refuse_file(path, "its voxels do not begin where the header ends")
    size = _size(path, fields["DimSize"], _META.get(fields["ElementType"].removeprefix("MET_"), 0))
    _check_size(path, data[start:], size, packed=fields.get("CompressedData", "False").lower() == "true")


def _meta_fields(head: bytes) -> tuple[dict[str, str], int]:
    """`key = value` up to ElementDataFile, which ends the header; where the voxels begin."""
    fields: dict[str, str] = {}
    at = 0
    for line in head.splitlines(keepends=True):
        key, equals, value = line.decode("latin-1").partition("=")
        at += len(line)
        if not equals:
            break
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            break
    # An older name of the same thing.
    fields.setdefault("TransformMatrix", fields.get("Rotation", fields.get("Orientation", "")))
    return fields, at


def _check_nrrd(path: Path, data: bytes) -> None:
    head, blank, _ = data[:_HEAD].replace(b"\r\n", b"\n").partition(b"\n\n")
    if not head.startswith(b"NRRD000") or not blank:
        refuse_file(path, "no NRRD file")
    ends = [data.find(end) + len(end) for end in (b"\n\n", b"\r\n\r\n") if end in data[:_HEAD]]
    lines = [line.decode("latin-1") for line in head.split(b"\n")[1:] if not line.startswith(b"#")]
    fields = {
        key.strip().lower(): value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon
    }
    if "data file" in fields or "datafile" in fields:
        refuse_file(path, "its voxels lie in another file", "save it as one .nrrd file")
    _check_fields(path, fields, ("dimension", "sizes", "type", "encoding", "space", "space directions"))
    if fields["space"].lower() not in _SPACES:
        refuse_file(path, "its space is neither LPS nor RAS nor LAS", "write it again with ITK or Slicer")
    units = re.findall(r'"([^"]*)"', fields.get("space units", ""))
    if any(unit not in ("mm", "") for unit in units):
        refuse_file(path, "lengths are not in millimetres", "save it in millimetres")
    if fields["encoding"].lower() not in ("raw", "gzip", "gz") or {"byte skip", "line skip"} & fields.keys():
        refuse_file(path, "its voxels are neither raw nor gzipped", "write it again with ITK or Slicer")
    size = _size(path, fields["sizes"], _NRRD.get(fields["type"].lower(), 0))
    _check_size(path, data[min(ends) :], size, packed=fields["encoding"].lower() != "raw")


def _check_fields(path: Path, fields: Mapping[str, str], needed: tuple[str, ...]) -> None:
    missing = [key for key in needed if not fields.get(key)]
    if missing:
        refuse_file(path, f"no {', '.join(missing)} in its header", "write it again with ITK or Slicer")


def _size(path: Path, sizes: str, width: int) -> int:
    numbers = sizes.split()
    if not width or not 2 <= len(numbers) <= 3 or not all(n.isdecimal() and int(n) > 0 for n in numbers):
        refuse_file(path, "two or three axes of plain numbers are read", "save each volume as a file of its own")
    size = int(np.prod([int(number) for number in numbers], dtype=object)) * width
    if size > LIMIT:
        refuse_file(path, f"the header claims {' x '.join(numbers)} voxels, {size} bytes; the limit is {LIMIT}")
    return size


def _check_size(path: Path, voxels: bytes, size: int, *, packed: bool) -> None:
    if packed:
        engine = zlib.decompressobj(wbits=47)  # zlib or gzip
        try:
            voxels = engine.decompress(voxels, size + 1)
        except zlib.error:
            refuse_file(path, "its compressed voxels are damaged")
        if len(voxels) == size and not engine.eof:
            engine.decompress(engine.unconsumed_tail, 1)
        if len(voxels) == size and not engine.eof:
            refuse_file(path, "its compressed voxels are cut off")
    if len(voxels) != size:
        refuse_file(path, f"{'more than ' if len(voxels) > size else f'{len(voxels)} of '}{size} bytes of voxels")
