"""SSL4MIS and WSL4MIS: h5 files of slices to train with and of volumes to validate and test with.

Luo et al., SSL4MIS and WSL4MIS (MICCAI 2022); layout as their `dataloaders/dataset.py` reads it.

    data/slices/<case>_slice_<k>.h5   `image` float32 (row, column), `label`, perhaps `scribble` uint8; k from 1
    data/<case>.h5                    the same, (slice, row, column)
    train_slices.list, train.list     training side, cases with a label first, so that the first n slices are theirs,
                                      and among them those of the split's published draw, in its order
    val.list, test.list               cases with a label
    frugalseg.json                    for each case: side, slice axis, shape, affine, intensities before scaling

As in their preprocessing, intensities of a volume are scaled to 0..1; nothing is clipped. A map has the code after the
last (4 in ACDC) where nobody annotated, and everywhere in a case without a label. `scribble` is the same map, and is
there if the labels are strokes or points: nobody trains on dense ones and calls it scribbles. They read one channel.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from converters.dataset import Case, Dataset, Split
from converters.errors import BenchError, EnvironmentFault
from converters.export import label, sides, voxels, whole
from converters.files import Strict, write_bytes, write_json
from converters.slices import scaled, stacked
from converters.volume import Array

INDEX = "frugalseg.json"


class Slices(Strict):
    """What an h5 file of a case does not say."""

    side: str
    labelled: bool
    slice_axis: int
    shape: tuple[int, int, int]  # (X, Y, Z)
    affine: tuple[tuple[float, ...], ...]
    intensities: tuple[float, float]  # that 0 and 1 stand for


class Index(Strict):
    """frugalseg.json: the way back."""

    dataset: str
    content_sha256: str
    not_annotated: int
    labelled_slices: int  # the first so many of train_slices.list have a label
    cases: dict[str, Slices]


def export(dataset: Dataset, out: Path, split: Split | None) -> None:
    """Write the folder that `--root_path` names.

    Raises:
        EnvironmentFault: h5py is not installed.
        BenchError: the dataset has several channels.
    """
    _check(dataset)
    there = sides(dataset, split)
    train = _ordered(there.train, split)
    labelled = tuple(case for case in train if case.label is not None)
    val, test = (tuple(case for case in side if case.label is not None) for side in (there.val, there.test))
    cases: dict[str, Slices] = {}
    with whole(out) as root:
        for side, members in (("train", train), ("val", val), ("test", test)):
            for case in members:
                cases[case.id] = _write_case(dataset, case, side, root / "data")
        _write_list(root / "train_slices.list", [name for case in train for name in _names(cases, case)])
        for name, members in (("train", train), ("val", val), ("test", test)):
            _write_list(root / f"{name}.list", [case.id for case in members])
        index = Index(
            dataset=dataset.name,
            content_sha256=dataset.file.bench.content_sha256,
            not_annotated=dataset.classes,
            labelled_slices=sum(len(_names(cases, case)) for case in labelled),
            cases=cases,
        )
        write_json(root / INDEX, index)


def notices(dataset: Dataset, out: Path) -> Iterator[str]:
    """What to do next."""
    import msgspec

    index = msgspec.json.decode((out / INDEX).read_bytes(), type=Index)
    yield f"--num_classes {dataset.classes}; the code {dataset.classes} means: not annotated (ignore_index)"
    yield f"{index.labelled_slices} slices have a label: write this number into patients_to_slices of SSL4MIS"
    if not any(case.side == "val" for case in index.cases.values()):
        yield "val.list is empty, and SSL4MIS cannot train without: export the dataset with --split too, and put its"
        yield "val.list, test.list and the data/*.h5 they name here"


def _check(dataset: Dataset) -> None:
    try:
        import h5py  # noqa: F401  # asked for before anything is written
    except ModuleNotFoundError:
        raise EnvironmentFault("h5 files need the package h5py", mend="pip install 'frugalseg[h5]'") from None
    if len(dataset.channels) != 1:
        raise BenchError(
            f"SSL4MIS reads one channel; {dataset.name} has {len(dataset.channels)}: {', '.join(dataset.channels)}",
            where=dataset.root,
            mend="take another format, such as nnunet or pymic",
        )


def _ordered(cases: Sequence[Case], split: Split | None) -> tuple[Case, ...]:
    """Those with a label first; where the split has one published draw, in its order: they take the first n slices."""
    drawn = next(iter(split.draws.values())) if split is not None and len(split.draws) == 1 else ()
    place = {subject: number for number, subject in enumerate(drawn)}
    return tuple(sorted(cases, key=lambda case: (case.label is None, place.get(case.subject, len(place)))))


def _maps(dataset: Dataset) -> tuple[str, ...]:
    """Under which names the label map stands in a file."""
    kinds = {case.label.kind for case in dataset.cases if case.label is not None}
    return ("label", "scribble") if kinds & {"scribble", "points"} else ("label",)


def _write_case(dataset: Dataset, case: Case, side: str, to: Path) -> Slices:
    axis, ignore, maps = case.geometry.slice_axis, dataset.classes, _maps(dataset)
    volume = voxels(dataset, next(iter(case.images.values())))
    image, low, high = scaled(volume.array)
    shown = label(dataset, case, ignore)
    target = np.full(volume.shape, ignore, np.uint8) if shown is None else shown.array
    images, targets = stacked(image, axis), stacked(target, axis)
    write_bytes(to / f"{case.id}.h5", _h5(images, targets, maps))
    if side == "train":
        for number, pair in enumerate(zip(images, targets, strict=True), 1):
            write_bytes(to / "slices" / f"{case.id}_slice_{number}.h5", _h5(*pair, maps))
    return Slices(
        side=side,
        labelled=case.label is not None,
        slice_axis=axis,
        shape=case.geometry.shape,
        affine=case.geometry.affine,
        intensities=(low, high),
    )


def _names(cases: dict[str, Slices], case: Case) -> list[str]:
    about = cases[case.id]
    return [f"{case.id}_slice_{number}" for number in range(1, about.shape[about.slice_axis] + 1)]


def _h5(image: Array, target: Array, maps: Sequence[str]) -> bytes:
    import h5py

    made = io.BytesIO()
    with h5py.File(made, "w", track_order=False) as file:
        for name, array in (("image", image), *((name, target) for name in maps)):
            # Times would make two exports differ.
            file.create_dataset(name, data=array, compression="gzip", compression_opts=4, track_times=False)
    return made.getvalue()


def _write_list(path: Path, names: Sequence[str]) -> None:
    write_bytes(path, "".join(f"{name}\n" for name in names).encode())
