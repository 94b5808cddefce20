"""View: a dataset folder that shows training what a protocol lets it see, and leads to nothing else."""

import dataclasses
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from baselines.task import LABELS
from bench import splits, task_view, unlabelled
from bench.annotator import Annotator, Given, LabelMap, find, who_draws
from bench.budget import read
from bench.protocols import Protocol
from bench.shorten import shortened
from converters import disclosure
from converters.dataset import IGNORE, Annotation, Case, Dataset, Split
from converters.describe import annotation
from converters.description import AnnotationSet, Parent
from converters.errors import BenchError
from converters.files import digest, sha256
from converters.volume import Volume, write_nifti

Facts = dict[str, str | int | float]  # what a view says of the protocol
Cases = Callable[[Path, Path], tuple[Case, ...]]  # its sidecars; labels are written to the first folder on the way


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
    others: Dataset | None = None  # whose cases join without labels

    @property
    def drawn_by(self) -> Annotator:
        """The annotator itself."""
        return find(self.annotator)

    @property
    def told(self) -> str:
        """The annotator as records and tables name it."""
        said = ", ".join(filter(None, (self.protocol.said, "clean ones known" if self.protocol.trusted else "")))
        return self.drawn_by.told + (f" ({said})" if said else "")


def view(  # noqa: PLR0913  # a dataset, what is shown of it, another one, and where
    dataset: Dataset,
    split: Split,
    protocol: Protocol,
    draw: int | str,
    out: Path,
    *,
    others: Dataset | None = None,
    task: str = LABELS,
) -> Dataset:
    """The training cases of the split in `out`, with the labels that the protocol shows and no other.

    Images are named where they lie in the parent; labels are written inside. A view that lies there already is given
    back as it is. Written whole or not at all. All cases of `others` join without labels. Of another task than label
    maps the values that the protocol shows take their place, or nothing (`bench/task_view.py`).

    Raises:
        UsageError: the draw is unknown.
        BenchError: `out` holds something else, there is no label to show, the dataset has not what the annotator needs
            (`who_draws`), a label file is not the one its sidecar names, or `others` does not go with the dataset.
    """
    if dataset.file.bench.parent is not None:
        raise BenchError("a view of a view would hide nothing more", where=dataset.root, mend="give the dataset itself")
    if others is not None:
        unlabelled.check(dataset, others)
    told, cases = (_labels if task == LABELS else partial(_values, task=task))(dataset, split, protocol, draw)
    told |= unlabelled.facts(others) if others is not None else {}
    parent = Parent(name=dataset.name, content_sha256=dataset.file.bench.content_sha256, protocol=told)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        return disclosure.there(out, parent)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        joining = unlabelled.sidecars(others, out) if others is not None else ()
        disclosure.save(dataset, cases(temporary, out) + joining, parent, temporary)
        temporary.replace(out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return Dataset.load(out)


def _labels(dataset: Dataset, split: Split, protocol: Protocol, draw: int | str) -> tuple[Facts, Cases]:
    plan = _plan(dataset, split, protocol, draw)
    return _facts(plan), partial(_write, plan)


def _values(dataset: Dataset, split: Split, protocol: Protocol, draw: int | str, task: str) -> tuple[Facts, Cases]:
    told = task_view.facts(dataset, split, protocol, draw, task)
    visible = task_view.shown(dataset, split, protocol, draw, task)
    return told, lambda _, out: task_view.sidecars(dataset, split, visible, task, out)


def _plan(dataset: Dataset, split: Split, protocol: Protocol, draw: int | str) -> _Plan:
    annotator, expert = who_draws(dataset, protocol)
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


def _material(case: Case, expert: AnnotationSet | None) -> Annotation | None:
    """What the annotator works from."""
    return case.label if expert is None else case.annotations.get(expert.id)


def _facts(plan: _Plan) -> Facts:
    protocol = plan.protocol
    facts: Facts = {
        "protocol": protocol.name,
        "version": protocol.version,
        "annotator": plan.told,
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
    if plan.drawn_by.kind == "noisy":
        facts |= {"ratio_percent": protocol.ratio_percent, "disturbed_subjects": len(plan.treated)}
    # Facts that came later are left out where they say nothing: a view made before them is the same view.
    facts |= {"stroke_parts": protocol.strokes} if protocol.strokes > 1 else {}
    facts |= {"trusted": 1} if protocol.trusted else {}
    return facts | ({"unit": plan.drawn_by.unit} if plan.drawn_by.unit else {})


def _write(plan: _Plan, temporary: Path, out: Path) -> tuple[Case, ...]:
    return tuple(
        disclosure.sidecar(case, _write_label(plan, case, temporary), plan.dataset.root, out)
        for case in plan.dataset.only(plan.split.train).cases
    )


def _write_label(plan: _Plan, case: Case, folder: Path) -> Annotation | None:
    """The label map that this case shows, written to `labelsTr`; None where it shows none."""
    material = _material(case, plan.expert)
    if case.subject not in plan.labelled or material is None:
        return None
    volume = Volume(_drawn(plan, case, material), np.array(case.geometry.affine))
    path = f"labelsTr/{case.id}.nii.gz"
    write_nifti(folder / path, volume)
    # Of all labelled cases alike, unless the protocol tells which of them are clean.
    kind, origin = plan.drawn_by.kind, plan.drawn_by.origin or material.origin
    if plan.protocol.trusted and case.subject not in plan.treated:
        kind, origin = "dense", material.origin
    return annotation(AnnotationSet(id="visible", kind=kind, origin=origin, path="labelsTr"), path, volume)


def _drawn(plan: _Plan, case: Case, material: Annotation) -> LabelMap:
    protocol, known = plan.protocol, read(plan.dataset, material)
    if case.subject not in plan.treated:
        return known
    # One seed per case: the label depends on no other case and on no order.
    seed = int(sha256(f"{protocol.seed}/{plan.draw}/{case.id}".encode()), 16)
    given = Given(
        label=known if plan.expert is None else np.full_like(known, IGNORE),
        expert=known if plan.expert is not None else None,
        spacing=case.geometry.spacing_mm,
        slice_axis=case.geometry.slice_axis,
        rng=np.random.default_rng(seed),
        options=protocol.options,
        seed=seed,
    )
    drawn = plan.drawn_by(given)
    return shortened(drawn, given.slice_axis, protocol.strokes) if protocol.strokes > 1 else drawn
