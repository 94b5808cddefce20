"""Label maps as other tools leave them, brought back: named by case id, on the grid of the case, nothing resampled."""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.matching import Found, answering, left_over, names_of, prediction_of
from bench.score import aligned
from converters.dataset import IGNORE, Case, Dataset
from converters.errors import BenchError, EnvironmentFault, unknown_name, what_of
from converters.export import voxels
from converters.png import read_labels
from converters.slices import scaled, stacked, unstacked
from converters.volume import Array, Volume, read_label, read_nifti, write_nifti

_SLICE = re.compile(r"(?P<name>.+)_slice_(?P<number>\d+)(_pred)?(\.nii|\.nii\.gz|\.png)")
_OTHER = re.compile(r".+_(img|gt|prob_\d+|var)")  # what peers write beside a prediction
_ROUNDING = 1e-4  # of an image from 0 to 1


@dataclasses.dataclass(frozen=True)
class Peer:
    """How a tool names and places its label maps."""

    bare: Callable[[str], str] = str  # its name for a case, without what it puts around it
    stacks: bool = False  # it keeps arrays in the order (slice, row, column) and forgets where they lie


# Names of the export that a peer was given, and what it makes of them: docs/export.md.
PEERS = {
    "nnunet": Peer(),
    "msd": Peer(),
    "monai": Peer(),
    "pymic": Peer(lambda name: name.removeprefix("images_")),  # the folder, where it is not told to leave it out
    "ssl4mis": Peer(lambda name: name.removesuffix(".h5"), stacks=True),  # WSL4MIS keeps the ending of the volume
}


@dataclasses.dataclass(frozen=True)
class Brought:
    """What became of the prediction of one case."""

    case: str
    outcome: str  # written, missing or refused
    file: Path | None  # that the peer wrote; the first of several
    why: str = ""


def peer(name: str) -> Peer:
    """The tool of that name.

    Raises:
        UsageError: there is none; says which is nearest.
    """
    if name not in PEERS:
        raise unknown_name("peer", name, PEERS)
    return PEERS[name]


def bring(
    dataset: Dataset, cases: Sequence[Case], predictions: Path, out: Path, maker: Peer
) -> tuple[list[Brought], list[str]]:
    """Write `<case>.nii.gz` to `out` for every case of which there is a sound prediction; and what else is to be told.

    Raises:
        BenchError: there is no such folder, no file fits a case, or one fits two.
        EnvironmentFault: the disk is full.
    """
    found = _found(predictions, maker)
    stacks = _stacks(predictions, maker)
    chosen: dict[str, tuple[Path, ...]] = {}
    refused: dict[str, BenchError] = {}
    for case in cases:
        try:
            chosen[case.id] = _files(case, found, stacks)
        except BenchError as error:
            chosen[case.id], refused[case.id] = (), error
    told = left_over(predictions, found, {case: paths[0] if paths else None for case, paths in chosen.items()})
    done = []
    for case in cases:
        try:
            if case.id in refused:
                raise refused[case.id]
            done.append(_bring(dataset, case, chosen[case.id], out, maker))
        except EnvironmentFault:  # no fault of a prediction
            raise
        except (BenchError, OSError) as error:
            why = what_of(error)
            done.append(Brought(case.id, "refused", next(iter(chosen[case.id]), None), why))
    return done, told


def _found(folder: Path, maker: Peer) -> Found:
    """Files of whole volumes by every name they answer to, as the peer made it."""
    found: Found = {}
    for name, paths in answering(folder).items():
        if not _OTHER.fullmatch(name) and "_slice_" not in name:
            found.setdefault(maker.bare(name), []).extend(paths)
    return found


def _stacks(folder: Path, maker: Peer) -> Mapping[str, dict[int, Path]]:
    """Files of single slices: name -> number -> file."""
    stacks: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.iterdir()):
        if match := _SLICE.fullmatch(path.name):
            stacks.setdefault(maker.bare(match["name"]), {})[int(match["number"])] = path
    return stacks


