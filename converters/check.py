"""Every problem of a dataset folder or a view, as a list of sentences.

Nothing is mended here: a hash that no longer fits its file says that one of the two was changed, not which.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from converters.dataset import IGNORE, Annotation, Case, Dataset, Geometry, Split
from converters.description import FORMAT, DatasetFile, Parent
from converters.errors import BenchError
from converters.files import natural_key, read_json, safe_id
from converters.schema import faults
from converters.volume import Volume, axis_codes, data_sha256, read_label, read_nifti
from converters.written import duplicates

_IMAGES = ("imagesTr", "imagesTs", "imagesUn")


def check(root: Path, *, voxels: bool = True) -> list[str]:
    """Every problem of the dataset or view in `root`; empty where there is none.

    All voxels are read, or without `voxels` none: then a file has but to be there.
    """
    top = root / "dataset.json"
    if not top.is_file():
        return ["there is no dataset.json"]
    found = [f"dataset.json, {fault}" for fault in faults(top, DatasetFile)]
    cases = []
    for path in sorted((root / "cases").glob("*.json"), key=natural_key):
        broken = [f"cases/{path.name}, {fault}" for fault in faults(path, Case)]
        found += broken
        if not broken:
            cases.append(read_json(path, Case))
            found += _identity(path, cases[-1])
    if found:
        return found  # what follows would only repeat it
    dataset = Dataset(root, read_json(top, DatasetFile), tuple(cases))
    if dataset.file.bench.format > FORMAT:
        return [f"dataset.json: format {dataset.file.bench.format} is newer than this suite's {FORMAT}"]
    found += [*_labels(dataset), *_description(dataset), *_orphans(dataset), *_splits(dataset), *_twins(dataset)]
    for case in cases:
        problems = _case(dataset, case) if voxels else _there(dataset, case)
        found += [f"case {case.id}: {problem}" for problem in problems]
    return found


def _identity(path: Path, case: Case) -> Iterator[str]:
    """Ids are names, never paths."""
    for kind, name in (("case", case.id), ("subject", case.subject)):
        try:
            fits = safe_id(name) == name
        except BenchError:
            fits = False
        if not fits:
            yield f"cases/{path.name}: '{name[:80]}' cannot be a {kind} id (letters a-z, digits and '-', at most 64)"
    if path.stem != case.id:
        yield f"cases/{path.name} describes case '{case.id[:80]}'"


def _labels(dataset: Dataset) -> Iterator[str]:
    labels = dataset.file.labels
    codes = sorted({code for v in labels.values() for code in (v if isinstance(v, tuple) else (v,))})
    if labels.get("background") != 0:
        yield "dataset.json: labels need 'background': 0"
    if codes != list(range(len(codes))):
        yield f"dataset.json: label codes {codes} are not consecutive from 0"
    if "ignore" in labels and labels["ignore"] != codes[-1]:
        yield f"dataset.json: 'ignore' is {labels['ignore']}; it must be the highest code, {codes[-1]}"
    if "ignore" in labels and any(case.label and "labelsTs/" in case.label.file for case in dataset.cases):
        yield "dataset.json: 'ignore' is a class of the test labels; a reference says 255 where nothing is scored"
    if strange := sorted(set(dataset.file.bench.label_info) - set(labels)):
        yield f"dataset.json: label_info names {', '.join(strange)}, labels does not"


def _description(dataset: Dataset) -> Iterator[str]:
    file, card = dataset.file, dataset.file.bench
    if dict(enumerate(dataset.channels)) != {int(k): v for k, v in file.channel_names.items() if k.isdecimal()}:
        yield f"dataset.json: channel_names {file.channel_names} and bench.channels {list(dataset.channels)} differ"
    labelled = sum(case.label is not None and _folder(case) == "imagesTr" for case in dataset.cases)
    if file.numTraining != labelled:
        yield f"dataset.json: numTraining is {file.numTraining}, but {labelled} labelled cases stand in imagesTr"
    if not dataset.cases:
        yield "there is no case: cases/ holds no sidecar"
    if card.content_sha256 != dataset.content_sha256():
        yield "dataset.json: content_sha256 is not that of the sidecars: one was changed, or a case is missing"
    ids = Counter(case.id.casefold() for case in dataset.cases)
    if twice := [case.id for case in dataset.cases if ids[case.id.casefold()] > 1]:
        yield f"ids that differ by case alone: {', '.join(twice)}"
    if card.parent is not None:
        yield from _parent(dataset, card.parent)


def _parent(dataset: Dataset, parent: Parent) -> Iterator[str]:
    """A view's images lie in one folder, which is the dataset it was made from."""
    roots = {(dataset.root / i.file).resolve().parent.parent for case in dataset.cases for i in case.images.values()}
    if len(roots) != 1:
        yield f"the images of this view lie in {len(roots)} folders, not in one dataset"
        return
    top = roots.pop() / "dataset.json"
    if not top.is_file():
        yield f"the dataset '{parent.name}' that this view was made from is gone"
        return
    file = read_json(top, DatasetFile)
    if (file.name, file.bench.content_sha256) != (parent.name, parent.content_sha256):
        yield (
            f"this view was made from {parent.name} with content {parent.content_sha256[:12]}; "
            f"its images lie in {file.name} with content {file.bench.content_sha256[:12]}"
        )


