"""What a dataset's card says of one case: card/<case>.json and card/<case>.png, made while its voxels are in hand."""

import contextlib
import dataclasses
import io
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from converters.dataset import IGNORE, Case, Dataset
from converters.description import Channel, LabelInfo
from converters.errors import BenchError
from converters.files import Fingerprint, Strict, digest, read_json, sha256, write_bytes, write_json
from converters.tile import Grid, Layer, contrast, plane, square, tile
from converters.volume import Volume
from converters.written import card_of, files_of

SIDE = 192  # pixels of a case's picture, both sides
_SOFT, _LUNG = (-160.0, 240.0), (-1350.0, 150.0)  # HU shown as black and white: level 40 width 400, -600 and 1500
_AIRY = -300.0  # HU: a structure darker than this on average holds air


class Intensity(Strict):
    """Intensities of the voxels of one structure in one channel, to six digits."""

    mean: float
    sd: float
    low: float
    high: float


class CaseCard(Strict):
    """card/<case>.json."""

    of: str  # digest over the voxel digests of the case's files: what is told belongs to these voxels
    files: dict[str, Fingerprint]  # bytes and SHA-256 of each file as it lies on disk
    intensity: dict[str, dict[str, Intensity]]  # channel -> structure that the reference label holds
    picture: str  # SHA-256 of card/<case>.png
    sha256: str = ""  # over all the rest


@dataclasses.dataclass(frozen=True)
class Legend:
    """What the numbers of a dataset's voxels mean."""

    labels: Mapping[str, int | tuple[int, ...]]
    info: Mapping[str, LabelInfo]
    channels: tuple[Channel, ...]

    @classmethod
    def of(cls, dataset: Dataset) -> "Legend":
        """As the dataset says."""
        return cls(dataset.file.labels, dataset.file.bench.label_info, dataset.file.bench.channels)

    @property
    def structures(self) -> dict[str, tuple[int, ...]]:
        """Foreground: name -> codes."""
        codes = {name: (code,) if isinstance(code, int) else code for name, code in self.labels.items()}
        return {name: code for name, code in codes.items() if code != (0,)}


@dataclasses.dataclass(frozen=True)
class Told:
    """What the voxels of a case tell: intensities per channel and structure, and a picture (PNG)."""

    intensity: Mapping[str, Mapping[str, Intensity]]
    picture: bytes


def told(case: Case, volumes: Mapping[str, Volume], legend: Legend) -> Told:
    """Numbers and picture of a case whose voxels are at hand, by file name."""
    where, codes = _foreground(volumes, case)
    intensity = _intensity(volumes, case, legend, (where, codes))
    return Told(intensity, _picture(volumes, case, legend, _slice(where, case), intensity))


def write(root: Path, case: Case, files: Mapping[str, Fingerprint], what: Told) -> None:
    """Write the case's card and picture; `files`: bytes and SHA-256 of every file of the case as it lies there."""
    intensity = {channel: dict(found) for channel, found in what.intensity.items()}
    card = CaseCard(of=digest(files_of(case)), files=dict(files), intensity=intensity, picture=sha256(what.picture))
    record, image = (root / file for file in card_of(case.id))
    write_bytes(image, what.picture)
    write_json(record, msgspec.structs.replace(card, sha256=_seal(card)))


def read(root: Path, case: Case) -> tuple[CaseCard, Path] | None:
    """The case's card and where its picture lies; None where one is missing, changed or tells of other voxels."""
    record, image = (root / file for file in card_of(case.id))
    with contextlib.suppress(BenchError, OSError):
        card = read_json(record, CaseCard)
        whole = card.sha256 == _seal(card) and card.of == digest(files_of(case))
        if whole and sha256(image.read_bytes()) == card.picture:
            return card, image
    return None


def _seal(card: CaseCard) -> str:
    return digest(msgspec.structs.replace(card, sha256=""))


_Places = npt.NDArray[np.intp]
_Codes = npt.NDArray[np.uint8]


def _foreground(volumes: Mapping[str, Volume], case: Case) -> tuple[_Places, _Codes]:
    """Where a structure is marked in the reference label, first axis fastest, and its codes."""
    if case.label is None:
        return np.empty(0, np.intp), np.empty(0, np.uint8)
    flat = volumes[case.label.file].array.ravel(order="F")
    marked = flat != 0
    if str(IGNORE) in case.label.voxels:
        marked &= flat != IGNORE
    where = np.flatnonzero(marked)
    return where, flat[where].astype(np.uint8, copy=False)


def _intensity(
    volumes: Mapping[str, Volume], case: Case, legend: Legend, foreground: tuple[_Places, _Codes]
) -> dict[str, dict[str, Intensity]]:
    where, codes = foreground
    held = set(np.flatnonzero(np.bincount(codes, minlength=256)).tolist())
    found: dict[str, dict[str, Intensity]] = {}
    for channel, image in case.images.items() if held else ():
        values = volumes[image.file].array.ravel(order="F")[where]
        found[channel] = {
            name: _told(values if held <= set(wanted) else values[np.isin(codes, wanted)])
            for name, wanted in legend.structures.items()
            if held & set(wanted)
        }
    return found


def _told(values: npt.NDArray[np.generic]) -> Intensity:
    mean, sd = values.mean(dtype=np.float64), values.std(dtype=np.float64)
    numbers = mean, sd, values.min(), values.max()
    mean, sd, low, high = (float(f"{float(number):.6g}") for number in numbers)
    return Intensity(mean=mean, sd=sd, low=low, high=high)


def _slice(where: _Places, case: Case) -> int:
    """The slice that holds most of the structures, the middle one of a case without any."""
    axis, shape = case.geometry.slice_axis, case.geometry.shape
    if not where.size:
        return shape[axis] // 2
    stride = int(np.prod(shape[:axis], dtype=int))
    if axis == 2:  # `where` ascends, and so does the slice
        counts = np.diff(np.searchsorted(where, stride * np.arange(shape[2] + 1)))
    else:
        counts = np.bincount(where // stride % shape[axis])
    return int(counts.argmax())


def _picture(
    volumes: Mapping[str, Volume],
    case: Case,
    legend: Legend,
    index: int,
    intensity: Mapping[str, Mapping[str, Intensity]],
) -> bytes:
    channel, first = next(iter(case.images.items()))
    image, label = volumes[first.file].array, None if case.label is None else volumes[case.label.file].array
    unit = next(one.unit for one in legend.channels if one.name == channel)
    means = [one.mean for one in intensity.get(channel, {}).values()]
    window = contrast(plane(image, index, case.geometry.slice_axis))
    if unit == "HU":
        window = _LUNG if means and max(means) < _AIRY else _SOFT
    grid = Grid.of(case.geometry, legend.labels, legend.info)
    drawn = tile(Layer("", image, window, label), index, grid, SIDE)  # type: ignore[arg-type]  # uint8, see `describe`
    stream = io.BytesIO()
    square(drawn, grid, SIDE).save(stream, format="PNG", compress_level=3)
    return stream.getvalue()
