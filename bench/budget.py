"""What the labels of a view would cost: voxels, slices, and minutes by the cost model of `docs/protocols.md`."""

from collections.abc import Iterator

import numpy as np

from bench.annotator import LabelMap
from bench.planes import EIGHT
from converters.dataset import IGNORE, Annotation, Case, Dataset
from converters.export import voxels
from leaderboards.record import Budget

# Median or mean seconds of people at work on photographs: there is no such series for medical images.
OUTLINE = 79.2  # of one object: Lin et al., ECCV 2014
CARELESS = OUTLINE * 7 / 90  # minutes a coarse and a fine label map took: Cordts et al., CVPR 2016
STROKE = 10.9  # through one object: Bearman et al., ECCV 2016
CLICK = 2.4  # on one object: Bearman et al., ECCV 2016
BOX = 7.0  # by extreme clicking: Papadopoulos et al., ICCV 2017
_UNITS = {"dense": "outline", "noisy": "outline", "partial": "outline", "scribble": "stroke", "points": "click"}


def read(dataset: Dataset, label: Annotation) -> LabelMap:
    """The label map.

    Raises:
        BenchError: its voxels are not those that the sidecar names.
    """
    return voxels(dataset, label).array.astype(np.uint8, copy=False)


def budget(seen: Dataset, dataset: Dataset) -> Budget:
    """What the labels of a view would cost, and how well disturbed ones agree with the reference in `dataset`.

    Values that a view shows are counted by subject and case; nobody was timed writing them down.
    """
    cases = [case for case in seen.cases if case.label is not None]
    if not cases and (valued := [case for case in seen.cases if case.meta]):
        return _budget_of(valued)
    marked = slices = 0
    seconds = 0.0
    agreement: list[float] = []
    for case in cases:
        assert case.label is not None
        visible, clean = read(seen, case.label), dataset.case(case.id).label
        annotated = np.moveaxis(visible != IGNORE, case.geometry.slice_axis, 0)
        marked += int(annotated.sum())
        slices += int(annotated.any(axis=(1, 2)).sum())
        disturbed = clean is not None and case.label.kind == "noisy" and clean.data_sha256 != case.label.data_sha256
        if disturbed and clean is not None:
            agreement += _dice(visible, read(dataset, clean), dataset)
        seconds += _seconds(visible, case, (seen, dataset), OUTLINE if not disturbed else CARELESS)
    return Budget(
        labelled_subjects=len({case.subject for case in cases}),
        labelled_cases=len(cases),
        annotated_voxels=marked,
        annotated_slices=slices,
        agreement=float(np.mean(agreement)) if agreement else None,
        minutes=round(seconds / 60, 2),
    )


def _budget_of(valued: list[Case]) -> Budget:
    subjects = len({case.subject for case in valued})
    return Budget(labelled_subjects=subjects, labelled_cases=len(valued), annotated_voxels=0, annotated_slices=0)


def _dice(visible: LabelMap, clean: LabelMap, dataset: Dataset) -> list[float]:
    """Dice of every structure that either label map holds, over the voxels that both annotate."""
    both = (visible != IGNORE) & (clean != IGNORE)
    found = []
    for codes in dataset.labels.values():
        a, b = (np.isin(label, codes) & both for label in (visible, clean))
        if total := int(a.sum() + b.sum()):
            found.append(2 * int((a & b).sum()) / total)
    return found


def _seconds(visible: LabelMap, case: Case, of: tuple[Dataset, Dataset], outline: float) -> float:
    """What a person would take for the visible label map of a case; `of` are the view and its dataset."""
    seen, dataset = of
    facts = seen.file.bench.parent.protocol if seen.file.bench.parent is not None else {}
    assert case.label is not None
    unit, axis = facts.get("unit", _UNITS.get(case.label.kind, "outline")), case.geometry.slice_axis
    if unit == "click":
        return CLICK * int((visible != IGNORE).sum())
    if unit == "stroke":
        # A shorter stroke begins with a click as well; the rest of its time is its length.
        each = CLICK + (STROKE - CLICK) / int(facts.get("stroke_parts", 1))
        return each * sum(_strokes(visible, axis))
    clean = dataset.case(case.id).label
    if unit == "box" and clean is not None:
        return BOX * sum(_outlines(read(dataset, clean), axis, dataset))
    return outline * sum(_outlines(visible, axis, dataset))


def _outlines(label: LabelMap, axis: int, dataset: Dataset) -> Iterator[int]:
    """For each structure, in how many slices it is."""
    for codes in dataset.labels.values():
        yield int(np.moveaxis(np.isin(label, codes), axis, 0).any(axis=(1, 2)).sum())


def _strokes(label: LabelMap, axis: int) -> Iterator[int]:
    """For each slice, the connected strokes of each code, background too."""
    from scipy import ndimage

    for plane in np.moveaxis(label, axis, 0):
        for code in np.unique(plane[plane != IGNORE]):
            yield ndimage.label(plane == code, EIGHT)[1]