def _folder(case: Case) -> str:
    return Path(next(iter(case.images.values())).file).parent.name if case.images else ""


def _label_maps(case: Case) -> dict[str, Annotation]:
    return ({"label": case.label} if case.label else {}) | dict(case.annotations)


def _orphans(dataset: Dataset) -> Iterator[str]:
    """Files without a sidecar, as an interrupted copy leaves them."""
    known = {image.file for case in dataset.cases for image in case.images.values()}
    known |= {annotation.file for case in dataset.cases for annotation in _label_maps(case).values()}
    folders = [*_IMAGES, "labelsTr", "labelsTs", *(one.path for one in dataset.file.bench.annotation_sets)]
    for folder in folders:
        for path in sorted((dataset.root / folder).glob("*"), key=natural_key):
            if f"{folder}/{path.name}" not in known:
                yield f"{folder}/{path.name} belongs to no case"


def _splits(dataset: Dataset) -> Iterator[str]:
    known, content = set(dataset.subjects), dataset.file.bench.content_sha256
    for path in sorted((dataset.root / "splits").glob("*.json"), key=natural_key):
        name = f"splits/{path.name}"
        if broken := faults(path, Split):
            yield from (f"{name}, {fault}" for fault in broken)
            continue
        split = read_json(path, Split)
        yield from (f"{name}: {problem}" for problem in split.check())
        if split.content_sha256 != content:
            yield f"{name} was made for content {split.content_sha256[:12]}, this is {content[:12]}"
        if strangers := sorted({*split.train, *split.val, *split.test} - known, key=natural_key):
            yield f"{name} names subjects that are not here: {', '.join(strangers)}"
        sides = {subject: side for side in ("train", "val", "test") for subject in getattr(split, side)}
        for group in dataset.file.bench.copies:
            if len({sides[subject] for subject in group if subject in sides}) > 1:
                yield f"{name}: {' and '.join(group)} have the same images and stand on different sides"


def _twins(dataset: Dataset) -> Iterator[str]:
    """Same voxels under two ids, other than those the dataset declares."""
    declared = [set(group) for group in dataset.file.bench.copies]
    for ids in duplicates(dataset.cases):
        subjects = {case.subject for case in dataset.cases if case.id in ids}
        if len(subjects) < len(ids) or subjects not in declared:
            yield f"cases {', '.join(ids)} hold the same voxels"


def _there(dataset: Dataset, case: Case) -> Iterator[str]:
    """Files that are missing or empty."""
    for file in (*(i.file for i in case.images.values()), *(a.file for a in _label_maps(case).values())):
        try:
            size = dataset.path(file).stat().st_size
        except OSError as error:
            yield f"{file[:80]} cannot be read: {error.strerror}"
        except BenchError as error:
            yield error.what
        else:
            if not size:
                yield f"{file} is empty"