def _files(case: Case, found: Found, stacks: Mapping[str, dict[int, Path]]) -> tuple[Path, ...]:
    """The one file of the case, or one for each slice in order; none if there is none."""
    names = names_of(case)
    whole, slices = prediction_of(case.id, names, found), next((stacks[name] for name in names if name in stacks), {})
    if whole is not None and slices:
        raise BenchError(f"{whole.name} and {len(slices)} slices", mend="keep one of both")
    if whole is not None or not slices:
        return () if whole is None else (whole,)
    wanted = range(1, case.geometry.shape[case.geometry.slice_axis] + 1)
    if sorted(slices) != list(wanted):
        raise BenchError(f"slices {_runs(slices)} are there; {wanted[0]} to {wanted[-1]} are wanted")
    return tuple(slices[number] for number in wanted)


def _runs(numbers: Mapping[int, Path]) -> str:
    shown = ", ".join(map(str, sorted(numbers)[:10]))
    return shown + (" ..." if len(numbers) > 10 else "")


def _bring(dataset: Dataset, case: Case, paths: Sequence[Path], out: Path, maker: Peer) -> Brought:
    if not paths:
        return Brought(case.id, "missing", None)
    grid = case.geometry
    reference = Volume(np.broadcast_to(np.uint8(0), grid.shape), np.array(grid.affine))
    if "_slice_" in paths[0].name:
        array = _placed(case, _restacked(case, paths))
    elif maker.stacks:
        array = _placed(case, stacked(read_label(paths[0]).array, 2))
        _check_beside(dataset, case, paths[0])
    else:
        array = aligned(reference, read_label(paths[0])).array
    _check_codes(dataset, array)
    write_nifti(out / f"{case.id}.nii.gz", Volume(np.asfortranarray(array), reference.affine))
    beside = not maker.stacks or _beside(paths[0]).is_file()
    return Brought(case.id, "written", paths[0], "" if beside else "no image beside it shows how it lies")


def _restacked(case: Case, paths: Sequence[Path]) -> Array:
    """Single slices as (slice, row, column)."""
    grid = case.geometry
    columns, rows = (size for axis, size in enumerate(grid.shape) if axis != grid.slice_axis)
    if paths[0].suffix == ".png":
        codes = {code: (range(code, code + 1),) for code in range(1, IGNORE)}
        return stacked(read_labels(paths, codes, (columns, rows)), 2)
    slices = [read_label(path).array for path in paths]
    if strange := sorted({array.shape for array in slices} - {(columns, rows, 1)}):
        raise BenchError(f"a slice of shape {strange[0]}; {(columns, rows, 1)} is wanted")
    return stacked(np.concatenate(slices, axis=2), 2)


def _placed(case: Case, slices: Array) -> Array:
    """Slices as the array of the case: their places are those of the export."""
    array = unstacked(slices, case.geometry.slice_axis)
    if array.shape != case.geometry.shape:
        raise BenchError(f"shape {array.shape} for a case of {case.geometry.shape}")
    return array


def _beside(path: Path) -> Path:
    """The image that SSL4MIS writes beside a prediction."""
    return path.with_name(path.name.replace("_pred.nii", "_img.nii"))


def _check_beside(dataset: Dataset, case: Case, path: Path) -> None:
    """The image tells whether our export was predicted from; no header would tell that it is mirrored."""
    image = _beside(path)
    if image == path or not image.is_file():
        return
    theirs = _placed(case, stacked(read_nifti(image).array, 2))
    ours = scaled(voxels(dataset, next(iter(case.images.values()))).array)[0]
    if not np.allclose(theirs, ours, rtol=0, atol=_ROUNDING):
        raise BenchError(
            f"{image.name} is not the image that was exported: another one, or it lies otherwise",
            where=image,
            mend="predict from what bench export --to ssl4mis wrote",
        )


def _check_codes(dataset: Dataset, array: Array) -> None:
    codes = {0, *_codes(dataset)}
    values, counts = np.unique(array, return_counts=True)
    strange = {int(value): int(n) for value, n in zip(values, counts, strict=True) if int(value) not in codes}
    if not strange:
        return
    told = ", ".join(f"{value} in {n} voxels" for value, n in strange.items())
    if strange.keys() <= {dataset.classes, IGNORE}:
        raise BenchError(f"it predicts the class `ignore`, {told}; that means nobody annotated, and is no structure")
    raise BenchError(f"values that are no labels here: {told}; the labels are {sorted(codes)}")


def _codes(dataset: Dataset) -> Iterator[int]:
    for value in dataset.labels.values():
        yield from value if isinstance(value, tuple) else (value,)
