"""View: a dataset folder that shows training what a protocol lets it see, and leads to nothing else."""

import dataclasses
import os
import shutil
from pathlib import Path

import msgspec
import numpy as np

from bench import splits
from bench.annotators import ANNOTATORS, Given, LabelMap
from bench.protocols import Protocol
from converters import disclosure
from converters.dataset import IGNORE, Annotation, Case, Dataset, Split
from converters.describe import annotation
from converters.description import AnnotationSet, Parent
from converters.errors import BenchError
from converters.export import voxels
from converters.files import digest, sha256
from converters.volume import Volume, write_nifti
from leaderboards.record import Budget


@dataclasses.dataclass(frozen=True)
class _Plan:
    """Which cases a view holds, and who draws what in it."""

    dataset: Dataset
    split: Split
    protocol: Protocol
    draw: int | str
    annotator: str  # the one that is really used
    expert: AnnotationSet | None
    labelled: tuple[str, ...]  # subjects
    treated: frozenset[str]  # those of them that get the annotator's label; the others get the reference
    pool: int  # training subjects that could be labelled


def view(dataset: Dataset, split: Split, protocol: Protocol, draw: int | str, out: Path) -> Dataset:
    """The training cases of the split in `out`, with the labels that the protocol shows and no other.

    Images are named where they lie in the parent; labels are written inside. A view that lies there already is given
    back as it is. Written whole or not at all.

    Raises:
        UsageError: the draw is unknown.
        BenchError: `out` holds something else, there is no label to show, an expert is asked for and there is none, or
            a label file is not the one its sidecar names.
    """
    if dataset.file.bench.parent is not None:
        raise BenchError("a view of a view would hide nothing more", where=dataset.root, mend="give the dataset itself")
    plan = _plan(dataset, split, protocol, draw)
    parent = Parent(name=dataset.name, content_sha256=dataset.file.bench.content_sha256, protocol=_facts(plan))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        return disclosure.there(out, parent)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        _write(plan, parent, temporary, out)
        temporary.replace(out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return Dataset.load(out)


def budget(seen: Dataset, dataset: Dataset) -> Budget:
    """What the labels of a view would cost, and how well disturbed ones agree with the reference in `dataset`."""
    cases = [case for case in seen.cases if case.label is not None]
    marked = slices = 0
    agreement: list[float] = []
    for case in cases:
        visible = _read(seen, case.label)
        annotated = np.moveaxis(visible != IGNORE, case.geometry.slice_axis, 0)
        marked += int(annotated.sum())
        slices += int(annotated.any(axis=(1, 2)).sum())
        clean = dataset.case(case.id).label
        assert case.label is not None
        if case.label.kind == "noisy" and clean is not None and clean.data_sha256 != case.label.data_sha256:
            agreement += _dice(visible, _read(dataset, clean), dataset)
    return Budget(
        labelled_subjects=len({case.subject for case in cases}),
        labelled_cases=len(cases),
        annotated_voxels=marked,
        annotated_slices=slices,
        agreement=float(np.mean(agreement)) if agreement else None,
    )


def _dice(visible: LabelMap, clean: LabelMap, dataset: Dataset) -> list[float]:
    """Dice of every structure that either label map holds, over the voxels that both annotate."""
    both = (visible != IGNORE) & (clean != IGNORE)
    found = []
    for codes in dataset.labels.values():
        a, b = (np.isin(label, codes) & both for label in (visible, clean))
        if total := int(a.sum() + b.sum()):
            found.append(2 * int((a & b).sum()) / total)
    return found


def _plan(dataset: Dataset, split: Split, protocol: Protocol, draw: int | str) -> _Plan:
    annotator, expert = _annotator(dataset, protocol)
    drawn = {case.subject for case in dataset.only(split.train).cases if _material(case, expert) is not None}
    pool = msgspec.structs.replace(split, train=tuple(subject for subject in split.train if subject in drawn))
    labelled = splits.labelled(pool, protocol.percent, draw)
    treated = splits.order(labelled, f"noise/{draw}")[: splits.count(protocol.ratio_percent, len(labelled))]
    return _Plan(
        dataset=dataset,
        split=split,
        protocol=protocol,
        draw=draw,
        annotator=annotator,
        expert=expert,
        labelled=labelled,
        treated=frozenset(treated),
        pool=len(pool.train),
    )


def _annotator(dataset: Dataset, protocol: Protocol) -> tuple[str, AnnotationSet | None]:
    """Who draws, and the expert set where it is that."""
    if protocol.annotator not in ("expert", "expert-else-scribble"):
        return protocol.annotator, None
    sets = dataset.file.bench.annotation_sets
    expert = next((one for one in sets if one.kind == "scribble" and one.origin == "expert"), None)
    if expert is not None:
        return "expert", expert
    if protocol.annotator == "expert":
        here = ", ".join(f"{one.id} ({one.kind}, {one.origin})" for one in sets)
        raise BenchError(
            f"{dataset.name} has no expert scribbles; annotation sets: {here or 'none'}",
            where=dataset.root,
            mend="leave --annotator out: the scribbles are then simulated, and the row says so",
        )
    return "scribble", None


def _material(case: Case, expert: AnnotationSet | None) -> Annotation | None:
    """What the annotator works from."""
    return case.label if expert is None else case.annotations.get(expert.id)


def _facts(plan: _Plan) -> dict[str, str | int | float]:
    protocol = plan.protocol
    facts: dict[str, str | int | float] = {
        "protocol": protocol.name,
        "version": protocol.version,
        "annotator": ANNOTATORS[plan.annotator].told,
        "percent": protocol.percent,
        "draw": plan.draw,
        "split": plan.split.name,
        "split_sha256": digest(plan.split),
        "training_subjects": plan.pool,
        "labelled_subjects": len(plan.labelled),
        "real_percent": round(100 * len(plan.labelled) / plan.pool, 2),
    }
    if plan.expert is not None:
        # The parent's content hash leaves annotations out.
        shown = [[case.id, _material(case, plan.expert)] for case in plan.dataset.only(plan.labelled).cases]
        facts |= {"annotation_set": plan.expert.id, "annotations_sha256": digest(shown)}
    else:
        facts |= {f"option.{name}": value for name, value in protocol.options.items()}
    if ANNOTATORS[plan.annotator].kind == "noisy":
        facts |= {"ratio_percent": protocol.ratio_percent, "disturbed_subjects": len(plan.treated)}
    return facts


def _write(plan: _Plan, parent: Parent, temporary: Path, out: Path) -> None:
    cases = tuple(
        disclosure.sidecar(case, _write_label(plan, case, temporary), plan.dataset.root, out)
        for case in plan.dataset.only(plan.split.train).cases
    )
    disclosure.save(plan.dataset, cases, parent, temporary)


def _write_label(plan: _Plan, case: Case, folder: Path) -> Annotation | None:
    """The label map that this case shows, written to `labelsTr`; None where it shows none."""
    material = _material(case, plan.expert)
    if case.subject not in plan.labelled or material is None:
        return None
    volume = Volume(_drawn(plan, case, material), np.array(case.geometry.affine))
    path = f"labelsTr/{case.id}.nii.gz"
    write_nifti(folder / path, volume)
    # Of all labelled cases alike: which of them a noisy protocol left clean is not for training to know.
    annotator = ANNOTATORS[plan.annotator]
    kind, origin = annotator.kind, annotator.origin or material.origin
    return annotation(AnnotationSet(id="visible", kind=kind, origin=origin, path="labelsTr"), path, volume)


def _drawn(plan: _Plan, case: Case, material: Annotation) -> LabelMap:
    protocol, known = plan.protocol, _read(plan.dataset, material)
    if case.subject not in plan.treated:
        return known
    # One generator per case: the label depends on no other case and on no order.
    seed = sha256(f"{protocol.name}/v{protocol.version}/{plan.draw}/{case.id}".encode())
    given = Given(
        label=known if plan.expert is None else np.full_like(known, IGNORE),
        expert=known if plan.expert is not None else None,
        spacing=case.geometry.spacing_mm,
        slice_axis=case.geometry.slice_axis,
        rng=np.random.default_rng(int(seed, 16)),
        options=protocol.options,
    )
    return ANNOTATORS[plan.annotator].draw(given)


def _read(dataset: Dataset, label: Annotation | None) -> LabelMap:
    assert label is not None
    return voxels(dataset, label).array.astype(np.uint8, copy=False)