def _case(dataset: Dataset, case: Case) -> Iterator[str]:
    is_view = dataset.file.bench.parent is not None
    if tuple(case.images) != dataset.channels and set(case.images) != set(dataset.channels):
        yield f"channels {list(case.images)}; the dataset has {list(dataset.channels)}"
    for channel, image in case.images.items():
        number = dataset.channels.index(channel) if channel in dataset.channels else 0
        path = Path(image.file)
        if path.parent.name not in _IMAGES or path.name != f"{case.id}_{number:04d}.nii.gz":
            yield f"channel {channel} is no images*/{case.id}_{number:04d}.nii.gz: {image.file}"
        yield from _file(dataset, case, image.file, image.data_sha256)
    if not is_view and (_folder(case) == "imagesUn") != (case.label is None and _folder(case) != "imagesTs"):
        yield f"it stands in {_folder(case)} with{'' if case.label else 'out'} a label"
    for name, annotation in _label_maps(case).items():
        if name != "label" and name not in {one.id for one in dataset.file.bench.annotation_sets}:
            yield f"annotation set '{name}' is not in dataset.json"
        yield from _file(dataset, case, annotation.file, annotation.data_sha256, counts=annotation.voxels)


def _file(
    dataset: Dataset, case: Case, file: str, known_sha256: str, counts: dict[str, int] | None = None
) -> Iterator[str]:
    """Problems of one file; a label map where `counts` are given."""
    try:
        path = dataset.path(file)
        volume = read_nifti(path) if counts is None else read_label(path)
    except FileNotFoundError:
        yield f"{file} is missing"
        return
    except OSError as error:  # a folder, or no name that a file can have
        yield f"{file[:80]} cannot be read: {error.strerror}"
        return
    except BenchError as error:
        yield f"{file}: {error.what}"
        return
    if data_sha256(volume) != known_sha256:
        yield f"{file} does not hold the voxels its sidecar names: restore it, or convert again"
        return
    yield from (f"{file}: {problem}" for problem in _grid(volume, case.geometry))
    if counts is not None:
        yield from (f"{file}: {problem}" for problem in _values(dataset, volume, counts))


def _grid(volume: Volume, geometry: Geometry) -> Iterator[str]:
    if [len(row) for row in geometry.affine] != [4] * 4:
        yield "the sidecar's affine is not 4 x 4"
        return
    wanted = np.array(geometry.affine, dtype=float)
    if volume.shape != geometry.shape:
        yield f"{volume.shape} voxels; the case has {geometry.shape}"
    elif (off := volume.distance(Volume(volume.array, wanted))) > 1e-3:
        yield f"it lies {off:.3g} mm off the grid of its case"
    if axis_codes(volume.affine) != "RAS":
        yield f"its axes are {axis_codes(volume.affine)}, not RAS"
    if not np.allclose(volume.spacing, geometry.spacing_mm, rtol=1e-6, atol=0):
        yield f"spacing {volume.spacing}; the sidecar says {geometry.spacing_mm}"


def _values(dataset: Dataset, volume: Volume, counts: dict[str, int]) -> Iterator[str]:
    values, sizes = np.unique(volume.array, return_counts=True)
    found = {str(value): int(size) for value, size in zip(values.tolist(), sizes.tolist(), strict=True)}
    allowed = {str(code) for v in dataset.file.labels.values() for code in (v if isinstance(v, tuple) else (v,))}
    if strange := found.keys() - allowed - {str(IGNORE)}:
        yield f"values {_list(strange)} are no labels of the dataset ({_list(allowed)})"
    if found != counts:
        yield f"voxels per value are {found}; the sidecar says {counts}"


def _list(values: Iterable[str]) -> str:
    return ", ".join(sorted(values, key=natural_key))
