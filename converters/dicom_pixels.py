"""The stored pixels of one DICOM file: how they lie there, checked before anything is allocated."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from converters.dicom_tags import number, text
from converters.errors import BenchError, EnvironmentFault

Pixels = npt.NDArray[np.integer[Any]]

MAX_PIXELS = 1 << 31  # rows x columns x frames of one file
_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_PIXEL_DATA = b"\xe0\x7f\x10\x00"


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the header says the pixels lie: sizes, sample type, transfer syntax."""

    frames: int
    rows: int
    columns: int
    dtype: np.dtype[np.integer[Any]]
    unused_bits: int
    syntax: str

    @property
    def bytes(self) -> int:
        """Length of the uncompressed pixel data, without its padding to an even number."""
        return self.frames * self.rows * self.columns * self.dtype.itemsize


def layout(dataset: Any, path: Path) -> Layout:
    """The pixel layout a header claims.

    Raises:
        BenchError: a tag is missing, not single-channel integer grey, or the size absurd.
    """
    rows, columns, allocated, stored, signed, samples = (
        _integer(dataset, keyword, path)
        for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation", "SamplesPerPixel")
    )
    frames = _integer(dataset, "NumberOfFrames", path) if text((dataset,), "NumberOfFrames") else 1
    if samples != 1 or text((dataset,), "PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2"):
        raise BenchError(
            "the pixels are colours, not one grey value each",
            where=path,
            mend="take the original series; of a film in colours, as of ultrasound, save the frames as PNG",
        )
    if allocated not in (8, 16, 32) or not 0 < stored <= allocated or signed not in (0, 1):
        raise BenchError(f"{stored} of {allocated} bits per pixel are not read", where=path)
    if dataset.get("HighBit", stored - 1) != stored - 1:
        raise BenchError(f"HighBit is {dataset.HighBit} for {stored} stored bits", where=path)
    if min(rows, columns, frames) < 1 or rows * columns * frames > MAX_PIXELS:
        raise BenchError(
            f"the header claims {_size(rows, columns, frames)} pixels", where=path, mend="download it again"
        )
    dtype = np.dtype(f"<{'i' if signed else 'u'}{allocated // 8}")
    return Layout(frames, rows, columns, dtype, allocated - stored, _syntax(dataset))


def stored_pixels(data: bytes, offset: int, plan: Layout, path: Path) -> Pixels:
    """The pixels as stored, (frames, rows, columns); a view of `data` where they lie there uncompressed.

    Raises:
        BenchError: there are fewer or more bytes than the header claims, or they cannot be decoded.
        EnvironmentFault: no decoder for their compression is installed.
    """
    pixels = _native(data, offset, plan, path) if plan.syntax in (_IMPLICIT, _EXPLICIT) else _decoded(data, plan, path)
    if not plan.unused_bits:
        return pixels
    # Old files keep overlays in the unused high bits: shift them out, and the sign in.
    shifted: Pixels = (pixels << plan.unused_bits) >> plan.unused_bits
    return shifted


def _native(data: bytes, offset: int, plan: Layout, path: Path) -> Pixels:
    explicit = plan.syntax == _EXPLICIT
    head = data[offset : offset + (12 if explicit else 8)]
    if head[:4] != _PIXEL_DATA or len(head) < 8:
        raise BenchError(
            f"{path.name}: 0 of {plan.bytes} pixel bytes", where=path, mend="the file is cut: download it again"
        )
    claimed = int.from_bytes(head[-4:], "little")
    start = offset + len(head)
    found = min(claimed, len(data) - start)
    if found < plan.bytes and claimed in (plan.bytes, plan.bytes + plan.bytes % 2):
        raise BenchError(
            f"{path.name}: {found} of {plan.bytes} pixel bytes", where=path, mend="the file is cut: download it again"
        )
    if found not in (plan.bytes, plan.bytes + plan.bytes % 2):
        raise BenchError(
            f"the header claims {_size(plan.rows, plan.columns, plan.frames)} pixels, {plan.bytes} bytes; "
            f"there are {found}",
            where=path,
            mend="download it again",
        )
    flat: Pixels = np.frombuffer(data, plan.dtype, plan.bytes // plan.dtype.itemsize, start)
    return flat.reshape(plan.frames, plan.rows, plan.columns)


def _decoded(data: bytes, plan: Layout, path: Path) -> Pixels:
    name = UID(plan.syntax).name
    try:
        decoder = get_decoder(UID(plan.syntax))
    except NotImplementedError:
        raise BenchError(f"transfer syntax {name} is not read", where=path, mend="save it uncompressed") from None
    if not decoder.is_available:
        raise EnvironmentFault(f"no decoder for {name}", where=path, mend="pip install 'frugalseg[dicom-codecs]'")
    try:
        pixels: Pixels = dcmread(io.BytesIO(data), force=True).pixel_array
    except Exception as error:  # the decoders share no error type
        raise BenchError(
            f"{path.name}: the {name} pixels cannot be decoded ({type(error).__name__})",
            where=path,
            mend="download it again",
        ) from None
    if pixels.size != plan.frames * plan.rows * plan.columns:
        raise BenchError(f"{path.name}: {pixels.size} pixels decoded, {plan.bytes} bytes claimed", where=path)
    return pixels.astype(plan.dtype).reshape(plan.frames, plan.rows, plan.columns)


def _syntax(dataset: Any) -> str:
    meta = getattr(dataset, "file_meta", None)
    named = str(getattr(meta, "TransferSyntaxUID", ""))
    if named:
        return named
    implicit, little = dataset.original_encoding  # what pydicom guessed where the file has no meta header
    return _IMPLICIT if implicit else _EXPLICIT if little else "1.2.840.10008.1.2.2"


def _integer(dataset: Any, keyword: str, path: Path) -> int:
    value = number((dataset,), keyword, path)
    if value is None or not value.is_integer():
        raise BenchError(
            f"no {keyword} in the header", where=path, mend="the file is cut or no image: download it again"
        )
    return int(value)


def _size(rows: int, columns: int, frames: int) -> str:
    return f"{rows} x {columns}" + (f" x {frames}" if frames > 1 else "")
