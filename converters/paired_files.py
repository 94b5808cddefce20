"""Images and label maps of nnU-Net and MSD, each by the ending of its file: NIfTI, what ITK writes, pictures.

Pictures lie as `volume.flat` has it, pages upwards. nnU-Net keeps the spacing of a TIFF volume in `<case>.json` beside
it (pages, rows, columns); nothing says that of other pictures.
"""

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from converters import nifti, schema
from converters.errors import BenchError
from converters.volume import Volume, read_label, whole

NIFTI = (".nii.gz", ".nii")
_ITK, _TIFF = (".mha", ".nrrd"), (".tif", ".tiff")
_PICTURES = (".png", ".bmp", *_TIFF)
ENDINGS = (*NIFTI, *_ITK, *_PICTURES)


class _Spacing(msgspec.Struct):
    spacing: tuple[float, float, float]


def read_channels(path: Path) -> list[Volume]:
    """The channels that a file holds.

    Raises:
        BenchError: the file is damaged, or of another kind than its ending.
    """
    kind = _kind(path)
    if kind in _ITK:
        from converters.itk import read_itk

        return [read_itk(path)]
    if kind in _PICTURES:
        array, beside = _pixels(path), _beside(path)
        z, y, x = _spacing(beside) if beside else (1.0, 1.0, 1.0)
        return [Volume(channel, np.diag([-x, -y, z, 1.0])) for channel in _apart(array)]
    array, affine = nifti.decode_channels(path)
    return [Volume(channel, affine) for channel in _apart(array)]


def read_map(path: Path, image: Volume) -> Volume:
    """The label map as uint8; a picture lies where its image lies.

    Raises:
        BenchError: as `read_label`; the picture is in colours.
    """
    kind = _kind(path)
    if kind in _ITK:
        from converters.itk import read_itk

        return whole(read_itk(path), path)
    if kind in _PICTURES:
        array = _pixels(path, lossless=True)
        if array.ndim == 4:
            raise BenchError(f"{path.name}: the mask is drawn in colours", where=path, mend="save its codes as greys")
        return whole(Volume(array, image.affine), path)
    return read_label(path)


def is_slice(path: Path) -> bool:
    """Whether the file holds one slice.

    Raises:
        BenchError: the file is damaged.
    """
    kind = _kind(path)
    shape = nifti.shape(path) if kind in NIFTI else read_channels(path)[0].shape
    return shape[2] == 1


def files_of(path: Path) -> tuple[Path, ...]:
    """All files that reading a path takes."""
    beside = _beside(path)
    return (path, beside) if beside else (path,)


def says_spacing(path: Path) -> bool:
    """Whether the file, or one beside it, says how large its voxels are."""
    return _kind(path) not in _PICTURES or _beside(path) is not None


def _kind(path: Path) -> str:
    return next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), "")


def _pixels(path: Path, *, lossless: bool = False) -> npt.NDArray[Any]:
    """(X, Y, Z), or (X, Y, Z, 3) in colours."""
    from converters.pictures import read_picture

    return read_picture(path, lossless=lossless, pages=_kind(path) in _TIFF)


def _apart(array: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    return [array] if array.ndim == 3 else [array[..., number] for number in range(array.shape[3])]


def _beside(path: Path) -> Path | None:
    """The file with the spacing of a TIFF image, if there is one."""
    kind = _kind(path)
    beside = path.with_name(re.sub(r"_\d{4}$", "", path.name[: len(path.name) - len(kind)]) + ".json")
    return beside if kind in _TIFF and beside.is_file() else None


def _spacing(path: Path) -> tuple[float, float, float]:
    spacing = schema.read(path, _Spacing, 'as nnU-Net has it: {"spacing": [pages, rows, columns]} in mm').spacing
    if not all(0 < mm < float("inf") for mm in spacing):
        raise BenchError(f"{path.name}: spacing {spacing} is not positive", where=path, mend="in mm")
    return spacing
