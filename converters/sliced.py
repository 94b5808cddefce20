"""Slices of converted volumes as pictures of a dataset of their own: one channel, one structure, 8 bits or all of them.

A picture keeps its place in space and its millimetres. Its id is `<patient>-<stack>-<slice>`.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from converters.dataset import Case, Dataset
from converters.description import Source
from converters.errors import BenchError
from converters.join import Found
from converters.source import Info, Loaded, RawCase
from converters.volume import Volume, read_label, read_nifti

Bits = Literal[8, 16]
WINDOW = "256 levels a slice, from its smallest to its second largest value"


class Stack(NamedTuple):
    """The volumes of a dataset, of which one channel is taken."""

    dataset: Dataset
    channel: str
    name: str  # in the ids of its slices


@dataclasses.dataclass(frozen=True)
class Slicing:
    """What is made of the volumes."""

    name: str  # of the dataset
    label: str  # the structure
    bits: Bits
    alone: bool  # each slice is a subject of its own, so that a split tears patients apart; else the patient is


class Slice(NamedTuple):
    """What the id of a picture says."""

    patient: str
    stack: str
    number: int  # from 0, in the order of the volume's last axis


def slice_of(case: str) -> Slice:
    """The parts of an id.

    Raises:
        BenchError: it is no id of a slice.
    """
    patient, _, rest = case.rpartition("-")[0].rpartition("-")
    number = case.rpartition("-")[2]
    if not patient or not number.isdecimal():
        raise BenchError(f"'{case}' is no id of a slice")
    return Slice(patient, rest, int(number))


def sliced(stacks: Sequence[Stack], slicing: Slicing) -> Found:
    """The dataset of all slices of the labelled cases; they are read when it is written.

    Raises:
        BenchError: a dataset lacks the channel or the structure, or its slices are not axial.
    """
    cases = [
        raw for stack in stacks for case in stack.dataset.cases if case.label for raw in _slices(stack, case, slicing)
    ]
    return _info(stacks, slicing), cases


def _slices(stack: Stack, case: Case, slicing: Slicing) -> Iterator[RawCase]:
    root, label = stack.dataset.root, case.label
    assert label is not None
    if stack.channel not in case.images or slicing.label not in stack.dataset.labels:
        raise BenchError(f"no channel {stack.channel} or no structure {slicing.label}", where=root)
    if case.geometry.slice_axis != 2:
        raise BenchError(f"{case.id}: its slices are not axial", where=root)
    files = (root / case.images[stack.channel].file, root / label.file)
    value = stack.dataset.labels[slicing.label]
    codes = value if isinstance(value, tuple) else (value,)
    for number in range(case.geometry.shape[2]):
        name = f"{case.subject}-{stack.name}-{number:03d}"
        yield RawCase(
            name,
            name if slicing.alone else case.subject,
            files,
            partial(_load, *files, codes, number, slicing.bits),
            {"phase": stack.name, "patient": case.subject, "slice": float(number)},
        )


def _load(image: Path, label: Path, codes: tuple[int, ...], number: int, bits: Bits) -> Loaded:
    volume, drawn = read_nifti(image), read_label(label)
    plane = _plane(volume, number)
    shown = plane if bits == 16 else Volume(eight_bits(plane.array), plane.affine)
    mask = _plane(drawn, number)
    return Loaded({"mr": shown}, Volume(np.isin(mask.array, codes).astype(np.uint8), mask.affine), stack_axis=2)


def _plane(volume: Volume, number: int) -> Volume:
    affine = volume.affine.copy()
    affine[:3, 3] += number * affine[:3, 2]
    return Volume(np.asfortranarray(volume.array[:, :, number : number + 1]), affine)


def eight_bits(plane: npt.NDArray[np.generic]) -> npt.NDArray[np.int16]:
    """A slice in 256 levels: 0 at its smallest value, 255 at its second largest, so that no lone voxel sets them."""
    values = plane.astype(np.float64)
    levels = np.unique(values)
    low, high = levels[0], levels[-2] if len(levels) > 2 else levels[-1]
    scaled = (values - low) / (high - low if high > low else 1.0)
    return np.asarray(np.rint(255 * np.clip(scaled, 0, 1)), np.int16)


def _info(stacks: Sequence[Stack], slicing: Slicing) -> Info:
    first = stacks[0].dataset
    alone = "each slice counts as a person here: a split tears patients apart, to measure what that flatters"
    channel = next(each for each in first.file.bench.channels if each.name == stacks[0].channel)
    return Info(
        name=slicing.name,
        version=first.file.bench.version,
        licence=first.file.licence,
        citation=first.file.bench.citation,
        source=Source(collection=f"slices of {' and '.join(stack.dataset.name for stack in stacks)}"),
        channels=(type(channel)(name="mr", modality=channel.modality),),
        labels={"background": 0, slicing.label: 1},
        label_info={slicing.label: first.file.bench.label_info[slicing.label]},
        ndim=2,
        warnings=(*first.file.bench.warnings, *((alone,) if slicing.alone else ())),
        preparation=asked(stacks, slicing),
    )


def asked(stacks: Sequence[Stack], slicing: Slicing) -> Mapping[str, str | float]:
    """What stands in dataset.json of how the pictures were made, and of what."""
    of = (f"{stack.dataset.name} {stack.channel} {stack.dataset.file.bench.content_sha256[:12]}" for stack in stacks)
    found = {"steps": "slices", "slices_of": ", ".join(of), "subject": "slice" if slicing.alone else "patient"}
    return found | ({"grey_levels": WINDOW} if slicing.bits == 8 else {})
